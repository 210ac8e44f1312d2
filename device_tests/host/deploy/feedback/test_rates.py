"""Laws and rates, against laws that are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundspeed.deploy.feedback.rates import fitted, saved

TERMS = np.array(
    [[1.0, macs, bytes] for macs, bytes in ((1e6, 1e4), (1e5, 1e5), (3e7, 2e6), (5e6, 4e4))]
)
PRICES = st.floats(1e-4, 10.0)


@settings(deadline=None)  # times decide nothing
@given(fixed=st.floats(1.0, 1e5), mac=PRICES, byte=PRICES)
def test_a_law_is_found_again_from_times_that_follow_it(
    fixed: float, mac: float, byte: float
) -> None:
    times = TERMS @ [fixed, mac, byte]
    np.testing.assert_allclose(TERMS @ fitted(TERMS, times), times, rtol=1e-6)


def test_nothing_takes_less_than_no_time() -> None:
    times = TERMS @ [5_000.0, 0.02, -0.01]
    assert (fitted(TERMS, times) >= 0).all()


def test_small_ops_count_as_much_as_large_ones() -> None:
    terms = np.ones((5, 1))
    law = fitted(terms, np.array([1.0, 1.0, 1.0, 1.0, 1e6]))
    assert law[0] == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize(
    ("rate", "reference", "work", "share"),
    [(1.0, 2.0, 1.0, 0.5), (2.0, 1.0, 1.0, -1.0), (1.0, 2.0, 1.5, 0.25), (None, 1.0, 1.0, None)],
)
def test_what_another_rate_saves(
    rate: float | None, reference: float, work: float, share: float | None
) -> None:
    assert saved(rate, reference, work) == share
