"""A latency that was predicted, and how wrong such predictions were on networks left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from groundspeed.deploy.feedback.costs.example import Example
from groundspeed.deploy.feedback.costs.model import CostModel
from groundspeed.errors import UsageError
from groundspeed.ops import Op

LEVEL = 0.9
# Each is left out in turn, and those that stay are learned from: one alone tells nothing of what
# ops of networks have in common.
LEAST_NETWORKS = 3
# So much of a network's time must be in ops that were measured in their very shape before the
# errors of networks whose ops are known speak for it.
MOSTLY = 0.9


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A network that was predicted by a model that had not seen it.

    Attributes:
        network: its name.
        predicted_ns, measured_ns: its latency.
    """

    network: str
    predicted_ns: float
    measured_ns: float

    @property
    def error(self) -> float:
        """Predicted over measured, less 1."""
        return self.predicted_ns / self.measured_ns - 1.0


@dataclass(frozen=True, kw_only=True)
class Basis:
    """A profile that a prediction rests on.

    Attributes:
        network: its name.
        run: number of the run in its store.
        launch_at: when it was taken, UTC, ISO 8601.
    """

    network: str
    run: int
    launch_at: str


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A latency that nobody measured.

    Attributes:
        ns: the latency.
        low_ns, high_ns: its interval; no upper end where ops are unknown.
        level: the share of left-out networks that such intervals hold; below ``LEVEL`` where there
            are too few networks for it.
        left_out: how each network that it rests on was predicted by the others; without the
            microbenchmarks of its own ops, if this network's were not measured either.
        met: the share of it in ops that were measured in their very shape.
        rests_on: the profiles that it was learned from.
        unlike: the share of it in ops that are not nearly as large as any known one of their kind:
            there the law alone speaks, and the interval promises too much.
        unknown: ops of a kind that was never seen; they are taken for free.
    """

    ns: float
    low_ns: float
    high_ns: float | None
    level: float
    left_out: tuple[LeftOut, ...]
    met: float = 0.0
    rests_on: tuple[Basis, ...] = ()
    unlike: float = 0.0
    unknown: tuple[str, ...] = ()


def predict(ops: Sequence[Op], examples: Sequence[Example]) -> Prediction:
    """Predict the latency of a network from others that were profiled on the device.

    The interval is the jackknife's on the logarithm of the latency (R. F. Barber, E. J. Candès,
    A. Ramdas, R. J. Tibshirani, Predictive inference with the jackknife+, 2021, section 1): each
    network's error is that of a model of the others. It is expected to hold for networks like
    those, which is no guarantee; another family may err more.

    Args:
        ops: canonical ops of the network.
        examples: what was profiled; a network that is to be predicted is not among them.

    Raises:
        UsageError: too few networks were profiled, or ones that have nothing in common.
    """
    networks = sum(not one.is_patchwork for one in examples)
    if networks < LEAST_NETWORKS:
        raise UsageError(
            f"{networks} networks were profiled there, and a prediction that knows its error "
            f"rests on {LEAST_NETWORKS} at least; run 'groundspeed characterize' on the device"
        )
    model = CostModel(examples)
    ns = model.predict(ops)
    met = model.met(ops)
    left_out = leave_out(examples, with_ops=met < MOSTLY)
    strangers = [one.network for one in left_out if one.predicted_ns <= 0]
    if strangers:
        raise UsageError(
            f"{', '.join(strangers)} has no op in common with the other networks that were "
            "profiled there, so the error is unknown; run 'groundspeed characterize' on the device"
        )
    unknown = model.unknown(ops)
    errors = sorted(abs(math.log(one.predicted_ns / one.measured_ns)) for one in left_out)
    place = min(math.ceil(LEVEL * (len(errors) + 1)), len(errors))
    reach = math.exp(errors[place - 1])
    return Prediction(
        ns=ns,
        low_ns=ns / reach,
        high_ns=None if unknown else ns * reach,
        level=min(LEVEL, place / (len(errors) + 1)),
        left_out=left_out,
        met=met,
        rests_on=tuple(
            Basis(network=one.network, run=one.run, launch_at=one.launch_at) for one in examples
        ),
        unlike=model.unlike(ops),
        unknown=unknown,
    )


def leave_out(
    examples: Sequence[Example],
    group: Callable[[Example], Hashable] = attrgetter("identity"),
    *,
    with_ops: bool = False,
) -> tuple[LeftOut, ...]:
    """Predict each network by a model of the others.

    Args:
        examples: networks of at least two groups, and microbenchmarks.
        group: networks of one group are left out together.
        with_ops: leave microbenchmarks out of those ops, too, that no network of another group has.
    """
    found = []
    for one in (each for each in examples if not each.is_patchwork):
        others = [each for each in examples if each.is_patchwork or group(each) != group(one)]
        unseen = _shapes([one]) - _shapes(others) if with_ops else frozenset()
        predicted = CostModel(others, unseen).predict(one.ops)
        found.append(LeftOut(network=one.network, predicted_ns=predicted, measured_ns=one.total_ns))
    return tuple(found)


def _shapes(examples: Iterable[Example]) -> frozenset[Hashable]:
    """Return the shapes of the ops of networks."""
    networks = [one for one in examples if not one.is_patchwork]
    return frozenset(each.shape for one in networks for each in one.described)
