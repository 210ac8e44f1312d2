"""A report of a network that nobody needs to run: two runtimes, three ops, known times."""

from __future__ import annotations

from dataclasses import replace

import pytest

from groundspeed.artifact import Agreement, File, Manifest, Parity, Source, Step, TensorSpec
from groundspeed.deploy.feedback.breakdown import Time
from groundspeed.deploy.feedback.finding import Cost, Counterfactual, Evidence, Finding, Place
from groundspeed.deploy.report.content import Failure, Measured, ReportData
from groundspeed.measurement import Conditions, Launch, Machine, OpProfile, Options, ProfiledOp
from groundspeed.ops import Op, OpKind

MS = 1_000_000
OPS = (
    ("conv", OpKind.POINTWISE, "stage.0.conv", 50_000_000),
    ("relu", OpKind.ACTIVATION, "stage.0.act", 0),
    ("shuffle", OpKind.DATA_MOVEMENT, "stage.0", 0),
    ("fc", OpKind.LINEAR, "head", 1_000_000),
)


def manifest(runtime: str) -> Manifest:
    return Manifest(
        runtime=runtime,
        format=runtime,
        precision="fp32",
        files=(File(role="model", name="m", sha256="", size_bytes=9_216_000),),
        inputs=(TensorSpec(name="x", shape=(1, 3, 64, 64), dtype="float32", layout="NCHW"),),
        outputs=(),
        source=Source(name="net", spec="net.py:build", digest="0123456789abcdef"),
        steps=(Step(name="fold", by="groundspeed 0", notes=("bn7 was left: it comes first",)),),
        parity=Parity(
            inputs=4,
            tolerance=1e-4,
            agreements=(
                Agreement(
                    output="logits",
                    max_absolute=3e-6,
                    max_relative=1e-6,
                    cosine=1.0,
                    psnr_db=120.0,
                    top1=1.0,
                ),
            ),
            passed=True,
        ),
        ops=tuple(
            Op(
                name=name,
                kind=kind,
                module=module,
                line=f"/home/someone/net.py:{10 + place}",
                output_shape=(1, 8),
                parameters=100,
                macs=macs,
                flops=2 * macs,
                memory_bytes=400_000,
            )
            for place, (name, kind, module, macs) in enumerate(OPS)
        ),
        tensors={"a": "relu", "b": "shuffle", "c": "fc"},
    )


def op_profile() -> OpProfile:
    """1 ms for the fused convolution, 0.5 for the shuffle, 0.25 for fc; 2 ms end to end."""
    return OpProfile(
        ops=(
            ProfiledOp(name="n0", type="FusedConv", outputs=("a",)),
            ProfiledOp(name="n1", type="Transpose", outputs=("b",)),
            ProfiledOp(name="n2", type="Gemm", outputs=("c",)),
        ),
        times_ns=((MS,) * 8, (MS // 2,) * 8, (MS // 4,) * 8),
        profiled_ns=(int(2.125 * MS),) * 8,
        plain_ns=(2 * MS,) * 8,
    )


def launch(runtime: str, median_ns: int, *, load: float = 0.1, profiled: bool = False) -> Launch:
    state = Conditions(at="2026-11-22T20:00:00Z", load=load, temperatures_c={"cpu": 51.0})
    return Launch(
        runtime=runtime,
        runtime_version="1.2.3",
        runtime_build="",
        options=Options(),
        cpus_granted=(0, 1),
        load_ns=40 * MS,
        first_run_ns=7 * MS,
        warmup_ns=(3 * MS,),
        steady=True,
        samples_ns=tuple(median_ns + shift * 1000 for shift in range(-50, 51)),
        peak_memory_bytes=None,
        baseline_memory_bytes=None,
        machine=Machine(
            name="box", model="Some CPU", architecture="x86_64", system="Linux 6", cpus=4
        ),
        before=state,
        after=state,
        profile=op_profile() if profiled else None,
    )


def measured(runtime: str, medians_ns: list[int], *, load: float = 0.1) -> Measured:
    return Measured(
        network="net<1>",
        runtime=runtime,
        precision="fp32",
        threads=1,
        manifest=manifest(runtime),
        launches=tuple(launch(runtime, median, load=load) for median in medians_ns),
        profile=launch(runtime, medians_ns[0], load=load, profiled=True),
    )


@pytest.fixture
def data() -> ReportData:
    return ReportData(
        measured=(
            measured("onnxruntime", [2 * MS, 2_010_000, 1_990_000]),
            measured("ncnn", [3 * MS, 3_010_000, 2_990_000]),
        ),
        failures=(Failure(network="net<1>", what="export to litert, fp32", reason="no <op>"),),
        command="groundspeed run 'net.py:build'",
        made_at="2026-11-22T20:10:00Z",
        version="0.0",
    )


def cost(ms: float, half_width_ms: float, evidence: Evidence) -> Cost:
    """Return a cost of the network that takes 2 ms."""
    low, high = (ms - half_width_ms) * MS, (ms + half_width_ms) * MS
    return Cost(time=Time(ns=ms * MS, low_ns=low, high_ns=high), share=ms / 2, evidence=evidence)


def finding(
    name: str, attributed_ms: float, measured_ms: float | None = None, *, places: int = 1
) -> Finding:
    """Return a finding in modules ``stage.<n>``; what was measured is of all its places."""
    attributed = cost(attributed_ms, 0.01, Evidence.ATTRIBUTED)
    tried = None
    if measured_ms is not None:
        tried = Counterfactual(
            instead="the identity",
            places=places,
            attributed=attributed,
            measured=cost(measured_ms, 0.02, Evidence.MEASURED),
            rounds=8,
        )
    return Finding(
        pattern=name,
        guideline="G4",
        places=tuple(
            Place(module=f"stage.{n}", line=f"/home/net.py:{n}", ops=("relu",), what="a | b")
            for n in range(places)
        ),
        attributed=attributed,
        counterfactual=tried,
        untried="" if tried else "the budget has no time",
        advice="use <fewer>",
    )


@pytest.fixture
def explained(data: ReportData) -> ReportData:
    """The same, with findings in the first runtime, and none in the second."""
    found = (
        finding("small", 0.002),
        finding("believed", 0.2, 0.21, places=5),
        finding("contradicted", 0.3, 0.1),
    )
    one, other = data.measured
    return replace(data, measured=(replace(one, findings=found), replace(other, findings=())))


@pytest.fixture
def busy() -> ReportData:
    return ReportData(measured=(measured("ncnn", [2 * MS], load=9.0),))
