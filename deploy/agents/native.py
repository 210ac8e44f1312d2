"""The native agent: a small program for each runtime, built for the device, which needs nothing.

What was built is kept in the user's cache folder, under a digest of all that went into it: sources,
flags, compiler and versions.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from groundspeed.deploy.agents import engine_libraries
from groundspeed.deploy.agents.kept import Kept
from groundspeed.deploy.agents.ncnn_source import build_ncnn, ncnn_options
from groundspeed.deploy.agents.runner_program import OWN, Ingredients, runner_program
from groundspeed.deploy.agents.toolchain import (
    Architecture,
    Toolchain,
    android_toolchain,
    architecture,
    find_toolchain,
)
from groundspeed.deploy.targets.here import user_cache
from groundspeed.errors import UsageError

OnProgress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class NativeRunner:
    """What is put on a device.

    Attributes:
        files: the runner first, then the libraries that it loads.
        loader: the one of them that loads programs, where it brings its own C library.
    """

    files: tuple[Path, ...]
    loader: Path | None = None

    def command(self, there: Mapping[Path, PurePosixPath]) -> list[str]:
        """Return the words that start it on the device.

        Args:
            there: for each of ``files``, where it is on the device.
        """
        runner, *libraries = self.files
        folders = ":".join(dict.fromkeys(str(there[path].parent) for path in libraries))
        if self.loader is not None:
            return [str(there[self.loader]), "--library-path", folders, str(there[runner])]
        if libraries:
            return ["env", f"LD_LIBRARY_PATH={folders}", str(there[runner])]
        return [str(there[runner])]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is the user's choice of how runners are made.

    Attributes:
        libraries: folder with an own build of the runtime's library for the device; None takes
            PyPI's.
        only_layers: the only layers that ncnn gets, in lower case; none named gives it all.
        ncnn_variables: more of cmake's variables for ncnn.
    """

    libraries: Path | None = None
    only_layers: tuple[str, ...] = ()
    ncnn_variables: Mapping[str, str] = field(default_factory=dict)


def build_runner(
    runtime: str,
    machine: str,
    *,
    recipe: Recipe | None = None,
    folder: Path | None = None,
    on_progress: OnProgress = lambda sentence: None,
) -> NativeRunner:
    """Return the runner of a runtime for an architecture, building it unless that was done before.

    Args:
        runtime: "ncnn", "litert" or "onnxruntime".
        machine: the device's architecture, as its ``uname -m`` says it.
        recipe: how to make it, where the defaults will not do.
        folder: where to keep what is built; the user's cache folder by default.
        on_progress: called with a sentence now and then.

    Raises:
        UsageError: the runtime has no runner, or no registry has its library for the device.
        MissingExtra: there is no compiler, or no tool that it needs.
        BuildFailed: something does not compile or cannot be fetched.
    """
    if runtime not in OWN:
        raise UsageError(f"there is no native agent for {runtime}; known: {', '.join(OWN)}")
    build = _build(machine, recipe, folder, on_progress)
    return build.with_ncnn() if runtime == "ncnn" else build.with_library(runtime)


def has_native_agent(runtime: str, machine: str) -> bool:
    """Return whether :func:`build_runner` has all that a runner takes, but for tools.

    Args:
        runtime: "ncnn", "litert" or "onnxruntime".
        machine: the device's architecture, as its ``uname -m`` says it.
    """
    try:
        name = architecture(machine).name
    except UsageError:
        return False
    source = engine_libraries.SOURCES.get(runtime)
    return name in source.architectures if source else runtime in OWN


def ncnn_library(
    machine: str,
    *,
    recipe: Recipe | None = None,
    folder: Path | None = None,
    on_progress: OnProgress = lambda sentence: None,
) -> Path:
    """Return the folder with the library that ncnn's runner has; see :func:`build_runner`."""
    return _build(machine, recipe, folder, on_progress).ncnn_library()


def _build(
    machine: str, recipe: Recipe | None, folder: Path | None, on_progress: OnProgress
) -> _Build:
    return _Build(
        target=architecture(machine),
        recipe=recipe or Recipe(),
        kept=Kept(folder or user_cache() / "native"),
        tell=on_progress,
    )


@dataclass(frozen=True, kw_only=True)
class _Build:
    """One runner in the making."""

    target: Architecture
    recipe: Recipe
    kept: Kept
    tell: OnProgress

    def ncnn_library(self) -> Path:
        """Return the folder with ncnn's ``lib/libncnn.a`` and ``include/ncnn``."""
        toolchain = find_toolchain(self.target)
        options = {**ncnn_options(toolchain), **self.recipe.ncnn_variables}
        only = self.recipe.only_layers

        def build(made: Path) -> None:
            build_ncnn(toolchain, options, only, made, self.tell)
            for scratch in ("source", "made"):
                shutil.rmtree(made / scratch)

        name = f"ncnn-library-{self.target.name}"
        return self.kept.get(name, [toolchain.version, options, only], build)

    def with_ncnn(self) -> NativeRunner:
        """Return a runner that is one static program."""
        toolchain = find_toolchain(self.target)
        ncnn = self.ncnn_library()
        wanted = Ingredients(
            runtime="ncnn",
            headers=(ncnn / "include/ncnn",),
            linked=(
                str(ncnn / "lib/libncnn.a"),
                *(("-fopenmp",) if toolchain.has_openmp else ()),
                *("-static", "-Wl,--gc-sections", *(() if toolchain.strip else ("-s",))),
            ),
        )
        return NativeRunner(files=(runner_program(toolchain, wanted, self.kept, self.tell),))

    def with_library(self, runtime: str) -> NativeRunner:
        """Return a runner that loads its runtime from a shared library."""
        engine, version = self._engine(runtime)
        wanted = Ingredients(runtime=runtime, engine_version=version, linked=("-ldl",))
        if engine_libraries.is_for_android(engine):
            # Android's own loader and C library are the only ones that such a library works with.
            program = runner_program(android_toolchain(self.target), wanted, self.kept, self.tell)
            return NativeRunner(files=(program, engine))
        toolchain = find_toolchain(self.target)
        system = self._system(toolchain)
        program = runner_program(toolchain, wanted, self.kept, self.tell)
        return NativeRunner(files=(program, engine, *system), loader=system[0])

    def _engine(self, runtime: str) -> tuple[Path, str]:
        """Return the runtime's library, and its version."""
        source = engine_libraries.SOURCES[runtime]
        if self.recipe.libraries is not None:
            own = engine_libraries.users_library(runtime, self.recipe.libraries)
            return own, f"own {hashlib.sha256(own.read_bytes()).hexdigest()[:12]}"

        def fetch(made: Path) -> None:
            self.tell(f"fetching {source.package} {source.version} for {self.target.name}")
            engine_libraries.engine_library(runtime, self.target.name, made)

        made = self.kept.get(f"{runtime}-library-{self.target.name}", source.version, fetch)
        return made / source.library, source.version

    def _system(self, toolchain: Toolchain) -> tuple[Path, ...]:
        """Return the loader and libraries that a runtime's library needs beside it."""
        made = self.kept.get(
            f"system-libraries-{self.target.name}",
            toolchain.version,
            lambda folder: engine_libraries.system_libraries(toolchain, folder),
        )
        names = (self.target.loader, *engine_libraries.SYSTEM_LIBRARIES)
        return tuple(made / name for name in names)
