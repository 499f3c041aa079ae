"""Makes or installs everything that is measured, and what measures it."""

import json
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILT = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PEERS = Path(os.environ.get("LOCKGATE_BENCH_PEERS", Path.home() / ".cache/lockgate-bench-peers"))

# directory -> (registry, package, version)
PACKAGES = {
    "supergateway": ("npm", "supergateway", "4.0.0"),
    "mcp-proxy-npm": ("npm", "mcp-proxy", "6.7.19"),
    "mcp-proxy-py": ("pip", "mcp-proxy", "0.13.0"),
    "mcp-sh-proxy": ("pip", "mcp-streamablehttp-proxy", "0.2.0"),
}


class Missing(Exception):
    """Something that is needed is not there; says what to do."""


def need(program, remedy):
    if shutil.which(program) is None:
        raise Missing(f"{program} is needed: {remedy}")


def run(*command, cwd=ROOT, **environment):
    subprocess.run(command, cwd=cwd, env=os.environ | environment, check=True)


def host():
    """The triple of this machine."""
    text = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
    return next(line.split()[1] for line in text.splitlines() if line.startswith("host:"))


class Binaries:
    """Paths of what was built."""

    def __init__(self, skip_build=False, lockgate=None):
        need("cargo", "install Rust 1.95 or newer from https://rustup.rs")
        load, triple = BUILT / "load", host()
        self.own_lockgate = lockgate is None
        self.lockgate = lockgate.resolve() if lockgate else BUILT / "release/lockgate"
        self.mcpload = load / "release/mcpload"
        self.floor = load / "release/floor"
        built = load / triple / "child/echo-stdio"
        if not skip_build:
            self._build(load, triple)
        for path in (self.lockgate, self.mcpload, self.floor, built):
            if not path.exists():
                raise Missing(f"{path} has not been built: leave out --skip-build")
        # Where a session's user may run it, whatever this checkout's modes are.
        self.place = Path(tempfile.mkdtemp(prefix="lockgate-bench-", dir="/var/tmp"))
        self.place.chmod(0o755)
        self.echo = self.place / "echo-stdio"
        shutil.copyfile(built, self.echo)
        self.echo.chmod(0o755)

    def _build(self, load, triple):
        if self.own_lockgate:
            run("cargo", "build", "--release", "--locked", "--quiet", "--bin", "lockgate")
        own = {"cwd": ROOT / "benches/load", "CARGO_TARGET_DIR": str(load)}
        run("cargo", "build", "--release", "--locked", "--quiet", "-p", "mcpload", "-p", "floor", **own)
        # Static, so that a child starts fast and stays small. With a target named, so that the flag does not
        # reach what runs while building.
        static = f'target.{triple}.rustflags=["-C","target-feature=+crt-static"]'
        run("cargo", "build", "--profile", "child", "--locked", "--quiet", "-p", "echo-stdio",
            "--target", triple, "--config", static, **own)

    def remove(self):
        shutil.rmtree(self.place, ignore_errors=True)


def install_peers():
    """Fetches the peers from their registries, each once for each version."""
    need("npm", "install Node.js 20 or newer, or measure without peers: --only lockgate")
    for name, (registry, package, version) in PACKAGES.items():
        place = PEERS / name
        stamp = place / "installed"
        if stamp.exists() and stamp.read_text() == version:
            continue
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        if registry == "npm":
            (place / "package.json").write_text(json.dumps({"private": True}))
            run("npm", "install", "--no-fund", "--no-audit", "--loglevel=error", f"{package}@{version}", cwd=place)
        else:
            run("python3", "-m", "venv", str(place))
            run(str(place / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", f"{package}=={version}")
        stamp.write_text(version)


def said(*command):
    """The first line that a command prints, or nothing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout.splitlines() or [""])[0].strip()


def machine(binaries):
    """What the figures were measured on, and of what."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    memory = Path("/proc/meminfo").read_text().splitlines()[0]
    return {
        "processor": next((line.split(":")[1].strip() for line in info if line.startswith("model name")), "?"),
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory.split()[1]) / 2**20),
        "kernel": platform.release(),
        "root": os.geteuid() == 0,
        "rustc": said("rustc", "--version"),
        "node": said("node", "--version"),
        "python": platform.python_version(),
        "lockgate": said(str(binaries.lockgate), "--version"),
        "commit": said("git", "describe", "--always", "--dirty", "--abbrev=12"),
        "binary_bytes": binaries.lockgate.stat().st_size,
        "load": os.getloadavg()[0],
    }
