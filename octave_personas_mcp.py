"""Where the command starts: it looks whether the package `octave_mcp` is this project's, and only then loads it.

An unrelated project, `octave-mcp`, has a package of that name too. In one environment each installs its files over the
other's, and what is left runs as neither. This module is outside of the package, so that it runs all the same.
"""

import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path

__all__ = ["main"]

DISTRIBUTION = "octave-personas-mcp"
PACKAGE = "octave_mcp"

MARK = f'__distribution__ = "{DISTRIBUTION}"'.encode()
"""A line of the package's first file."""

OVERWRITTEN = 2
"""The exit code, as for settings that cannot be used: nothing was sent, and trying again cannot help."""

NAMED = 5
"""How many damaged files are named; the others are counted."""


def main() -> int:
    """Run the command. Returns its exit code."""
    if not _is_ours():
        return _refuse(list(_damaged()))
    try:
        from octave_mcp.cli import main as command

        return command()
    except ImportError:
        # Looked for only now, since reading every file takes longer than starting.
        if damaged := list(_damaged()):
            return _refuse(damaged)
        raise


def _is_ours() -> bool:
    """Whether the package that Python finds is this project's, with no other package in front of a module of it.

    It takes some tenths of a millisecond, at every start.
    """
    spec = PathFinder.find_spec(PACKAGE)
    if spec is None:  # it is in no folder, so nobody wrote over it
        return True
    if spec.origin is None:  # a folder without its first file
        return False
    first = Path(spec.origin)
    try:
        if MARK not in first.read_bytes():
            return False
        modules = [path for path in first.parent.iterdir() if path.suffix == ".py"]
    except OSError:  # in a zip, for example
        return True
    return not any(_covered(module) for module in modules)


def _covered(module: Path) -> bool:
    """Whether Python takes a folder of that name in its place."""
    return (module.with_suffix("") / "__init__.py").exists()


def _damaged() -> Iterator[str]:
    """The files of the package that are not as they were installed, as far as a record tells."""
    from base64 import urlsafe_b64encode
    from csv import reader
    from hashlib import sha256
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        installed = distribution(DISTRIBUTION)
    except PackageNotFoundError:
        return
    # Read here, since the library's own list leaves out files that are gone.
    for name, recorded, _ in reader((installed.read_text("RECORD") or "").splitlines()):
        if not name.startswith(f"{PACKAGE}/") or not recorded.startswith("sha256="):
            continue
        path = Path(str(installed.locate_file(name)))
        content = path.read_bytes() if path.exists() else b""
        digest = urlsafe_b64encode(sha256(content).digest()).rstrip(b"=").decode()
        if not path.exists() or digest != recorded.removeprefix("sha256=") or _covered(path):
            yield name


def _others() -> list[str]:
    """The other distributions here that have a package of that name."""
    from importlib.metadata import packages_distributions

    return sorted(set(packages_distributions().get(PACKAGE, [])) - {DISTRIBUTION})


def _refuse(damaged: list[str]) -> int:
    """Say what happened and how to mend it."""
    print(f"octave-mcp cannot start: another package has written over files of {DISTRIBUTION}.", file=sys.stderr)
    if damaged:
        more = f", and {len(damaged) - NAMED} more" if len(damaged) > NAMED else ""
        print(f"Changed, covered or gone: {', '.join(damaged[:NAMED])}{more}.", file=sys.stderr)
    if others := _others():
        print(f"Here too, with a package of the same name ({PACKAGE}): {', '.join(others)}.", file=sys.stderr)
    print(
        f"The two cannot share an environment. Install {DISTRIBUTION} in one of its own, with `uv tool install`, "
        "`pipx install`, or pip in a new virtual environment. To keep this environment for it, uninstall the other, "
        "then install it again with `--force-reinstall`.",
        file=sys.stderr,
    )
    return OVERWRITTEN


if __name__ == "__main__":
    sys.exit(main())
