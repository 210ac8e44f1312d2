"""Debian's own PostgreSQL server on a port of this machine, with users and data of its own."""

import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Self

PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
PASSWORD = "open:sesame"  # a colon, to be escaped in addresses


class PostgreSQLServer:
    """A server; a context manager."""

    def __init__(self) -> None:
        assert PROGRAMS is not None
        # The server refuses to run as root, and its user cannot enter the folders of pytest.
        self._user = "postgres" if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="groundspeed-postgresql-"))
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.port = listening.getsockname()[1]
        self._names = map("results{}".format, itertools.count())
        password = self._folder / "password"
        password.write_text(PASSWORD)
        if self._user:
            shutil.chown(self._folder, self._user)
            shutil.chown(password, self._user)
        self._run(
            "initdb",
            "--username=owner",
            "--auth=scram-sha-256",
            f"--pwfile={password}",
            "--no-sync",
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-c port={self.port} -c listen_addresses=127.0.0.1 -c fsync=off"
        options += f" -c unix_socket_directories={self._folder}"
        self._run("pg_ctl", "start", "--wait", f"--log={self._folder}/log", f"--options={options}")

    def stop(self) -> None:
        """Stop it; connections are cut."""
        self._run("pg_ctl", "stop", "--wait", "--mode=fast")

    def new_database(self) -> str:
        """Make an empty database and return its address."""
        name = next(self._names)
        self.sql(f"CREATE DATABASE {name}")
        return self.address(name)

    def address(self, name: str, user: str = "owner", password: str = "open%3Asesame") -> str:
        """Return the address of a database."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{name}"

    def sql(self, command: str, database: str = "postgres") -> str:
        """Run a command of SQL as the owner, and return what it prints."""
        client = ["psql", "--no-psqlrc", "-tA", "-v", "ON_ERROR_STOP=1", "-c", command]
        done = subprocess.run(
            [*client, f"host=127.0.0.1 port={self.port} user=owner dbname={database}"],
            env={**os.environ, "PGPASSWORD": PASSWORD},
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def _run(self, program: str, *words: str) -> None:
        assert PROGRAMS is not None
        subprocess.run(
            [PROGRAMS / program, "--pgdata", self._folder / "data", *words],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
        )
