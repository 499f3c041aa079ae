"""Who is measured, and how each is started."""

import shlex
import socket
import subprocess
from dataclasses import dataclass, field, replace

from .build import PEERS


@dataclass(frozen=True)
class Target:
    """One gateway with one transport, and how many children it starts ahead.

    `command` may hold {port}, {echo}, {config} and the like.
    """

    name: str
    kind: str  # "ours", "peer", "floor", "pipe"
    transport: str = "pipe"
    path: str = ""
    command: str = ""
    headers: tuple = ()
    environment: dict = field(default_factory=dict)
    warm: int = 0
    # A remote server that it is in front of, which is started before it.
    behind: str = ""


SECRET = "benchmark"
# More children than a workload opens sessions, so that each of them finds one that was started ahead.
POOL = 56
# Every limit is on; those of rate are far away, and as many children may start at once as clients ask for.
COMMON = """
[rate]
per_minute = 600000000
burst = 600000000
opens_per_minute = 600000000
[limits]
starts = 64
{limits}
"""
SETTINGS = COMMON + """
[servers.echo]
run = "{echo}"
readable = ["{place}"]
{more}
"""
# The bare HTTP server, as a remote one.
REMOTE = COMMON + """
[servers.echo]
url = "http://127.0.0.1:{port}/mcp"
transport = "streamable"
allow_private = true
"""
FLOOR = "{floor} {port} 2 1"

NODE = "node {peers}/"
SUPER = NODE + "supergateway/node_modules/supergateway/dist/index.js --stdio {echo} --port {port} --logLevel none"
NPM = NODE + "mcp-proxy-npm/node_modules/mcp-proxy/dist/bin/mcp-proxy.mjs --host 127.0.0.1 --port {port} -- {echo}"
PYTHON = "{peers}/mcp-proxy-py/bin/mcp-proxy --host 127.0.0.1 --port {port} --log-level ERROR -- {echo}"
SHELL = "{peers}/mcp-sh-proxy/bin/mcp-streamablehttp-proxy --host 127.0.0.1 --port {port} --log-level error {echo}"

# Logging is off wherever a peer can turn it off: this is each peer at its best.
OTHERS = [
    Target("supergateway-sse", "peer", "sse", "/sse", SUPER),
    Target("supergateway-stream", "peer", "streamable", "/mcp", SUPER + " --outputTransport streamableHttp --stateful"),
    Target("mcp-proxy-npm-sse", "peer", "sse", "/sse", NPM),
    Target("mcp-proxy-npm-stream", "peer", "streamable", "/mcp", NPM),
    Target("mcp-proxy-py-sse", "peer", "sse", "/sse", PYTHON),
    Target("mcp-proxy-py-stream", "peer", "streamable", "/mcp", PYTHON),
    Target("mcp-sh-proxy-stream", "peer", "streamable", "/mcp", SHELL),
    Target("floor-sse", "floor", "sse", "/sse", FLOOR),
    Target("floor-stream", "floor", "streamable", "/mcp", FLOOR),
    Target("pipe", "pipe"),
]

# What each is, and what its sessions share.
ABOUT = {
    "lockgate-sse": ("Lockgate, HTTP with SSE", "nothing"),
    "lockgate-stream": ("Lockgate, Streamable HTTP", "nothing"),
    "lockgate-stateless": ("Lockgate, 2026-07-28", "a child, among requests of one tenant with the same variables"),
    "lockgate-bridged-sse": ("Lockgate, HTTP with SSE, the child taken for one of 2026-07-28", "nothing"),
    "lockgate-bridged-stream": ("Lockgate, Streamable HTTP, the child taken for one of 2026-07-28", "nothing"),
    "lockgate-bridged-stateless": ("Lockgate, 2026-07-28, the child taken for one of 2025-11-25", "as without the bridge"),
    "lockgate-warm-sse": ("Lockgate, HTTP with SSE, children started ahead", "nothing"),
    "lockgate-warm-stream": ("Lockgate, Streamable HTTP, children started ahead", "nothing"),
    "lockgate-remote-sse": ("Lockgate, HTTP with SSE, in front of bare actix-web as a remote server", "connections to it"),
    "lockgate-remote-stream": ("Lockgate, Streamable HTTP, in front of the same", "connections to it"),
    "supergateway-sse": ("supergateway, SSE", "one child for all, and every reply goes to every session"),
    "supergateway-stream": ("supergateway, Streamable HTTP, stateful", "nothing; a shell around each child"),
    "mcp-proxy-npm-sse": ("mcp-proxy of npm, SSE", "one child for all; log lines go to all sessions"),
    "mcp-proxy-npm-stream": ("mcp-proxy of npm, Streamable HTTP", "one child for all; log lines go to all sessions"),
    "mcp-proxy-py-sse": ("mcp-proxy of PyPI, SSE", "one child for all"),
    "mcp-proxy-py-stream": ("mcp-proxy of PyPI, Streamable HTTP", "one child for all"),
    "mcp-sh-proxy-stream": ("mcp-streamablehttp-proxy of PyPI", "nothing; notifications never arrive"),
    "floor-sse": ("bare actix-web that answers by itself, SSE", "no child: the limit of HTTP"),
    "floor-stream": ("bare actix-web that answers by itself, Streamable HTTP", "no child: the limit of HTTP"),
    "pipe": ("the load generator on the child's own pipes", "no gateway: the limit of stdio"),
}


