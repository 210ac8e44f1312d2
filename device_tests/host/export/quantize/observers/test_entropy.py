"""The entropy threshold against the talk's algorithm, written out step by step."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from groundspeed.export.quantize.observers.entropy import Entropy, best, coarse, divergences
from groundspeed.export.quantize.observers.histogram import Histogram
from groundspeed.quantization import Range

LEVELS = 128


def reference_divergence(counts, i):
    """Return the divergence of P from Q as the talk says it, bin by bin."""
    p = counts[:i].astype(float)
    p[-1] += counts[i:].sum()
    q = np.zeros(i)
    for level in range(LEVELS):
        bins = [j for j in range(i) if j * LEVELS // i == level and counts[j]]
        for j in bins:
            q[j] = sum(counts[k] for k in bins) / len(bins)
    if not q.any():
        return np.inf
    if not q[-1]:
        q[-1] = 1e-4
    return stats.entropy(p, q)


def histograms():
    """Return a strategy for counts with holes, slopes, spikes and a last bin that is not empty."""

    def build(seed, size, falling, holes):
        rng = np.random.default_rng(seed)
        means = 1000 * np.exp(-falling * np.arange(size) / size)
        counts = rng.poisson(means) * (rng.random(size) >= holes)
        counts[-1] = max(counts[-1], 1)
        return counts

    return st.builds(
        build,
        st.integers(0, 2**32),
        st.integers(LEVELS, 400),
        st.floats(0, 30),
        st.sampled_from([0.0, 0.1, 0.9, 1.0]),
    )


@settings(max_examples=30, deadline=None)
@given(histograms(), st.data())
def test_divergences_are_those_of_the_talk(counts, data) -> None:
    found = divergences(counts)
    assert found.shape == (len(counts) - LEVELS + 1,)
    for i in {LEVELS, len(counts), data.draw(st.integers(LEVELS, len(counts)))}:
        expected = reference_divergence(counts, i)
        assert found[i - LEVELS] == pytest.approx(expected, rel=1e-9, abs=1e-10)


def test_the_least_divergence_wins() -> None:
    counts = np.random.default_rng(0).poisson(3000 * np.exp(-np.arange(300) / 30))
    counts[-1] = 3
    expected = [reference_divergence(counts, i) for i in range(LEVELS, 301)]
    assert best(counts) == LEVELS + int(np.argmin(expected))
    assert LEVELS < best(counts) < 300


def found(values, pieces=1):
    observer = Entropy()
    for piece in np.array_split(values.astype(np.float32), pieces):
        observer.observe(piece)
    return observer.range()


def test_heavy_tails_are_cut() -> None:
    values = np.random.default_rng(0).standard_t(2, 100_000)
    limits = found(values)
    assert limits.high < 0.5 * np.abs(values).max()
    assert limits.low == -limits.high


def test_uniform_values_keep_their_range() -> None:
    values = np.random.default_rng(0).uniform(-1, 1, 100_000)
    assert found(values).high == pytest.approx(1.0, rel=0.01)
    assert found(values).low == pytest.approx(-1.0, rel=0.01)


def test_a_range_reaches_no_further_than_the_values() -> None:
    values = np.random.default_rng(0).laplace(size=100_000)
    after_relu = found(np.maximum(values, 0))
    assert after_relu.low == 0
    assert 0 < after_relu.high <= values.max()
    skewed = found(np.maximum(values, -0.25))
    assert skewed.low == -0.25


def test_zeros_do_not_count() -> None:
    values = np.random.default_rng(0).exponential(size=20_000)
    assert found(np.concatenate([values, np.zeros(100_000)])) == found(values)


def test_a_spike_away_from_zero_draws_the_threshold_as_the_definition_has_it() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, 20_000)
    pixels[:10_000] = 0
    limits = found((pixels / 255 - 0.1307) / 0.3081)
    assert limits.high == pytest.approx(0.1307 / 0.3081, rel=0.01)


def test_a_single_value_keeps_its_place() -> None:
    assert found(np.full(10, -2.5)) == Range(low=-2.5, high=0.0)


def test_the_order_of_batches_is_no_matter() -> None:
    values = np.random.default_rng(0).normal(size=10_000) * np.geomspace(0.01, 10, 10_000)
    assert found(values, pieces=7) == found(values[::-1], pieces=3)


FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=50, deadline=None)
@given(st.lists(FLOATS.filter(bool), min_size=1, max_size=50))
def test_the_largest_magnitude_is_in_the_last_fifth_of_2048_bins(values) -> None:
    histogram = Histogram()
    histogram.add(np.array(values, np.float32))
    counts, width = coarse(histogram)
    assert 0.8 * 2048 <= len(counts) <= 2048
    magnitudes = np.abs(np.array(values, np.float64))
    expected = np.bincount((magnitudes / width).astype(int), minlength=len(counts))
    np.testing.assert_array_equal(counts, expected)
