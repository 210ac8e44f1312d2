"""What is learned of a network that was launched several times, some of them disturbed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from groundspeed.artifact import Artifact
from groundspeed.deploy.benching import profile
from groundspeed.deploy.feedback.costs.example import Example
from groundspeed.deploy.feedback.costs.gather import gather
from groundspeed.deploy.plan import Settings
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.measurement import Job, Launch, Machine, OpProfile, ProfiledOp
from groundspeed.ops import Op, OpKind

MakeArtifact = Callable[..., Artifact]

OP = Op(
    name="conv",
    kind=OpKind.CONVOLUTION,
    module="",
    line="",
    output_shape=(1, 8, 4, 4),
    parameters=216,
    macs=3456,
    flops=6912,
    memory_bytes=1568,
)


class Profiled:
    """A device whose launches take what they are told: the op's time in each run."""

    name = "local"

    def __init__(self, template: Launch, times_ns: Sequence[Sequence[int]]) -> None:
        self._template = template
        self._times_ns = iter(times_ns)

    def facts(self) -> Machine:
        return self._template.machine

    def run(self, job: Job, on_progress: object = None) -> Launch:
        times = tuple(next(self._times_ns))
        kernel = ProfiledOp(
            name="conv" if min(times) < 1000 else "slow", type="Conv", outputs=("t",)
        )
        made = OpProfile(
            ops=(kernel,),
            times_ns=(times,),
            profiled_ns=tuple(t + 20 for t in times),
            plain_ns=times,
        )
        return replace(self._template, runtime=job.runtime, options=job.options, profile=made)


@pytest.fixture
def artifact(make_artifact: MakeArtifact) -> Artifact:
    made = make_artifact()
    known = replace(made, manifest=replace(made.manifest, ops=(OP,), tensors={"t": "conv"}))
    known.save()
    return known


def learned(
    artifact: Artifact, store: Store, device: LocalTarget, times_ns: Sequence[Sequence[int]]
) -> Example:
    template = device.run(Job(action="measure", runtime="any"))
    settings = Settings(profile_rounds=len(times_ns))
    profile([artifact], store=store, target=Profiled(template, times_ns), settings=settings)
    ((example,),) = gather(store, "local").values()
    return example


def test_the_fastest_runs_of_all_launches_are_learned_from(
    artifact: Artifact, store: Store, fake_target: LocalTarget
) -> None:
    busy, calm = [700] * 9 + [500], [600] * 9 + [400]
    example = learned(artifact, store, fake_target, [busy, calm])
    assert example.times_ns == (450,)
    assert example.total_ns == 450


def test_launches_that_executed_other_ops_are_not_mixed(
    artifact: Artifact, store: Store, fake_target: LocalTarget
) -> None:
    example = learned(artifact, store, fake_target, [[5000] * 10, [400] * 10])
    assert example.times_ns == (400,)


def test_a_network_can_be_learned_twice_from_different_launches(
    artifact: Artifact, store: Store, fake_target: LocalTarget
) -> None:
    learned(artifact, store, fake_target, [[400] * 10, [500] * 10, [450] * 10])
    ((first,),) = gather(store, "local", slice(0, None, 2)).values()
    ((second,),) = gather(store, "local", slice(1, None, 2)).values()
    assert (first.total_ns, second.total_ns) == (400, 500)


def test_microbenchmarks_count_beside_networks_and_alone_they_say_nothing(
    artifact: Artifact, make_artifact: MakeArtifact, store: Store, fake_target: LocalTarget
) -> None:
    made = make_artifact("patchwork_01")
    source = replace(made.manifest.source, spec="patchwork:1")
    manifest = replace(made.manifest, source=source, ops=(OP,), tensors={"t": "conv"})
    sewn = replace(made, manifest=manifest)
    sewn.save()
    template = fake_target.run(Job(action="measure", runtime="any"))
    for each, count in ((sewn, 0), (artifact, 2)):
        device = Profiled(template, [[400] * 10])
        profile([each], store=store, target=device, settings=Settings(profile_rounds=1))
        found = [example for examples in gather(store, "local").values() for example in examples]
        assert len(found) == count
    assert {one.network: one.is_patchwork for one in found} == {"tiny": False, "patchwork_01": True}
