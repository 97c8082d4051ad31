"""Imports run one way, as the folder listing says, and each module and each third-party library has its room."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from octave_mcp.commands import COMMANDS

PACKAGE = Path(__file__).parent.parent / "octave_mcp"
TESTS = Path(__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

MAX_LINES = 350
"""Lines of one module. About 200 are usual; more only where splitting would hide the story."""

MAX_MODULES = 14
"""Modules of one room, `__init__` aside: about a dozen, so that its listing is read at one glance."""

EVERYWHERE = {"", "settings", "values", "streams", "observability"}
"""What every room may import: the version, the settings, how values are read, the standard streams, and telemetry."""

MAY_IMPORT = {
    "values": set(),
    "streams": set(),
    "settings": {"values"},
    "observability": {"", "settings", "streams", "values"},
    "octave": EVERYWHERE,
    "sandbox": {"", "octave"},
    "cards": set(),
    "sources": EVERYWHERE | {"octave"},
    "ledger": set(),
    "generation": EVERYWHERE | {"ledger", "octave"},
    "personas": EVERYWHERE | {"octave"},
    "results": EVERYWHERE | {"generation", "ledger", "octave", "personas"},
    "tools": EVERYWHERE | {"cards", "generation", "ledger", "octave", "personas", "results", "sandbox", "sources"},
    "server": EVERYWHERE | {"cards", "generation", "ledger", "octave", "personas", "results", "tools"},
    "http": EVERYWHERE | {"ledger", "octave", "server", "tools"},
    "clients": {"values"},
    "commands": EVERYWHERE
    | {
        "clients",
        "generation",
        "http",
        "ledger",
        "octave",
        "personas",
        "results",
        "sandbox",
        "server",
        "sources",
        "tools",
    },
    "cli": EVERYWHERE | {"commands"},
    "__main__": {"cli"},
    "": set(),
}
"""What each room may import. The empty name is the package itself.

From above to below:
`cli -> commands -> http -> server -> tools -> results -> {generation, personas, …} -> {octave, ledger}`.
"""

LIBRARIES = {
    "httpx": {"octave_mcp.octave"},
    "mcp": {
        "octave_mcp.cards",
        "octave_mcp.results",
        "octave_mcp.server",
        "octave_mcp.tools",
        "octave_mcp.http",
        "octave_mcp.commands.demo",
        "octave_mcp.commands.doctor",
    },
    "psycopg": {"octave_mcp.ledger.postgres"},
    "sqlite3": {"octave_mcp.ledger.sqlite", "octave_mcp.ledger.ledger"},
    "uvicorn": {"octave_mcp.http", "octave_mcp.commands", "octave_mcp.cli"},
    "jwt": {"octave_mcp.http.oauth"},
    "markitdown": {"octave_mcp.sources"},
    "opentelemetry": {"octave_mcp.observability", "octave_mcp.octave.instrumentation"},
    "opentelemetry.sdk": {"octave_mcp.observability.exporter"},
    "opentelemetry.exporter": {"octave_mcp.observability.exporter"},
}
"""The rooms or modules in which each third-party library may be imported."""

ENVIRONMENT = {"octave_mcp.settings", "octave_mcp.observability.environment"}
"""The modules that touch the environment: one reads all settings, the other removes what OpenTelemetry cannot load."""

UNMIRRORED = {"bench", "clients", "conformance", "deploy", "npm", "soak", "support"}
"""Folders of `tests` that are about more than one room, or about none."""


def name_of(path: Path) -> str:
    """Return the dotted name of a file of the package."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path): path for path in FILES}


def room_of(name: str) -> str:
    """Return the room that a dotted name of the package is in."""
    return [*name.split("."), ""][1]


def imported(path: Path) -> Iterator[str]:
    """Yield the dotted name of everything that a file imports, wherever in it, but not for type checkers only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name for name in submodules if name in NAMES]
            yield from modules or [node.module]


def ours(path: Path) -> set[str]:
    """Return the modules of this package that a file imports."""
    return {name for name in imported(path) if name.split(".")[0] == "octave_mcp"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_run_one_way(path: Path) -> None:
    """No room reaches into one that the design does not put under it."""
    own = room_of(name_of(path))
    foreign = {name for name in ours(path) if room_of(name) != own}
    allowed = MAY_IMPORT[own]
    assert not {name for name in foreign if room_of(name) not in allowed}


def test_no_two_modules_import_each_other() -> None:
    """There is no cycle, however long, and also none through an import within a function."""
    graph = {name: ours(path) & NAMES.keys() - {name} for name, path in NAMES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"These import each other in a circle: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize(("library", "homes"), LIBRARIES.items(), ids=LIBRARIES)
def test_each_library_has_its_room(library: str, homes: set[str]) -> None:
    """A library can be replaced by changing one room, or one module."""
    users = {name for name, path in NAMES.items() if any(is_in(used, library) for used in imported(path))}
    assert not {user for user in users if not any(is_in(user, home) for home in homes)}


def is_in(name: str, module: str) -> bool:
    """Return whether a dotted name is a module, or something in it."""
    return f"{name}.".startswith(f"{module}.")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_module_is_short_and_says_what_it_is(path: Path) -> None:
    """Each begins with a docstring, and ends before its reader is tired."""
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= MAX_LINES


@pytest.mark.parametrize("room", sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()))
def test_a_room_is_listed_at_one_glance(room: str) -> None:
    """It has about a dozen modules, no folders, and a line that says what it is for.

    Modules that are named like a command are not counted: `--help` lists them, and each command has one.
    """
    files = [path for path in (PACKAGE / room).rglob("*.py") if path.name != "__init__.py"]
    assert len([path for path in files if room != "commands" or path.stem not in COMMANDS]) <= MAX_MODULES
    assert {path.parent.name for path in files} == {room}
    assert ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8")))


def test_the_environment_is_read_in_one_place() -> None:
    """Everything else is handed its settings."""
    words = re.compile(r"os\.environ\b|getenv|import environ\b")
    readers = {name for name, path in NAMES.items() if words.search(path.read_text(encoding="utf-8"))}
    assert readers <= ENVIRONMENT


def test_the_tests_mirror_the_package() -> None:
    """The tests of a room are in the folder of the same name."""
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    folders = {path.parent.relative_to(TESTS).parts[0] for path in TESTS.glob("*/**/test_*.py")}
    assert folders - UNMIRRORED <= rooms
    assert rooms <= folders


def loaded_by(statement: str, *modules: str) -> list[str]:
    """Return which of the modules a fresh interpreter has loaded after a statement."""
    code = f"import sys; {statement}; print(*[name for name in {modules} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf-8")
    return ran.stdout.split()


def test_importing_the_package_loads_nothing_heavy() -> None:
    """Nor does asking for the version."""
    assert loaded_by("import octave_mcp, octave_mcp.cli", "mcp", "httpx", "pydantic", "opentelemetry") == []


def test_a_server_starts_without_what_only_some_need() -> None:
    """A client waits for the start at every chat: no sandbox, no SDK of OpenTelemetry, no PostgreSQL, no documents."""
    heavy = ("octave_mcp.sandbox", "opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.metrics")
    libraries = ("requests", "psycopg", "markitdown", "jwt")
    assert loaded_by("import octave_mcp.cli, octave_mcp.server.app", *heavy, *libraries) == []
