"""Data flow between executed ops, by the names of tensors."""

from __future__ import annotations

from groundspeed.runtimes.data_flow import reads


def test_each_op_reads_the_last_that_computed_its_inputs() -> None:
    ops = [
        (("x", "weight"), ("a",)),
        (("a",), ("b", "c")),
        (("a", "c", "b"), ("d",)),
        (("d",), ("a",)),  # in place: the name is taken again
        (("a",), ("e",)),
    ]
    assert reads(ops) == ((), (0,), (0, 1), (2,), (3,))
