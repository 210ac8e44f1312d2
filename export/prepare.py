"""From a network to the canonical graph that every writer starts from."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.fx import GraphModule
from torch.fx.graph import CodeGen, _PyTreeCodeGen

import groundspeed
from groundspeed.artifact import Step
from groundspeed.errors import InputError
from groundspeed.export.fold import Folded, fold_batchnorm
from groundspeed.export.from_onnx import OnnxNetwork
from groundspeed.export.graph import editable
from groundspeed.export.quantize.learned import is_fake_quantized, learned_ranges, lift
from groundspeed.export.rewrites.catalog import rewrite_canonical
from groundspeed.export.trace import trace
from groundspeed.quantization import Range

BY = f"groundspeed {groundspeed.__version__}"


@dataclass(frozen=True)
class Prepared:
    """A network that is ready to be written in any format.

    Attributes:
        program: the canonical graph: traced, folded, rewritten; its outputs are a tensor or a flat
            tuple, since files know no dicts. Every node carries the module path
            (``nn_module_stack``) and source line (``stack_trace``) of the user's network.
        reference: the untouched network, what every file is compared with.
        traced: the same as a program, which can be handed to another process.
        inputs: example inputs, in order.
        steps: what was done, and what was left undone and why.
        learned: ranges that the network brought from quantization-aware training, by the ops of
            ``program``; empty for any other network.
    """

    program: ExportedProgram
    reference: nn.Module
    traced: ExportedProgram
    inputs: tuple[torch.Tensor, ...]
    steps: tuple[Step, ...]
    learned: Mapping[str, Range] = field(default_factory=dict)


def prepare(network: nn.Module | ExportedProgram, inputs: Sequence[torch.Tensor]) -> Prepared:
    """Trace, fold and rewrite a network; its own weights stay as they are.

    Args:
        network: a module (it is put in eval mode), or a program that is traced already.
        inputs: example inputs, in order.

    Raises:
        InputError: the network does not run on these inputs.
        ExportError: it cannot be traced.
    """
    inputs = tuple(inputs)
    if isinstance(network, ExportedProgram):
        traced, reference = network, _runnable(network, inputs)
    else:
        traced, reference = trace(network, inputs), network
    graph_module = editable(traced)
    inputs_learned = lift(graph_module)
    if is_fake_quantized(traced):
        # Integers are a matter of files of integers: others are compared with the network's floats.
        traced = retrace(graph_module, inputs)
        reference = traced.module()
    _flatten_outputs(graph_module)
    steps = [
        Step(
            name="trace",
            by=f"torch {torch.__version__}",
            notes=network.notes if isinstance(network, OnnxNetwork) else (),
        ),
        *rewrite_canonical(graph_module),
        fold_step(fold_batchnorm(graph_module)),
    ]
    program = retrace(graph_module, inputs)
    learned = learned_ranges(program, inputs_learned)
    return Prepared(program, reference, traced, inputs, tuple(steps), learned)


def retrace(graph_module: GraphModule, inputs: Sequence[torch.Tensor]) -> ExportedProgram:
    """Return an edited graph as a valid program; module paths and source lines are kept."""
    with torch.no_grad(), warnings.catch_warnings():
        # torch.export warns about its own internals.
        warnings.simplefilter("ignore")
        return torch.export.export(graph_module, tuple(inputs))


def _flatten_outputs(graph_module: GraphModule) -> None:
    """Let a network that answers with a dict, or with tuples in tuples, answer with a tuple."""
    code = graph_module.graph._codegen
    assert isinstance(code, _PyTreeCodeGen)
    assert code.pytree_info.out_spec is not None
    if not code.pytree_info.out_spec.is_leaf():
        graph_module.graph.set_codegen(CodeGen())
        graph_module.recompile()


def _runnable(program: ExportedProgram, inputs: tuple[torch.Tensor, ...]) -> nn.Module:
    module = program.module()
    try:
        with torch.no_grad():
            module(*inputs)
    except Exception as error:
        shapes = ", ".join("x".join(map(str, input.shape)) for input in inputs)
        raise InputError(
            f"the program does not run on inputs of {shapes} ({error}); give the shapes that it "
            "was exported with"
        ) from error
    return module


def fold_step(folded: Folded) -> Step:
    """Return what was folded, and what was not and why, for the manifest."""
    noun = "normalization" if folded.count == 1 else "normalizations"
    notes = (
        [f"{folded.count} batch {noun} folded into the weights beside it"] if folded.count else []
    )
    notes += [f"not folded: {kept.module} {kept.reason}" for kept in folded.kept]
    return Step(name="fold_batchnorm", by=BY, notes=tuple(notes))
