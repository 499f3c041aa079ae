"""The Python SDK's SSE client through Lockgate."""

import asyncio
import json
import sys

from mcp import ClientSession
from mcp.client.sse import sse_client

base, secret, server, scenario = sys.argv[1:5]
HEADERS = {"Authorization": f"Bearer {secret}", "ENV_GUEST": "hello"}


def text(result):
    return "".join(part.text for part in result.content)


async def time(session):
    result = await session.call_tool("get_current_time", {"timezone": "Europe/Warsaw"})
    assert json.loads(text(result))["timezone"] == "Europe/Warsaw", result


async def everything(session):
    steps = []

    async def progress(value, _total, _message):
        steps.append(value)

    arguments = {"duration": 0.5, "steps": 5}
    await session.call_tool("trigger-long-running-operation", arguments, progress_callback=progress)
    assert steps == [1, 2, 3, 4, 5], steps
    assert json.loads(text(await session.call_tool("get-env", {})))["GUEST"] == "hello"
    # One event may have 1 MiB in this client.
    for payload in ("a\u2028b\u0085😀", "x" * 900_000):
        assert text(await session.call_tool("echo", {"message": payload})).endswith(payload)
    calls = [session.call_tool("get-sum", {"a": n, "b": 1}) for n in range(50)]
    for n, result in enumerate(await asyncio.gather(*calls)):
        assert str(n + 1) in text(result), (n, result)


async def main():
    from urllib.parse import quote

    async with sse_client(f"{base}/{quote(server, safe='')}/sse", headers=HEADERS) as streams:
        async with ClientSession(*streams) as session:
            await session.initialize()
            assert (await session.list_tools()).tools
            await {"time": time, "everything": everything}[scenario](session)
    print("passed")


asyncio.run(main())
