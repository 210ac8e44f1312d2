"""Every network of the zoo is there, is what its paper says, and comes out the same each time."""

from __future__ import annotations

import functools
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch
from torch.export import ExportedProgram
from torch.utils.flop_counter import FlopCounterMode

from groundspeed import registry
from groundspeed.errors import UnknownName, UsageError
from groundspeed.models import cost, zoo

# Parameters and MACs at 1x3x224x224. ShuffleNet V1, and MobileNetV1: the counts of pytorchcv 0.0.74
# or the authors' code; all others: of torchvision 0.28.
FIGURES = {
    "mobilenet_v1_x1_0": (4_231_976, 568_740_352),
    "mobilenet_v1_x0_5": (1_331_592, 149_497_088),
    "mobilenet_v1_x0_25": (470_072, 41_030_272),
    "mobilenet_v2": (3_504_872, 300_774_272),
    "mobilenet_v2_x0_5": (1_968_680, 97_131_840),
    "mobilenet_v3_large": (5_483_032, 216_589_760),
    "mobilenet_v3_small": (2_542_856, 56_510_400),
    "resnet18": (11_689_512, 1_814_073_344),
    "resnet50": (25_557_032, 4_089_184_256),
    "shufflenet_v1_x1_0_g1": (1_531_936, 143_078_976),
    "shufflenet_v1_x1_0_g2": (1_733_848, 140_836_512),
    "shufflenet_v1_x1_0_g3": (1_865_728, 137_460_672),
    "shufflenet_v1_x1_0_g4": (1_968_344, 134_339_776),
    "shufflenet_v1_x1_0_g8": (2_434_768, 138_365_952),
    "shufflenet_v1_x0_25_g3": (305_902, 11_009_808),
    "shufflenet_v1_x0_5_g3": (718_324, 37_589_856),
    "shufflenet_v2_x0_5": (1_366_792, 40_476_448),
    "shufflenet_v2_x1_0": (2_278_604, 144_907_992),
    "shufflenet_v2_x1_5": (3_503_624, 295_759_392),
    "shufflenet_v2_x2_0": (7_393_996, 583_253_464),
    "shufflenet_v2_x1_0_paper": (2_279_760, 145_814_296),
    "squeezenet1_0": (1_248_424, 818_924_576),
    "squeezenet1_1": (1_235_496, 349_151_936),
}

# The same without a bias in the classifier: the counts of the ShuffleNets' authors' code.
FIGURES_WITHOUT_HEAD_BIAS = {
    "shufflenet_v1_x1_0_g3": (1_864_728, 137_460_672),
    "shufflenet_v1_x1_0_g8": (2_433_768, 138_365_952),
    "shufflenet_v1_x0_5_g3": (717_324, 37_589_856),
    "shufflenet_v1_x0_5_g8": (1_010_448, 40_469_760),
    "shufflenet_v1_x1_5_g3": (3_441_168, 292_443_552),
    "shufflenet_v1_x2_0_g3": (5_449_776, 524_045_184),
    "shufflenet_v2_x0_5_paper": (1_365_792, 40_476_448),
    "shufflenet_v2_x1_0_paper": (2_278_760, 145_814_296),
    "shufflenet_v2_x1_5_paper": (3_506_720, 298_970_656),
    "shufflenet_v2_x2_0_paper": (7_402_600, 590_783_000),
}


def program(name: str) -> ExportedProgram:
    """The network's graph at its own input shape; on the meta device nothing is computed."""
    with torch.device("meta"):
        example = torch.empty(zoo.info(name).input_shape)
        return torch.export.export(zoo.build(name).eval(), (example,))


@functools.cache
def count(name: str, shape: tuple[int, ...] | None = None, **options: object) -> tuple[int, int]:
    """Parameters, and MACs by torch's own counter, at the network's own input shape or another."""
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        module = zoo.build(name, **options).eval()
        module(torch.empty(shape or zoo.info(name).input_shape))
    return sum(p.numel() for p in module.parameters()), counter.get_total_flops() // 2


@pytest.mark.parametrize("name", zoo.names())
def test_the_cost_model_agrees_with_torchs_counter(name: str) -> None:
    exported = program(name)
    total = cost.totals(cost.analyze(exported))
    assert (total.parameters, total.macs) == count(name)
    assert not cost.uncounted(exported)


@pytest.mark.parametrize("name", FIGURES)
def test_counts_are_the_published_ones(name: str) -> None:
    assert count(name) == FIGURES[name]


@pytest.mark.parametrize("name", FIGURES_WITHOUT_HEAD_BIAS)
def test_counts_without_head_bias_are_the_authors(name: str) -> None:
    assert count(name, head_bias=False) == FIGURES_WITHOUT_HEAD_BIAS[name]


