"""What ncnn's own tools make of a float ncnn file: ``ncnn2table``, then ``ncnn2int8``.

No package holds them; they come with ncnn's releases.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from groundspeed.artifact import Artifact
from groundspeed.deploy.data import Data

# How ncnn2table chooses the ranges of activations; "eq", its third, searches far longer.
METHODS = ("kl", "aciq")


def quantize(tools: Path, method: str, float_artifact: Artifact, folder: Path, data: Data) -> None:
    """Write ncnn's own int8 files into a folder, calibrated on the very same tensors as ours.

    Args:
        tools: the folder of ``ncnn2table`` and ``ncnn2int8``.
        method: one of METHODS.
        float_artifact: the float files.
        folder: where the int8 files go, under the names of the float ones.
        data: what is calibrated on.
    """
    paths = float_artifact.paths
    floats = (paths["param"].resolve(), paths["bin"].resolve())
    (spec,) = float_artifact.manifest.inputs
    arrays = []
    for index, batch in enumerate(data.batches(1)):
        arrays.append(f"{index}.npy")
        np.save(folder / arrays[-1], batch[0].astype(np.float32))
    (folder / "list").write_text("\n".join(arrays) + "\n")
    shape = ",".join(str(size) for size in reversed(spec.shape[1:]))  # ncnn's order: w, h, c
    settings = (f"shape=[{shape}]", "type=1", f"method={method}", "thread=1")
    _run(tools.resolve() / "ncnn2table", *floats, "list", "table", *settings, folder=folder)
    made = (path.name for path in floats)
    _run(tools.resolve() / "ncnn2int8", *floats, *made, "table", folder=folder)
    for name in arrays:
        (folder / name).unlink()


def _run(*command: str | Path, folder: Path) -> None:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, cwd=folder
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed with {done.returncode}: {done.stderr[-1000:]}")
