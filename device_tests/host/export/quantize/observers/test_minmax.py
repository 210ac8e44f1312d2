"""Min-max sees the extremes of all batches."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from groundspeed.export.quantize.observers.minmax import MinMax
from groundspeed.quantization import Range

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=50, deadline=None)
@given(st.lists(arrays.arrays(np.float32, st.integers(1, 20), elements=FLOATS), min_size=1))
def test_the_extremes_of_all_batches_and_zero(batches) -> None:
    forward, backward = MinMax(), MinMax()
    for batch in batches:
        forward.observe(batch)
    for batch in reversed(batches):
        backward.observe(batch)
    everything = [0.0, *np.concatenate(batches).tolist()]
    assert forward.range() == Range(low=min(everything), high=max(everything))
    assert backward.range() == forward.range()
