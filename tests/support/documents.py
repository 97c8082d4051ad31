"""Parts of the documentation that are written from the code. `make docs` writes them, and a test compares them.

A document holds a part between `<!-- make docs: NAME -->` and `<!-- end -->`.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic.fields import FieldInfo

from octave_mcp.http.settings import HttpSettings
from octave_mcp.settings import PERSON, Settings, setting_name

ROOT = Path(__file__).parent.parent.parent

DOCUMENTS = ("README.md", "docs/settings.md")
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


PARTS: dict[str, Callable[[], str]] = {
    "settings-person": _for_a_person,
    "settings-operator": _for_an_operator,
    "settings-http": _for_http,
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
