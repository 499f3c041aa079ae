"""What is asked of each target."""

from dataclasses import dataclass

COMMON = "--warmup 5 --warmup-s 1 --settle 0.7 --connect-timeout 20"


@dataclass(frozen=True)
class Workload:
    """A mode of mcpload with its arguments, and those of the one that loads the same gateway `beside` it, if any.

    `targets` are the prefixes of the names that it is for.
    """

    name: str
    mode: str
    arguments: str
    targets: tuple = ("lockgate-sse", "lockgate-stream", "peer", "floor", "pipe")
    once: bool = False
    one_core: bool = False
    beside: str = ""


LIMITS = ("lockgate-sse", "lockgate-stream", "floor", "pipe")
OURS = ("lockgate-sse", "lockgate-stream")
CHILDREN = ("lockgate-sse", "lockgate-stream", "peer", "pipe")
ALL = ("lockgate-sse", "lockgate-stream", "lockgate-stateless", "lockgate-bridged", "lockgate-remote", "peer", "floor",
       "pipe")
EACH = ("lockgate-sse", "lockgate-stream", "lockgate-remote", "peer", "floor", "pipe")
FAULTS = ("garbage_text", "garbage_binary", "garbage_json", "garbage_blank", "stderr_flood_4mb",
          "reply_1mb", "reply_16mb", "grandchild", "crash")

# Throughput runs use ids that no two sessions share, so that a peer that sends every reply to every session
# can be measured at all; what is about correctness uses the ids that real clients use.
WORKLOADS = [
    Workload("echo_s1", "echo", "-n 1 -d 3 --ids unique", ALL),
    Workload("echo_s10", "echo", "-n 10 -d 3 --ids unique"),
    Workload("echo_s100", "echo", "-n 100 -d 3 --ids unique", EACH),
    Workload("echo_s1_c32", "echo", "-n 1 -c 32 -d 3 --ids unique"),
    # Gateway, child and load generator on one core: nothing waits for another core to wake up, so this is the
    # processor time of a whole call, and repeats well.
    Workload("echo_s1_1cpu", "echo", "-n 1 -d 3 --ids unique", ALL, one_core=True),
    Workload("burst", "burst", "-n 1 -d 3 --notes 1000 --note-size 100 --ids unique", CHILDREN),
    Workload("echo_1mb", "echo", "-n 1 -d 3 -p 1000000 --ids unique", EACH),
    # 4 MiB is all that a message may be: the payload leaves 1 KiB for the rest of it.
    Workload("beside_4mib", "echo", "-n 10 -d 3 --ids unique", (*OURS, "floor"),
             beside="-n 1 -d 10 -p 4193280 --warmup 1 --warmup-s 0 --ids unique"),
    Workload("setup", "setup", "-n 50 --connect-parallel 1 --ids unique", (*LIMITS, "lockgate-warm", "peer")),
    Workload("churn_200", "churn", "-n 4 --calls 200 --ids unique", CHILDREN),
    Workload("churn_1000", "churn", "-n 4 --calls 1000 --ids unique", OURS),
    Workload("idle_100", "idle", "-n 100 -d 3 --ids unique"),
    Workload("idle_long", "idle", "-n 100 -d 30 --ids unique", OURS),
    Workload("isolation", "echo", "-n 10 -d 2 --ids same", CHILDREN, once=True),
    Workload("burst_progress", "burst", "-n 1 -d 2 --notes 100 --note-kind progress", CHILDREN, once=True),
    Workload("burst_s4", "burst", "-n 4 --calls 40 --notes 200", CHILDREN, once=True),
    *(Workload(f"fault_{fault}", "faults", f"--fault {fault} --timeout 4 --settle 2", CHILDREN, once=True)
      for fault in FAULTS),
]
BY_NAME = {workload.name: workload for workload in WORKLOADS}


def wanted(workload, target, run):
    """Whether this target has this workload in this run."""
    if workload.once and run > 1:
        return False
    return any(target.kind == one or target.name.startswith(one) for one in workload.targets)


def arguments(workload):
    """The command line after the mode. What a workload says itself is not said by all."""
    own = workload.arguments.split()
    common = COMMON.split() + ["--timeout", "10", "--max-time", "120"]
    pairs = [pair for pair in zip(common[::2], common[1::2]) if pair[0] not in own]
    return own + [word for pair in pairs for word in pair]
