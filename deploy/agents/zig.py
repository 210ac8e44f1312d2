"""``python -m groundspeed.deploy.agents.zig TOOL TARGET ...``: zig as cmake's compiler.

zig's compiler is clang, but it knows processors by its own names and rejects GNU's
(``-march=armv8.2-a+fp16``): then ncnn's configuration would find no half-precision and no
dot-product kernels, and leave them out in silence. So the names are translated here.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

# GNU's names of extensions, where zig's are others.
_FEATURES = {"fp16": "fullfp16"}
_MARCH = re.compile(r"-march=armv8(?:\.(\d))?-a((?:\+\w+)*)")
_ARMV7_VFPV4 = "-mfpu=neon-vfpv4"
_COMPILERS = ("cc", "c++")


def translated(arguments: Sequence[str]) -> Iterator[str]:
    """Yield a GNU compiler's arguments in zig's words.

    >>> list(translated(["-march=armv8.2-a+fp16+dotprod", "-O3"]))
    ['-mcpu=generic+v8_2a+fullfp16+dotprod', '-O3']
    """
    for argument in arguments:
        if found := _MARCH.fullmatch(argument):
            version = f"v8_{found[1]}a" if found[1] and found[1] != "0" else "v8a"
            features = [_FEATURES.get(name, name) for name in found[2].split("+") if name]
            yield "-mcpu=" + "+".join(["generic", version, *features])
        elif argument == _ARMV7_VFPV4:
            yield "-mcpu=generic+v7a+neon+vfp4"
        else:
            yield argument


def main() -> None:
    """Replace this process by zig's."""
    tool, target, *arguments = sys.argv[1:]
    package = find_spec("ziglang")
    assert package is not None
    assert package.origin is not None
    zig = str(Path(package.origin).with_name("zig"))
    if tool in _COMPILERS:
        arguments = ["-target", target, *_general(target), *translated(arguments)]
    os.execv(zig, [zig, tool, *arguments])


def _general(target: str) -> list[str]:
    # zig compiles for the processor that it runs on, unless told otherwise.
    return ["-mcpu=generic+v7a+neon"] if target.startswith("arm-") else ["-mcpu=generic"]


if __name__ == "__main__":
    main()
