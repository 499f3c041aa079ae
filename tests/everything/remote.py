"""A small server on the Python SDK over HTTP, to be reached as a remote.

Its argument says how it serves: `sessions`, `stateless` (no sessions in the handshake era; 2026-07-28 in both) or `sse`.
One line on stdout says where.
"""

import socket
import sys

import anyio
import uvicorn
from mcp.server.mcpserver import Context, MCPServer

mcp = MCPServer("python")


@mcp.tool()
def echo(text: str) -> str:
    """Answers the text."""
    return text


@mcp.tool()
def fill(bytes: int) -> str:
    """Answers that many bytes."""
    return "x" * bytes


@mcp.tool()
async def count(steps: int, context: Context) -> str:
    """Counts, and reports each step."""
    for step in range(1, steps + 1):
        await context.report_progress(step, steps)
    return f"counted {steps}"


@mcp.tool()
async def hang() -> None:
    """Never answers."""
    await anyio.sleep_forever()


@mcp.tool()
def fail() -> str:
    """Fails."""
    raise ValueError("failed on purpose")


apps = {
    "sessions": lambda: mcp.streamable_http_app(),
    "stateless": lambda: mcp.streamable_http_app(stateless_http=True, json_response=True),
    "sse": lambda: mcp.sse_app(),
}
listener = socket.create_server(("127.0.0.1", 0))
print(f"listening on {listener.getsockname()[1]}", flush=True)
server = uvicorn.Server(uvicorn.Config(apps[sys.argv[1]](), log_level="error", timeout_graceful_shutdown=1))
anyio.run(server.serve, [listener])
