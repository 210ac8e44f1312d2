"""Inferences for somebody to count the instructions of, and nothing else among what is counted.

The agent runs under Valgrind's Callgrind then, which is asked to count between two marks only: not
the interpreter's start, nor the opening of the file. A mark is a sequence of instructions that
leaves every register as it was, and that Valgrind knows ("The Client Request mechanism", Valgrind
manual, section 3.1; valgrind.h and callgrind.h). Without Valgrind it does nothing.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
import platform

import groundspeed
from groundspeed.errors import UsageError
from groundspeed.measurement import Answered, Job
from groundspeed.runtimes.catalog import RUNTIMES
from groundspeed.runtimes.feeds import checked, random_feeds
from groundspeed.runtimes.session import Runtime

ARCHITECTURE = "x86_64"
UNSEEN = 3  # engines still prepare themselves in their first inferences

# rax: the request's address; edx: the answer without Valgrind; four rotations by 128 bits in all
# and an exchange of rbx with itself: the sign; then the answer is returned.
_CODE = bytes.fromhex("4889f8 31d2 48c1c703 48c1c70d 48c1c73d 48c1c733 4887db 4889d0 c3")

_IS_THERE = 0x1001
_CALLGRIND = ord("C") << 24 | ord("T") << 16
_START, _STOP = _CALLGRIND + 4, _CALLGRIND + 5


def count(job: Job) -> Answered:
    """Open the job's artifact and make ``max_samples`` inferences that Callgrind counts.

    Raises:
        UsageError: nobody counts here, or the job cannot be carried out as it stands.
        ArtifactError: the runtime cannot open the files.
        InputError: the inputs do not fit.
    """
    valgrind = _Valgrind()
    runtime: Runtime = RUNTIMES.load(job.runtime)()
    session = runtime.open(job.files or {}, job.options, job.specs)
    call = session.bind(checked(session.inputs, random_feeds(session.inputs, job.seed)))
    for _ in range(UNSEEN):
        call()
    gc.disable()
    valgrind.request(_START)
    for _ in range(job.max_samples):
        call()
    valgrind.request(_STOP)
    gc.enable()
    session.close()
    return Answered(
        samples=job.max_samples,
        runtime_version=runtime.version,
        runtime_build=runtime.build,
        agent_version=groundspeed.__version__,
    )


class _Valgrind:
    """The Valgrind that this process runs under.

    Raises:
        UsageError: there is none, or it cannot be spoken to.
    """

    def __init__(self) -> None:
        if platform.machine() != ARCHITECTURE:
            raise UsageError(f"instructions are counted on {ARCHITECTURE} alone; leave it out here")
        try:
            self._memory = mmap.mmap(
                -1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
            )
        except OSError as error:
            raise UsageError(
                f"instructions cannot be counted where memory cannot be executed ({error})"
            ) from error
        self._memory.write(_CODE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._function = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p)(address)
        if not self.request(_IS_THERE):
            raise UsageError("instructions are counted under Valgrind, and this process is not")

    def request(self, number: int) -> int:
        """Make a request without arguments, and return the answer; 0 without Valgrind."""
        words = (ctypes.c_uint64 * 6)(number)
        return int(self._function(ctypes.addressof(words)))
