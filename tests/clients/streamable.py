"""The Python SDK by Streamable HTTP: all that a session can do, and its end. A failure names its step.

After the server may follow the mode (`auto`, which is the SDK's default; `legacy`; `pinned`), and the era that it must
come to (`legacy` or `modern`): `auto` would fall back without a word.
"""

import os
import sys
import threading
import traceback
import warnings
from urllib.parse import quote

import anyio
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import ResourceUpdated, ToolsListChanged
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp.types import (
    CreateMessageResult,
    ElicitResult,
    ResourceUpdatedNotification,
    TextContent,
    ToolListChangedNotification,
)

base, secret, server, mode, wanted = (*sys.argv[1:], *("auto", None)[len(sys.argv) - 4 :])
URL = f"{base}/{quote(server, safe='')}/mcp"
LARGE = "x" * 3_000_000
TOOLS = {"echo", "fill", "count", "hang", "ask", "sample", "touch"}
WATCHED = "test://watched"
warnings.simplefilter("ignore", MCPDeprecationWarning)

doing = "nothing yet"
# What the transport tells only on the side; and of each answer the method, the status and the session.
told, answers = [], []
updated, changed = anyio.Event(), anyio.Event()


def step(name):
    global doing
    doing = name


def fail(why):
    print(f"failed: {doing}: {why}; told on the side: {told}", file=sys.stderr, flush=True)
    os._exit(1)


async def answered(response):
    answers.append((response.request.method, response.status_code, response.headers.get("mcp-session-id")))


async def elicited(_context, _params):
    return ElicitResult(action="accept", content={"name": "Ada"})


async def sampled(_context, _params):
    sentence = TextContent(type="text", text="a sampled sentence")
    return CreateMessageResult(role="assistant", model="test-model", content=sentence)


async def noticed(message):
    match message:
        case ResourceUpdatedNotification(params=params) if str(params.uri) == WATCHED:
            updated.set()
        case ToolListChangedNotification():
            changed.set()
        case Exception():
            told.append(message)


async def everything(client, era):
    global updated

    async def call(name, arguments=None, **options):
        result = await client.call_tool(name, arguments or {}, **options)
        assert not result.is_error, f"the tool says: {result.content}"
        return "".join(part.text for part in result.content)

    step("list the tools")
    names = {tool.name for tool in (await client.list_tools()).tools}
    assert names >= TOOLS, names

    step("echo")
    payload = "a\u2028b\u0085😀\r\n"
    assert await call("echo", {"text": payload}) == payload

    step("progress before the result")
    steps = []

    async def progress(value, _total, _message):
        steps.append(value)

    await call("count", {"steps": 5, "pause_ms": 5}, progress_callback=progress)
    assert steps == [1, 2, 3, 4, 5], steps

    step("elicitation")
    assert await call("ask") == "hello Ada"

    step("sampling")
    assert await call("sample") == "a sampled sentence"

    step("subscribe, and be told of changes")
    if era == "legacy":
        await client.subscribe_resource(WATCHED)
        await call("touch")
        await updated.wait()
        await changed.wait()
        await client.unsubscribe_resource(WATCHED)
    else:
        wishes = {"tools_list_changed": True, "resource_subscriptions": [WATCHED]}
        async with client.listen(**wishes) as subscription:
            honored = subscription.honored.model_dump(exclude_none=True)
            assert honored == wishes, honored
            await call("touch")
            events = {ToolsListChanged(), ResourceUpdated(uri=WATCHED)}
            while events:
                events.discard(await anext(subscription))

    step("cancel a call")
    begun = anyio.Event()

    async def noted(_value, _total, _message):
        begun.set()

    async def cancelled():
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: call("hang", {"uri": WATCHED}, progress_callback=noted))
            await begun.wait()
            group.cancel_scope.cancel()

    # The server says so once it has noticed.
    if era == "legacy":
        updated = anyio.Event()
        await client.subscribe_resource(WATCHED)
        await cancelled()
        await updated.wait()
        await client.unsubscribe_resource(WATCHED)
    else:
        async with client.listen(resource_subscriptions=[WATCHED]) as subscription:
            await cancelled()
            assert await anext(subscription) == ResourceUpdated(uri=WATCHED)

    # One event may have 1 MiB in this client; an answer in JSON may be of any size.
    step("a large argument")
    assert await call("echo", {"text": LARGE}) == LARGE, "not the same text"

    step("a large result")
    assert len(await call("fill", {"bytes": len(LARGE)})) == len(LARGE)

    step("no error on the side")
    assert not told, told


async def ended(http, version):
    deleted = [status for method, status, _ in answers if method == "DELETE"]
    assert deleted in ([200], [204]), f"DELETE is answered {deleted}"
    session = next(session for _, _, session in answers if session)
    late = await http.post(
        URL,
        headers={
            "Accept": "application/json, text/event-stream",
            "MCP-Session-Id": session,
            "MCP-Protocol-Version": version,
        },
        json={"jsonrpc": "2.0", "id": 0, "method": "ping"},
    )
    assert late.status_code == 404, f"a session that has ended is not found, but {late}"


async def main():
    step("connect")
    async with create_mcp_http_client(headers={"Authorization": f"Bearer {secret}"}) as http:
        http.event_hooks = {"response": [answered]}
        async with Client(
            streamable_http_client(URL, http_client=http),
            mode="2026-07-28" if mode == "pinned" else mode,
            elicitation_callback=elicited,
            sampling_callback=sampled,
            message_handler=noticed,
        ) as client:
            version = client.protocol_version
            era = "modern" if version >= "2026" else "legacy"
            assert wanted in (None, era), f"the era is {era}"
            await everything(client, era)
            step("end the session" if era == "legacy" else "close")
        if era == "legacy":
            await ended(http, version)
        else:
            assert all((method, session) == ("POST", None) for method, _, session in answers), answers
    print("passed", flush=True)


watchdog = threading.Timer(60, fail, ["60 seconds are over"])
watchdog.daemon = True
watchdog.start()
try:
    anyio.run(main)
except BaseException as error:
    traceback.print_exc()
    fail(repr(error))
