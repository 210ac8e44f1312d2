"""The command line end to end: results, interruptions, full disks and damaged files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundspeed.artifact import Artifact
from groundspeed.deploy.store.rows import StoredLaunch
from groundspeed.deploy.store.store import Store

Groundspeed = Callable[..., subprocess.CompletedProcess[str]]

NETWORKS = Path(__file__).parents[1] / "user_networks.py"
TINY = f"{NETWORKS}:tiny"


@pytest.fixture(scope="module")
def finished(
    groundspeed: Groundspeed, tmp_path_factory: pytest.TempPathFactory
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """A run of a network that works, and of one that ncnn has no layers for."""
    store = tmp_path_factory.mktemp("finished") / "results"
    networks = [f"{NETWORKS}:{name}" for name in ("tiny", "spectrum")]
    options = ["--runtimes", "onnxruntime,ncnn", "--rounds", "2", "--store", store, "--json"]
    return groundspeed("run", *networks, *options), store


@pytest.fixture
def artifacts(
    finished: tuple[subprocess.CompletedProcess[str], Path], tmp_path: Path
) -> dict[str, Path]:
    """Copies of the tiny network's artifacts: runtime -> folder."""
    copies = {}
    for cell in cells_of(finished[0]):
        if cell["network"] == "tiny":
            copies[cell["runtime"]] = tmp_path / f"tiny-{cell['runtime']}"
            shutil.copytree(finished[1] / "artifacts" / cell["artifact"], copies[cell["runtime"]])
    return copies


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a file system of its own can be mounted by root only")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, *, leave_bytes: int = 0) -> Path:
    """Use up the space; return the file to delete for having it back."""
    filler = folder / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(folder).free - leave_bytes))
    return filler


def cells_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(done.stdout)["cells"]
    return cells


def launches(store: Path) -> list[StoredLaunch]:
    """Return all launches of the newest run."""
    with Store(store) as opened:
        return [one for cell in opened.cells(opened.run()) for one in opened.launches(cell)]


# ---- what a run answers -------------------------------------------------------------------------


