"""Networks whose values would pass what a float holds are scaled, and nothing else about them."""

from __future__ import annotations

import torch
from torch import nn

from groundspeed.deploy.feedback.calming import LARGEST, calm
from groundspeed.export.graph import editable
from groundspeed.export.trace import trace

IMAGE = torch.randn(1, 4, 6, 6, generator=torch.Generator().manual_seed(0))


class Wild(nn.Module):
    """A chain of layers that each multiply their map by a million, without any bias."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            layers = [nn.Conv2d(4, 4, 3, padding=1, bias=False) for _ in range(9)]
        for layer in layers:
            layer.weight.data *= 1e6
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def test_values_stay_finite_and_keep_their_proportions() -> None:
    wild = Wild()
    assert not wild(IMAGE).isfinite().all()
    graph = editable(trace(wild, (IMAGE,)))
    calm(graph, (IMAGE,))
    calmed = graph(IMAGE).detach().double()
    assert calmed.abs().max() <= LARGEST
    exact = wild.double()(IMAGE.double()).detach()
    scale = exact.abs().max() / calmed.abs().max()
    torch.testing.assert_close(calmed * scale, exact, rtol=0, atol=1e-5 * float(exact.abs().max()))


def test_how_an_engine_adds_up_does_not_decide_the_weights() -> None:
    one, other = (editable(trace(Wild(), (IMAGE,))) for _ in range(2))
    calm(one, (IMAGE,))
    calm(other, (IMAGE * (1 + 1e-6),))
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])


def test_a_bias_is_scaled_with_its_weights() -> None:
    layer = nn.Linear(4, 4)
    layer.weight.data *= 1e6
    layer.bias.data *= 1e6
    rows = IMAGE[0, 0, :, :4].contiguous()
    graph = editable(trace(layer, (rows,)))
    calm(graph, (rows,))
    found, expected = graph(rows), layer(rows)
    scale = expected.abs().max() / found.abs().max()
    torch.testing.assert_close(found * scale, expected)
    assert 0.5 <= found.abs().max() <= 1


def test_a_network_that_is_calm_stays_as_it_is() -> None:
    layers = nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 1))
    graph = editable(trace(layers, (IMAGE,)))
    before = {name: value.clone() for name, value in graph.state_dict().items()}
    calm(graph, (IMAGE,))
    after = graph.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_only_the_reader_that_grows_gets_other_weights() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return self.layer(x), self.layer(x * 1e9)

    network, rows = Shared(), IMAGE[0, 0, :, :4].contiguous()
    graph = editable(trace(network, (rows,)))
    calm(graph, (rows,))
    small, large = graph(rows)
    torch.testing.assert_close(small, network(rows)[0])
    assert large.abs().max() <= LARGEST
