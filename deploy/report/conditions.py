"""The machine that was measured on, its state around the launches, and what to be wary of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from groundspeed.deploy.devices.stability import Pace, judge
from groundspeed.deploy.report.content import Measured, ReportData
from groundspeed.deploy.report.text import span
from groundspeed.measurement import Conditions, Launch, Machine
from groundspeed.units import bytes_text

UNKNOWN = "could not be read"
_MANY = 4  # more sentences of one sort than this are one


def machines(data: ReportData) -> tuple[Machine, ...]:
    """Return the machines that appear in the report, each once."""
    return tuple(dict.fromkeys(launch.machine for launch in _launches(data.measured)))


def about(machine: Machine) -> tuple[tuple[str, str], ...]:
    """Return what is known of a machine as (word, value); unknown things say so."""
    memory = machine.memory_bytes
    return (
        ("name", machine.name),
        ("processor", machine.model or UNKNOWN),
        ("architecture", machine.architecture),
        ("logical CPUs", str(machine.cpus)),
        ("memory", UNKNOWN if memory is None else bytes_text(memory)),
        ("system", machine.system),
        ("frequency governor", machine.governor or UNKNOWN),
        ("vector extensions", ", ".join(machine.features) or UNKNOWN),
        ("emulated", {True: "yes", False: "no", None: UNKNOWN}[machine.emulated]),
    )


def engines(data: ReportData) -> tuple[tuple[str, str], ...]:
    """Return each runtime with its version and build, once."""
    return tuple(
        dict.fromkeys(
            (launch.runtime, f"{launch.runtime_version} {launch.runtime_build}".strip())
            for launch in _launches(data.measured)
        )
    )


def around(launches: Sequence[Launch]) -> tuple[tuple[str, str], ...]:
    """Return the range of each varying condition over the launches as (word, text)."""
    states = [
        state for launch in launches for state in (launch.before, *launch.during, launch.after)
    ]
    return (
        ("clock", _range(_values(states, "frequencies_hz"), 1e9, "GHz", 2)),
        ("temperature", _range(_values(states, "temperatures_c"), 1, "°C", 0)),
        ("load average", _range([s.load for s in states if s.load is not None], 1, "", 1)),
        ("throttled", _throttled(states)),
        ("battery", _range([s.battery for s in states if s.battery is not None], 0.01, "%", 0)),
    )


def warnings(data: ReportData) -> tuple[str, ...]:
    """Return a sentence for each circumstance that makes a figure less trustworthy."""
    every = list(_launches(data.measured))
    sentences = [
        *_each(
            data.measured,
            _restless,
            "did not become steady within their warm-up; allow more warm-up, or quiet the machine.",
        ),
        *_each(
            data.measured,
            _slowed,
            "were throttled ({reasons}); let the device cool, then measure again.",
        ),
        *_load(every),
        *_state(every),
    ]
    if len(machines(data)) > 1:
        sentences.append(
            "The launches come from more than one machine, or from one whose system changed: "
            "latencies of different machines do not compare."
        )
    return tuple(sentences)


def _each(
    measured: Sequence[Measured],
    reasons_of: Callable[[Measured], Sequence[str]],
    words: str,
) -> Iterable[str]:
    """Yield a sentence for each network with such launches, or one for all if these are many."""
    found = [(one, reasons) for one in measured if (reasons := reasons_of(one))]
    if len(found) > _MANY:
        count = sum(len(reasons) for _, reasons in found)
        launches = sum(len(one.launches) for one in measured)
        reasons = f"for instance, {found[0][1][0]}"
        where = f"{len(found)} of {len(measured)} measured files: {count} of {launches} launches"
        yield f"{where} {words.format(reasons=reasons)}"
        return
    for one, reasons in found:
        name = f"{one.network}, {one.runtime}, {one.precision}"
        said = words.format(reasons="; ".join(dict.fromkeys(reasons)))
        yield f"{name}: {len(reasons)} of {len(one.launches)} launches {said}"


def _restless(measured: Measured) -> Sequence[str]:
    return ["restless" for launch in measured.launches if not launch.steady]


def _slowed(measured: Measured) -> Sequence[str]:
    judged = map(judge, measured.launches)
    return [found.reasons[0] for found in judged if found.pace is Pace.THROTTLED]


def _load(launches: Sequence[Launch]) -> Iterable[str]:
    """A load average counts this measurement too: a launch of n threads adds up to n."""
    busy = [
        launch
        for launch in launches
        if launch.before.load is not None
        and launch.before.load + launch.options.threads > launch.machine.cpus + 0.5
    ]
    if busy:
        worst = max(launch.before.load or 0.0 for launch in busy)
        yield (
            f"{len(busy)} of {len(launches)} launches began while other work kept the CPUs busy "
            f"(load average up to {worst:.1f} on {busy[0].machine.cpus} CPUs): latencies are "
            "likely too high and intervals too wide; measure again on a quiet machine."
        )


def _state(launches: Sequence[Launch]) -> Iterable[str]:
    governors = {launch.machine.governor for launch in launches} - {None, "performance"}
    if governors:
        yield (
            f"The frequency governor was '{', '.join(sorted(str(g) for g in governors))}', so "
            "clocks may have changed in mid-run; 'performance' gives steadier figures."
        )
    if any(launch.machine.emulated for launch in launches):
        yield "The machine is emulated: its latencies say nothing about the real device."


def _launches(measured: Iterable[Measured]) -> Iterable[Launch]:
    for one in measured:
        yield from one.launches
        if one.profile is not None:
            yield one.profile


def _values(states: Iterable[Conditions], field: str) -> list[float]:
    return [value for state in states for value in (getattr(state, field) or {}).values()]


def _range(values: Sequence[float], unit: float, name: str, digits: int) -> str:
    if not values:
        return UNKNOWN
    low, high = (f"{value / unit:.{digits}f}" for value in (min(values), max(values)))
    return f"{span(low, high)} {name}".strip()


def _throttled(states: Sequence[Conditions]) -> str:
    said = [state.throttled for state in states if state.throttled is not None]
    if not said:
        return UNKNOWN
    return "yes" if any(said) else "no"
