"""Errors of a call to Octave, split by what the caller should do, and the error that each HTTP status stands for.

    OctaveError
     +-- Refused            nothing was created: the same call may be made again
     |    +-- Unreachable     Octave could not be reached: check the network
     |    +-- Busy            Octave asked to wait
     +-- Rejected           Octave said no, nothing was created: change something first
     |    +-- KeyProblem      the API key is missing, wrong, or not allowed to do this
     |    +-- NoCredits       the workspace has no credits left
     |    +-- InputProblem    Octave does not accept the input
     |    +-- NothingCreated  Octave accepted the input and created nothing from it
     |    +-- SetupProblem    the base URL, a proxy or a certificate is wrong
     +-- OutcomeUnknown     the answer was lost: the persona may exist, so search for it before repeating

Only these leave `octave_mcp.octave.client`; no exception of the HTTP library does. `str(error)` is safe to show: it
never holds the key, a header, a URL's query or another library's words.
"""

import math
import re
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypedDict, Unpack

from octave_mcp.octave.lenient_types import Metadata, WithMetadata


class Details(TypedDict, total=False):
    """Details of a failed call, as far as they are known."""

    octave_message: str | None
    """Octave's own message. It was written elsewhere: clean it before it is shown."""

    status: int | None
    """The HTTP status; None if there was no answer."""

    request_id: str | None
    """Octave's id of the request, for its support."""

    usage: float | None
    """Credits that Octave reported all the same."""


class OctaveError(Exception):
    """Report that a call to Octave failed.

    `octave_message`, `status`, `request_id` and `usage` are as in `Details`, or None.
    """

    affects_every_call = False
    """True if the next call would fail in the same way, so that a batch should stop here."""

    def __init__(self, text: str, **details: Unpack[Details]) -> None:
        """Take a text that says what happened, in our own words, and the details."""
        super().__init__(text)
        self.octave_message = details.get("octave_message")
        self.status = details.get("status")
        self.request_id = details.get("request_id")
        self.usage = details.get("usage")


class Refused(OctaveError):
    """Nothing was created, and the same call may be made again."""


class Unreachable(Refused):
    """The request never left: no address, no connection, no way through the proxy."""

    affects_every_call = True


class Busy(Refused):
    """Octave asked to wait. `retry_after` is in seconds: None if it did not say how long, infinite for nonsense."""

    affects_every_call = True

    def __init__(self, text: str, *, retry_after: float | None = None, **details: Unpack[Details]) -> None:
        """Take how long to wait, beside what every error takes."""
        super().__init__(text, **details)
        self.retry_after = retry_after


class Rejected(OctaveError):
    """Octave said no, and created nothing. The same call would get the same answer."""


class KeyProblem(Rejected):
    """The API key is missing, wrong, or not allowed to do this."""

    affects_every_call = True


class NoCredits(Rejected):
    """The workspace has no credits left."""

    affects_every_call = True


class InputProblem(Rejected):
    """Octave does not accept the input; `octave_message` says why."""


class NothingCreated(Rejected):
    """Octave accepted the input and created nothing from it."""


class SetupProblem(Rejected):
    """The base URL is not Octave's API, or a proxy or a certificate on the way there cannot be used."""

    affects_every_call = True


class OutcomeUnknown(OctaveError):
    """The request may have reached Octave and its answer was lost or unreadable: what it asked for may exist.

    `unreadable` is the part of the answer that arrived, without the key, or None.
    """

    def __init__(self, text: str, *, unreadable: bytes | None = None, **details: Unpack[Details]) -> None:
        """Take the part of the answer that arrived, beside what every error takes."""
        super().__init__(text, **details)
        self.unreadable = unreadable


# --- Statuses and messages --------------------------------------------------------------------------------------------

MAX_RETRY_AFTER_SECONDS = 24 * 3600
"""Longest Retry-After that is believed, in seconds: nobody in a chat waits for more than a day."""

MAX_MESSAGE_CHARACTERS = 2000
"""Bounds what is kept of an error message of Octave's."""

