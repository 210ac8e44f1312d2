"""A small network with everything that writers are known to get wrong, and what it becomes."""

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from torch import nn

from groundspeed.export.prepare import prepare


class Unit(nn.Module):
    """ShuffleNetV2's basic unit: split, two convolutions on one half, concatenate, shuffle."""

    def __init__(self, channels):
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(
            nn.Conv2d(half, half, 1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(),
            nn.Conv2d(half, half, 3, padding=1, groups=half, bias=False),
            nn.BatchNorm2d(half),
        )

    def forward(self, x):
        left, right = x.chunk(2, dim=1)
        x = torch.cat((left, self.branch(right)), dim=1)
        batch, channels, height, width = x.shape
        x = x.view(batch, 2, channels // 2, height, width).transpose(1, 2)
        return x.reshape(batch, channels, height, width)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.unit = Unit(16)
        self.classifier = nn.Linear(16, 10)
        for layer in self.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.running_mean)
                nn.init.uniform_(layer.running_var, 0.5, 2.0)

    def forward(self, x):
        return self.classifier(self.unit(self.stem(x)).mean((2, 3)))


class Bessel(nn.Module):
    """An op that no format has."""

    def forward(self, x):
        return torch.special.i0e(x)


class TwoHeads(nn.Module):
    """Two inputs of different kinds, and a dict for an answer."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.scale = nn.Linear(5, 8)

    def forward(self, image, condition):
        x = self.conv(image) * self.scale(condition)[:, :, None, None]
        return {"map": x.relu(), "pooled": x.mean((2, 3))}


@pytest.fixture(scope="session")
def graph_of():
    """Return a function that makes an ONNX model whose last node, after Conv and BN, is given.

    The batch is free, as exporters like to leave it.
    """
    random = np.random.default_rng(0)
    weights = {
        "weight": random.standard_normal((8, 3, 3, 3)),
        **{name: random.standard_normal(8) for name in ("scale", "shift", "mean")},
        "variance": random.uniform(0.5, 2.0, 8),
        "mixing": random.standard_normal((8, 8)),
    }
    initializers = [
        onnx.numpy_helper.from_array(value.astype(np.float32), name)
        for name, value in weights.items()
    ]

    def make(op="Einsum", given=("n", "mixing"), *, size=(8, 16, 16), domain="", **attributes):
        nodes = [
            helper.make_node("Conv", ["x", "weight"], ["c"], pads=[1] * 4),
            helper.make_node(
                "BatchNormalization", ["c", "scale", "shift", "mean", "variance"], ["n"]
            ),
            helper.make_node(op, list(given), ["y"], "last", domain=domain, **attributes),
        ]
        graph = helper.make_graph(
            nodes,
            "graph",
            [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 3, 16, 16])],
            [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", *size])],
            initializers,
        )
        opsets = [helper.make_opsetid("", 17)]
        opsets += [helper.make_opsetid(domain, 1)] if domain else []
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    return make


@pytest.fixture(scope="session")
def small():
    """The small network, prepared."""
    torch.manual_seed(0)
    return prepare(Network(), [torch.randn(1, 3, 32, 32)])


@pytest.fixture(scope="session")
def two_heads():
    torch.manual_seed(0)
    return prepare(TwoHeads(), [torch.randn(1, 3, 12, 16), torch.randn(1, 5)])


@pytest.fixture(scope="session")
def unsayable():
    return prepare(Bessel(), [torch.randn(1, 3, 8, 8)])


@pytest.fixture
def written(tmp_path):
    """Return a function that writes a prepared network with a writer."""
    from groundspeed.export.rewrites.catalog import rewrite

    def write(writer, format, prepared, *, precision="fp32", layout=None):
        graph_module, _ = rewrite(prepared.program, format)
        return writer.write(
            graph_module, prepared.inputs, tmp_path, precision=precision, layout=layout
        )

    return write
