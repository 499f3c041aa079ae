"""The features of the era matrix for the Python SDK. They are those of matrix_features.mjs, seen to work in the same ways."""

import json
import re
import uuid
from contextlib import asynccontextmanager

import anyio
from mcp.client.subscriptions import PromptsListChanged, ResourceUpdated, ToolsListChanged
from mcp.types import (
    CreateMessageResult,
    ElicitResult,
    ListRootsResult,
    PromptListChangedNotification,
    PromptReference,
    ResourceUpdatedNotification,
    Root,
    TextContent,
    ToolListChangedNotification,
)


class Heard:
    """What the server has asked of the client and told it, in its order, and what the client answers."""

    def __init__(self):
        self.asked = []
        self.elicited = None
        self.told = []
        self.inboxes = {}

    def inbox(self, kind):
        """Where notes of a kind go from now on, and the function that awaits the next."""
        send, receive = anyio.create_memory_object_stream(100)
        self.inboxes[kind] = send
        return receive.receive

    def come(self, kind, note=None):
        if kind in self.inboxes:
            self.inboxes[kind].send_nowait(note)

    async def elicit(self, _context, params):
        self.asked.append(params.message)
        return self.elicited

    async def sample(self, _context, params):
        self.asked.append(params.messages[0].content.text)
        sentence = TextContent(type="text", text="a sampled sentence")
        return CreateMessageResult(role="assistant", model="test-model", content=sentence)

    async def roots(self, _context):
        self.asked.append("roots")
        return ListRootsResult(roots=[Root(uri="file:///lock", name="lock"), Root(uri="file:///gate")])

    async def logged(self, params):
        self.come("line", f"{params.level}: {params.data}")

    async def noticed(self, message):
        match message:
            case ResourceUpdatedNotification(params=params):
                self.come("updated", str(params.uri))
            case ToolListChangedNotification():
                self.come("tools")
            case PromptListChangedNotification():
                self.come("prompts")
            case Exception():
                self.told.append(message)


