"""The MSE range against a search that quantizes the values themselves."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundspeed.export.quantize.observers.mse import STEPS, Mse
from groundspeed.quantization import Range, quantized


def found(values, pieces=1):
    observer = Mse()
    for piece in np.array_split(values.astype(np.float32), pieces):
        observer.observe(piece)
    return observer.range()


def error(values, limits):
    """Return the root mean square error of values that went through 8-bit integers."""
    scale, zero_point = limits.asymmetric(0, 255)
    integers = quantized(values, scale, zero_point, least=0, largest=255)
    return float(np.sqrt(np.mean((scale * (integers - zero_point) - values) ** 2)))


def least_error(values):
    """Return the least error among all pairs of shrunk ends."""
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    steps = np.arange(1, STEPS + 1) / STEPS
    lows, highs = low * steps if low else [0.0], high * steps if high else [0.0]
    return min(error(values, Range(low=a, high=b)) for a, b in product(lows, highs))


DISTRIBUTIONS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "Laplace": lambda rng, n: rng.laplace(size=n),
    "heavy tails": lambda rng, n: rng.standard_t(2, n),
    "ReLU": lambda rng, n: np.maximum(rng.normal(size=n), 0),
    "negative": lambda rng, n: -rng.exponential(size=n),
    "skewed": lambda rng, n: rng.gamma(0.5, size=n) - 0.2,
    "few values": lambda rng, n: rng.integers(-3, 4, n) / 2,
}


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(sorted(DISTRIBUTIONS)), st.integers(0, 2**32), st.floats(1e-3, 1e3))
def test_no_range_is_better_by_more_than_a_bin(name, seed, size) -> None:
    rng = np.random.default_rng(seed)
    values = (size * DISTRIBUTIONS[name](rng, 300)).astype(np.float32)
    limits = found(values)
    bin_width = float(np.abs(values).max()) / 8192
    assert error(values, limits) <= least_error(values) + bin_width


def test_a_lone_outlier_among_many_is_clipped() -> None:
    values = np.random.default_rng(0).normal(size=200_000).astype(np.float32)
    values[0] = 40.0
    limits = found(values, pieces=3)
    assert limits.high < 0.9 * 40.0
    assert error(values, limits) < error(values, Range(low=float(values.min()), high=40.0))


def test_uniform_values_keep_their_range() -> None:
    values = np.random.default_rng(0).uniform(-2, 1, 50_000)
    assert found(values).low == pytest.approx(-2.0, rel=0.04)
    assert found(values).high == pytest.approx(1.0, rel=0.04)


def test_the_order_of_batches_is_no_matter() -> None:
    values = np.random.default_rng(0).laplace(size=1000) * np.geomspace(0.01, 10, 1000)
    assert found(values, pieces=5) == found(values[::-1], pieces=3)
