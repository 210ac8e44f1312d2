"""From a prepared network and data to a network that is ready to be written with integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from groundspeed.errors import UsageError
from groundspeed.export.graph import module_path
from groundspeed.export.parity import check_inputs
from groundspeed.export.prepare import Prepared
from groundspeed.export.quantize.calibrate import Sample, calibrate
from groundspeed.export.quantize.losses import losses, output_sqnr_db
from groundspeed.export.quantize.repair import Repair, correcting_bias, equalizing, repair
from groundspeed.export.quantize.simulate import Simulation, layers
from groundspeed.quantization import Calibration, LayerLoss, Quantization, Settings
from groundspeed.registry import unknown_name

# Enough to rank layers: what a layer loses differs far more between layers than between images.
LOSS_SAMPLES = 4

OnProgress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class QuantizedNetwork:
    """A network with its ranges.

    Attributes:
        prepared: the network, repaired if that was asked for.
        quantization: ranges, and what stays in floating point.
        samples: what it was calibrated on.
        losses: what quantization costs each layer.
    """

    prepared: Prepared
    quantization: Quantization
    samples: tuple[Sample, ...]
    losses: tuple[LayerLoss, ...]


def quantize(
    prepared: Prepared,
    samples: Sequence[Sample],
    *,
    data: str,
    notes: Sequence[str] = (),
    settings: Settings | None = None,
    on_progress: OnProgress | None = None,
) -> QuantizedNetwork:
    """Repair a network if asked for, calibrate it, and tell what quantization costs each layer.

    A network that learned its ranges in training keeps them: ``samples`` may then be empty.

    Args:
        prepared: the folded network.
        samples: calibration data.
        data: where the samples come from, in words.
        notes: what is odd about the data.
        settings: how to quantize.
        on_progress: called with a short sentence now and then.

    Raises:
        DataError: the data cannot be used, or there are none.
    """
    settings = settings or Settings()
    samples = tuple(samples)
    if prepared.learned:
        calibration = Calibration(
            observer="training", data=data, samples=len(samples), ranges=dict(prepared.learned)
        )
        samples = samples or tuple(check_inputs(prepared.inputs))
    else:
        prepared = _repaired(prepared, samples, data, settings)
        calibration = calibrate(
            prepared.program,
            samples,
            data=data,
            observer=settings.observer,
            notes=notes,
            on_progress=on_progress,
        )
    quantization = Quantization(
        calibration=calibration,
        per_channel=settings.per_channel,
        float_ops=_float_ops(prepared, settings.keep),
        integer_ends=settings.integer_ends,
    )
    lost = losses(prepared.program, quantization, samples[:LOSS_SAMPLES], on_progress=on_progress)
    return QuantizedNetwork(
        prepared=prepared, quantization=quantization, samples=samples, losses=lost
    )


def _repaired(
    prepared: Prepared, samples: tuple[Sample, ...], data: str, settings: Settings
) -> Prepared:
    floats = _float_ops(prepared, settings.keep)
    repairs: dict[str, Repair] = {}
    if settings.equalize:
        repairs["equalize"] = equalizing
    if settings.correct_bias:
        repairs["correct_bias"] = correcting_bias(
            samples,
            per_channel=settings.per_channel,
            ops={layer.op for layer in layers(prepared.program)} - floats.keys(),
        )

    def measured(candidate: Prepared) -> float:
        calibration = calibrate(candidate.program, samples, data=data, observer=settings.observer)
        quantization = Quantization(
            calibration=calibration, per_channel=settings.per_channel, float_ops=floats
        )
        some = samples[:LOSS_SAMPLES]
        # The network as it came: one whose biases are corrected is not right in floating point.
        exact = Simulation(prepared.program, quantization, only=())
        whole = Simulation(candidate.program, quantization)
        return output_sqnr_db(map(exact.answers, some), map(whole.answers, some))

    return repair(prepared, repairs, measured)


def _float_ops(prepared: Prepared, keep: Mapping[str, str]) -> dict[str, str]:
    """Return the canonical ops that stay in floating point, for names of layers or modules.

    Raises:
        UsageError: the network has no such layer.
    """
    modules = {node.name: module_path(node) for node in prepared.program.graph.nodes}
    floats: dict[str, str] = {}
    known = layers(prepared.program)
    for name, reason in keep.items():
        chosen = [layer for layer in known if _is_in(name, layer.op, modules[layer.op])]
        if not chosen:
            paths = [modules[layer.op] for layer in known]
            raise UsageError(unknown_name("layer", name, paths))
        floats |= {member: reason for layer in chosen for member in layer.members}
    return floats


def _is_in(name: str, op: str, module: str) -> bool:
    return op == name or module == name or module.startswith(f"{name}.")
