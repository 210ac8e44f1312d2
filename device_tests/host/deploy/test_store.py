"""What the store promises: nothing is lost, nothing is doubled, every failure is a sentence."""

from __future__ import annotations

import dataclasses
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given
from hypothesis import strategies as st

from device_tests.host.deploy.postgresql_server import PostgreSQLServer
from groundspeed.artifact import Artifact, Source
from groundspeed.deploy.plan import Cell, Plan, Settings, Stop
from groundspeed.deploy.store import blobs, schema, sqlite
from groundspeed.deploy.store.location import Location
from groundspeed.deploy.store.rows import StoredEvaluation, StoredLaunch
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.documents import dump
from groundspeed.errors import ArtifactError, StoreError, UsageError
from groundspeed.measurement import Job, Launch, OpProfile, ProfiledOp

MakeArtifact = Callable[..., Artifact]


def plan(cells: int = 1) -> Plan:
    source = Source(name="tiny", spec="tiny", digest="d")
    return Plan(
        cells=tuple(
            Cell(network=source, runtime="onnxruntime", precision="fp32", threads=1 + i)
            for i in range(cells)
        ),
        settings=Settings(),
        target="local",
        machine_id="m",
    )


def stored(launch: Launch | None, round: int = 0, error: str | None = None) -> StoredLaunch:
    return StoredLaunch(
        action="measure",
        round=round,
        position=0,
        started_at="2026-01-01T00:00:00+00:00",
        duration_s=1.5,
        launch=launch,
        error=error,
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    """Return where nothing is yet, of each kind."""
    if request.param == "sqlite":
        return Location(folder=tmp_path / "results")
    server: PostgreSQLServer = request.getfixturevalue("postgresql")
    return Location(folder=tmp_path / "results", server=server.new_database())


@pytest.fixture
def store(location: Location) -> Iterator[Store]:
    with Store(location) as opened:
        yield opened


@contextmanager
def connected(location: Location) -> Iterator[sa.Connection]:
    """Change the database of a store behind its back."""
    location.folder.mkdir(exist_ok=True)
    address = f"sqlite:///{location.folder / sqlite.FILE}"
    if location.server:
        address = location.server.replace("postgresql://", "postgresql+psycopg://")
    engine = sa.create_engine(address)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def launch(fake_target: LocalTarget) -> Launch:
    return fake_target.run(Job(action="measure", runtime="onnxruntime"))


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_samples_of_any_length_come_back_unchanged(samples: list[int]) -> None:
    assert blobs.unpack(blobs.pack(samples)) == samples


def test_a_launch_comes_back_to_the_last_sample(
    store: Store, make_artifact: MakeArtifact, launch: Launch
) -> None:
    op = ProfiledOp(name="a", type="Conv", outputs=("t",), inserted=True)
    profile = OpProfile(ops=(op,), times_ns=((1, 2),), profiled_ns=(3, 4), plain_ns=(2, 3))
    full = dataclasses.replace(launch, samples_ns=(2**40, 1, 7), profile=profile)
    artifact = store.keep(make_artifact())
    run = store.add_run(plan(), "groundspeed run tiny")
    cell = store.cells(run)[0]
    store.add_launch(cell, artifact, stored(full))
    store.add_launch(cell, artifact, stored(None, round=1, error="it crashed"))
    store.finish_run(run.id, Stop.ROUNDS)
    store.close()

    with Store(store.location) as again:
        found = again.launches(again.cells(again.run())[0])
        assert [one.launch for one in found] == [full, None]
        assert found[1].error == "it crashed"
        assert found[0].comparability is not None
        assert found[0].comparability["input_shapes"] == [[1, 3, 8, 8]]
        assert again.run().plan == plan()
        assert again.run().stopped == "all rounds are spent"
        assert [row.median_ns for row in again.medians("tiny")] == [7]


def test_the_same_launch_is_never_stored_twice(
    store: Store, make_artifact: MakeArtifact, launch: Launch
) -> None:
    artifact, cell = store.keep(make_artifact()), store.cells(store.add_run(plan()))[0]
    store.add_launch(cell, artifact, stored(launch))
    with pytest.raises(StoreError, match=r"(?i)unique"):
        store.add_launch(cell, artifact, stored(launch))
    assert len(store.launches(cell)) == 1


def test_artifacts_are_kept_by_content(store: Store, make_artifact: MakeArtifact) -> None:
    artifact = make_artifact()
    kept = store.keep(artifact)
    assert store.keep(artifact).folder == kept.folder == store.folder / "artifacts" / artifact.id
    artifact.paths["model"].unlink()
    assert store.artifact(artifact.id).paths["model"].read_text().startswith("tiny")
    with pytest.raises(ArtifactError):
        store.artifact("0" * 64)


def test_a_damaged_copy_is_replaced(store: Store, make_artifact: MakeArtifact) -> None:
    artifact = make_artifact()
    store.keep(artifact).paths["model"].write_text("rotten")
    assert store.keep(artifact).paths["model"].read_text() == artifact.paths["model"].read_text()


def test_a_run_is_claimed_once(store: Store) -> None:
    run = store.add_run(plan())
    with store.claim(run.id) as mine, store.claim(run.id) as theirs:
        assert (mine, theirs) == (True, False)
    with store.claim(run.id) as again:
        assert again


def test_only_unfinished_runs_of_the_same_plan_are_found(store: Store) -> None:
    first, second = store.add_run(plan()), store.add_run(plan())
    store.add_run(plan(2))
    store.finish_run(second.id, Stop.PRECISE)
    assert [run.id for run in store.unfinished(plan())] == [first.id]


def test_an_empty_store_says_so(store: Store) -> None:
    with pytest.raises(UsageError, match="no run yet"):
        store.run()


# ---- migrations ---------------------------------------------------------------------------------


def test_the_migrations_lead_to_the_tables_in_the_code(store: Store) -> None:
    with connected(store.location) as connection:
        # What the columns' comments say is for readers of the code.
        connection.dialect.supports_comments = False
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, schema.metadata) == []
    config = Config()
    config.set_main_option("script_location", "groundspeed.deploy.store:migrations")
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [schema.REVISION]


