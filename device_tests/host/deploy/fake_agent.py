"""Speaks the agent's protocol without an engine; the job's runtime says how to behave."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from groundspeed.runtimes.agent import die_with_parent

MACHINE = {
    "name": "fake",
    "model": None,
    "architecture": "none",
    "system": "none",
    "cpus": 2,
}


def say(**document: object) -> None:
    print(json.dumps(document), flush=True)


def launch(job: dict) -> dict:
    conditions = {"at": "2026-01-01T00:00:00+00:00"}
    profile = {"ops": [], "times_ns": [], "profiled_ns": [12], "plain_ns": [10]}
    return {
        "runtime": job["runtime"],
        "runtime_version": "1",
        "runtime_build": "",
        "options": job["options"],
        "cpus_granted": [0, 1],
        "load_ns": 5,
        "first_run_ns": 20,
        "warmup_ns": [11],
        "steady": True,
        "samples_ns": [1000, 1010, 1005],
        "peak_memory_bytes": 2_000_000,
        "baseline_memory_bytes": 1_000_000,
        "machine": MACHINE,
        "before": conditions,
        "after": conditions,
        "profile": profile if job["action"] == "profile" else None,
    }


def main() -> None:
    die_with_parent()
    job = json.loads(sys.stdin.readline())
    if job["action"] == "facts":
        return say(result=MACHINE)
    if "FAKE_AGENT_LOG" in os.environ:
        with Path(os.environ["FAKE_AGENT_LOG"]).open("a") as log:
            log.write(f"{os.getpid()} {job['runtime']}\n")
    behaviour = job["runtime"]
    print("WARNING: an engine that chatters on standard output")
    say(progress="warming up")
    if behaviour == "crash":
        print("the tensor arena is full", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    if behaviour == "exit":
        sys.exit("no such instruction")
    if behaviour == "hang":
        time.sleep(600)
    if behaviour == "not finite":
        return say(error={"class": "NonFiniteOutput", "message": "the output 'y' has NaN"})
    if behaviour == "bug":
        return say(error={"class": "ZeroDivisionError", "message": "division by zero"})
    if behaviour == "old":
        return say(result={"samples": [1]})
    time.sleep(float(os.environ.get("FAKE_AGENT_SLEEP_S", "0")))
    say(result=launch(job))
    return None


main()
