"""Models of the answers of Octave's look-ups, which read every shape that Octave's documents describe.

Source: Octave's API reference. Lists come with their rows in `data`, or nested with their counts inside `data`;
playbooks are described with `data` as an object too. `hasNext` and `total` may be missing.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from octave_mcp.octave.lenient_types import Answer, Date, Flag, Number, Text, WithMetadata, mapping, mappings
from octave_mcp.octave.models import Persona

MAX_ROWS = 1000
"""Bounds the rows that are read of one page: nobody asks for more, and each takes time to read."""

MAX_COUNT = 10**9
"""A number of rows above this is nonsense."""


def _in_one_shape(value: object) -> object:
    """Return an answer with its rows and its counts at the places where most lists have them."""
    if not isinstance(value, Mapping):
        return value
    parts, rows = dict(value), value.get("data")
    while isinstance(rows, Mapping):
        parts |= {name: rows[name] for name in ("hasNext", "total") if name in rows}
        rows = _rows_in(rows)
    is_list = isinstance(rows, list)
    rows = rows[:MAX_ROWS] if isinstance(rows, list) else []
    is_empty = value.get("data", ...) in (None, {})
    return {**parts, "data": rows, "received": len(rows), "is_list": is_list, "is_empty": is_empty}


def _rows_in(data: Mapping[str, Any]) -> object:
    """Return rows that are nested in an object: in its own `data`, in another list, as one row, or as its values.

    Return None if it has neither rows nor an empty list.
    """
    if isinstance(data.get("data"), list | Mapping) and not data.get("oId"):
        return data["data"]
    if data.get("oId") or data.get("name"):
        return [data]
    lists = (
        inner for inner in data.values() if isinstance(inner, list) and any(isinstance(row, Mapping) for row in inner)
    )
    values = [inner for inner in data.values() if isinstance(inner, Mapping)]
    return next(lists, values or ([] if [] in data.values() else None))


class Page(WithMetadata):
    """Base of one page of a list. `hasNext` and `total` are None if Octave left them out.

    `received` counts the rows as they came, also those that cannot be read: the next page begins after them. `is_list`
    is False if the answer has no list in any known place; `is_empty` is True if it has null or `{}` in its place.
    """

    hasNext: Flag = None
    total: Number = None
    received: int = 0
    is_list: bool = False
    is_empty: bool = False
    data: list[Any] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _shaped(cls, value: object) -> object:
        return _in_one_shape(value)

    @property
    def is_readable(self) -> bool:
        """Whether the page can be shown: it has a row that can be read, or it is an empty list, null or `{}`."""
        return (self.is_list or self.is_empty or self.total == 0) and bool(self.data or not self.received)

    def count(self, offset: int) -> int | None:
        """Return the number of rows on all pages; None if Octave did not say, or if it cannot be so many or so few."""
        if self.total is None or not offset + self.received <= self.total <= MAX_COUNT:
            return None
        return None if self.hasNext and self.total == offset + self.received else int(self.total)

    def goes_on(self, offset: int) -> bool:
        """Return whether rows may follow this page, which began at `offset`.

        That is so if `hasNext` or `total` says so, and also if Octave gave neither.
        """
        if not self.received:
            return False
        count = self.count(offset)
        if self.hasNext or (self.hasNext is None and count is None):
            return True
        return (count or 0) > offset + self.received


AnyPage = TypeVar("AnyPage", bound=Page)


class PersonaPage(Page):
    """The answer of `GET /api/v2/persona/list`."""

    data: Annotated[list[Persona], BeforeValidator(mappings)] = Field(default_factory=list)


class LibraryRow(Answer):
    """One row of a library's list, of any kind. Only a brand voice has `default`."""

    oId: Text = None
    name: Text = None
    internalName: Text = None
    description: Text = None
    type: Text = None
    default: Flag = None
    deletedAt: Date = None
    archivedAt: Date = None
    data: Annotated[dict[str, Any], BeforeValidator(mapping)] = Field(default_factory=dict)

    @property
    def offering_type(self) -> str | None:
        """The offering's type, such as PRODUCT."""
        inner = self.data.get("type")
        return self.type or (inner if isinstance(inner, str) else None)

    @property
    def summary(self) -> str | None:
        """The row's description or summary."""
        inner = self.data.get("summary")
        return self.description or (inner if isinstance(inner, str) else None)


class LibraryPage(Page):
    """The answer of the list of a library's kind; `library_kinds` has their paths."""

    data: Annotated[list[LibraryRow], BeforeValidator(mappings)] = Field(default_factory=list)


class PersonaAnswer(Persona):
    """The answer of `GET /api/v2/persona/get`: the persona's fields at the top level, or under `data`."""

    @model_validator(mode="before")
    @classmethod
    def _in_one_shape(cls, value: object) -> object:
        if isinstance(value, Mapping) and not value.get("oId") and isinstance(data := value.get("data"), Mapping):
            return data if data.get("oId") else value
        return value


class Credits(Answer):
    """The credits of a workspace. `total…` count over all time, `quota…` in the `period`."""

    totalUsed: Number = None
    totalRemaining: Number = None
    totalMax: Number = None
    quotaUsed: Number = None
    quotaAvailable: Number = None
    quotaMax: Number = None
    period: Text = None
    creditsUsed: Number = None
    creditsAvailable: Number = None


class Workspace(WithMetadata):
    """The answer of `GET /api/v2/api-key/validate`: whether the key is valid, its workspace, and the credits."""

    status: Text = None
    valid: Flag = None
    workspaceOId: Text = None
    workspaceName: Text = None
    organizationName: Text = None
    credits: Annotated[Credits, BeforeValidator(mapping)] = Credits()

    @model_validator(mode="before")
    @classmethod
    def _in_one_shape(cls, value: object) -> object:
        if isinstance(value, Mapping) and isinstance(data := value.get("data"), Mapping):
            return {**data, **{name: item for name, item in value.items() if name != "data"}}
        return value
