"""ncnn on the CPU."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ncnn
import numpy as np

from groundspeed.artifact import TensorSpec
from groundspeed.errors import ArtifactError, InputError, LaunchError
from groundspeed.measurement import OpProfile, Options, ProfiledOp
from groundspeed.runtimes.data_flow import reads
from groundspeed.runtimes.feeds import checked, file_of, random_feeds
from groundspeed.runtimes.interleave import interleaved
from groundspeed.runtimes.ncnn_bin import Integers, hands_on_integers, integer_steps, read_bin
from groundspeed.runtimes.ncnn_param import Layer, read_param
from groundspeed.runtimes.session import Array

# Blobs may outlive the session that made them, and must not outlive what allocated them.
_BLOB_ALLOCATOR = ncnn.UnlockedPoolAllocator()
_WORKSPACE_ALLOCATOR = ncnn.PoolAllocator()

_AS_FLOAT, _AS_COMPUTED = 0, 1
_NULL_CALLS = 3


class Ncnn:
    """The ncnn package that is installed."""

    @property
    def version(self) -> str:
        """Version of the ncnn package."""
        return version("ncnn")

    @property
    def build(self) -> str:
        """The version that the library itself was compiled as."""
        return str(ncnn.__version__)

    def open(
        self, files: Mapping[str, Path], options: Options, inputs: Sequence[TensorSpec] = ()
    ) -> NcnnSession:
        """Open the files of the roles "param" and "bin"; see ``Runtime.open``."""
        return NcnnSession(files, options, inputs)


class NcnnSession:
    """An ncnn network that is open; see ``Session``.

    ncnn's blobs have no batch dimension: inputs must have a batch of one, and outputs get it back.
    """

    def __init__(
        self, files: Mapping[str, Path], options: Options, specs: Sequence[TensorSpec]
    ) -> None:
        param, self._bin = file_of(files, "param", "ncnn"), files.get("bin", Path())
        self._layers = read_param(param)
        self._net = _load(self._layers, param, self._bin, options)
        self._inputs = _input_specs(self._layers, specs, param)
        consumed = {blob for layer in self._layers for blob in layer.bottoms}
        self._output_names = [
            top
            for layer in self._layers
            for top in layer.tops
            if top not in consumed and layer.type != "Input"
        ]

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What it takes, in order."""
        return self._inputs

    @cached_property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What it gives; the file does not tell the shapes, so this runs the network once."""
        values = self.run(random_feeds(self._inputs, seed=0))
        return tuple(
            TensorSpec(
                name=name,
                shape=value.shape,
                dtype=str(value.dtype),
                layout="NCHW" if value.ndim == 4 else "",
            )
            for name, value in values.items()
        )

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Compute the outputs; see ``Session.run``."""
        extractor = self._extractor(self._blobs(inputs))
        return {name: _array(_extract(extractor, name)) for name in self._output_names}

    def bind(self, inputs: Mapping[str, Array]) -> Callable[[], object]:
        """Return one inference: an extractor, the inputs, the outputs. See ``Session.bind``."""
        blobs = list(self._blobs(inputs).items())
        create, names = self._net.create_extractor, self._output_names

        def once() -> None:
            extractor = create()
            for name, blob in blobs:
                extractor.input(name, blob)
            for name in names:
                extractor.extract(name)

        return once

    def tensors(self, inputs: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
        """Yield every layer's outputs; see ``Session.tensors``.

        Integers that one layer hands on to the next come as the real values that they stand for.
        """
        extractor = self._extractor(self._blobs(inputs), keep=True)
        for layer in self._layers:
            if layer.type != "Input":
                for name in layer.tops:
                    value = _array(_extract(extractor, name))
                    integers = self._integers.get(name)
                    yield name, value if integers is None else integers.real(value)

    def profile(self, inputs: Mapping[str, Array], runs: int) -> OpProfile:
        """Time every layer by extracting its output in order; see ``Session.profile``.

        Each extraction computes exactly one layer, because all before it are there. What the call
        itself takes is measured in the same runs (extracting a blob that is there already) and
        taken off each layer; a layer that costs less than that shows 0.
        """
        layers = [layer for layer in self._layers if layer.type != "Input"]
        passes = _Passes(self, self._blobs(inputs), [layer.tops[0] for layer in layers])
        times = interleaved(self.bind(inputs), passes.once, runs)
        kept = [passes.times[index] for index in times.counted]
        call_ns = round(statistics.median(passes.null))
        flow = reads((layer.bottoms, layer.tops) for layer in layers)
        return OpProfile(
            ops=tuple(
                ProfiledOp(name=layer.name, type=layer.type, outputs=layer.tops, reads=sources)
                for layer, sources in zip(layers, flow, strict=True)
            ),
            times_ns=tuple(
                tuple(max(0, taken - call_ns) for taken in column)
                for column in zip(*kept, strict=True)
            ),
            profiled_ns=times.profiled_ns,
            plain_ns=times.plain_ns,
        )

    def close(self) -> None:
        """Give back what the session holds."""
        self._net.clear()

    @cached_property
    def _integers(self) -> dict[str, Integers]:
        """What integers stand for, for the blobs that ncnn keeps in them."""
        if not any(map(hands_on_integers, self._layers)):
            return {}
        return integer_steps(self._layers, read_bin(self._bin, self._layers))

    def _blobs(self, inputs: Mapping[str, Array]) -> dict[str, Any]:
        blobs = {}
        for name, array in checked(self._inputs, inputs).items():
            # A Mat borrows the array's memory, so the sample is bound to a name until the Mat
            # owns a copy.
            sample = np.ascontiguousarray(array[0], dtype=np.float32)
            blobs[name] = ncnn.Mat(sample).clone()
        return blobs

    def _extractor(self, blobs: Mapping[str, Any], *, keep: bool = False) -> Any:
        extractor = self._net.create_extractor()
        if keep:
            extractor.set_light_mode(False)
        for name, blob in blobs.items():
            extractor.input(name, blob)
        return extractor


class _Passes:
    """Passes over the network, one timed extraction a layer."""

    def __init__(self, session: NcnnSession, blobs: Mapping[str, Any], tops: list[str]) -> None:
        self._session = session
        self._blobs = blobs
        self._tops = tops
        self.times: list[list[int]] = []
        self.null: list[int] = []

    def once(self) -> None:
        extractor = self._session._extractor(self._blobs)
        # With the network's own pool, extract() copies each blob out of it.
        extractor.set_blob_allocator(_BLOB_ALLOCATOR)
        extractor.set_workspace_allocator(_WORKSPACE_ALLOCATOR)
        clock, extract, taken = time.perf_counter_ns, extractor.extract, []
        for top in self._tops:
            begin = clock()
            blob = extract(top, _AS_COMPUTED)
            taken.append(clock() - begin)
            # A second reference to a blob would keep the next layer from working in place.
            del blob
        for _ in range(_NULL_CALLS):
            begin = clock()
            blob = extract(self._tops[-1], _AS_COMPUTED)
            self.null.append(clock() - begin)
            del blob
        self.times.append(taken)


def _load(layers: Sequence[Layer], param: Path, weights: Path, options: Options) -> Any:
    unknown = sorted({layer.type for layer in layers if ncnn.layer_to_index(layer.type) < 0})
    if unknown:
        raise ArtifactError(f"ncnn has no layer {', '.join(unknown)}, which {param} asks for")
    if not weights.is_file():
        raise ArtifactError(f"there is no file {weights}")
    net = ncnn.Net()
    half = options.precision == "fp16"
    for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic"):
        setattr(net.opt, name, half)
    net.opt.use_bf16_storage = False
    net.opt.use_int8_inference = True
    net.opt.use_vulkan_compute = False
    net.opt.num_threads = options.threads
    if net.load_param(str(param)) != 0 or net.load_model(str(weights)) != 0:
        raise ArtifactError(
            f"ncnn cannot load {param} with {weights}: the two do not belong together, or one was "
            "cut short; export them again"
        )
    return net


def _input_specs(
    layers: Sequence[Layer], specs: Sequence[TensorSpec], param: Path
) -> tuple[TensorSpec, ...]:
    given = {spec.name: spec for spec in specs}
    found = []
    for layer in layers:
        if layer.type == "Input":
            (name,) = layer.tops
            found.append(given.get(name) or _written_spec(layer, name, param))
    for spec in found:
        if not spec.shape or spec.shape[0] != 1:
            raise InputError(
                f"ncnn computes one sample at a time; the input '{spec.name}' must have a batch of "
                "1, so export with --input-shape 1,..."
            )
    return tuple(found)


def _written_spec(layer: Layer, name: str, param: Path) -> TensorSpec:
    # Input's parameters 0, 1, 2 are width, height, channels; missing ones are 0.
    sizes = [size for size in (layer.integer(key) for key in (2, 1, 0)) if size > 0]
    if not sizes:
        raise InputError(
            f"{param} does not say the shape of its input '{name}'; measure the artifact that "
            "'groundspeed export' makes, whose manifest does"
        )
    return TensorSpec(
        name=name,
        shape=(1, *sizes),
        dtype="float32",
        layout="NCHW" if len(sizes) == 3 else "",
    )


def _extract(extractor: Any, name: str) -> Any:
    code, blob = extractor.extract(name, _AS_FLOAT)
    if code != 0:
        raise LaunchError(f"ncnn could not compute the blob '{name}' (code {code})")
    return blob


def _array(blob: Any) -> Array:
    return np.array(blob)[np.newaxis]