_BY_STATUS: dict[int, tuple[type[OctaveError], str]] = {
    401: (KeyProblem, "Octave rejected this API key."),
    402: (NoCredits, "The Octave workspace has no credits left."),
    403: (
        KeyProblem,
        "Octave does not allow this with this API key. The plan may not include the API, or no credits may be left.",
    ),
    405: (SetupProblem, "The base URL does not answer like Octave's API."),
    408: (OutcomeUnknown, "Octave timed out while it received the request."),
    425: (OutcomeUnknown, "Octave did not want to process the request yet."),
    460: (OutcomeUnknown, "A server on the way to Octave gave the request up."),
    499: (OutcomeUnknown, "A server on the way to Octave gave the request up."),
}
"""Statuses whose meaning differs from their class (3xx, 4xx, 5xx)."""

_NO_ROUTE = re.compile(r"Cannot (GET|POST) /")
"""How the message begins with which Express and Nest answer for a path that they do not have."""

_ENVELOPE = frozenset({"_metadata", "message", "error", "statusCode"})
"""Fields that an error may have: Octave's own, and those that common web frameworks add."""

_REDIRECTS, _CLIENT_ERRORS = range(300, 400), range(400, 500)


def error_for_status(status: int, retry_after: str | None, answer: Any) -> OctaveError:
    """Return the error for an HTTP status other than success, with Octave's own message from its answer."""
    request_id, wait = request_id_in(answer), _seconds(retry_after)
    details = details_in(answer, status)
    # A cache or load balancer also answers 503 with Retry-After when Octave takes long, and Octave is then at work.
    waits = wait is not None and math.isfinite(wait) and request_id is not None
    if status == HTTPStatus.TOO_MANY_REQUESTS or (status == HTTPStatus.SERVICE_UNAVAILABLE and waits):
        return Busy("Octave is busy and asked to wait.", retry_after=wait, **details)
    # For an unknown oId Octave answers 404 in JSON; any other 404 comes from an address that is not its API, and some
    # web frameworks write it in JSON too.
    elsewhere = status == HTTPStatus.NOT_FOUND and (
        not isinstance(answer, dict) or bool(_NO_ROUTE.match(message_in(answer) or ""))
    )
    kind, text = _BY_STATUS.get(HTTPStatus.METHOD_NOT_ALLOWED if elsewhere else status) or (
        (SetupProblem, "The base URL redirects to another address, and redirects are never followed.")
        if status in _REDIRECTS
        else (InputProblem, "Octave did not accept the request.")
        if status in _CLIENT_ERRORS
        else (OutcomeUnknown, "Octave failed while it processed the request.")
    )
    return kind(f"{text[:-1]} (HTTP {status}).", **details)


def details_in(answer: Any, status: int | None = None) -> Details:
    """Return the details that an answer has, as far as it can be read. A usage of 0 is nothing to report."""
    metadata = WithMetadata.model_validate(answer).metadata if isinstance(answer, dict) else Metadata()
    return Details(
        octave_message=message_in(answer),
        status=status,
        request_id=request_id_in(answer),
        usage=metadata.usage or None,
    )


def _seconds(retry_after: str | None) -> float | None:
    """Return `Retry-After` (seconds or a date) as seconds from now; None if it is absent, infinite if nonsense."""
    if not retry_after:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", retry_after):
        seconds = float(retry_after)
    else:
        try:
            seconds = max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
        except (TypeError, ValueError, OverflowError, IndexError):
            return math.inf
    return seconds if seconds <= MAX_RETRY_AFTER_SECONDS else math.inf


def is_error_envelope(answer: dict[str, Any]) -> bool:
    """Return whether an answer is an error as Octave writes it: a message, and nothing that could be a result."""
    return answer.keys() <= _ENVELOPE and any(answer.get(name) for name in ("message", "error"))


def message_in(answer: Any) -> str | None:
    """Return Octave's own message: the envelope's `message` or `error`, else that in `_metadata`; None without one."""
    if not isinstance(answer, dict):
        return None
    nested = answer.get("error")
    values = [answer.get("message"), nested, nested.get("message") if isinstance(nested, dict) else None]
    if isinstance(metadata := answer.get("_metadata"), dict):
        values.append(metadata.get("message"))
    return next((value[:MAX_MESSAGE_CHARACTERS] for value in values if isinstance(value, str) and value.strip()), None)


def request_id_in(answer: Any) -> str | None:
    """Return Octave's id of the request from `_metadata`; None without one."""
    metadata = answer.get("_metadata") if isinstance(answer, dict) else None
    request_id = metadata.get("requestId") if isinstance(metadata, dict) else None
    return request_id if isinstance(request_id, str) else None