def settings(binaries, name, limits="", warm=0, era=""):
    """Writes a settings file; returns its path."""
    path = binaries.place / f"{name}.toml"
    more = "\n".join((f"warm = {warm}" if warm else "", f'era = "{era}"' if era else ""))
    text = SETTINGS.format(echo=binaries.echo, place=binaries.place, limits=limits, more=more)
    path.write_text(text)
    return path


def ours(binaries, name, transport, path, limits="", warm=0, era=""):
    """A Lockgate with the default sandbox. The child speaks both eras, so that it can be told which one to take it for."""
    config = settings(binaries, name, limits, warm, era)
    return Target(
        name, "ours", transport, path, f"{binaries.lockgate} --port {{port}} --config {shlex.quote(str(config))}",
        (f"Authorization: Bearer {SECRET}",), {"LOCKGATE_SECRET": SECRET, "LOG_LEVEL": "warn"}, warm,
    )


def remote(binaries, name, transport, path):
    """A Lockgate in front of a server that answers by itself."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    config = binaries.place / f"{name}.toml"
    config.write_text(REMOTE.format(port=port, limits=""))
    return replace(ours(binaries, name, transport, path), behind=FLOOR.format(floor=binaries.floor, port=port),
                   command=f"{binaries.lockgate} --port {{port}} --config {shlex.quote(str(config))}")


def knows_warm(binaries):
    """Whether servers have the setting `warm`, which starts children ahead."""
    config = settings(binaries, "warm-probe", warm=POOL)
    check = [str(binaries.lockgate), "check", "--config", str(config)]
    return subprocess.run(check, capture_output=True, timeout=20).returncode == 0


def every(binaries, with_peers):
    """All targets, by name."""
    found = [
        ours(binaries, "lockgate-sse", "sse", "/echo/sse"),
        ours(binaries, "lockgate-stream", "streamable", "/echo/mcp"),
        ours(binaries, "lockgate-stateless", "stateless", "/echo/mcp"),
        ours(binaries, "lockgate-bridged-sse", "sse", "/echo/sse", era="stateless"),
        ours(binaries, "lockgate-bridged-stream", "streamable", "/echo/mcp", era="stateless"),
        ours(binaries, "lockgate-bridged-stateless", "stateless", "/echo/mcp", era="handshake"),
    ]
    found += [
        remote(binaries, "lockgate-remote-sse", "sse", "/echo/sse"),
        remote(binaries, "lockgate-remote-stream", "streamable", "/echo/mcp"),
    ]
    if knows_warm(binaries):
        found += [
            ours(binaries, "lockgate-warm-sse", "sse", "/echo/sse", warm=POOL),
            ours(binaries, "lockgate-warm-stream", "streamable", "/echo/mcp", warm=POOL),
        ]
    found += [target for target in OTHERS if with_peers or target.kind != "peer"]
    return {target.name: target for target in found}


def command(target, binaries, port):
    """The words to run; no shell reads them."""
    text = target.command.format(port=port, echo=binaries.echo, floor=binaries.floor, peers=PEERS)
    return shlex.split(text)
