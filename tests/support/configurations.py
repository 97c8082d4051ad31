"""The configurations in `examples/` and in the README, from the source that `octave-personas-mcp config` prints.

`python -m support.configurations`, which `make configs` runs, writes them anew; a test compares them.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from octave_mcp.commands.clients import CLIENTS, Client, Wanted, configuration

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "README.md"

KINDS = {
    "sandbox": Wanted(sandbox=True),
    "key": Wanted(),
    "http": Wanted(url="https://personas.example.com/mcp"),
}
"""The folders of `examples/`. No machine's path is in them: the command is found by its name."""

SHOWN = "key"
"""The folder that the README shows."""

PART = re.compile(r"(?<=<!-- make configs -->\n).*(?=<!-- until here -->)", re.DOTALL)
"""What is generated of the README."""


def files() -> Iterator[tuple[str, str]]:
    """Each file of `examples/` that is generated, by its path in the repository, and its text."""
    for kind, wanted in KINDS.items():
        for client in CLIENTS:
            yield _path(kind, client), configuration(client, wanted)


def readme(text: str) -> str:
    """The README, with its generated part as it has to be."""
    rows = [
        f"| {client.title} | `{client.name}` | {_everywhere(client)} | {_quoted(client.project)} |"
        for client in CLIENTS
    ]
    head = ["| assistant | `CLIENT` | for all projects | in one project |", "| --- | --- | --- | --- |"]
    table = "\n".join([*head, *rows])
    blocks = "\n".join(map(_block, CLIENTS))
    return PART.sub(lambda _: f"{table}\n\n{blocks}", text)


def _path(kind: str, client: Client) -> str:
    return f"examples/{kind}/{client.name}.{'toml' if client.toml else 'json'}"


def _everywhere(client: Client) -> str:
    """Its file as on Linux, and what in the client opens that file on any machine."""
    ways = [_quoted(client.home.get("", "")), client.opens and f"*{client.opens}*"]
    return ", or ".join(filter(None, ways)) or "by its own command, below"


def _quoted(path: str) -> str:
    return path and f"`{path}`"


def _block(client: Client) -> str:
    path = _path(SHOWN, client)
    text = configuration(client, KINDS[SHOWN])
    return (
        f"<details><summary>{client.title}</summary>\n\n<!-- {path} -->\n```{path.rpartition('.')[2]}\n{text}```\n\n"
        "</details>\n"
    )


def _write() -> None:
    for kind in KINDS:
        shutil.rmtree(ROOT / "examples" / kind, ignore_errors=True)
        (ROOT / "examples" / kind).mkdir()
    for path, text in files():
        (ROOT / path).write_text(text, encoding="utf-8")
    README.write_text(readme(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    _write()
