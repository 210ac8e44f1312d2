"""The graph of an ncnn network: what a ``.param`` file says.

The format is text (https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure): a magic
number, the numbers of layers and blobs, and a line for each layer with its type, its name, how many
blobs it takes and gives, their names, and its parameters as ``key=value``.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from groundspeed.errors import ArtifactError

MAGIC = "7767517"


@dataclass(frozen=True)
class Layer:
    """One layer: what it is, which blobs it takes and gives, and its parameters as written."""

    type: str
    name: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    parameters: tuple[str, ...]

    def integer(self, key: int, default: int = 0) -> int:
        """Return a parameter that is a whole number."""
        written = self._written(key)
        return default if written is None else int(written)

    def number(self, key: int, default: float = 0.0) -> float:
        """Return a parameter that is a number."""
        written = self._written(key)
        return default if written is None else float(written)

    def numbers(self, key: int) -> tuple[float, ...]:
        """Return a parameter that is an array: -23300 - key = its length, then its numbers."""
        written = self._written(-23300 - key)
        return () if written is None else tuple(map(float, written.split(",")[1:]))

    def replacing(self, key: int, value: float) -> Layer:
        """Return this layer with one parameter set.

        ncnn tells whole numbers from others by the spelling, and reads the bits of one as the other
        where it expects that: mind the type of ``value``.
        """
        others = (each for each in self.parameters if each.partition("=")[0] != str(key))
        return dataclasses.replace(self, parameters=(*others, f"{key}={value}"))

    def _written(self, key: int) -> str | None:
        for parameter in self.parameters:
            name, _, value = parameter.partition("=")
            if name == str(key):
                return value
        return None


def read_param(path: Path) -> tuple[Layer, ...]:
    """Return the layers of a ``.param`` file, in order of computation.

    Raises:
        ArtifactError: the file is missing, cut short, or no ``.param`` file.
    """
    try:
        return parse_param(path.read_text())
    except FileNotFoundError:
        raise ArtifactError(f"there is no file {path}") from None
    except (ValueError, OSError) as error:
        raise ArtifactError(f"{path} is no ncnn .param file: {error}; export it again") from error


def parse_param(text: str) -> tuple[Layer, ...]:
    """Return the layers that the text of a ``.param`` file lists.

    Raises:
        ValueError: it is no such text, or it is cut short.
    """
    magic, *lines = [line for line in text.splitlines() if line.strip()] or [""]
    if magic.strip() != MAGIC:
        raise ValueError(f"it does not begin with {MAGIC}")
    if not lines:
        raise ValueError("it ends after its first line")
    count = int(lines[0].split()[0])
    if len(lines) - 1 != count:
        raise ValueError(f"it announces {count} layers and lists {len(lines) - 1}")
    return tuple(map(_layer, lines[1:]))


def write_param(layers: tuple[Layer, ...]) -> str:
    """Return the text of a ``.param`` file with these layers."""
    blobs = {top for layer in layers for top in layer.tops}
    lines = [MAGIC, f"{len(layers)} {len(blobs)}"]
    for layer in layers:
        counts = (str(len(layer.bottoms)), str(len(layer.tops)))
        words = (*counts, *layer.bottoms, *layer.tops, *layer.parameters)
        lines.append(f"{layer.type:<24} {layer.name:<24} {' '.join(words)}")
    return "\n".join(lines) + "\n"


def _layer(line: str) -> Layer:
    words = line.split()
    try:
        takes, gives = int(words[2]), int(words[3])
    except (IndexError, ValueError):
        raise ValueError(f"the line '{line.strip()}' describes no layer") from None
    blobs = words[4 : 4 + takes + gives]
    if takes < 0 or gives < 0 or len(blobs) != takes + gives:
        raise ValueError(f"the line '{line.strip()}' names too few blobs")
    return Layer(
        type=words[0],
        name=words[1],
        bottoms=tuple(blobs[:takes]),
        tops=tuple(blobs[takes:]),
        parameters=tuple(words[4 + takes + gives :]),
    )
