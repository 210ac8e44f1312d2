from hypothesis import given
from hypothesis import strategies as st

from groundspeed.runtimes.warmup import WINDOW, is_steady, warm_up


def test_constant_times_are_steady_and_falling_times_are_not() -> None:
    assert is_steady([1000] * 3 * WINDOW)
    assert not is_steady([1000] * WINDOW + [2000] * WINDOW + [4000] * WINDOW)


def test_fewer_than_three_windows_are_never_steady() -> None:
    assert not is_steady([1000] * (3 * WINDOW - 1))


@given(st.lists(st.integers(1000, 1010), min_size=3 * WINDOW, max_size=60), st.integers(0, 9))
def test_one_late_inference_does_not_undo_the_steady_state(samples: list[int], late: int) -> None:
    samples[-1 - late] = 1_000_000
    assert is_steady(samples)


def test_a_budget_of_nothing_still_runs_once_and_says_that_it_is_not_steady() -> None:
    calls: list[int] = []
    warmup = warm_up(lambda: calls.append(1), 0.0)
    assert len(calls) == len(warmup.samples_ns) == 1
    assert not warmup.steady