def test_a_store_of_the_first_schema_keeps_its_runs(
    location: Location, make_artifact: MakeArtifact
) -> None:
    with connected(location) as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", "groundspeed.deploy.store:migrations")
        config.set_main_option("path_separator", "os")
        command.upgrade(config, "0001")
        connection.execute(
            sa.text("INSERT INTO run VALUES (1, :digest, :plan, '', '2026', NULL, NULL)"),
            {"digest": plan().digest, "plan": dump(plan())},
        )
        connection.execute(
            sa.text("INSERT INTO cell VALUES (1, 1, 0, 'tiny', 'ncnn', 'fp32', 1, NULL, 'why')")
        )
    with Store(location) as store:
        (cell,) = store.cells(store.run(1))
        assert (cell.export_error, cell.evaluation_id) == ("why", None)
        found = StoredEvaluation(evaluated_at="2026-01-01T00:00:00+00:00", error="it crashed")
        artifact = store.keep(make_artifact())
        store.set_evaluation([cell.id], store.add_evaluation(artifact.id, "d", found))
        (cell,) = store.cells(store.run(1))
        assert cell.evaluation_id is not None
        assert store.evaluation(cell.evaluation_id) == found


def test_opening_an_up_to_date_store_does_not_import_alembic(store: Store) -> None:
    code = (
        "import sys; from pathlib import Path; from groundspeed.deploy.store.store import Store\n"
        "from groundspeed.deploy.store.location import Location\n"
        f"where = Location(folder=Path({str(store.folder)!r}), server={store.location.server!r})\n"
        "Store(where).close(); assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_newer_schema_is_refused(store: Store) -> None:
    store.close()
    with connected(store.location) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"schema 9999.*newer Groundspeed.*upgrade"):
        Store(store.location)


# ---- what goes wrong ----------------------------------------------------------------------------


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / sqlite.FILE).write_text("dear diary, " * 200)
    with pytest.raises(StoreError, match="no store of Groundspeed"):
        Store(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="another folder"):
        Store(tmp_path / "file" / "results")


def test_a_full_disk_is_an_error_and_loses_nothing(
    tmp_path: Path, make_artifact: MakeArtifact, launch: Launch
) -> None:
    store = Store(tmp_path / "small")
    artifact, cell = store.keep(make_artifact()), store.cells(store.add_run(plan()))[0]
    # A file that may not grow further is what a full disk looks like to SQLite.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    made = 0

    def fill_up() -> None:
        nonlocal made
        for made in range(1000):
            big = dataclasses.replace(launch, samples_ns=tuple(range(made, 60_000, 7)))
            store.add_launch(cell, artifact, stored(big, round=made))

    try:
        with pytest.raises(StoreError, match=r"full.*kept.*free some space"):
            fill_up()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    store.close()
    with Store(tmp_path / "small") as again:
        found = again.launches(again.cells(again.run())[0])
        assert [one.round for one in found] == list(range(made))
        assert made > 0


WRITER = """
import sys
from pathlib import Path
from groundspeed.artifact import Artifact, Source
from groundspeed.deploy.plan import Cell, Plan, Settings, Stop
from groundspeed.deploy.store.rows import StoredLaunch
from groundspeed.deploy.store.location import Location
from groundspeed.deploy.store.store import Store

with Store(Location(folder=Path(sys.argv[4]), server=sys.argv[1])) as store:
    source = Source(name=sys.argv[3], spec="", digest="")
    cell = Cell(network=source, runtime="ncnn", precision="fp32", threads=1)
    plan = Plan(cells=(cell,), settings=Settings(), target="local", machine_id="m")
    run = store.add_run(plan)
    artifact = store.keep(Artifact.open(Path(sys.argv[2])))
    for round in range(40):
        store.add_launch(store.cells(run)[0], artifact, StoredLaunch(
            action="measure", round=round, position=0, started_at="", duration_s=0, error="none"))
    store.finish_run(run.id, Stop.ROUNDS)
"""


def test_several_processes_write_one_store_at_once(
    location: Location, tmp_path: Path, make_artifact: MakeArtifact
) -> None:
    artifact = make_artifact()
    # Those who share a database have a folder each, as on machines of their own.
    folders = {name: tmp_path / name if location.server else location.folder for name in "abc"}
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, location.server, artifact.folder, name, folders[name]],
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in "abc"
    ]
    for writer in writers:
        _, complaint = writer.communicate(timeout=120)
        assert writer.returncode == 0, complaint
    with Store(location) as store:
        runs = store.runs()
        assert sorted(run.plan.cells[0].network.name for run in runs) == ["a", "b", "c"]
        for run in runs:
            found = store.launches(store.cells(run)[0])
            assert [one.round for one in found] == list(range(40))
