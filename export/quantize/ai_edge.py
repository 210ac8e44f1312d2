"""What ai-edge-quantizer is asked for here, whatever the precision: to rewrite a file in place."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ai_edge_quantizer.model_modifier import ModelModifier
from ai_edge_quantizer.params_generator import ParamsGenerator
from ai_edge_quantizer.recipe_manager import RecipeManager
from ai_edge_quantizer.utils.tfl_flatbuffer_utils import read_model

from groundspeed.artifact import File, Step, TensorSpec
from groundspeed.errors import ArtifactError, ExportError
from groundspeed.export.quantize.tflite_compact import compact
from groundspeed.export.writer import Written
from groundspeed.runtimes import litert_graph

# Tensor of the file -> "min" and "max", the real values at the ends of its integers.
Statistics = Mapping[str, dict[str, Any]]


def only_file(written: Written, folder: Path) -> Path:
    """Return the path of the one file that a TFLite artifact has."""
    (file,) = written.files
    return folder / file.name


def rewrite(path: Path, recipe: RecipeManager, statistics: Statistics | None = None) -> None:
    """Write the file at ``path`` anew by a recipe, and prove that LiteRT takes it.

    Args:
        path: a float file.
        recipe: which operators are quantized, and how.
        statistics: the ends of the integers, for tensors and for weights; None where only weights
            are quantized.

    Raises:
        ExportError: ai-edge-quantizer fails, or writes what LiteRT does not run.
    """
    model = read_model(path.read_bytes())
    try:
        # Not by its ``Quantizer``, which cannot be told to show no progress bar.
        changes = ParamsGenerator(model).generate_quantization_parameters(
            recipe, None if statistics is None else dict(statistics), enable_progress_bar=False
        )
        content = ModelModifier(model).modify_model(changes, enable_progress_bar=False)
    except (ValueError, RuntimeError) as error:
        raise ExportError(
            f"ai-edge-quantizer failed ({litert_graph.first_line(error)}); keep the op that it "
            "names in floating point"
        ) from error
    path.write_bytes(compact(bytes(content)))
    try:
        litert_graph.plain_interpreter(path).allocate_tensors()
    except (ArtifactError, RuntimeError) as error:
        raise ExportError(
            f"LiteRT does not run the quantized file ({litert_graph.first_line(error)}); keep the "
            "op that it names in floating point"
        ) from error


def described(written: Written, folder: Path, notes: tuple[str, ...]) -> Written:
    """Return what ``written`` became, read from the file, with the layouts that it had."""
    path = only_file(written, folder)
    interpreter = litert_graph.plain_interpreter(path)
    step = Step(
        name="quantize", by=f"ai-edge-quantizer {version('ai-edge-quantizer')}", notes=notes
    )
    return Written(
        files=(File.of("model", path),),
        inputs=_renewed(written.inputs, litert_graph.input_specs(interpreter, ())),
        outputs=_renewed(written.outputs, litert_graph.output_specs(interpreter)),
        steps=(*written.steps, step),
    )


def _renewed(old: tuple[TensorSpec, ...], found: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """Return the specs in the old order, with the element types and scales that were found."""
    by_name = {spec.name: spec for spec in found}
    return tuple(
        dataclasses.replace(
            spec,
            dtype=by_name[spec.name].dtype,
            scale=by_name[spec.name].scale,
            zero_point=by_name[spec.name].zero_point,
        )
        for spec in old
    )