def test_a_run_has_parity_latency_breakdown_and_a_page(
    finished: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    done, store = finished
    for cell in cells_of(done):
        if cell["network"] != "tiny":
            continue
        latency = cell["latency"]
        assert (
            latency["interval"]["low_ns"] < latency["estimate_ns"] < latency["interval"]["high_ns"]
        )
        assert {"stem", "unit.branch.0", "unit.branch.3", "head"} <= {
            module["path"] for module in cell["breakdown"]["modules"]
        }
        parity = Artifact.open(store / "artifacts" / cell["artifact"]).manifest.parity
        assert parity is not None
        assert parity.passed
        assert len(parity.agreements) == 1
    page = Path(json.loads(done.stdout)["report"]).read_text()
    assert "<script src=" not in page
    assert '<link rel="stylesheet"' not in page


def test_what_cannot_be_exported_is_told_and_the_rest_is_measured(
    finished: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    done, _ = finished
    assert done.returncode == 1
    found = {(cell["network"], cell["runtime"]): cell for cell in cells_of(done)}
    assert found["spectrum", "onnxruntime"]["latency"] is not None
    assert "ncnn has no layer for torch.fft.rfft2" in found["spectrum", "ncnn"]["export_error"]
    for runtime in ("onnxruntime", "ncnn"):
        assert found["tiny", runtime]["latency"] is not None


def test_a_shape_that_does_not_fit_is_bad_use(groundspeed: Groundspeed, tmp_path: Path) -> None:
    done = groundspeed("run", TINY, "--input-shape", "1,5,32,32", cwd=tmp_path)
    assert done.returncode == 2
    assert "does not run on inputs of 1x5x32x32" in done.stderr


@pytest.mark.parametrize("option", ["--data", "--test"])
@pytest.mark.parametrize("bad", ["missing", "empty", "channels_last.npz", "broken.npz"])
def test_bad_data_are_found_before_anything_is_exported(
    groundspeed: Groundspeed, tmp_path: Path, option: str, bad: str
) -> None:
    images = np.zeros((4, 3, 32, 32), np.float32)
    np.savez(tmp_path / "good.npz", x=images)
    np.savez(tmp_path / "channels_last.npz", x=np.moveaxis(images, 1, -1))
    np.savez(tmp_path / "broken.npz", x=np.where(np.arange(32) == 31, np.nan, images))
    (tmp_path / "empty").mkdir()
    data = {"--data": "good.npz", "--test": "good.npz"} | {option: bad}
    named = [word for pair in data.items() for word in pair]
    done = groundspeed("run", TINY, "--precision", "fp32,int8", *named, cwd=tmp_path)
    assert done.returncode == 2
    assert bad in done.stderr
    assert "exporting" not in done.stderr


# ---- files --------------------------------------------------------------------------------------


def test_folders_and_bare_files_are_benched_and_profiled(
    groundspeed: Groundspeed, artifacts: dict[str, Path], tmp_path: Path
) -> None:
    bare = artifacts["ncnn"] / "model.param"
    store = ["--store", tmp_path / "results"]
    benched = groundspeed("bench", *artifacts.values(), "--rounds", "2", *store, "--json")
    assert benched.returncode == 0, benched.stderr
    assert [cell["launches"] for cell in cells_of(benched)] == [2, 2]

    shape = ["--input-shape", "1,3,32,32"]
    profiled = groundspeed("profile", bare, artifacts["onnxruntime"], *shape, *store, "--json")
    assert profiled.returncode == 0, profiled.stderr
    unknown, known = (cell["breakdown"]["modules"] for cell in cells_of(profiled))
    assert "stem" in {module["path"] for module in known}
    assert "stem" not in {module["path"] for module in unknown}

    page = tmp_path / "page.html"
    assert groundspeed("report", "--run", "1", "-o", page, *store).returncode == 0
    assert "onnxruntime" in page.read_text()


def test_damaged_files_are_told_one_by_one(
    groundspeed: Groundspeed, artifacts: dict[str, Path], tmp_path: Path
) -> None:
    param, binary = (artifacts["ncnn"] / f"model.{suffix}" for suffix in ("param", "bin"))
    sources = {
        "a.onnx": (artifacts["onnxruntime"] / "model.onnx").read_bytes()[:300],
        "b.tflite": b"\x1c\0\0\0TFL3" + bytes(40),
        "c.param": param.read_bytes()[:200],
        "c.bin": binary.read_bytes(),
        "d.param": param.read_bytes(),
        "d.bin": binary.read_bytes()[:100],
    }
    for name, content in sources.items():
        (tmp_path / name).write_bytes(content)
    named = [name for name in sources if not name.endswith(".bin")]
    done = groundspeed("bench", *named, "--rounds", "1", "--json", cwd=tmp_path)
    assert done.returncode == 1
    assert len(cells_of(done)) == len(named)
    for name, cell in zip(named, cells_of(done), strict=True):
        assert cell["latency"] is None
        assert any(name in failure for failure in cell["failures"])


@pytest.mark.parametrize(("command", "name"), [("inspect", "cut.onnx"), ("run", "cut.pt2")])
def test_a_damaged_network_is_bad_use(
    groundspeed: Groundspeed, tmp_path: Path, command: str, name: str
) -> None:
    (tmp_path / name).write_bytes(b"\x08\x0aPK\x03\x04 cut short")
    done = groundspeed(command, name, cwd=tmp_path)
    assert done.returncode == 2
    assert name in done.stderr


def test_a_network_that_answers_nan_is_no_result_and_the_others_are_kept(
    groundspeed: Groundspeed, artifacts: dict[str, Path], tmp_path: Path
) -> None:
    layers = ["Input in0 0 1 in0", "UnaryOp logarithm 1 1 in0 out0 0=8"]
    (tmp_path / "nan.param").write_text("\n".join(["7767517", "2 2", *layers, ""]))
    (tmp_path / "nan.bin").touch()
    shape = ["--input-shape", "1,3,32,32"]
    files = ["nan.param", artifacts["onnxruntime"]]
    done = groundspeed("bench", *files, *shape, "--rounds", "1", "--json", cwd=tmp_path)
    assert done.returncode == 1
    bad, good = cells_of(done)
    assert bad["latency"] is None
    assert "holds NaN or infinity" in bad["failures"][0]
    assert good["latency"] is not None


def test_an_artifact_whose_file_was_cut_is_not_measured(
    groundspeed: Groundspeed, artifacts: dict[str, Path], tmp_path: Path
) -> None:
    os.truncate(artifacts["ncnn"] / "model.bin", 100)
    done = groundspeed("bench", artifacts["ncnn"], cwd=tmp_path)
    assert done.returncode == 2
    assert "cut short" in done.stderr


# ---- interruptions ------------------------------------------------------------------------------


def interrupted(command: list[str], at: str, how: signal.Signals) -> tuple[int, str]:
    """Run a command, send it a signal when it says ``at``; return its exit code and words."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    with process:
        said = []
        for line in process.stderr:
            said.append(line)
            if at in line:
                process.send_signal(how)
    return process.returncode, "".join(said)


def test_an_interrupted_run_goes_on_where_it_was(groundspeed: Groundspeed, tmp_path: Path) -> None:
    store = tmp_path / "results"
    arguments = ["run", TINY, "--runtimes", "ncnn", "--rounds", "3", "--half-width", "0"]
    arguments += ["--store", str(store)]
    command = [sys.executable, "-m", "groundspeed", *arguments]

    code, said = interrupted(command, "round 2 of launches", signal.SIGINT)
    assert code == 130, said
    assert "Traceback" not in said
    assert "run the same command again to go on" in " ".join(said.split())
    kept = launches(store)
    assert 1 <= len(kept) < 3

    code, said = interrupted(command, "round 3 of launches", signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert f"going on after {len(kept)} launches" in said
    assert launches(store)[: len(kept)] == kept
    kept = launches(store)

    done = groundspeed(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert launches(store)[: len(kept)] == kept
    rounds = [(one.action, one.round) for one in launches(store)]
    assert rounds == [*(("measure", round) for round in range(3)), ("profile", 0)]
    assert json.loads(done.stdout)["run"] == 1


def test_a_complete_run_is_made_again(
    groundspeed: Groundspeed, artifacts: dict[str, Path], tmp_path: Path
) -> None:
    for number in (1, 2):
        done = groundspeed("bench", artifacts["ncnn"], "--rounds", "1", "--json", cwd=tmp_path)
        assert json.loads(done.stdout)["run"] == number


def test_two_runs_write_one_store_at_once(
    groundspeed: Groundspeed, artifacts: dict[str, Path], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "groundspeed", "bench", *map(str, artifacts.values())]
    command += ["--rounds", "2", "--json"]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=tmp_path)
        for _ in range(2)
    ]
    results = [json.loads(process.communicate(timeout=300)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    # Both asked for the same plan: neither took the other's run for an interrupted one.
    assert {result["run"] for result in results} == {1, 2}
    assert all(cell["launches"] == 2 for result in results for cell in result["cells"])
    entries = json.loads(groundspeed("history", "--json", cwd=tmp_path).stdout)
    assert len(entries) == 4


# ---- no space, no permission --------------------------------------------------------------------


def test_a_full_disk_ends_a_run_and_loses_nothing(
    groundspeed: Groundspeed, artifacts: dict[str, Path], small_disk: Path
) -> None:
    store = small_disk / "results"
    bench = ["bench", artifacts["ncnn"], "--rounds", "1", "--store", store]
    assert groundspeed(*bench).returncode == 0
    before = launches(store)
    filler = fill(small_disk)

    full = groundspeed(*bench, "--fresh")
    assert full.returncode == 1
    assert "full" in full.stderr
    filler.unlink()
    with Store(store) as opened:
        first = opened.run(1)
        assert [one for cell in opened.cells(first) for one in opened.launches(cell)] == before
    assert groundspeed(*bench).returncode == 0


def test_a_full_disk_leaves_no_part_of_an_export(
    groundspeed: Groundspeed, small_disk: Path
) -> None:
    fill(small_disk)
    done = groundspeed("export", TINY, "--to", "ncnn", "-o", small_disk / "artifacts")
    assert done.returncode == 1
    assert "space" in done.stderr
    assert not list(small_disk.glob("artifacts/*"))


def test_a_full_temporary_folder_is_told(
    groundspeed: Groundspeed, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A folder without any space is passed over by tempfile; one with little is not.
    fill(small_disk, leave_bytes=8192)
    monkeypatch.setenv("TMPDIR", str(small_disk))
    done = groundspeed("export", TINY, "--to", "ncnn", cwd=tmp_path)
    assert done.returncode == 1
    assert "TMPDIR" in done.stderr


def test_a_store_that_cannot_be_written_is_told_before_anything_is_measured(
    groundspeed: Groundspeed, artifacts: dict[str, Path], small_disk: Path
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = groundspeed("bench", artifacts["ncnn"], "--store", small_disk / "results")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "round 1" not in done.stderr
