"""Map HTTP statuses to errors, and read Octave's messages in error answers."""

import math
import re
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from octave_mcp.octave import errors

__all__ = ["error_for_status", "message_in", "request_id_in"]

MAX_RETRY_AFTER_SECONDS = 24 * 3600
"""Longest Retry-After that is believed, in seconds: nobody in a chat waits for more than a day."""

MAX_MESSAGE_CHARACTERS = 2000
"""Bounds what is kept of an error message of Octave's."""

_BY_STATUS: dict[int, tuple[type[errors.OctaveError], str]] = {
    401: (errors.KeyProblem, "Octave rejected this API key."),
    402: (errors.NoCredits, "The Octave workspace has no credits left."),
    403: (
        errors.KeyProblem,
        "Octave does not allow this with this API key. The plan may not include the API, or no credits may be left.",
    ),
    405: (errors.SetupProblem, "The base URL does not answer like Octave's API."),
    408: (errors.OutcomeUnknown, "Octave timed out while it received the request."),
    425: (errors.OutcomeUnknown, "Octave did not want to process the request yet."),
}
"""Statuses whose meaning differs from their class (3xx, 4xx, 5xx)."""

_NO_ROUTE = re.compile(r"Cannot (GET|POST) /")
"""How the message begins with which Express and Nest answer for a path that they do not have."""

_REDIRECTS, _CLIENT_ERRORS = range(300, 400), range(400, 500)


def error_for_status(status: int, retry_after: str | None, answer: Any) -> errors.OctaveError:
    """Return the error for an HTTP status other than success, with Octave's own message from its answer."""
    message, request_id, wait = message_in(answer), request_id_in(answer), _seconds(retry_after)
    waits = wait is not None and math.isfinite(wait)
    if status == HTTPStatus.TOO_MANY_REQUESTS or (status == HTTPStatus.SERVICE_UNAVAILABLE and waits):
        return errors.Busy(
            "Octave is busy and asked to wait.",
            retry_after=wait,
            octave_message=message,
            status=status,
            request_id=request_id,
        )
    # For an unknown oId Octave answers 404 in JSON; any other 404 comes from an address that is not its API, and some
    # web frameworks write it in JSON too.
    elsewhere = status == HTTPStatus.NOT_FOUND and (
        not isinstance(answer, dict) or bool(_NO_ROUTE.match(message or ""))
    )
    kind, text = _BY_STATUS.get(HTTPStatus.METHOD_NOT_ALLOWED if elsewhere else status) or (
        (errors.SetupProblem, "The base URL redirects to another address, and redirects are never followed.")
        if status in _REDIRECTS
        else (errors.InputProblem, "Octave did not accept the request.")
        if status in _CLIENT_ERRORS
        else (errors.OutcomeUnknown, "Octave failed while it processed the request.")
    )
    return kind(f"{text[:-1]} (HTTP {status}).", octave_message=message, status=status, request_id=request_id)


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


def message_in(answer: Any, *, envelope_only: bool = False) -> str | None:
    """Return Octave's own message: the envelope's `message` or `error`, else that in `_metadata`; None without one."""
    if not isinstance(answer, dict):
        return None
    nested = answer.get("error")
    values = [answer.get("message"), nested, nested.get("message") if isinstance(nested, dict) else None]
    if not envelope_only and isinstance(metadata := answer.get("_metadata"), dict):
        values.append(metadata.get("message"))
    return next((value[:MAX_MESSAGE_CHARACTERS] for value in values if isinstance(value, str) and value.strip()), None)


def request_id_in(answer: Any) -> str | None:
    """Return Octave's id of the request from `_metadata`; None without one."""
    metadata = answer.get("_metadata") if isinstance(answer, dict) else None
    request_id = metadata.get("requestId") if isinstance(metadata, dict) else None
    return request_id if isinstance(request_id, str) else None
