"""The load of load.mjs by the Python SDK: BASE SECRET SERVER TRANSPORT SESSIONS CALLS [again], of which the transport is
`sse`, `streamable` or `stateless`. Prints the same.
"""

import json
import os
import random
import sys
import threading
import time
import warnings
from collections import Counter
from contextlib import AsyncExitStack
from urllib.parse import quote

import anyio
from mcp.client import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError

base, secret, server, transport, sessions, calls, *rest = sys.argv[1:]
SESSIONS, CALLS, AGAIN = int(sessions), int(calls), "again" in rest
PLACE = f"{base}/{quote(server, safe='')}"
SECONDS, AT_ONCE, OPENING = 20, 4, 8
warnings.simplefilter("ignore", MCPDeprecationWarning)

over = False
counts, errors = Counter(ok=0, lost=0, crossed=0, failed=0, opened=0), Counter()


def until_input_ends():
    global over
    sys.stdin.read()
    over = True


def told(error):
    # The groups of anyio hold one error here, what went wrong.
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    said = f"{error.error.code} {error.error.message}" if isinstance(error, MCPError) else repr(error)
    return said[:200]


async def noticed(message):
    # An answer that nobody waits for is somebody else's.
    if isinstance(message, Exception) and "unknown request ID" in str(message):
        counts["crossed"] += 1
        errors[f"on the side: {message!r}"[:200]] += 1


async def call(client, number, n):
    # Of many lengths, so that a part of one is no other.
    text = f"{os.getpid()} {number} {n} {'x' * (n * 37 % 700)} {random.random()}"
    try:
        with anyio.fail_after(SECONDS):
            result = await client.call_tool("echo", {"text": text})
    except TimeoutError:
        counts["lost"] += 1
        return
    except Exception as error:
        counts["failed"] += 1
        errors[told(error)] += 1
        if AGAIN:
            raise
        return
    if result.content and result.content[0].text == text:
        counts["ok"] += 1
    else:
        counts["crossed"] += 1
        errors[f"instead of its own: {result!r}"[:200]] += 1


async def in_session(number, left, opened):
    """Calls until none is left, or one has failed."""
    headers = {"Authorization": f"Bearer {secret}", "X-Client": f"{os.getpid()} {number}"}
    async with AsyncExitStack() as stack:
        if transport == "sse":
            carrier = sse_client(f"{PLACE}/sse", headers=headers, timeout=30)
        else:
            http = await stack.enter_async_context(create_mcp_http_client(headers=headers))
            carrier = streamable_http_client(f"{PLACE}/mcp", http_client=http)
        mode = "2026-07-28" if transport == "stateless" else "legacy"
        client = await stack.enter_async_context(Client(carrier, mode=mode, message_handler=noticed))
        counts["opened"] += 1
        await opened()

        async def worker():
            while left[0] > 0 and not over:
                left[0] -= 1
                await call(client, number, left[0])

        async with anyio.create_task_group() as group:
            for _ in range(AT_ONCE):
                group.start_soon(worker)


async def session(number, turn, all_opened):
    left = [CALLS // SESSIONS + (number < CALLS % SESSIONS)]
    await turn.acquire()
    held = True

    async def opened():
        nonlocal held
        if held:
            held = False
            turn.release()
            await all_opened()

    for _ in range(50 if AGAIN else 1):
        before = counts["failed"]
        try:
            await in_session(number, left, opened)
        except Exception as error:
            if counts["failed"] == before:
                errors[f"opening: {told(error)}"] += 1
            if not AGAIN or over:
                raise
            await anyio.sleep(0.2)
        if over or left[0] == 0:
            return


async def main():
    begun = time.monotonic()
    turn, everyone, waiting = anyio.Semaphore(OPENING), anyio.Event(), SESSIONS
    opened_at = begun

    async def all_opened():
        nonlocal waiting, opened_at
        waiting -= 1
        if waiting == 0:
            opened_at = time.monotonic()
            print("begun", flush=True)
            everyone.set()
        await everyone.wait()

    async with anyio.create_task_group() as group:
        for number in range(SESSIONS):
            group.start_soon(session, number, turn, all_opened)
    spans = [round((opened_at - begun) * 1000), round((time.monotonic() - opened_at) * 1000)]
    print(json.dumps({**counts, "errors": errors, "milliseconds": spans}), flush=True)


if AGAIN:
    threading.Thread(target=until_input_ends, daemon=True).start()
anyio.run(main)
