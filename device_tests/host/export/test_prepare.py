"""The canonical graph: equal to the network, tied to the user's code, and the steps told."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from groundspeed.errors import InputError
from groundspeed.export.graph import module_path
from groundspeed.export.prepare import prepare
from groundspeed.export.trace import trace


class Unit(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1, groups=2, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.relu(self.norm(self.conv(x)))
        y += x
        return F.channel_shuffle(y, 2)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
        self.units = nn.Sequential(Unit(), Unit())
        self.before = nn.BatchNorm2d(8)
        self.head = nn.Conv2d(8, 4, 3, padding=1)
        self.drop = nn.Dropout()
        for layer in self.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.running_mean)
                nn.init.uniform_(layer.running_var, 0.5, 2.0)

    def forward(self, x):
        x = self.units(self.stem(x))
        return self.drop(self.head(self.before(x))).mean((2, 3))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Network()


@pytest.fixture
def x():
    return torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def calls(prepared):
    return [node for node in prepared.program.graph.nodes if node.op == "call_function"]


def test_program_computes_what_the_untouched_network_computes(network, x):
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    prepared = prepare(network, (x,))
    assert prepared.reference is network
    with torch.no_grad():
        torch.testing.assert_close(
            prepared.program.module()(x), prepared.reference(x), rtol=1e-4, atol=1e-5
        )
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())


def test_every_op_knows_its_module_and_source_line(network, x):
    nodes = calls(prepare(network, (x,)))
    paths = {module_path(node) for node in nodes}
    assert {"stem.0", "units.0.conv", "units.1", "head"} <= paths
    for node in nodes:
        assert node.meta["stack_trace"]
        assert "val" in node.meta


def test_weights_have_the_names_of_the_users_network_and_none_is_left_over(network, x):
    state = prepare(network, (x,)).program.state_dict
    assert set(state) == {
        "stem.0.weight",
        "stem.0.bias",
        "units.0.conv.weight",
        "units.0.conv.bias",
        "units.1.conv.weight",
        "units.1.conv.bias",
        "before.weight",
        "before.bias",
        "before.running_mean",
        "before.running_var",
        "head.weight",
        "head.bias",
    }


def test_steps_say_what_was_done_and_what_was_not(network, x):
    notes = {step.name: step.notes for step in prepare(network, (x,)).steps}
    assert next(iter(notes)) == "trace"
    assert notes["fold_batchnorm"][0].startswith("3 batch normalizations folded")
    assert notes["fold_batchnorm"][1].startswith("not folded: before comes before head")
    assert notes["channel_shuffle"][0].endswith(": 2")
    assert notes["spatial_mean"][0].endswith(": 1")


def test_program_can_be_prepared_too(network, x):
    program = trace(network, (x,))
    prepared = prepare(program, (x,))
    with torch.no_grad():
        expected = network(x)
        torch.testing.assert_close(prepared.reference(x), expected)
        torch.testing.assert_close(prepared.program.module()(x), expected, rtol=1e-4, atol=1e-5)


def test_preparing_again_changes_nothing(network, x):
    once = prepare(network, (x,)).program
    again = prepare(once, (x,)).program
    assert [node.target for node in again.graph.nodes if node.op == "call_function"] == [
        node.target for node in once.graph.nodes if node.op == "call_function"
    ]


def test_inputs_that_do_not_fit(network, x):
    with pytest.raises(InputError, match="1x4x16x16"):
        prepare(network, (torch.randn(1, 4, 16, 16),))
    with pytest.raises(InputError, match="1x3x8x8"):
        prepare(trace(network, (x,)), (torch.randn(1, 3, 8, 8),))
