"""The types that answers are read with: whatever arrives is understood, or becomes empty.

An answer has been paid for by the time it is read, so a missing, null or mistyped field costs that field and no more.
Unknown fields are kept.
"""

import math
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

__all__ = ["Answer", "Flag", "Metadata", "Number", "Text", "Texts", "WithMetadata", "mapping", "mappings"]


def _text(value: object) -> str | None:
    """A string; a number as its digits; anything else as nothing."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return str(value)


def _texts(value: object) -> list[str]:
    """The non-empty strings of a list, or one string alone."""
    items = value if isinstance(value, list) else [value]
    return [text for item in items if (text := _text(item))]


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _number(value: object) -> float | None:
    """A finite number, also where it came as a string; never NaN or Infinity, which are no JSON."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def mapping(value: object) -> object:
    """A mapping (or a model already made of one), else an empty one, so that the model it is for has only defaults."""
    return value if isinstance(value, Mapping | BaseModel) else {}


def mappings(value: object) -> list[object]:
    """The mappings of a list."""
    return [item for item in value if isinstance(item, Mapping | BaseModel)] if isinstance(value, list) else []


Text = Annotated[str | None, BeforeValidator(_text)]
Texts = Annotated[list[str], BeforeValidator(_texts)]
Flag = Annotated[bool | None, BeforeValidator(_flag)]
Number = Annotated[float | None, BeforeValidator(_number)]


class Answer(BaseModel):
    """Base of what is understood: unknown fields are kept, in `model_extra`."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Metadata(Answer):
    """`_metadata`, which every answer has. `usage` is in credits."""

    usage: Number = None
    requestId: Text = None
    message: Text = None
    timestamp: Text = None


class WithMetadata(Answer):
    """Base of a whole answer."""

    metadata: Annotated[Metadata, BeforeValidator(mapping)] = Field(default=Metadata(), alias="_metadata")
