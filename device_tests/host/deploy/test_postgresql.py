"""A store that several machines share, on a real server: what they see, and what goes wrong."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device_tests.host.deploy.postgresql_server import PostgreSQLServer
from groundspeed.artifact import Artifact, File, Source
from groundspeed.deploy.plan import Cell, Plan, Settings
from groundspeed.deploy.store import contents, postgresql
from groundspeed.deploy.store.leases import Lease, Taken
from groundspeed.deploy.store.location import Location
from groundspeed.deploy.store.rows import StoredLaunch
from groundspeed.deploy.store.store import Store
from groundspeed.errors import ArtifactError, MissingExtra, StoreError

MakeArtifact = Callable[..., Artifact]
Machine = Callable[[str], Store]


@pytest.fixture
def database(postgresql: PostgreSQLServer) -> str:
    return postgresql.new_database()


@pytest.fixture
def machine(database: str, tmp_path: Path) -> Iterator[Machine]:
    """Return a function that opens the database as on a machine of its own."""
    stores = []

    def open_on(name: str) -> Store:
        stores.append(Store(Location(folder=tmp_path / name, server=database)))
        return stores[-1]

    yield open_on
    for store in stores:
        store.close()


def plan() -> Plan:
    source = Source(name="tiny", spec="tiny", digest="d")
    cell = Cell(network=source, runtime="ncnn", precision="fp32", threads=1)
    return Plan(cells=(cell,), settings=Settings(), target="local", machine_id="m")


def failed(round: int) -> StoredLaunch:
    return StoredLaunch(
        action="measure", round=round, position=0, started_at="", duration_s=1, error="none"
    )


def big(artifact: Artifact, size_bytes: int) -> Artifact:
    """Return the artifact with a file of a given size, whose bytes all differ by their place."""
    path = artifact.paths["model"]
    path.write_bytes(
        b"".join(i.to_bytes(4, "big") for i in range(size_bytes // 4 + 1))[:size_bytes]
    )
    object.__setattr__(artifact.manifest, "files", (File.of("model", path),))
    artifact.save()
    return artifact


# ---- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size_bytes", [0, 1, contents.PART_BYTES, 2 * contents.PART_BYTES + 5])
def test_another_machine_has_the_files(
    machine: Machine, make_artifact: MakeArtifact, size_bytes: int
) -> None:
    artifact = big(make_artifact(), size_bytes)
    machine("a").keep(artifact)
    there = machine("b").artifact(artifact.id)
    assert there.manifest == artifact.manifest
    assert there.folder.parent.parent.name == "b"
    assert there.paths["model"].read_bytes() == artifact.paths["model"].read_bytes()


def test_a_transfer_that_broke_goes_on(
    machine: Machine,
    make_artifact: MakeArtifact,
    postgresql: PostgreSQLServer,
    database: str,
) -> None:
    artifact = big(make_artifact(), 3 * contents.PART_BYTES)
    store, name = machine("a"), database.rpartition("/")[2]
    store.keep(artifact)
    postgresql.sql("DELETE FROM content WHERE part = 1; DELETE FROM artifact", name)
    with pytest.raises(ArtifactError, match="no artifact"):
        machine("b").artifact(artifact.id)
    store.keep(artifact)
    there = machine("b").artifact(artifact.id)
    assert there.paths["model"].read_bytes() == artifact.paths["model"].read_bytes()


def test_a_damaged_file_is_no_artifact(
    machine: Machine,
    make_artifact: MakeArtifact,
    postgresql: PostgreSQLServer,
    database: str,
) -> None:
    kept = machine("a").keep(make_artifact())
    postgresql.sql("UPDATE content SET data = 'rotten'", database.rpartition("/")[2])
    with pytest.raises(ArtifactError, match="not the file that the manifest describes"):
        machine("b").artifact(kept.id)


# ---- who works with what ------------------------------------------------------------------------


def test_machines_of_one_database_are_one_store_to_a_device(
    machine: Machine, postgresql: PostgreSQLServer, tmp_path: Path
) -> None:
    assert machine("a").identity == machine("b").identity
    other = Location(folder=tmp_path / "a", server=postgresql.new_database())
    with Store(other) as store:
        assert store.identity != machine("a").identity


def test_a_device_that_one_machine_has_is_taken_for_the_others(machine: Machine) -> None:
    lease = machine("a").leases.take("ssh://pi", "anna", 30)
    assert isinstance(lease, Lease)
    found = machine("b").leases.take("ssh://pi", "ben", 30)
    assert isinstance(found, Taken)
    assert found.holder == "anna"
    machine("a").leases.give_back(lease)
    later = machine("b").leases.take("ssh://pi", "ben", 30)
    assert isinstance(later, Lease)
    assert later.number == lease.number + 1


def test_leases_run_by_the_clock_of_the_server(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = machine("a")
    assert isinstance(store.leases.take("ssh://pi", "anna", 30), Lease)
    monkeypatch.setattr(time, "time", lambda: 1e12)  # this machine's is far ahead
    assert isinstance(machine("b").leases.take("ssh://pi", "ben", 30), Taken)


HOLDER = """
import sys, time
from pathlib import Path
from groundspeed.deploy.store.location import Location
from groundspeed.deploy.store.store import Store
with Store(Location(folder=Path(sys.argv[1]), server=sys.argv[2])) as store:
    with store.claim(1) as mine:
        print(mine, flush=True)
        time.sleep(600)
