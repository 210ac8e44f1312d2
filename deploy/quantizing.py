"""What the user asks of a precision of integers, and the network that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from groundspeed.deploy.mixing.settings import MixSettings
from groundspeed.errors import DataError
from groundspeed.quantization import Quantization, Settings

if TYPE_CHECKING:
    import torch

    from groundspeed.export.prepare import Prepared
    from groundspeed.export.quantize.quantize import QuantizedNetwork

# Precisions whose activations stay in floating point in the file, so that they need no data.
WITHOUT_DATA = frozenset({"int8_dynamic", "int8_weight_only"})
# Integers in the layers where they were measured to pay.
AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class Quantizing:
    """What the user asks of precisions of integers.

    Attributes:
        data: what to calibrate on, as in :func:`groundspeed.deploy.data.load_data`; "" if nothing
            was named.
        samples: how many samples to calibrate on at most.
        seed: of the choice among more.
        settings: how to quantize.
        mixing: how layers are chosen for "auto".
    """

    data: str = ""
    samples: int = 128
    seed: int = 0
    settings: Settings = field(default_factory=Settings)
    mixing: MixSettings = field(default_factory=MixSettings)


def is_integer(precision: str) -> bool:
    """Return whether a precision is one of integers."""
    return precision.startswith("int8")


def needs_data(precision: str) -> bool:
    """Return whether a precision needs a calibration."""
    return precision == AUTO or (is_integer(precision) and precision not in WITHOUT_DATA)


def quantized(
    prepared: Prepared,
    asked: Quantizing,
    *,
    samples: Sequence[tuple[torch.Tensor, ...]] = (),
    on_progress: Callable[[str], None] | None = None,
) -> QuantizedNetwork:
    """Calibrate a network on the data that the user named, or on samples that are here.

    Raises:
        DataError: none were named, or they cannot be used.
    """
    from groundspeed.export.quantize.quantize import quantize

    name = "example inputs"
    notes: tuple[str, ...] = ()
    if not samples:
        samples, name, notes = calibration_samples(prepared, asked)
    return quantize(
        prepared,
        samples,
        data=name,
        notes=notes,
        settings=asked.settings,
        on_progress=on_progress,
    )


def only_weights(prepared: Prepared, asked: Quantizing) -> QuantizedNetwork:
    """Return a network whose weights alone become integers: nothing has to be calibrated."""
    from groundspeed.export.parity import check_inputs
    from groundspeed.export.quantize.quantize import QuantizedNetwork

    return QuantizedNetwork(
        prepared=prepared,
        quantization=Quantization(per_channel=asked.settings.per_channel),
        samples=tuple(check_inputs(prepared.inputs)),
        losses=(),
    )


def calibration_samples(
    prepared: Prepared, asked: Quantizing
) -> tuple[list[tuple[torch.Tensor, ...]], str, tuple[str, ...]]:
    """Return the samples that the user named, each as the network's inputs, with name and notes.

    Raises:
        DataError: none were named, or they cannot be used.
    """
    import torch

    from groundspeed.deploy.data import load_data

    if not asked.data and prepared.learned:
        return [], "quantization-aware training", ()
    if not asked.data:
        raise DataError(
            "int8 needs data to calibrate on: name some with --data (a folder of images, an .npz "
            "file, file.py:callable, or a set such as fashion_mnist:train)"
        )
    if len(prepared.inputs) != 1:
        raise DataError(
            f"the network has {len(prepared.inputs)} inputs, and data hold one for each sample; "
            "export it in a floating-point precision"
        )
    shape = tuple(prepared.inputs[0].shape)
    data = load_data(asked.data, shape=shape, limit=asked.samples, seed=asked.seed)
    samples: list[tuple[torch.Tensor, ...]] = [
        (torch.from_numpy(batch),) for batch in data.batches(shape[0])
    ]
    return samples, data.name, data.notes