class Features:
    """The columns of the matrix. Each fails unless the feature works from end to end, as it is in the client's era."""

    def __init__(self, client, heard, stateless):
        self.client = client
        self.heard = heard
        self.stateless = stateless

    async def call_tool(self, name, arguments=None, **options):
        result = await self.client.call_tool(name, arguments or {}, **options)
        text = "".join(part.text for part in result.content)
        assert not result.is_error, f"the tool {name} says: {text}"
        return text

    async def list(self):
        tools = {tool.name: tool for tool in (await self.client.list_tools()).tools}
        assert tools["echo"].input_schema["required"] == ["text"], tools["echo"]
        resources = (await self.client.list_resources()).resources
        assert "test://static-text" in {str(resource.uri) for resource in resources}, resources
        templates = (await self.client.list_resource_templates()).resource_templates
        assert "test://template/{id}/data" in {template.uri_template for template in templates}, templates
        prompts = (await self.client.list_prompts()).prompts
        assert "test_simple_prompt" in {prompt.name for prompt in prompts}, prompts

    async def call(self):
        text = "a\u2028b\u0085😀\r\n"
        assert await self.call_tool("echo", {"text": text}) == text
        failed = await self.client.call_tool("test_error_handling", {})
        assert failed.is_error and "intentionally returns an error" in failed.content[0].text, failed

    async def progress(self):
        steps = []

        async def progress(value, total, _message):
            steps.append((value, total))

        arguments = {"steps": 3, "pause_ms": 20}
        assert await self.call_tool("count", arguments, progress_callback=progress) == "counted 3"
        assert steps == [(1, 3), (2, 3), (3, 3)], steps

    async def log_level(self):
        line = self.heard.inbox("line")

        async def speak(word, level):
            meta = {"io.modelcontextprotocol/logLevel": level} if self.stateless else None
            if not self.stateless:
                await self.client.set_logging_level(level)
            await self.call_tool("speak", {"word": word}, meta=meta)

        # What must not come would come before what must.
        await speak("some", "warning")
        assert [await line(), await line()] == ["warning: some warning", "error: some error"]
        await speak("one", "error")
        assert (said := await line()) == "error: one error", said
        # In the stateless era a request that names no level gets no lines.
        if self.stateless:
            await self.call_tool("speak", {"word": "none"})
        await speak("all", "debug")
        assert (said := await line()) == "info: all info", said

    async def elicitation(self):
        heard = self.heard
        heard.asked = []
        heard.elicited = ElicitResult(action="accept", content={"name": "Ada"})
        assert await self.call_tool("ask") == "hello Ada"
        heard.elicited = ElicitResult(action="decline")
        assert await self.call_tool("ask") == "declined"
        heard.elicited = ElicitResult(action="accept", content={"context": "locks"})
        prompt = await self.client.get_prompt("test_input_required_result_prompt")
        assert prompt.messages[0].content.text == "Use the following context: locks", prompt
        name = "What is your name?"
        assert heard.asked == [name, name, "What context should the prompt use?"], heard.asked

    async def sampling(self):
        self.heard.asked = []
        assert await self.call_tool("sample") == "a sampled sentence"
        assert self.heard.asked == ["say hi"], self.heard.asked

    async def roots(self):
        self.heard.asked = []
        assert await self.call_tool("roots") == "file:///lock,file:///gate"
        assert self.heard.asked == ["roots"], self.heard.asked

    @asynccontextmanager
    async def watching(self, uris):
        """Gives what awaits the next update of one of these."""
        if not self.stateless:
            yield self.heard.inbox("updated")
            return
        async with self.client.listen(resource_subscriptions=uris) as subscription:
            assert subscription.honored.resource_subscriptions == uris, subscription.honored

            async def updated():
                event = await anext(subscription)
                return event.uri if isinstance(event, ResourceUpdated) else event

            yield updated

    async def subscribe_and_update(self):
        # Servers may be shared with other clients of this matrix; these names are not.
        one, other = f"test://{uuid.uuid4()}", f"test://{uuid.uuid4()}"
        if not self.stateless:
            await self.client.subscribe_resource(one)
            await self.client.subscribe_resource(other)
        async with self.watching([one, other]) as updated:
            await self.call_tool("update", {"uri": one})
            assert (uri := await updated()) == one, uri
        if not self.stateless:
            await self.client.unsubscribe_resource(one)
        async with self.watching([other]) as updated:
            await self.call_tool("update", {"uri": one})
            await self.call_tool("update", {"uri": other})
            assert (uri := await updated()) == other, uri
        if not self.stateless:
            await self.client.unsubscribe_resource(other)

    async def list_changed(self):
        tools, prompts = self.heard.inbox("tools"), self.heard.inbox("prompts")
        if not self.stateless:
            await self.call_tool("test_trigger_tool_change")
            await tools()
            await self.call_tool("test_trigger_prompt_change")
            await prompts()
            return
        wishes = {"tools_list_changed": True, "prompts_list_changed": True}
        async with self.client.listen(**wishes) as subscription:
            honored = subscription.honored.model_dump(exclude_none=True)
            assert honored == wishes, honored
            for tool, event in (
                ("test_trigger_tool_change", ToolsListChanged()),
                ("test_trigger_prompt_change", PromptsListChanged()),
            ):
                await self.call_tool(tool)
                while await anext(subscription) != event:
                    pass

    async def ping(self):
        # There is no such method in the stateless era: the documented error comes from Lockgate.
        await self.client.send_ping()

    async def cancel(self):
        uri = f"test://{uuid.uuid4()}"
        begun = self.heard.inbox("begun")

        async def progress(_value, _total, _message):
            self.heard.come("begun")

        async def hang():
            await self.call_tool("hang", {"uri": uri}, progress_callback=progress)

        if not self.stateless:
            await self.client.subscribe_resource(uri)
        async with self.watching([uri]) as updated:
            async with anyio.create_task_group() as group:
                group.start_soon(hang)
                await begun()
                group.cancel_scope.cancel()
            # The server says so once it has noticed.
            assert (said := await updated()) == uri, said
        if not self.stateless:
            await self.client.unsubscribe_resource(uri)
        assert await self.call_tool("echo", {"text": "it goes on"}) == "it goes on"

    async def resource(self):
        async def read(uri):
            return (await self.client.read_resource(uri)).contents[0]

        text = (await read("test://static-text")).text
        assert text == "This is the content of the static text resource.", text
        assert re.match("iVBOR", (await read("test://static-binary")).blob)
        assert json.loads((await read("test://template/7/data")).text)["data"] == "Data for ID: 7"

    async def prompt(self):
        given = {"arg1": "lock", "arg2": "gate"}
        messages = (await self.client.get_prompt("test_prompt_with_arguments", given)).messages
        says = [(message.role, message.content.text) for message in messages]
        assert says == [("user", "Prompt with arguments: arg1='lock', arg2='gate'")], says

    async def completion(self):
        ref = PromptReference(type="ref/prompt", name="test_prompt_with_arguments")
        completed = await self.client.complete(ref, {"name": "arg1", "value": "par"})
        assert completed.completion.values == ["paris", "park", "party"], completed


FEATURES = {
    "list": Features.list,
    "call": Features.call,
    "progress": Features.progress,
    "log level": Features.log_level,
    "elicitation": Features.elicitation,
    "sampling": Features.sampling,
    "roots": Features.roots,
    "subscribe + update": Features.subscribe_and_update,
    "list-changed": Features.list_changed,
    "ping": Features.ping,
    "cancel": Features.cancel,
    "resource": Features.resource,
    "prompt": Features.prompt,
    "completion": Features.completion,
}
