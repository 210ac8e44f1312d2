"""What the agent is asked to do, and what it answers: a Job, and a Launch or Answered.

A launch is the unit of measurement: one fresh process that opens an artifact, warms up and takes
samples. Every raw sample is kept in order; statistics are computed from them when asked for.
Durations are integer nanoseconds, sizes bytes, frequencies hertz, temperatures degrees Celsius.
What could not be read is ``None``, never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from groundspeed.artifact import TensorSpec

FORMAT_VERSION = 1  # 1: first version, 2026-11

# "int8": weights and activations with ranges from calibration; "int8_dynamic": activations with the
# range that they have in each inference; "int8_weight_only": weights in storage only; "auto": as
# "int8" in the layers where that was measured to be faster.
PRECISIONS = ("fp32", "fp16", "int8", "int8_dynamic", "int8_weight_only", "auto")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a runtime runs an artifact.

    Attributes:
        threads: threads that the runtime may compute with.
        cpus: logical CPUs that the process may run on; empty leaves it to the system.
        precision: one of PRECISIONS, what the runtime is asked to compute with; for the integer
            ones that is in the files, and all else is computed in float32.
    """

    threads: int = 1
    cpus: tuple[int, ...] = ()
    precision: str = "fp32"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One request to the agent, as one JSON document on its standard input.

    Attributes:
        action: "measure" (latency), "profile" (latency and per-op times), "answer" (outputs alone,
            of many samples), "count" (the instructions of ``max_samples`` inferences, under a
            counter) or "facts".
        runtime: name in the registry of runtimes.
        files: role -> path of the artifact's files, on the machine where the agent runs.
        options: how to run it.
        min_samples: samples to take at least, after the warm-up; for "answer", how many sets of
            inputs ``inputs`` holds.
        max_samples: samples to take at most.
        min_seconds: sampling goes on for at least this long, unless ``max_samples`` comes first.
        max_warmup_seconds: warm-up stops here even when not steady.
        profile_runs: profiled runs to take at most, for "profile".
        specs: the inputs as the artifact's manifest describes them; needed where the format does
            not tell their shapes.
        inputs: path of an ``.npz`` with one array per input; None makes seeded random ones. For
            "answer", each array has one more axis before its shape, the sets of inputs.
        outputs: path of an ``.npz`` to save the first inference's outputs in; None saves nothing.
            For "answer", those of all sets of inputs, with that axis.
        seed: seed of the random inputs.
        packages: exact versions ("onnxruntime==1.31.0") that whoever starts the agent puts before
            those that are installed.
    """

    action: str
    runtime: str = ""
    files: dict[str, Path] | None = None
    options: Options = Options()
    min_samples: int = 20
    max_samples: int = 1000
    min_seconds: float = 1.0
    max_warmup_seconds: float = 5.0
    profile_runs: int = 100
    specs: tuple[TensorSpec, ...] = ()
    inputs: Path | None = None
    outputs: Path | None = None
    seed: int = 0
    packages: tuple[str, ...] = ()
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The state of the machine at one moment.

    Attributes:
        at: UTC time, ISO 8601.
        frequencies_hz: CPU -> current clock.
        temperatures_c: thermal zone -> temperature.
        load: 1-minute load average.
        throttled: whether the system says that it is throttling.
        battery: 0 to 1.
    """

    at: str
    frequencies_hz: dict[str, float] | None = None
    temperatures_c: dict[str, float] | None = None
    load: float | None = None
    throttled: bool | None = None
    battery: float | None = None


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What does not change while a device is up: the comparability of two launches rests on it.

    Attributes:
        name: host name.
        model: CPU or board model.
        architecture: "x86_64", "aarch64", ...
        system: operating system and kernel build.
        cpus: number of logical CPUs.
        memory_bytes: installed memory.
        governor: frequency governor *policy* of the CPUs.
        features: instruction-set extensions that matter for speed ("avx2", "asimddp").
        emulated: whether the machine is known to be emulated.
    """

    name: str
    model: str | None
    architecture: str
    system: str
    cpus: int
    memory_bytes: int | None = None
    governor: str | None = None
    features: tuple[str, ...] = ()
    emulated: bool | None = None


@dataclass(frozen=True, kw_only=True)
class ProfiledOp:
    """One op as the runtime executed it.

    Attributes:
        name: the runtime's name for it.
        type: the runtime's word for its kind ("Conv", "Convolution (NHWC, F32) IGEMM").
        outputs: names of the file's tensors that it produces, the last of a fused chain.
        inserted: whether the runtime added it (a layout conversion), so that no op of the file
            stands behind it.
        reads: positions, among all executed ops, of those whose results it reads. Empty where it
            reads the network's inputs only, and in all ops of a profile when nobody could tell.
        stage: whether it is no op at all but a stage of the runtime's own run, such as telling it
            where the buffers are.
    """

    name: str
    type: str
    outputs: tuple[str, ...] = ()
    inserted: bool = False
    reads: tuple[int, ...] = ()
    stage: bool = False


@dataclass(frozen=True, kw_only=True)
class OpProfile:
    """Per-op times of several runs, unscaled.

    Attributes:
        ops: executed ops in order of execution.
        times_ns: for each op, its duration in each profiled run.
        profiled_ns: end-to-end duration of each profiled run.
        plain_ns: end-to-end duration of unprofiled runs, interleaved with the profiled ones.
        timing_cost_ns: what timing one op costs by itself, measured on the machine and already
            taken out of ``times_ns``; 0 where the runtime's own clocks leave it out.
    """

    ops: tuple[ProfiledOp, ...]
    times_ns: tuple[tuple[int, ...], ...]
    profiled_ns: tuple[int, ...]
    plain_ns: tuple[int, ...]
    timing_cost_ns: int = 0


@dataclass(frozen=True, kw_only=True)
class Answered:
    """The result of "answer", beside the outputs in the job's file, and of "count".

    Attributes:
        samples: how many sets of inputs were answered, or inferences made.
        runtime_version: version of the engine package.
        runtime_build: whatever else tells builds apart, "" if nothing does.
        agent_version: version of Groundspeed that answered.
    """

    samples: int
    runtime_version: str
    runtime_build: str
    agent_version: str = ""
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True, kw_only=True)
class Launch:
    """The result of one fresh process.

    Attributes:
        runtime: name of the runtime.
        runtime_version: version of the engine package.
        runtime_build: whatever else tells builds apart (compiled-in features), "" if nothing does.
        options: as asked.
        cpus_granted: CPUs that the process really could run on.
        load_ns: from opening the artifact until it could run.
        first_run_ns: the first inference.
        warmup_ns: the inferences before the steady state, the first not among them.
        steady: whether the warm-up ended because times were steady, not because its budget did.
        samples_ns: every inference after the warm-up, in order.
        peak_memory_bytes: largest resident set of the process, interpreter included.
        baseline_memory_bytes: resident set just before the artifact was opened.
        machine: where it ran.
        before, after: conditions around the sampling.
        during: conditions in the midst of it, about one a second.
        profile: per-op times, when asked for.
        agent_version: version of Groundspeed that measured.
    """

    runtime: str
    runtime_version: str
    runtime_build: str
    options: Options
    cpus_granted: tuple[int, ...]
    load_ns: int
    first_run_ns: int
    warmup_ns: tuple[int, ...]
    steady: bool
    samples_ns: tuple[int, ...]
    peak_memory_bytes: int | None
    baseline_memory_bytes: int | None
    machine: Machine
    before: Conditions
    after: Conditions
    during: tuple[Conditions, ...] = ()
    profile: OpProfile | None = None
    agent_version: str = ""
    format_version: int = FORMAT_VERSION
