"""Whatever is in the catalogue of observers keeps the protocol."""

import subprocess
import sys

import numpy as np
import pytest

from groundspeed.errors import DataError
from groundspeed.export.quantize.observers.catalog import OBSERVERS
from groundspeed.quantization import Range

NORMAL = np.random.default_rng(0).normal(size=(2, 3, 500)).astype(np.float32)


def after(name, *batches):
    observer = OBSERVERS.load(name)()
    for batch in batches:
        observer.observe(np.asarray(batch, np.float32))
    return observer.range()


def test_the_five_ways_are_there() -> None:
    assert {"minmax", "moving_average", "percentile", "mse", "entropy"} <= set(OBSERVERS)


@pytest.mark.parametrize("name", list(OBSERVERS))
class TestEach:
    def test_nothing_and_zeros_have_no_range(self, name) -> None:
        assert after(name) == after(name, np.zeros((1, 4, 4))) == Range(low=0.0, high=0.0)

    def test_zeros_before_and_after_do_no_harm(self, name) -> None:
        limits = after(name, np.zeros(5), NORMAL, np.zeros(5))
        assert limits.low < 0 < limits.high

    def test_a_range_lies_within_what_was_seen(self, name) -> None:
        limits = after(name, NORMAL[0], NORMAL[1])
        assert NORMAL.min() <= limits.low < -1
        assert 1 < limits.high <= NORMAL.max()

    @pytest.mark.parametrize("size", [1e-42, 1e-20, 1e20, 5e37])
    def test_values_may_be_tiny_or_huge(self, name, size) -> None:
        limits = after(name, NORMAL.astype(np.float64) * size)
        assert -5 * size < limits.low < -size
        assert size < limits.high < 5 * size

    def test_a_constant_is_kept(self, name) -> None:
        assert after(name, np.full((2, 2), 3.0)) == Range(low=0.0, high=3.0)

    @pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
    def test_what_is_not_finite_is_refused(self, name, odd) -> None:
        with pytest.raises(DataError, match="NaN or infinity"):
            after(name, [0.0, odd, 1.0])


def test_none_needs_torch() -> None:
    check = (
        "import sys; from groundspeed.export.quantize.observers.catalog import OBSERVERS; "
        "[OBSERVERS.load(name) for name in OBSERVERS]; sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
