"""Random weights keep activations in scale and leave no batch normalization trivial."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from groundspeed.models.initialization import initialize


class Deep(nn.Module):
    """Forty residual steps, each of which doubles the variance unless something scales it."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.ModuleList(
            nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
            for _ in range(40)
        )

    def forward(self, x: Tensor) -> Tensor:
        for step in self.steps:
            x = x + step(x)
        return x


def test_depth_does_not_make_activations_explode() -> None:
    torch.manual_seed(0)
    network = Deep().eval()
    initialize(network, (1, 3 + 5, 16, 16))
    with torch.no_grad():
        assert 0.1 < network(torch.randn(1, 8, 16, 16)).std() < 20


def test_every_batch_normalization_does_something_to_every_channel() -> None:
    torch.manual_seed(0)
    network = Deep().eval()
    initialize(network, (1, 8, 16, 16))
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for values in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
                assert values is not None
                assert len(values.unique()) == 8


def test_weights_do_not_depend_on_the_number_of_threads() -> None:
    states = []
    threads = torch.get_num_threads()
    for number in (1, 2):
        torch.set_num_threads(number)
        torch.manual_seed(0)
        network = Deep().eval()
        initialize(network, (1, 8, 32, 32))
        states.append(network.state_dict())
    torch.set_num_threads(threads)
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
