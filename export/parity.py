"""Does a file compute what the network computes? Metrics, tolerances and the inputs to check on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from groundspeed.artifact import Agreement

# Largest difference that passes, as a share of the reference's largest magnitude.
# Worst of eleven networks of the zoo, one or two of each family, with random weights:
# fp32: 2e-6 (other kernels add in another order).
# fp16: 1.1e-3 (weights keep 11 bits, and what is off is carried from layer to layer).
# Ten times that passes, because the values of trained networks spread wider.
# int8: what passes at least; how far integers are off differs from network to network, so that the
# same quantization is simulated, and sets the tolerance where it costs more.
TOLERANCES = {"fp32": 2e-5, "fp16": 1e-2, "int8": 2e-2}


def check_inputs(inputs: Sequence[torch.Tensor], seed: int = 0) -> list[tuple[torch.Tensor, ...]]:
    """Return several sets of inputs of different kinds; the given ones are the first.

    Floating-point inputs are drawn standard normal, uniform in [0, 1], and smooth as photographs
    are. Other inputs mean something to their network, so they are kept as given.
    """
    generator = torch.Generator().manual_seed(seed)
    kinds = (_normal, _uniform, _smooth)
    return [
        tuple(inputs),
        *(
            tuple(kind(x, generator) if x.is_floating_point() else x for x in inputs)
            for kind in kinds
        ),
    ]


def _normal(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(like.shape, generator=generator, dtype=like.dtype)


def _uniform(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(like.shape, generator=generator, dtype=like.dtype)


def _smooth(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return noise of low spatial frequency for maps, and plain noise for all else."""
    if like.dim() != 4 or min(like.shape[2:]) < 8:
        return _normal(like, generator)
    coarse = torch.randn((*like.shape[:2], 7, 7), generator=generator, dtype=like.dtype)
    return torch.nn.functional.interpolate(coarse, size=like.shape[2:], mode="bicubic")


def agreement(
    name: str,
    references: Sequence[NDArray[np.generic]],
    values: Sequence[NDArray[np.generic]],
) -> Agreement:
    """Compare an output's values with the reference's, over all inputs together.

    Args:
        name: name of the output.
        references: its value for each set of inputs, by the network.
        values: its value for each set of inputs, by the file; of the same shapes.
    """
    reference = np.concatenate([np.ravel(array).astype(np.float64) for array in references])
    value = np.concatenate([np.ravel(array).astype(np.float64) for array in values])
    with np.errstate(all="ignore"):
        # NaN and infinity are answers here: they are shown, and they pass no comparison.
        difference = value - reference
        worst = float(np.max(np.abs(difference), initial=0.0))
        return Agreement(
            output=name,
            max_absolute=worst,
            max_relative=_ratio(worst, float(np.max(np.abs(reference), initial=0.0))),
            cosine=_cosine(reference, value),
            psnr_db=_psnr_db(reference, difference),
            top1=_top1(references, values),
        )


def passes(agreement: Agreement, tolerance: float) -> bool:
    """Return whether an output is within the tolerance; NaN is not."""
    return agreement.max_relative <= tolerance


def _ratio(difference: float, peak: float) -> float:
    if difference == 0:
        return 0.0
    return difference / peak if peak else float("inf")


def _cosine(reference: NDArray[np.float64], value: NDArray[np.float64]) -> float:
    lengths = float(np.linalg.norm(reference) * np.linalg.norm(value))
    if lengths == 0:
        return 1.0 if np.array_equal(reference, value) else 0.0
    return float(np.clip(reference @ value / lengths, -1.0, 1.0))


def _psnr_db(reference: NDArray[np.float64], difference: NDArray[np.float64]) -> float:
    error = float(np.sqrt(np.mean(difference**2))) if difference.size else 0.0
    if error == 0:
        return float("inf")
    peak_to_peak = float(np.ptp(reference))
    return 20 * float(np.log10(peak_to_peak / error)) if peak_to_peak else float("-inf")


def _top1(
    references: Sequence[NDArray[np.generic]], values: Sequence[NDArray[np.generic]]
) -> float | None:
    if any(array.ndim != 2 or array.shape[1] < 2 for array in references):
        return None
    pairs = zip(references, values, strict=True)
    return float(np.mean([r.argmax(axis=1) == v.argmax(axis=1) for r, v in pairs]))
