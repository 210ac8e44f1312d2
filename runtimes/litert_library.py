"""The C interface of libLiteRt.so, as far as profiling needs it.

Neither Python interface of LiteRT gives its profiler away, the shared library in the same package
does. Declarations follow ``litert/c`` of https://github.com/google-ai-edge/LiteRT; that interface
is not frozen, so whoever reads events must check that they make sense.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_char_p,
    c_int,
    c_int32,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
)
from pathlib import Path
from typing import Any

from groundspeed.errors import LaunchError

ADVICE = "profiling knows ai-edge-litert 2.2 and 2.3: install one of these"

Destructor = CFUNCTYPE(None, c_void_p)


class Layout(Structure):
    """``LiteRtLayout``: the lowest seven bits of ``bits`` are the rank."""

    _fields_ = (("bits", c_uint32), ("dimensions", c_int32 * 8), ("strides", c_uint32 * 8))


class TensorType(Structure):
    """``LiteRtRankedTensorType``."""

    _fields_ = (("element", c_int32), ("layout", Layout))


class Memory(Structure):
    """The memory use that an event may carry."""

    _fields_ = (("total", c_size_t), ("in_use", c_size_t), ("private", c_size_t))


class Event(Structure):
    """``ProfiledEventData``; times in microseconds, ``node`` counts within what made the event."""

    _fields_ = (
        ("tag", c_char_p),
        ("type", c_int32),
        ("start_us", c_uint64),
        ("elapsed_us", c_uint64),
        ("memory_before", Memory),
        ("memory_after", Memory),
        ("node", c_uint64),
        ("graph", c_uint64),
        ("source", c_int32),
    )


_HANDLE = c_void_p
_MADE = POINTER(c_void_p)

# Every one returns a status, 0 for success, unless it destroys something.
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "LiteRtCreateEnvironment": (c_int, c_void_p, _MADE),
    "LiteRtCreateModelFromFile": (_HANDLE, c_char_p, _MADE),
    "LiteRtCreateOptions": (_MADE,),
    "LiteRtSetOptionsHardwareAccelerators": (_HANDLE, c_int),
    "LiteRtCreateOpaqueOptions": (c_char_p, c_void_p, Destructor, _MADE),
    "LiteRtAddOpaqueOptions": (_HANDLE, _HANDLE),
    "LiteRtCreateCompiledModel": (_HANDLE, _HANDLE, _HANDLE, _MADE),
    "LiteRtCompiledModelGetProfiler": (_HANDLE, _MADE),
    "LiteRtGetModelSignature": (_HANDLE, c_size_t, _MADE),
    "LiteRtGetNumSignatureInputs": (_HANDLE, POINTER(c_size_t)),
    "LiteRtGetNumSignatureOutputs": (_HANDLE, POINTER(c_size_t)),
    "LiteRtGetSignatureInputName": (_HANDLE, c_size_t, POINTER(c_char_p)),
    "LiteRtGetSignatureInputTensorByIndex": (_HANDLE, c_size_t, _MADE),
    "LiteRtGetSignatureOutputTensorByIndex": (_HANDLE, c_size_t, _MADE),
    "LiteRtGetRankedTensorType": (_HANDLE, POINTER(TensorType)),
    "LiteRtGetCompiledModelInputBufferRequirements": (_HANDLE, c_size_t, c_size_t, _MADE),
    "LiteRtGetCompiledModelOutputBufferRequirements": (_HANDLE, c_size_t, c_size_t, _MADE),
    "LiteRtCreateManagedTensorBufferFromRequirements": (
        _HANDLE,
        POINTER(TensorType),
        _HANDLE,
        _MADE,
    ),
    "LiteRtLockTensorBuffer": (_HANDLE, _MADE, c_int),
    "LiteRtUnlockTensorBuffer": (_HANDLE,),
    "LiteRtRunCompiledModel": (_HANDLE, c_size_t, c_size_t, _MADE, c_size_t, _MADE),
    "LiteRtResetProfiler": (_HANDLE,),
    "LiteRtStartProfiler": (_HANDLE,),
    "LiteRtStopProfiler": (_HANDLE,),
    "LiteRtGetNumProfilerEvents": (_HANDLE, POINTER(c_int)),
    "LiteRtGetProfilerEvents": (_HANDLE, c_int, POINTER(Event)),
}
_DESTROYERS = (
    "LiteRtDestroyTensorBuffer",
    "LiteRtDestroyCompiledModel",
    "LiteRtDestroyOptions",
    "LiteRtDestroyModel",
    "LiteRtDestroyEnvironment",
)


class Library:
    """The loaded library.

    Raises:
        LaunchError: it cannot be loaded, or lacks a function that profiling needs.
    """

    def __init__(self, path: Path) -> None:
        try:
            # Its own symbols first: the Python interface has a second copy of most of them loaded.
            mode = os.RTLD_NOW | getattr(os, "RTLD_DEEPBIND", 0)
            self._library = ctypes.CDLL(str(path), mode=mode)
            for name, arguments in _FUNCTIONS.items():
                self._declare(name, arguments, c_int)
            for name in _DESTROYERS:
                self._declare(name, (_HANDLE,), None)
        except (OSError, AttributeError) as error:
            raise LaunchError(
                f"{path} cannot profile ({error}); {ADVICE}, or measure without per-op times"
            ) from error

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function.

        Raises:
            LaunchError: it returned another status than success.
        """
        status = getattr(self._library, name)(*arguments)
        if status:
            raise LaunchError(f"LiteRT's profiler failed ({name} gave status {status}); {ADVICE}")

    def make(self, name: str, *arguments: Any) -> c_void_p:
        """Call a function whose last argument is a place for a handle, and return the handle."""
        handle = c_void_p()
        self.call(name, *arguments, ctypes.byref(handle))
        return handle

    def count(self, name: str, *arguments: Any) -> int:
        """Call a function whose last argument is a place for a size, and return the size."""
        size = c_size_t()
        self.call(name, *arguments, ctypes.byref(size))
        return size.value

    def destroy(self, kind: str, handle: c_void_p) -> None:
        """Give back what a handle of the kind ("Model") stands for."""
        getattr(self._library, f"LiteRtDestroy{kind}")(handle)

    def _declare(self, name: str, arguments: tuple[Any, ...], result: Any) -> None:
        function = getattr(self._library, name)
        function.argtypes = arguments
        function.restype = result
