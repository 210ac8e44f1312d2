"""The networks that come with Groundspeed: find them by name, and create them.

To add a network, write its function in the file of its family; to add a family, write its file
and add one row to the table below. A package outside this repository adds a family by an entry
point of the group ``groundspeed.models`` that names its :class:`~groundspeed.models.family.Family`.
"""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING

from groundspeed.errors import UnknownName
from groundspeed.registry import Entry, Registry, unknown_name

if TYPE_CHECKING:
    from torch import nn

    from groundspeed.models.family import Family, Info


def _row(name: str, summary: str) -> tuple[str, Entry]:
    target = f"groundspeed.models.{name}:FAMILY"
    return name, Entry(target=target, extra="models", summary=summary)


families = Registry(
    "family of networks",
    "groundspeed.models",
    dict(
        [
            _row("mobilenet_v1", "depthwise separable convolutions"),
            _row("mobilenet_v2", "inverted residuals and linear bottlenecks"),
            _row("mobilenet_v3", "squeeze-and-excitation and hard swish, found by search"),
            _row("resnet", "identity shortcuts; the reference point"),
            _row("shufflenet_v1", "pointwise group convolutions and channel shuffle"),
            _row("shufflenet_v2", "channel split, balanced widths and channel shuffle"),
            _row("squeezenet", "fire modules: squeeze with 1x1, expand with 1x1 and 3x3"),
        ]
    ),
)


def names(pattern: str = "*", family: str | None = None) -> list[str]:
    """Return the names that match a wildcard pattern, in natural order (g2, g8, g16; x0_25, x0_5).

    Args:
        pattern: name with ``*``, ``?`` and ``[...]`` as in file names, the case aside.
        family: only of this family.

    Raises:
        UnknownName: there is no such family.
    """
    searched = families if family is None else [family]
    known = [name for each in searched for name in _family(each).names]
    return sorted(
        (name for name in known if fnmatch.fnmatchcase(name.lower(), pattern.lower())),
        key=_natural,
    )


def info(name: str) -> Info:
    """Return what there is to know about a network without building it.

    Raises:
        UnknownName: there is no such network; the message has the nearest.
    """
    return _home(name).info(name)


def family_of(name: str) -> str:
    """Return the name of the family that a network belongs to.

    Raises:
        UnknownName: there is no such network; the message has the nearest.
    """
    return _home(name).name


def build(name: str, **options: object) -> nn.Module:
    """Return a network as its function makes it, with PyTorch's own first weights.

    For counting (on the meta device, say) and for training; to run it, see :func:`create`.

    Raises:
        UnknownName: there is no such network; the message has the nearest.
        UsageError: it has no such option, or not of this value.
    """
    return _home(name).build(name, **options)


def create(name: str, *, seed: int = 0, **options: object) -> nn.Module:
    """Return a network in evaluation mode with random weights of a sane scale.

    Equal arguments give equal weights, and the global random state is left as it was.

    Args:
        name: one of :func:`names`.
        seed: seed of the weights.
        options: keyword arguments of the network's function.

    Raises:
        UnknownName: there is no such network; the message has the nearest.
        UsageError: it has no such option, or not of this value.
    """
    import torch

    from groundspeed.models.initialization import initialize

    home = _home(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = home.build(name, **options).eval()
        initialize(module, home.input_shape)
    return module


def _family(name: str) -> Family:
    family: Family = families.load(name)
    return family


def _home(name: str) -> Family:
    """Return the family of a network; two families must not claim one name."""
    homes = [family for family in map(_family, families) if name in family.names]
    if not homes:
        raise UnknownName(unknown_name("network", name, names()))
    if len(homes) > 1:
        claims = " and ".join(home.name for home in homes)
        raise ValueError(f"the families {claims} both have a network '{name}'")
    return homes[0]


def _natural(name: str) -> list[tuple[float, str]]:
    """Return a sort key in which numbers compare as numbers, and 1_5 is one and a half."""
    parts = re.split(r"(\d+(?:_\d+)?)", name)
    return [
        (float(part.replace("_", ".")), "") if part[:1].isdigit() else (-1.0, part)
        for part in parts
    ]