def test_every_network_has_a_figure_to_be_checked_against() -> None:
    assert set(zoo.names()) == FIGURES.keys() | FIGURES_WITHOUT_HEAD_BIAS.keys()


def test_the_two_readings_of_down_sampling_are_also_an_option() -> None:
    assert count("shufflenet_v2_x1_5", down="paper") == count("shufflenet_v2_x1_5_paper")


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18", "shufflenet_v2_x0_5"])
def test_a_stem_without_stride_sees_half_the_pixels_as_large(name: str) -> None:
    halved = count(name, shape=(1, 3, 112, 112), stem_stride=1)
    assert halved == count(name)


@pytest.mark.parametrize("name", zoo.names())
def test_a_created_network_runs_and_its_logits_mean_something(name: str) -> None:
    network = zoo.create(name, num_classes=10)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        logits = network(torch.randn((2, 3, 64, 64), generator=generator))
    assert not network.training
    assert logits.shape == (2, 10)
    assert logits.isfinite().all()
    assert 0.05 < logits.std() < 20
    assert not torch.allclose(logits[0], logits[1], atol=1e-3)


def test_equal_seeds_make_equal_weights() -> None:
    first, again, other = (
        zoo.create("shufflenet_v2_x0_5", seed=seed).state_dict() for seed in (3, 3, 4)
    )
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["fc.weight"], other["fc.weight"])


def test_creating_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    zoo.create("squeezenet1_1")
    assert torch.equal(torch.get_rng_state(), before)


def test_names_are_filtered_and_naturally_sorted() -> None:
    assert zoo.names("shufflenet_v1*g3") == [
        "shufflenet_v1_x0_25_g3",
        "shufflenet_v1_x0_5_g3",
        "shufflenet_v1_x1_0_g3",
        "shufflenet_v1_x1_5_g3",
        "shufflenet_v1_x2_0_g3",
    ]
    assert zoo.names("RESNET*") == ["resnet18", "resnet50"]
    assert zoo.names("*1_1", family="squeezenet") == ["squeezenet1_1"]
    assert zoo.names("resnet*", family="squeezenet") == []


def test_info_says_what_a_network_is() -> None:
    about = zoo.info("squeezenet1_1")
    assert (about.name, about.family) == ("squeezenet1_1", "squeezenet")
    assert about.summary.startswith("Version 1.1")
    assert about.input_shape == (1, 3, 224, 224)
    assert zoo.family_of("resnet18") == "resnet"


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean resnet18"):
        zoo.create("resnet19")
    with pytest.raises(UnknownName, match="no family of networks 'resnext'; did you mean resnet"):
        zoo.names(family="resnext")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"width": 2},
            "has no option 'width'; its options: down, num_classes, head_bias, stem_stride",
        ),
        ({"down": "left"}, "down of .* is 'left'; it must be 'equal' or 'paper'"),
        ({"num_classes": 0}, "num_classes of .* is 0; it must be a whole number, at least 1"),
        ({"num_classes": "10"}, "num_classes of .* is '10'"),
        ({"head_bias": 1}, "head_bias of .* is 1; it must be of type bool"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        zoo.create("shufflenet_v2_x1_0", **options)


@pytest.fixture
def package_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty module that is registered as a family by an entry point."""
    module = tmp_path / "their_networks.py"
    point = EntryPoint("theirs", "their_networks:FAMILY", "groundspeed.models")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "their_networks", raising=False)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    monkeypatch.setattr(zoo.families, "_entries", dict(zoo.families._entries))
    monkeypatch.setattr(zoo.families, "_extended", False)
    return module


THEIRS = """
from torch import nn
from groundspeed.models.family import Family
FAMILY = Family("theirs", input_shape=(1, 4))
@FAMILY.network
def tiny():
    "One layer."
    return nn.Linear(4, 2)
"""


def test_a_package_outside_adds_a_family(package_outside: Path) -> None:
    package_outside.write_text(THEIRS)
    assert zoo.info("tiny").summary == "One layer."
    assert zoo.create("tiny")(torch.zeros(1, 4)).shape == (1, 2)


def test_two_families_may_not_claim_one_name(package_outside: Path) -> None:
    package_outside.write_text(THEIRS.replace("tiny", "resnet18"))
    with pytest.raises(ValueError, match="resnet and theirs both have a network 'resnet18'"):
        zoo.create("resnet18")


def test_importing_the_room_does_not_import_torch() -> None:
    statement = "import sys, groundspeed.models; print('torch' in sys.modules)"
    process = subprocess.run(
        [sys.executable, "-c", statement], capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "False"
