"""A PostgreSQL server of its own for tests, from Debian's package. Nothing is installed here."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.nodes import missing

PROGRAMS = Path("/usr/lib/postgresql")
USER = "postgres"
START_TIMEOUT = 30.0
STOP_TIMEOUT = 10.0
POLL_INTERVAL = 0.02


@contextmanager
def running_postgres() -> Iterator[str]:
    """A server with an empty database for as long as the context lasts; gives the URL."""
    found = sorted(PROGRAMS.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        missing("PostgreSQL", "run apt-get install postgresql")
    programs = found[-1].parent
    # It refuses to run as root. A socket's path has 107 characters at the most.
    folder = Path(tempfile.mkdtemp(prefix="energy-chain-pg-", dir="/tmp"))
    other: dict[str, str | list[str]] = {}
    if os.geteuid() == 0:
        owner = pwd.getpwnam(USER)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        other = {"user": USER, "group": USER, "extra_groups": []}
    try:
        subprocess.run(
            [
                *(programs / "initdb", "--pgdata", folder / "data", "--username", USER),
                *("--auth", "trust", "--no-sync", "--encoding", "UTF8", "--locale", "C"),
            ],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            check=True,
            **other,  # type: ignore[call-overload]
        )
        command = [programs / "postgres", "-D", folder / "data", "-k", folder, "-h", ""]
        command += ["-c", "fsync=off", "-c", "log_min_messages=fatal"]
        with subprocess.Popen(command, cwd=folder, **other) as server:  # type: ignore[call-overload]
            try:
                _wait_for(folder / ".s.PGSQL.5432", server)
                yield f"postgresql://{USER}@/{USER}?host={folder}"
            finally:
                server.send_signal(signal.SIGINT)  # ends it at once, whoever is connected
                try:
                    server.wait(STOP_TIMEOUT)
                except subprocess.TimeoutExpired:
                    server.kill()
    finally:
        shutil.rmtree(folder)


def _wait_for(socket: Path, server: subprocess.Popen[bytes]) -> None:
    import psycopg

    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            psycopg.connect(host=str(socket.parent), user=USER, dbname=USER).close()
            return
        except psycopg.OperationalError:
            assert server.poll() is None, "PostgreSQL ended at once"
            assert time.monotonic() < deadline, "PostgreSQL does not answer"
            time.sleep(POLL_INTERVAL)
