"""PostgreSQL for the tests of what is kept, on both kinds of database.

It is a cluster of its own in a folder that goes away. Where it is not installed its tests are skipped with the reason,
or fail when `BETHINK_TEST_POSTGRES=required` (as CI sets it).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest


@pytest.fixture(scope="session")
def cluster() -> Iterator[Path]:
    """The folder of a running PostgreSQL's socket."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        if os.environ.get("BETHINK_TEST_POSTGRES") == "required":
            pytest.fail("PostgreSQL is required here, and there is no /usr/lib/postgresql/*/bin/initdb")
        pytest.skip("PostgreSQL is not installed here (apt-get install postgresql)")
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to be run by root
    folder = Path(tempfile.mkdtemp(prefix="bethink-postgres-"))
    if user:
        shutil.chown(folder, user)
    data = folder / "data"
    initdb = [str(found[-1]), "-D", str(data), "-U", "bethink", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(initdb, check=True, capture_output=True, user=user, cwd=folder)
    settings = [f"unix_socket_directories={folder}", "listen_addresses=", "fsync=off", "max_connections=50"]
    options = [word for setting in settings for word in ("-c", setting)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [str(found[-1].with_name("postgres")), "-D", str(data), *options],
            stdout=log, stderr=log, user=user, cwd=folder,
        )  # fmt: skip
    try:
        _wait_for(folder)
        yield folder
    finally:
        server.send_signal(signal.SIGQUIT)  # at once: what it holds is thrown away
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(folder: Path) -> None:
    for attempt in range(300):
        try:
            psycopg.connect(host=str(folder), user="bethink", dbname="postgres").close()
            return
        except psycopg.OperationalError:
            if attempt == 299:
                raise
            time.sleep(0.1)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that nobody has used, on each kind of server."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'accounts.db'}"
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def postgresql_url(cluster: Path) -> str:
    """One database for all tests, emptied for each: making one takes longer than most tests."""
    with psycopg.connect(host=str(cluster), user="bethink", dbname="postgres", autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return f"postgresql://bethink@/postgres?host={cluster}"
