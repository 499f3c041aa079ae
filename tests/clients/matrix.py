"""A row of the era matrix by the Python SDK: as BASE SECRET SERVER TRANSPORT, the arguments, say, of which the last is `sse`,
`streamable` or `stateless`. A line of JSON for each feature is printed; see tests/it/matrix.rs.
"""

import json
import sys
import warnings
from urllib.parse import quote

import anyio
from matrix_features import FEATURES, Features, Heard
from mcp.client import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError

base, secret, server, transport = sys.argv[1:]
STATELESS = transport == "stateless"
HEADERS = {"Authorization": f"Bearer {secret}"}
SECONDS = 10
warnings.simplefilter("ignore", MCPDeprecationWarning)


def failure(error):
    # The groups of anyio hold one error here, what went wrong.
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, MCPError):
        return {"outcome": "error", "code": error.error.code, "message": error.error.message}
    said = f"not within {SECONDS} s" if isinstance(error, TimeoutError) else repr(error)
    return {"outcome": "error", "message": said}


async def outcome(attempt, features):
    try:
        with anyio.fail_after(SECONDS):
            await attempt(features)
        return {"outcome": "works"}
    except Exception as error:
        return failure(error)


def tell(feature, found):
    print(json.dumps({"feature": feature, **found}), flush=True)


async def row(carrier):
    heard = Heard()
    client = Client(
        carrier,
        mode="2026-07-28" if STATELESS else "legacy",
        read_timeout_seconds=SECONDS,
        elicitation_callback=heard.elicit,
        sampling_callback=heard.sample,
        list_roots_callback=heard.roots,
        logging_callback=heard.logged,
        message_handler=heard.noticed,
    )
    untold = dict(FEATURES)
    try:
        async with client:
            features = Features(client, heard, STATELESS)
            for feature, attempt in FEATURES.items():
                tell(feature, await outcome(attempt, features))
                del untold[feature]
        assert not heard.told, f"told on the side: {heard.told}"
    except Exception as error:
        # No connection, or none any more.
        for feature in untold:
            tell(feature, failure(error))
        if not untold:
            raise


async def main():
    place = f"{base}/{quote(server, safe='')}"
    if transport == "sse":
        return await row(sse_client(f"{place}/sse", headers=HEADERS))
    async with create_mcp_http_client(headers=HEADERS) as http:
        await row(streamable_http_client(f"{place}/mcp", http_client=http))


anyio.run(main)
