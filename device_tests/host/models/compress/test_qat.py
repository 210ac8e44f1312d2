"""A network trains with rounded tensors and comes out as one that computes just that."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from groundspeed.errors import SourceError
from groundspeed.export.prepare import prepare
from groundspeed.models import zoo
from groundspeed.models.compress.fake_quantization import FoldedLayer, Schedule, SharedRange
from groundspeed.models.compress.qat import convert, prepare_qat
from groundspeed.models.train import Progress, Settings, accuracy, train
from groundspeed.quantization import quantized, weight_scales

SETTINGS = Settings(epochs=2, batch=16, learning_rate=5e-3, shift=0, flip=False)
ROUNDED = torch.ops.aten.fake_quantize_per_tensor_affine.default


class Network(nn.Module):
    """Everything that prepare_qat tells apart, on pictures [N, 1, 8, 8]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        )
        self.branch = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU6())
        self.project = nn.Conv2d(8, 8, 1)
        self.pool = nn.MaxPool2d(2)
        self.classifier = nn.Sequential(nn.Dropout(0.1), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        left, right = x.chunk(2, dim=1)
        x = torch.cat([self.branch(right), left], dim=1)
        batch, channels, height, width = x.shape
        x = x.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(x.shape)
        projected = self.project(x)
        projected += x
        x = self.pool(projected)
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits


def pictures(count: int = 160, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Three classes: bars across, bars down, and neither; and noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (count,), generator=generator)
    images = torch.randn(count, 1, 8, 8, generator=generator) * 0.3
    images[labels == 0, :, ::2, :] += 1.0
    images[labels == 1, :, :, ::2] += 1.0
    return images, labels


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    network = Network()
    train(network, *pictures(), settings=Settings(epochs=6, batch=16, learning_rate=0.02, shift=0))
    return network


@pytest.fixture(scope="module")
def trained(network: Network) -> GraphModule:
    rounded = prepare_qat(network, (pictures(2)[0],), schedule=Schedule(delay=2, freeze=15))
    train(rounded, *pictures(), settings=SETTINGS)
    return rounded


def state(network: nn.Module) -> Tensor:
    return torch.cat([value.flatten().double() for value in network.state_dict().values()])


def test_it_learns_and_stays_as_good_as_the_float_network(
    network: Network, trained: GraphModule
) -> None:
    test = pictures(seed=1)
    assert accuracy(network, *test) > 0.95
    assert accuracy(trained, *test) > 0.95


def test_the_converted_network_computes_the_same_to_the_last_bit(trained: GraphModule) -> None:
    images, labels = pictures(seed=2)
    converted = convert(trained)
    trained.eval()
    with torch.no_grad():
        assert torch.equal(converted(images), trained(images))
    assert accuracy(converted, images, labels) == accuracy(trained, images, labels)


def test_the_converted_network_is_plain_ops_on_weights_of_integers(trained: GraphModule) -> None:
    converted = convert(trained)
    assert all(node.op != "call_module" for node in converted.graph.nodes)
    assert not converted.training
    weights = [value for name, value in converted.state_dict().items() if value.dim() > 1]
    assert len(weights) == 4
    for weight in weights:
        array = weight.numpy()
        scales = weight_scales(array, per_channel=True).reshape(-1, *[1] * (array.ndim - 1))
        again = torch.from_numpy(quantized(array, scales) * scales).float()
        torch.testing.assert_close(weight, again, rtol=1e-6, atol=1e-9)


def test_what_is_computed_is_rounded_and_what_moves_shares_a_range(trained: GraphModule) -> None:
    sites = {
        name.removeprefix("learned_ranges."): len(module.low)
        for name, module in trained.named_modules()
        if isinstance(module, SharedRange)
    }
    # The stem's activation and the branch's meet in the concatenation; an activation is one op
    # with the layer before it; pooling picks from the sum.
    assert sites == {"x": 1, "relu_": 2, "project_conv2d_2": 1, "add_": 1, "mean": 1} | {
        "classifier_1_linear": 1
    }
    layers = [module for module in trained.modules() if isinstance(module, FoldedLayer)]
    assert [layer.normalization is not None for layer in layers].count(True) == 2
    assert len(layers) == 4


def test_its_ranges_go_out_with_the_canonical_ops(trained: GraphModule) -> None:
    prepared = prepare(convert(trained), [pictures(1)[0]])
    ranges = {
        name.removeprefix("learned_ranges."): module.range()
        for name, module in trained.named_modules()
        if isinstance(module, SharedRange)
    }
    learned = prepared.learned
    for ours, theirs in [
        ("x", "x"),
        ("relu_", "relu"),
        ("relu_", "hardtanh"),
        ("relu_", "cat"),
        ("add_", "add"),
        ("add_", "max_pool2d"),
        ("classifier_1_linear", "linear"),
    ]:
        scale, zero_point = ranges[ours].asymmetric(-128, 127)
        assert learned[theirs].asymmetric(-128, 127) == (pytest.approx(scale), zero_point)
    assert not [node for node in prepared.program.graph.nodes if node.target is ROUNDED]
    modules = [str(node.meta.get("nn_module_stack")) for node in prepared.program.graph.nodes]
    assert any("branch" in module for module in modules)  # still named as in the user's network


def test_the_network_that_was_given_stays_as_it_is(network: Network) -> None:
    before = state(network)
    network.zero_grad()
    rounded = prepare_qat(network, (pictures(2)[0],))
    rounded(pictures()[0]).sum().backward()
    assert torch.equal(state(network), before)
    assert all(parameter.grad is None for parameter in network.parameters())


def test_an_interrupted_training_goes_on_to_the_same_weights(
    network: Network, tmp_path: Path
) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(progress: Progress) -> None:
        raise Interrupted

    def prepared() -> GraphModule:
        return prepare_qat(network, (pictures(2)[0],), schedule=Schedule(delay=3, freeze=14))

    whole, resumed = prepared(), prepared()
    train(whole, *pictures(), settings=SETTINGS)
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(Interrupted):
        train(
            prepared(),
            *pictures(),
            settings=SETTINGS,
            checkpoint=checkpoint,
            on_progress=interrupt,
        )
    assert train(resumed, *pictures(), settings=SETTINGS, checkpoint=checkpoint).resumed_at == 10
    assert torch.equal(state(resumed), state(whole))


def test_tied_weights_stay_tied() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return torch.sigmoid(self.conv(torch.sigmoid(self.conv(x))))

    network = prepare_qat(Twice(), (torch.randn(2, 4, 3, 3),))
    assert len(list(network.parameters())) == 2
    assert len([each for each in network.modules() if isinstance(each, FoldedLayer)]) == 2


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "mobilenet_v3_small", "squeezenet1_1"])
def test_networks_of_the_zoo_train_and_convert(name: str) -> None:
    network = zoo.create(name, num_classes=4)
    rounded = prepare_qat(network, (torch.randn(1, 3, 64, 64),))
    images = torch.randn(3, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    rounded.to(memory_format=torch.channels_last)
    rounded(images).square().sum().backward()
    assert all(parameter.grad is not None for parameter in rounded.parameters())
    rounded.eval()
    with torch.no_grad():
        torch.testing.assert_close(convert(rounded)(images), rounded(images))


def test_a_network_that_knows_its_batch_is_refused() -> None:
    class Fixed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.view(2, 12)

    with pytest.raises(SourceError, match="runs only on batches of the size"):
        prepare_qat(Fixed(), (torch.randn(2, 3, 4),))


def test_a_network_that_decides_by_values_is_refused() -> None:
    class Deciding(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + 1 if x.sum() > 0 else x

    with pytest.raises(SourceError, match="Deciding cannot be traced"):
        prepare_qat(Deciding(), (torch.randn(2, 3),))
