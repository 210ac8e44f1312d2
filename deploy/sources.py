"""What the user names, as a network that can be exported.

shufflenet_v2_x1_0               a network of the zoo
shufflenet_v2_x1_0:down=paper    the same, with options of its function
path/to/file.py:build            what a callable in a file returns
package.module:build:width=0.5   the same from an importable module, with arguments
network.onnx                     an ONNX file
network.pt2                      a program saved by torch.export.save
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundspeed.deploy.importing import call_user, split_arguments, user_callable
from groundspeed.errors import SourceError, UnsupportedOp

if TYPE_CHECKING:
    import torch

    from groundspeed.export.onnx_graph import OnnxGraph

DEFAULT_SHAPE = (1, 3, 224, 224)


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network and the inputs that it is exported, checked and measured with.

    Attributes:
        name: short name for tables and folders.
        spec: what the user typed.
        module: the network, or its ``torch.export`` program, or the graph of an ONNX file that
            cannot become one.
        inputs: example inputs, in order.
    """

    name: str
    spec: str
    module: torch.nn.Module | torch.export.ExportedProgram | OnnxGraph
    inputs: tuple[torch.Tensor, ...]


def load(
    spec: str,
    *,
    input_shapes: Sequence[tuple[int, ...]] = (),
    weights: Path | None = None,
    seed: int = 0,
) -> Network:
    """Return the network that ``spec`` names (the forms are listed above).

    Args:
        spec: what to load.
        input_shapes: shape of each input, batch included; by default the network's own.
        weights: ``.pt`` or ``.safetensors`` state dict to load into it.
        seed: seed of the weights of networks that are made here, and of the example inputs.

    Raises:
        SourceError: nothing of that name, or it is damaged, or it is no network.
        InputError: an input shape does not fit.
    """
    target, arguments = split_arguments(spec)
    suffix = Path(target).suffix
    if suffix in (".onnx", ".pt2"):
        if weights is not None or arguments:
            raise SourceError(
                f"{target} brings its own weights and takes no arguments; leave out "
                "--weights and everything after the file's name"
            )
        load_file = _load_onnx if suffix == ".onnx" else _load_program
        network = load_file(spec, Path(target))
        return _with_shapes(network, input_shapes, seed)
    if ":" in target:
        return _from_callable(spec, target, arguments, input_shapes, weights, seed)
    return _from_zoo(spec, target, arguments, input_shapes, weights, seed)


def _from_zoo(
    spec: str,
    name: str,
    arguments: dict[str, Any],
    shapes: Sequence[tuple[int, ...]],
    weights: Path | None,
    seed: int,
) -> Network:
    from groundspeed.models import zoo

    if Path(name).exists() or "/" in name or "." in name:
        raise SourceError(
            f"'{name}' is neither a network of the zoo nor a file that holds one (.onnx, .pt2, or "
            "file.py:callable); 'groundspeed models' lists the zoo"
        )
    module = zoo.create(name, seed=seed, **arguments)
    inputs = _random_inputs(shapes or [zoo.info(name).input_shape], seed)
    _load_weights(module, weights)
    return Network(name=_label(name, arguments), spec=spec, module=module, inputs=inputs)


def _from_callable(
    spec: str,
    target: str,
    arguments: dict[str, Any],
    shapes: Sequence[tuple[int, ...]],
    weights: Path | None,
    seed: int,
) -> Network:
    import torch

    build = user_callable(target, returns="a torch.nn.Module")
    # The user's constructor draws from the global generator; the caller's state is given back.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = call_user(lambda: build(**arguments), spec)
    inputs: tuple[torch.Tensor, ...] | None = None
    if isinstance(made, tuple) and len(made) == 2:
        made, given = made
        inputs = tuple(given) if isinstance(given, tuple | list) else (given,)
    if not isinstance(made, torch.nn.Module):
        raise SourceError(
            f"{spec} returned {type(made).__name__}; it should return a torch.nn.Module, or one "
            "and its example inputs"
        )
    if inputs is None or shapes:
        inputs = _random_inputs(shapes or [DEFAULT_SHAPE], seed)
    _load_weights(made, weights)
    label = _label(target.rpartition(":")[2], arguments)
    return Network(name=label, spec=spec, module=made.eval(), inputs=inputs)


def _load_onnx(spec: str, path: Path) -> Network:
    from groundspeed.export.from_onnx import example_inputs, from_onnx, read_onnx
    from groundspeed.export.onnx_graph import OnnxGraph

    model = read_onnx(path)
    try:
        module, inputs = from_onnx(model)
    except UnsupportedOp as error:
        graph, (inputs, _) = OnnxGraph(model, str(error)), example_inputs(model)
        return Network(name=path.stem, spec=spec, module=graph, inputs=inputs)
    return Network(name=path.stem, spec=spec, module=module, inputs=inputs)


def _load_program(spec: str, path: Path) -> Network:
    from groundspeed.export.trace import load_program

    program = load_program(path)
    positional, keywords = program.example_inputs or ((), {})
    if keywords or not positional:
        raise SourceError(
            f"{path} was saved without positional example inputs; export it again with "
            "torch.export.export(network, (input, ...))"
        )
    return Network(name=path.stem, spec=spec, module=program, inputs=tuple(positional))


def _with_shapes(network: Network, shapes: Sequence[tuple[int, ...]], seed: int) -> Network:
    if not shapes or [tuple(i.shape) for i in network.inputs] == [tuple(s) for s in shapes]:
        return network
    own = ", ".join("x".join(map(str, i.shape)) for i in network.inputs)
    raise SourceError(
        f"{network.spec} was saved for inputs of {own}; a file's input shape cannot be changed"
    )


def _label(name: str, arguments: dict[str, Any]) -> str:
    """Return a name that tells one network from the same with other arguments."""
    return "_".join([name, *(f"{key}_{value}" for key, value in arguments.items())])


def _random_inputs(shapes: Sequence[tuple[int, ...]], seed: int) -> tuple[torch.Tensor, ...]:
    import torch

    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(shape, generator=generator) for shape in shapes)


def _load_weights(module: torch.nn.Module, weights: Path | None) -> None:
    if weights is not None:
        from groundspeed.models.weights import load_weights

        load_weights(module, weights)
