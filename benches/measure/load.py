"""Runs the load generator against a target; one measurement is one JSON line."""

import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from . import workloads
from .figures import wrongs
from .gateway import FILL_S, Gateway, children, cold_start_ms, memory_kib, remains

LOAD_S = 300
# What loads beside another is started so long before it, and must be at work once the other has warmed up.
AHEAD_S = 2
WARM_UP_S = 1


def drive(binaries, workload, target, url="", pid=None):
    """One run of mcpload."""
    command = ["taskset", "-c", "0"] if workload.one_core else []
    command += [str(binaries.mcpload), workload.mode, "-t", target.transport]
    command += ["--label", f"{target.name}/{workload.name}", *workloads.arguments(workload)]
    command += ["--cmd", str(binaries.echo)] if target.kind == "pipe" else ["-u", url]
    for header in target.headers:
        command += ["-H", header]
    if pid:
        command += ["--gateway-pid", str(pid)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LOAD_S)
        return json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return {"ok": False, "aborted": f"mcpload took over {LOAD_S} s"}
    except ValueError:
        return {"ok": False, "aborted": f"mcpload exit {done.returncode}: {done.stderr[-300:]}"}


def drive_both(binaries, workload, target, url, pid):
    """The same with another load beside it, whose result is part of this one's."""
    other = replace(workload, name=f"{workload.name}-other", arguments=workload.beside)

    def beside():
        begin = time.monotonic()
        found = drive(binaries, other, target, url)
        return found, time.monotonic() - begin
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(beside)
        time.sleep(AHEAD_S)
        result = drive(binaries, workload, target, url, pid)
        outlasted = not running.done()
        found, took = running.result()
    return together(result, found, took, outlasted)


def together(result, found, took, outlasted):
    """One result of two loads; aborted if the one beside did not go on whenever the other was measured."""
    if "aborted" in result:
        return result
    if "aborted" in found:
        return {"ok": False, "aborted": f"the load beside it: {found['aborted']}"}
    late = took - found["calls"]["wall_s"] > AHEAD_S + WARM_UP_S
    if found["ok"] and (late or not outlasted):
        return {"ok": False, "aborted": f"the load beside it {'began too late' if late else 'ended too early'}"}
    return result | {"beside": found}


def measure(binaries, workload, target):
    """The result of a workload with a target of its own, and how that ended."""
    if target.kind == "pipe":
        return drive(binaries, workload, target), {}
    with Gateway(target, binaries, workload.one_core) as gateway:
        if not gateway.listens():
            result = {"ok": False, "aborted": f"it does not listen: {gateway.log()}"}
        elif target.warm and not gateway.filled():
            ready = len(children(binaries))
            result = {"ok": False, "aborted": f"of {target.warm} children started ahead {ready} are there, or not all idle, "
                                              f"within {FILL_S} s: {gateway.log()}"}
        else:
            time.sleep(0.3)
            base = memory_kib(gateway.process.pid)
            driven = drive_both if workload.beside else drive
            result = driven(binaries, workload, target, gateway.url, gateway.process.pid)
            result["base_pss_kib"] = base
        left = remains(gateway)
        gateway.stop()
    return result, gateway.facts | {"left": left}


def brief(result):
    """One line for the terminal."""
    if "aborted" in result:
        return "ABORTED " + result["aborted"].replace("\n", " ")
    if "faults" in result:
        return " ".join(f"{k} {v}" for fault in result["faults"].values() for k, v in fault.items())
    calls = result["calls"]
    wrong = {k: v for k, v in calls.items() if v and k in (
        "errors", "lost", "late", "mismatched", "duplicates", "foreign", "reordered", "sessions_died")}
    text = f"{calls.get('per_s')}/s p50 {calls.get('p50_ms')} p99 {calls.get('p99_ms')}"
    if "notifications" in result:
        note = result["notifications"]
        text += f" notes {note['per_s']}/s lost {note['lost']} foreign {note['foreign']}"
    if "beside" in result:
        text += f" beside {result['beside']['calls']['per_s']}/s {wrongs({'result': result['beside']}) or ''}"
    return f"{text} set-up p50 {result['setup'].get('p50_ms')} {wrong or ''} {result['notes'] or ''}"


def sweep(binaries, targets, chosen, runs, raw, machine):
    """Every workload with every target, in turn within each run, so that noise of the machine falls on all."""
    raw.parent.mkdir(parents=True, exist_ok=True)
    with open(raw, "a") as out:
        def put(line):
            out.write(json.dumps(line) + "\n")
            out.flush()

        put({"meta": machine | {"date": time.strftime("%Y-%m-%d %H:%M", time.gmtime())}})
        for run in range(1, runs + 1):
            for name, target in targets.items():
                if target.kind == "ours" and target.transport == "sse" and not target.behind and "warm" not in name:
                    took = cold_start_ms(target, binaries)
                    put({"run": run, "target": name, "workload": "cold", "result": {"cold_start_ms": took}})
                    print(f"run {run} {name:22} cold           {took} ms", flush=True)
            for workload in chosen:
                for name, target in targets.items():
                    if not workloads.wanted(workload, target, run):
                        continue
                    result, ended = measure(binaries, workload, target)
                    put({"run": run, "target": name, "workload": workload.name,
                         "load": os.getloadavg()[0], "ended": ended, "result": result})
                    odd = {k: ended[k] for k in ("killed", "orphans") if ended.get(k)}
                    print(f"run {run} {name:22} {workload.name:14} {brief(result)} {odd or ''}"[:300], flush=True)
