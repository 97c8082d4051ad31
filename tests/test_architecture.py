"""Imports run one way, as the folder listing says, and each module has its room."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "octave_mcp"
MODULES = sorted(PACKAGE.rglob("*.py"))

MAY_IMPORT = {
    "octave": {"octave", "telemetry", "text", ""},
    "generation": {"generation", "octave", "telemetry"},
    "summary": {"octave", "text"},
    "record": {"octave", "summary", "text"},
    "text": set(),
    "settings": set(),
    "log": {"telemetry"},
    "telemetry": {"collector", "settings", ""},
    "collector": {"telemetry", ""},
    "sandbox": {"sandbox", "octave"},
    "server": {"server", "generation", "octave", "record", "sandbox", "settings", "summary", "telemetry", "text", ""},
    "demo": {"octave", "sandbox", "settings", "text", "server", ""},
    "doctor": {"generation", "log", "octave", "sandbox", "settings", "text"},
    "generate": {"generation", "octave", "printed", "server", "settings", "text"},
    "clients": set(),
    "config": {"clients", "settings"},
    "printed": {"generation", "octave", "summary", "text"},
    "cli": {
        "config",
        "demo",
        "doctor",
        "generate",
        "generation",
        "log",
        "sandbox",
        "server",
        "settings",
        "telemetry",
        "",
    },
    "__main__": {"cli"},
    "": set(),
}
"""What each part of the package may import of the others; the package itself is the empty name."""


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def part(module: str) -> str:
    """The part of the package that a dotted name is in."""
    return [*module.split("."), ""][1]


def name_of(path: Path) -> str:
    """The dotted name of a file of the package."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_run_one_way(path: Path) -> None:
    """No part reaches into one that the design does not put under it."""
    ours = {part(module) for module in imports(path) if module.split(".")[0] == "octave_mcp"}
    assert ours <= MAY_IMPORT[part(name_of(path))]


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("httpx", {"octave_mcp.octave.client"}),
        ("mcp", {"octave_mcp.server", "octave_mcp.commands.demo"}),
        ("redis", {"octave_mcp.generation.redis"}),
        (
            "opentelemetry",
            {
                "octave_mcp.observability.telemetry",
                "octave_mcp.observability.exporter",
                "octave_mcp.octave.instrumentation",
            },
        ),
        ("opentelemetry.sdk", {"octave_mcp.observability.exporter"}),
        ("opentelemetry.exporter", {"octave_mcp.observability.exporter"}),
    ],
)
def test_each_library_has_its_room(library: str, homes: set[str]) -> None:
    """Only the client knows the HTTP library; only the server, and the demo's client, know MCP; and one store Redis.

    Only what sends telemetry knows OpenTelemetry's SDK.
    """
    users = {name_of(path) for path in MODULES if any(f"{name}.".startswith(f"{library}.") for name in imports(path))}
    assert all(any(user.startswith(home) for home in homes) for user in users), users


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_stay_short_and_say_what_they_are(path: Path) -> None:
    """About 200 lines; longer only where splitting would hide the story."""
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 350


def test_the_environment_is_read_in_one_place() -> None:
    """Everything else is handed its settings."""
    readers = [
        name_of(path)
        for path in MODULES
        if any(word in path.read_text(encoding="utf-8") for word in ("os.environ", "getenv"))
    ]
    assert readers == []


def test_importing_the_package_loads_nothing_heavy() -> None:
    """Nor does asking for the version."""
    code = (
        "import sys, octave_mcp, octave_mcp.cli; print([m for m in ('mcp', 'httpx', 'pydantic') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf-8")
    assert ran.stdout.strip() == "[]"


def test_a_server_with_a_key_never_loads_the_sandbox() -> None:
    """Nor the web server that only the sandbox command needs, if the SDK does not."""
    code = "import sys, octave_mcp.server.app; print('octave_mcp.sandbox' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf-8")
    assert ran.stdout.strip() == "False"


def test_a_server_is_ready_without_what_only_some_need() -> None:
    """Neither the SDK of OpenTelemetry with what it brings, nor Redis."""
    heavy = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.metrics", "requests", "redis")
    code = f"import sys, octave_mcp.cli, octave_mcp.server.app; print([m for m in {heavy} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf-8")
    assert ran.stdout.strip() == "[]"
