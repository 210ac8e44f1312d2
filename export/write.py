"""From a prepared network to an artifact in its folder: converted, checked, described."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from math import isnan
from pathlib import Path

from groundspeed.artifact import MANIFEST, Artifact, Manifest, Parity, Source
from groundspeed.errors import ExportError, ParityError, UsageError
from groundspeed.export.convert import convert
from groundspeed.export.formats import FLOATS, check_precisions, runtime_of
from groundspeed.export.onnx_graph import OnnxGraph
from groundspeed.export.prepare import Prepared
from groundspeed.export.quantize.quantize import QuantizedNetwork
from groundspeed.ops import Op

CHECKED_SAMPLES = 8


def write(
    network: Prepared | OnnxGraph,
    *,
    format: str,
    precision: str,
    folder: Path,
    ops: Sequence[Op],
    source: Source,
    layout: str | None = None,
    timeout_s: float = 600.0,
    on_progress: Callable[[str], None] | None = None,
    quantized: QuantizedNetwork | None = None,
) -> Artifact:
    """Write a network in one format, prove that it computes the same, and return the artifact.

    The folder appears complete or not at all; an artifact that is there already is replaced.

    Args:
        network: the network.
        format: name of the format ("onnx").
        precision: "fp32", "fp16", or one of integers.
        folder: the artifact's folder.
        ops: the canonical ops with their cost, for the manifest.
        source: what the network was made from, for the manifest.
        layout: "NCHW" or "NHWC" for image inputs, None for what suits the format.
        timeout_s: longest time that conversion and check may take.
        on_progress: called with a short sentence at each step.
        quantized: ranges and losses of the network, for a precision of integers.

    Raises:
        UsageError: unknown format or precision, or the folder holds something else.
        ParityError: the file computes something else than the network.
        ExportError: it could not be written; ``UnsupportedOp`` and ``ConverterFailed`` say why.
    """
    check_precisions([format], [precision])
    if quantized is None and precision not in FLOATS:
        raise UsageError(f"{precision} needs a network that was quantized; see quantize.quantize")
    if isinstance(network, OnnxGraph):
        network.check_format(format)
    runtime = runtime_of(format)
    if on_progress is not None:
        on_progress(f"writing {source.name} as {format} {precision}")
    with _appearing(folder) as made:
        answer = convert(
            network,
            format=format,
            precision=precision,
            layout=layout,
            runtime=runtime,
            folder=made,
            log=folder.with_name(f"{folder.name}.log"),
            timeout_s=timeout_s,
            quantization=quantized.quantization if quantized else None,
            samples=quantized.samples[:CHECKED_SAMPLES] if quantized else (),
        )
        assert answer.written is not None
        assert answer.parity is not None
        _demand(answer.parity, f"{source.name} as {format} {precision}")
        manifest = Manifest(
            runtime=runtime,
            format=format,
            precision=precision,
            files=answer.written.files,
            inputs=answer.written.inputs,
            outputs=answer.written.outputs,
            source=source,
            steps=(*network.steps, *answer.written.steps),
            parity=answer.parity,
            ops=tuple(ops),
            tensors=answer.tensors,
            quantization=quantized.quantization if quantized else None,
            losses=quantized.losses if quantized else (),
        )
        Artifact(folder=made, manifest=manifest).save()
    return Artifact(folder=folder, manifest=manifest)


def place(artifact: Artifact, folder: Path, manifest: Manifest) -> Artifact:
    """Copy an artifact's files under another manifest into a folder, and return what is there.

    The folder appears complete or not at all; an artifact that is there already is replaced.

    Raises:
        UsageError: the folder holds something else.
        ExportError: it cannot be written.
    """
    with _appearing(folder) as made:
        for path in artifact.paths.values():
            shutil.copy2(path, made / path.name)
        Artifact(folder=made, manifest=manifest).save()
    return Artifact(folder=folder, manifest=manifest)


def _demand(parity: Parity, what: str) -> None:
    if parity.passed:
        return
    # NaN first: it compares as neither larger nor smaller.
    worst = max(parity.agreements, key=lambda each: (isnan(each.max_relative), each.max_relative))
    first = f", first at {parity.first_divergence}" if parity.first_divergence else ""
    keep = f"keep that layer in floating point with --keep-float {parity.layer}, or "
    raise ParityError(
        f"{what} computes something else than the network: output '{worst.output}' is off by "
        f"{worst.max_relative:.2g} of its largest value, {parity.tolerance:.2g} is allowed{first}",
        advice=f"{keep if parity.layer else ''}export in another precision or format",
        layer=parity.layer,
    )


@contextlib.contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of ``folder`` if the block ends well."""
    _check_replaceable(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as hidden:
            # A folder in the temporary one: that one is private, artifacts are as the umask says.
            made = Path(hidden) / "made"
            made.mkdir()
            yield made
            _exchange(made, folder, Path(hidden) / "replaced")
    except OSError as error:
        reason = error.strerror or error
        raise ExportError(
            f"{folder} cannot be written ({reason}); free some space, or choose another folder "
            "with --output"
        ) from error


def _exchange(made: Path, folder: Path, aside: Path) -> None:
    if not folder.exists():
        made.rename(folder)
        return
    folder.rename(aside)
    try:
        made.rename(folder)
    except BaseException:
        aside.rename(folder)
        raise


def _check_replaceable(folder: Path) -> None:
    """Make sure that nothing of the user's is deleted.

    Raises:
        UsageError: the folder holds something, and is no artifact.
    """
    if not folder.exists():
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / MANIFEST).is_file()):
        raise UsageError(f"{folder} exists and is no artifact; choose another folder")
