"""Parts of the documentation that are written from the code. `make docs` writes them, and a test compares them.

A document holds a part between `<!-- make docs: NAME -->` and `<!-- end -->`.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic.fields import FieldInfo

from octave_mcp.clients.entries import configuration, install_link
from octave_mcp.clients.model import Client, Connection
from octave_mcp.clients.table import CLIENTS
from octave_mcp.http.settings import HttpSettings
from octave_mcp.settings import PERSON, Settings, setting_name

ROOT = Path(__file__).parent.parent.parent

DOCUMENTS = ("README.md", "docs/clients.md", "docs/settings.md")
"""Every document that has such parts, by its path in the repository."""

_PART = re.compile(r"(?<=<!-- make docs: )([\w-]+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)


def settings_table(fields: Iterable[tuple[str, FieldInfo]]) -> str:
    """Return a Markdown table of settings: variable, default, description."""
    rows = [f"| `{setting_name(name)}` | {_default(field)} | {field.description} |" for name, field in fields]
    return "\n".join(["| setting | default | |", "| --- | --- | --- |", *rows]) + "\n"


def _default(field: FieldInfo) -> str:
    if field.default_factory or field.default is None or field.default in ("", ()):
        return ""
    value = field.default
    return f"`{f'{value:g}' if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else value}`"


def _for_a_person() -> str:
    return settings_table((name, field) for name, field in Settings.model_fields.items() if _is_for_a_person(field))


def _for_an_operator() -> str:
    return settings_table((name, field) for name, field in Settings.model_fields.items() if not _is_for_a_person(field))


def _for_http() -> str:
    own = ((name, field) for name, field in HttpSettings.model_fields.items() if name not in Settings.model_fields)
    return settings_table(own)


def _is_for_a_person(field: FieldInfo) -> bool:
    return field.json_schema_extra == PERSON


def _clients() -> str:
    """Return a table of the clients and of the places where their configurations go."""
    rows = [
        f"| {client.title} | `{client.name}` | {_everywhere(client)} | {client.project and f'`{client.project}`'} |"
        for client in CLIENTS
    ]
    head = ["| client | `CLIENT` | for all projects | in one project |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *rows]) + "\n"


def _everywhere(client: Client) -> str:
    """Return its file as on Linux, and what in the client opens that file on any platform."""
    path = client.home.get("", "")
    ways = [path and f"`{path}`", client.opens and f"*{client.opens}*"]
    return ", or ".join(filter(None, ways)) or "its own command"


def _configurations() -> str:
    """Return each client's configuration with a key, to be unfolded."""
    texts = [(client, configuration(client, Connection())) for client in CLIENTS]
    return "\n".join(
        f"<details><summary>{client.title}</summary>\n\n```{client.format}\n{text}```\n\n</details>\n"
        for client, text in texts
    )


def _links() -> str:
    """Return the links that add the server with one click."""
    lines = []
    for client in CLIENTS:
        if link := install_link(client, Connection()):
            sandbox = install_link(client, Connection(sandbox=True))
            lines.append(f"- {client.title}: [with your key]({link}), [sandbox]({sandbox})\n")
    return "".join(lines)


PARTS: dict[str, Callable[[], str]] = {
    "settings-person": _for_a_person,
    "settings-operator": _for_an_operator,
    "settings-http": _for_http,
    "clients": _clients,
    "configurations": _configurations,
    "links": _links,
}
"""What writes each part, by the name that stands in the document."""


def written(text: str) -> str:
    """Return a document with its parts as they have to be. Raises KeyError for a part that nothing writes."""
    return _PART.sub(lambda found: f"{found[1]}{found[2]}{PARTS[found[1]]()}", text)


def _write() -> None:
    for path in DOCUMENTS:
        document = ROOT / path
        document.write_text(written(document.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    _write()
