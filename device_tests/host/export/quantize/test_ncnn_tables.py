"""ncnn's weights as bytes that choose from a table. Oracles: evenly spaced values, and ncnn."""

import ncnn
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.artifact import File
from groundspeed.errors import ExportError
from groundspeed.export.quantize.ncnn_tables import NcnnWeightQuantizer, best_table
from groundspeed.export.writer import Written
from groundspeed.quantization import Calibration, Quantization, quantized, weight_scales
from groundspeed.runtimes.ncnn_bin import Blob, read_bin, write_bin
from groundspeed.runtimes.ncnn_param import Layer, read_param, write_param

DISTRIBUTIONS = {
    "normal": lambda random: random.standard_normal(13456),
    "even": lambda random: random.uniform(-1, 1, 13456),
    "heavy tails": lambda random: random.standard_t(2, 13456),
    "one outlier": lambda random: np.append(random.standard_normal(5000), 1000),
    "mostly zeros": lambda random: random.standard_normal(5000) * (random.random(5000) < 0.1),
    "channels of different size": lambda random: (
        random.standard_normal((232, 9)) * random.lognormal(size=(232, 1))
    ),
}


def chosen(values, table):
    return table[np.abs(values[:, np.newaxis] - table).argmin(1)]


@pytest.mark.parametrize("distribution", DISTRIBUTIONS.values(), ids=DISTRIBUTIONS)
def test_a_table_is_nearer_than_255_evenly_spaced_values(distribution):
    values = distribution(np.random.default_rng(0)).astype(np.float32).ravel()
    scale = weight_scales(values[np.newaxis], per_channel=False)
    even = quantized(values, scale) * scale
    table = best_table(values)
    assert np.square(chosen(values, table) - values).sum() < np.square(even - values).sum()


@given(st.lists(st.integers(-(2**20), 2**20), min_size=1, max_size=300))
def test_any_values_get_a_table_in_order_and_within_their_limits(given):
    values = np.array(given, np.float32)
    table = best_table(values)
    assert table.shape == (256,)
    assert (np.diff(table) >= 0).all()
    assert table.min() >= values.min()
    assert table.max() <= values.max()


@pytest.fixture
def written(tmp_path):
    """A network of a large and a small layer, and one that is not to be touched."""
    random = np.random.default_rng(0)

    def weight(count):
        return Blob(random.standard_normal(count).astype(np.float32), tagged=True)

    def bias(count):
        return Blob(random.standard_normal(count).astype(np.float32))

    layers = (
        Layer("Input", "in0", (), ("in0",), ()),
        Layer("Convolution", "large", ("in0",), ("a",), ("0=32", "1=1", "5=1", "6=1024")),
        Layer("Convolution", "kept", ("a",), ("b",), ("0=32", "1=1", "5=1", "6=1024")),
        Layer("Convolution", "small", ("b",), ("c",), ("0=8", "1=1", "5=1", "6=256")),
    )
    weights = ((), (weight(1024), bias(32)), (weight(1024), bias(32)), (weight(256), bias(8)))
    (tmp_path / "model.param").write_text(write_param(layers))
    (tmp_path / "model.bin").write_bytes(write_bin(weights))
    names = {"param": "model.param", "bin": "model.bin"}
    files = tuple(File.of(role, tmp_path / name) for role, name in names.items())
    return Written(files=files, inputs=(), outputs=())


def quantize(written, folder):
    calibration = Calibration(observer="", data="", samples=0, ranges={})
    quantization = Quantization(calibration=calibration, float_ops={"conv": "it was asked for"})
    return NcnnWeightQuantizer().quantize(written, folder, {"b": "conv"}, quantization)


def run(folder):
    net = ncnn.Net()
    net.opt.use_fp16_storage = net.opt.use_fp16_packed = net.opt.use_fp16_arithmetic = False
    assert net.load_param(str(folder / "model.param")) == 0
    assert net.load_model(str(folder / "model.bin")) == 0
    sample = np.random.default_rng(1).standard_normal((32, 4, 4)).astype(np.float32)
    with net.create_extractor() as extractor:
        extractor.input("in0", ncnn.Mat(sample).clone())
        return np.array(extractor.extract("c")[1])


def test_ncnn_computes_with_the_values_of_the_table(written, tmp_path):
    layers = read_param(tmp_path / "model.param")
    before, exact = read_bin(tmp_path / "model.bin", layers), run(tmp_path)
    made = quantize(written, tmp_path)
    answer = run(tmp_path)
    np.testing.assert_allclose(answer, exact, atol=0.02 * np.abs(exact).max())
    after = read_bin(tmp_path / "model.bin", layers)
    assert [blobs and blobs[0].table is not None for blobs in after] == [(), True, False, False]
    assert write_bin(after[2:]) == write_bin(before[2:])
    (_, (weight, bias), *rest) = after
    spelled_out = Blob(weight.table[weight.values], tagged=True)
    (tmp_path / "model.bin").write_bytes(write_bin([(spelled_out, bias), *rest]))
    np.testing.assert_array_equal(run(tmp_path), answer)
    assert made.steps[-1].name == "quantize"
    assert made.steps[-1].notes[0].startswith("1 of 3 weights are stored as 256 values each")


def test_the_files_are_described_anew_and_smaller(written, tmp_path):
    made = quantize(written, tmp_path)
    assert made.files[0] == written.files[0]
    assert made.files[1] == File.of("bin", tmp_path / "model.bin")
    assert made.files[1].size_bytes == written.files[1].size_bytes - 3 * 1024 + 4 * 256


def test_weights_that_are_no_numbers_are_refused(written, tmp_path):
    layers = read_param(tmp_path / "model.param")
    weights = list(read_bin(tmp_path / "model.bin", layers))
    weights[1] = (Blob(np.full(1024, np.nan, np.float32), tagged=True), weights[1][1])
    (tmp_path / "model.bin").write_bytes(write_bin(weights))
    with pytest.raises(ExportError, match="the weights of large hold NaN or infinity"):
        quantize(written, tmp_path)
