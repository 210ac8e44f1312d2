import os
import subprocess
import sys

import pytest

from groundspeed.errors import UsageError
from groundspeed.runtimes.affinity import restrict


def test_no_cpus_leave_the_process_as_it_is() -> None:
    assert set(restrict(())) == os.sched_getaffinity(0)


def test_a_cpu_that_does_not_exist_is_refused_even_beside_one_that_does() -> None:
    there = min(os.sched_getaffinity(0))
    with pytest.raises(UsageError, match="CPU 4000 cannot be used"):
        restrict((there, 4000))


def test_the_process_runs_only_where_it_was_told() -> None:
    cpu = max(os.sched_getaffinity(0))
    code = (
        "import os; from groundspeed.runtimes.affinity import restrict; "
        f"assert restrict(({cpu},)) == ({cpu},); print(os.sched_getaffinity(0))"
    )
    found = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == f"{{{cpu}}}"
