"""Networks that differ from the user's in one pattern, ready to be written as the user's was."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.fx import GraphModule

from groundspeed.deploy import quantizing, sources
from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.feedback.detect import Detected
from groundspeed.deploy.feedback.patterns.pattern import Change, Network
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.errors import ExportError, MissingExtra
from groundspeed.export.prepare import retrace


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What a pattern is measured with.

    Attributes:
        found: the pattern.
        change: how it is taken out.
        before: writes the network with it; None where that is the user's own.
        after: writes the one without it.
    """

    found: Detected
    change: Change
    before: Exporter | None
    after: Exporter

    @property
    def exporters(self) -> tuple[Exporter, ...]:
        """All that has to be written."""
        return (self.after,) if self.before is None else (self.before, self.after)


def vary(scene: Scene, found: Detected, exporter: Exporter, *, seed: int) -> Variant:
    """Take a pattern out of a network.

    Args:
        scene: where it was found.
        found: the pattern.
        exporter: writes the network; its variants are written in the same way.
        seed: of the weights that variants do not share with the network.

    Raises:
        ExportError: nothing can be put in the pattern's place, or what can is no network.
    """
    if scene.manifest.precision == quantizing.AUTO:
        raise ExportError(
            "each variant would choose layers for integers by itself; explain the network in fp32 "
            "or int8"
        )
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            change = found.pattern.change(scene, found.sightings)
        if change is None:
            raise ExportError("nothing can be put in its place")
        return _written_with(exporter, found, change)
    except (ExportError, MissingExtra):
        raise
    except Exception as error:  # patterns come from anywhere; the others can still be measured
        reason = str(error).partition("\n")[0]
        raise ExportError(
            f"no network without it can be made ({type(error).__name__}: {reason})"
        ) from error


def _written_with(exporter: Exporter, found: Detected, change: Change) -> Variant:
    name = found.pattern.name
    if change.before is None:
        before, after = None, _beside(exporter, change.after, f" without {name}", apart=False)
    else:
        before = _beside(exporter, change.before, f", {name} apart", apart=True)
        after = _beside(exporter, change.after, f", {name} apart, replaced", apart=True)
    variant = Variant(found=found, change=change, before=before, after=after)
    for each in variant.exporters:
        _ = each.source  # a network that cannot be traced is found out here
    return variant


def _beside(exporter: Exporter, network: Network, words: str, *, apart: bool) -> Exporter:
    """Return what writes a variant.

    The data to calibrate on are the whole network's: ops apart take other inputs.
    """
    own, module = exporter.network, network.module
    named = sources.Network(
        name=f"{own.name}{words}",
        spec=f"{own.spec}{words}",
        # An edited graph is no module that can be put in eval mode; it is a program already.
        module=retrace(module, network.inputs) if isinstance(module, GraphModule) else module,
        inputs=network.inputs,
    )
    return exporter.beside(named, samples=(network.inputs,) if apart else ())
