"""Lenient types for reading answers: a value of an unexpected type becomes empty and is never an error.

An answer has been paid for by the time it is read, so one field of an unexpected type must not make the others
unreadable. Unknown fields are kept.
"""

import math
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MAX_CREDITS = 1e9
"""No call costs more: a larger number is nonsense, as one below 0 is."""


def _text(value: object) -> str | None:
    """Return a string as it is, a number as its digits, and None for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return str(value)


def _texts(value: object) -> list[str]:
    """Return the non-empty strings of a list; one string alone as a list of one."""
    items = value if isinstance(value, list) else [value]
    return [text for item in items if (text := _text(item))]


def _date(value: object) -> str | None:
    """Return a date as text, and None for one that is empty or 0: something that was never deleted may have either."""
    return _text(value or None)


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _number(value: object) -> float | None:
    """Return a finite number, also from a string; None for NaN and Infinity, which JSON does not have."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _usage(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and 0 <= number <= MAX_CREDITS else None


def mapping(value: object) -> object:
    """Return a mapping or a model as it is, and for anything else an empty mapping, so that a model has defaults."""
    return value if isinstance(value, Mapping | BaseModel) else {}


def mappings(value: object) -> list[object]:
    """Return the mappings in a list; an empty list for anything that is not a list."""
    return [item for item in value if isinstance(item, Mapping | BaseModel)] if isinstance(value, list) else []


Text = Annotated[str | None, BeforeValidator(_text)]
Texts = Annotated[list[str], BeforeValidator(_texts)]
Usage = Annotated[float | None, BeforeValidator(_usage)]
Date = Annotated[str | None, BeforeValidator(_date)]
Flag = Annotated[bool | None, BeforeValidator(_flag)]
Number = Annotated[float | None, BeforeValidator(_number)]


class Answer(BaseModel):
    """Base of all answers: unknown fields are kept, in `model_extra`."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Metadata(Answer):
    """The answer's `_metadata`. `usage` is in credits."""

    usage: Usage = None
    requestId: Text = None
    message: Text = None
    timestamp: Text = None


class WithMetadata(Answer):
    """Base of a whole answer, which has `_metadata`."""

    metadata: Annotated[Metadata, BeforeValidator(mapping)] = Field(default=Metadata(), alias="_metadata")