"""


def test_a_killed_process_holds_no_run(machine: Machine, database: str, tmp_path: Path) -> None:
    store = machine("a")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "b"), database],
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        with store.claim(1) as mine:
            assert not mine
        holder.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while True:
        with store.claim(1) as mine:
            if mine:
                break
        assert time.monotonic() < deadline
        time.sleep(0.1)


# ---- what goes wrong ----------------------------------------------------------------------------


def test_a_server_that_restarts_between_launches_is_waited_for(
    tmp_path: Path, make_artifact: MakeArtifact
) -> None:
    with PostgreSQLServer() as server:
        location = Location(folder=tmp_path / "a", server=server.new_database())
        with Store(location) as store:
            artifact, run = store.keep(make_artifact()), store.add_run(plan())
            (cell,) = store.cells(run)
            with store.claim(run.id) as mine:
                assert mine
                store.add_launch(cell, artifact, failed(0))
                server.stop()
                restart = threading.Timer(2, server.start)
                restart.start()
                store.add_launch(cell, artifact, failed(1))
                restart.join()
            assert [one.round for one in store.launches(cell)] == [0, 1]


def test_a_server_that_stays_away_is_a_sentence_and_loses_nothing(
    tmp_path: Path, make_artifact: MakeArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "PATIENCE_S", 0)
    with PostgreSQLServer() as server:
        location = Location(folder=tmp_path / "a", server=server.new_database())
        with Store(location) as store:
            artifact = store.keep(make_artifact())
            (cell,) = store.cells(store.add_run(plan()))
            store.add_launch(cell, artifact, failed(0))
            server.stop()
            with pytest.raises(StoreError, match=r"before is kept.*run the same command again"):
                store.add_launch(cell, artifact, failed(1))
            server.start()
            store.add_launch(cell, artifact, failed(1))
            assert [one.round for one in store.launches(cell)] == [0, 1]


@pytest.mark.parametrize(
    ("name", "user", "password", "complaint"),
    [
        ("postgres", "owner", "wrong", r"password authentication failed.*PGPASSWORD"),
        ("postgres", "nobody", "wrong", r"authentication failed.*check the user"),
        ("nothing", "owner", "open%3Asesame", r'"nothing" does not exist.*createdb'),
        ("postgres", "guest", "guest", r"permission denied.*let the user create"),
    ],
)
def test_what_a_server_refuses_is_a_sentence_without_the_password(
    postgresql: PostgreSQLServer,
    tmp_path: Path,
    name: str,
    user: str,
    password: str,
    complaint: str,
) -> None:
    postgresql.sql(
        "DO $$ BEGIN CREATE ROLE guest LOGIN PASSWORD 'guest'; "
        "EXCEPTION WHEN duplicate_object THEN NULL; END $$"
    )
    address = postgresql.address(name, user, password)
    with pytest.raises(StoreError, match=complaint) as caught:
        Store(Location(folder=tmp_path, server=address))
    assert f":{password}@" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_server_is_a_sentence(tmp_path: Path) -> None:
    location = Location(folder=tmp_path, server="postgresql://me@127.0.0.1:1/speed")
    with pytest.raises(StoreError, match=r"refused.*check that the server runs"):
        Store(location)


def test_a_database_of_others_gets_no_half_of_our_tables(
    postgresql: PostgreSQLServer, database: str, tmp_path: Path
) -> None:
    name = database.rpartition("/")[2]
    postgresql.sql("CREATE TABLE run (mine text)", name)
    with pytest.raises(StoreError, match='"run" already exists'):
        Store(Location(folder=tmp_path, server=database))
    tables = postgresql.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", name)
    assert tables == "run"


def test_a_missing_client_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "psycopg" else find(name)
    )
    with pytest.raises(MissingExtra, match=r"pip install 'groundspeed\[postgresql\]'"):
        Store(Location(folder=tmp_path, server="postgresql://db/speed"))
