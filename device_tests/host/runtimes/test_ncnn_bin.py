"""ncnn's ``.bin`` files: what is read is what was written, and nothing else is taken for one."""

import ncnn
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.errors import ArtifactError
from groundspeed.runtimes.ncnn_bin import (
    Blob,
    Integers,
    integer_steps,
    parse_bin,
    read_bin,
    write_bin,
)
from groundspeed.runtimes.ncnn_param import Layer, write_param

SEEDS = st.integers(0, 2**32 - 1)
COUNTS = st.integers(1, 9)
WEIGHTS = st.sampled_from([np.float32, np.float16, np.uint16, np.int8])


def layer(type, *parameters, name="layer", bottoms=("a",), tops=("b",)):
    return Layer(type, name, bottoms, tops, parameters)


def values(draw, type, count):
    """Any bits at all: NaN and infinity are kept too."""
    bits = np.random.default_rng(draw(SEEDS)).bytes(np.dtype(type).itemsize * count)
    return np.frombuffer(bits, type)


@st.composite
def convolutions(draw):
    outputs, size, biased = draw(COUNTS), draw(COUNTS), draw(st.booleans())
    term = draw(st.sampled_from([0, 2, 102]))
    table = values(draw, np.float32, 256) if draw(st.booleans()) else None
    type = draw(WEIGHTS) if table is None else np.uint8
    blobs = [Blob(values(draw, type, size), tagged=True, table=table)]
    plain = [outputs] * biased + ([outputs, 1] if term else []) + [1] * (term > 100)
    blobs += [Blob(values(draw, np.float32, count)) for count in plain]
    parameters = (f"0={outputs}", f"5={int(biased)}", f"6={size}", f"8={term}")
    return layer("Convolution", *parameters), tuple(blobs)


@st.composite
def others(draw):
    count = draw(COUNTS)
    type, parameters, blobs = draw(
        st.sampled_from(
            [
                ("ReLU", (), 0),
                ("Split", (), 0),
                ("PReLU", (f"0={count}",), 1),
                ("BatchNorm", (f"0={count}",), 4),
                ("Scale", (f"0={count}", "1=1"), 2),
                ("LayerNorm", (f"0={count}", "1=1.0e-05", "2=0"), 0),
                ("MemoryData", (f"0={count}",), 1),
            ]
        )
    )
    return layer(type, *parameters), tuple(
        Blob(values(draw, np.float32, count)) for _ in range(blobs)
    )


NETWORKS = st.lists(st.one_of(convolutions(), others()), max_size=5)


@given(NETWORKS)
def test_what_is_written_is_read_again(network):
    layers, weights = [each for each, _ in network], [blobs for _, blobs in network]
    data = write_bin(weights)
    read = parse_bin(data, layers)
    assert write_bin(read) == data
    for found, expected in zip(read, weights, strict=True):
        assert [blob.values.dtype for blob in found] == [blob.values.dtype for blob in expected]
        assert [blob.values.tobytes() for blob in found] == [
            blob.values.tobytes() for blob in expected
        ]


@given(convolutions(), st.data())
def test_a_file_of_another_length_is_refused(convolution, data):
    whole = write_bin([convolution[1]])
    cut = data.draw(st.integers(0, len(whole) - 1))
    for wrong in (whole[:cut], whole + bytes(4)):
        with pytest.raises(ValueError, match=r"too soon|left over"):
            parse_bin(wrong, [convolution[0]])


def test_weights_of_an_unknown_layer_are_not_taken_for_those_of_the_next(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(np.ones(8, np.float32).tobytes())
    with pytest.raises(ArtifactError, match="one of Mystery may have weights"):
        read_bin(path, [layer("Mystery")])
    with pytest.raises(ArtifactError, match="there is no weight at byte 0"):
        read_bin(path, [layer("Mystery"), layer("InnerProduct", "0=1", "2=4")])
    with pytest.raises(ArtifactError, match=r"there is no file .*missing\.bin"):
        read_bin(tmp_path / "missing.bin", [])


@pytest.mark.parametrize(
    ("type", "parameters", "counts"),
    [
        ("Convolution", ("0=2", "1=1", "5=1", "6=8"), [8, 2]),
        ("ConvolutionDepthWise", ("0=4", "1=1", "6=4", "7=4"), [4]),
        ("Deconvolution", ("0=2", "1=1", "5=1", "6=8"), [8, 2]),
        ("Convolution1D", ("0=2", "1=1", "5=1", "6=8"), [8, 2]),
        ("InnerProduct", ("0=3", "1=1", "2=12"), [12, 3]),
        ("BatchNorm", ("0=4",), [4, 4, 4, 4]),
        ("Scale", ("0=4", "1=1"), [4, 4]),
        ("PReLU", ("0=4",), [4]),
        ("GroupNorm", ("0=2", "1=4"), [4, 4]),
        ("InstanceNorm", ("0=4", "2=0"), []),
        ("MemoryData", ("0=3", "1=2"), [6]),
    ],
)
def test_ncnn_itself_reads_as_many_values(tmp_path, type, parameters, counts):
    """ncnn refuses a file that is one value short, and so do we."""
    tagged = {"Convolution", "ConvolutionDepthWise", "Deconvolution", "Convolution1D"}
    given = layer(type, *parameters, bottoms=() if type == "MemoryData" else ("a",))
    source = () if type == "MemoryData" else (Layer("Input", "in", (), ("a",), ()),)
    blobs = tuple(
        Blob(np.ones(count, np.float32), tagged=not index and type in tagged | {"InnerProduct"})
        for index, count in enumerate(counts)
    )
    data = write_bin([blobs])
    assert len(parse_bin(data, [given])[0]) == len(counts)
    param, path = tmp_path / "model.param", tmp_path / "model.bin"
    param.write_text(write_param((*source, given)))
    for size, loads in ((len(data), True), (len(data) - 4, False)):
        if size < 0:
            continue
        path.write_bytes(data[:size])
        net = ncnn.Net()
        assert net.load_param(str(param)) == 0
        assert (net.load_model(str(path)) == 0) == loads


@pytest.mark.parametrize(("zero", "expected"), [(0, 0.125), (127, -0.125)])
def test_what_integers_stand_for_goes_through_splits(zero, expected):
    layers = [
        layer("Convolution", "0=1", "6=1", "8=102", tops=("handed",)),
        layer("Split", bottoms=("handed",), tops=("left", "right")),
        layer(
            "Convolution", "0=1", "6=1", "8=2", f"18={zero}.0", bottoms=("left",), tops=("given",)
        ),
    ]
    one = Blob(np.ones(1, np.float32))
    weight = Blob(np.ones(1, np.int8), tagged=True)
    weights = [(weight, one, one, Blob(np.full(1, 8, np.float32))), (), (weight, one, one)]
    integers = Integers(expected, zero)
    assert integer_steps(layers, weights) == dict.fromkeys(("handed", "left", "right"), integers)
    assert integers.real(np.array([zero - 8, zero], np.int8)).tolist() == [-8 * expected, 0]
