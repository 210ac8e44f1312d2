"""LiteRT's own profiler: the time of every operator that XNNPACK and the plain kernels execute."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from ctypes import c_void_p
from pathlib import Path
from types import TracebackType

from groundspeed.errors import LaunchError
from groundspeed.runtimes.litert_alignment import Executed
from groundspeed.runtimes.litert_library import ADVICE, Destructor, Event, Library, TensorType
from groundspeed.runtimes.session import Array

Events = ctypes.Array[Event]

_CPU = 1
_WRITE = 1
_STAGE, _KERNEL, _DELEGATED, _TELEMETRY = 1, 2, 8, 32
_KNOWN_TYPES = {_STAGE, _KERNEL, 4, _DELEGATED, 16, _TELEMETRY}
_WHOLE_RUN = b"Invoke"


class ProfiledModel:
    """A second compiled model of the same file, with kernels and threads of the first.

    The first cannot be profiled: a profiler is compiled in, or is not there.

    Args:
        library: the shared library of LiteRT.
        path: the TFLite file.
        threads: threads to compute with.
        feeds: input arrays by name.

    Raises:
        LaunchError: the library is of a version that profiles in another way.
    """

    def __init__(
        self, library: Library, path: Path, threads: int, feeds: Mapping[str, Array]
    ) -> None:
        self._library = library
        self._alive: list[object] = []
        with ExitStack() as stack:
            self._stack = stack
            self._environment = self._own("Environment", 0, None)
            self._model = self._own("Model", self._environment, bytes(path), made="ModelFromFile")
            self._compiled = self._own(
                "CompiledModel", self._environment, self._model, self._options(threads)
            )
            self._profiler = library.make("LiteRtCompiledModelGetProfiler", self._compiled)
            self._bind(feeds)
            self._check()
            self._stack = stack.pop_all()

    def __enter__(self) -> ProfiledModel:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def record(self) -> Events:
        """Do one inference and return its events; their names can be read until the next one."""
        call = self._library.call
        call("LiteRtResetProfiler", self._profiler)
        call("LiteRtStartProfiler", self._profiler)
        call("LiteRtRunCompiledModel", self._compiled, 0, *self._buffers)
        call("LiteRtStopProfiler", self._profiler)
        count = ctypes.c_int()
        call("LiteRtGetNumProfilerEvents", self._profiler, ctypes.byref(count))
        events = (Event * count.value)()
        call("LiteRtGetProfilerEvents", self._profiler, count, events)
        return events

    def _options(self, threads: int) -> c_void_p:
        options = self._own("Options")
        self._library.call("LiteRtSetOptionsHardwareAccelerators", options, _CPU)
        for group, text in (
            (b"xnnpack", f"num_threads = {threads}\n"),
            (b"runtime_options_string", "enable_profiling = true\n"),
        ):
            # LiteRT keeps the address and would free the text; Python does that here.
            kept, nothing = ctypes.create_string_buffer(text.encode()), Destructor(lambda _: None)
            self._alive += [kept, nothing]
            payload = ctypes.cast(kept, c_void_p)
            made = self._library.make("LiteRtCreateOpaqueOptions", group, payload, nothing)
            self._library.call("LiteRtAddOpaqueOptions", options, made)
        return options

    def _bind(self, feeds: Mapping[str, Array]) -> None:
        signature = self._library.make("LiteRtGetModelSignature", self._model, 0)
        inputs = self._tensors(signature, "Input")
        for index, buffer in enumerate(inputs):
            name = ctypes.c_char_p()
            self._library.call("LiteRtGetSignatureInputName", signature, index, ctypes.byref(name))
            array = feeds[(name.value or b"").decode()]
            place = c_void_p()
            self._library.call("LiteRtLockTensorBuffer", buffer, ctypes.byref(place), _WRITE)
            ctypes.memmove(place, array.ctypes.data, array.nbytes)
            self._library.call("LiteRtUnlockTensorBuffer", buffer)
        outputs = self._tensors(signature, "Output")
        self._buffers = (
            len(inputs),
            (c_void_p * len(inputs))(*inputs),
            len(outputs),
            (c_void_p * len(outputs))(*outputs),
        )

    def _tensors(self, signature: c_void_p, side: str) -> list[c_void_p]:
        """Make a buffer for each input or output."""
        library = self._library
        buffers = []
        for index in range(library.count(f"LiteRtGetNumSignature{side}s", signature)):
            tensor = library.make(f"LiteRtGetSignature{side}TensorByIndex", signature, index)
            kind = TensorType()
            library.call("LiteRtGetRankedTensorType", tensor, ctypes.byref(kind))
            required = library.make(
                f"LiteRtGetCompiledModel{side}BufferRequirements", self._compiled, 0, index
            )
            buffers.append(
                self._own(
                    "TensorBuffer",
                    self._environment,
                    ctypes.byref(kind),
                    required,
                    made="ManagedTensorBufferFromRequirements",
                )
            )
        return buffers

    def _own(self, kind: str, *arguments: object, made: str = "") -> c_void_p:
        """Make a handle that is destroyed, after what was made from it, when this closes."""
        handle = self._library.make(f"LiteRtCreate{made or kind}", *arguments)
        self._stack.callback(self._library.destroy, kind, handle)
        return handle

    def _check(self) -> None:
        """Profile one run, and see whether its events can be what they are taken for."""
        begin = time.perf_counter_ns()
        events = self.record()
        elapsed_us = (time.perf_counter_ns() - begin) / 1000
        # The types first: to read a name at a wrong address would end the process.
        sane = bool(events) and all(event.type in _KNOWN_TYPES for event in events)
        whole = [
            event.elapsed_us
            for event in events
            if sane and event.type == _STAGE and event.tag == _WHOLE_RUN
        ]
        if len(whole) != 1 or not 0 < whole[0] <= elapsed_us:
            raise LaunchError(f"LiteRT's profiler gave events that make no sense; {ADVICE}")


def executed(events: Events) -> list[tuple[int, Executed]]:
    """Return what took time of its own in a run, each with its index among the events."""
    return [
        (index, _executed(event))
        for index, event in enumerate(events)
        if event.type in (_KERNEL, _DELEGATED) or (event.type == _STAGE and event.tag != _WHOLE_RUN)
    ]


def times_ns(runs: Sequence[Events], indices: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Return for each of the events at ``indices`` its duration in every run.

    Raises:
        LaunchError: the runs did not consist of the same events.
    """
    made_of = {
        tuple((event.type, event.node) for event in run if event.type != _TELEMETRY) for run in runs
    }
    if len(made_of) != 1:
        raise LaunchError("LiteRT executed other ops from run to run; profile it again")
    return tuple(tuple(run[index].elapsed_us * 1000 for run in runs) for index in indices)


def _executed(event: Event) -> Executed:
    return Executed(
        name=event.tag.decode(),
        node=event.node if event.type == _KERNEL else None,
        stage=event.type == _STAGE,
    )
