"""What an answer other than success means, and what Octave says in it."""

import math
import re
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from octave_mcp.octave import errors

__all__ = ["refusal", "request_id_in", "said_in"]

MAX_RETRY_AFTER_SECONDS = 24 * 3600
"""A longer wait is taken for nonsense: nobody in a chat waits for a day."""

MAX_SAID_CHARACTERS = 2000
"""How much of an error message of Octave's is kept."""

_MEANINGS: dict[int, tuple[type[errors.OctaveError], str]] = {
    401: (errors.KeyProblem, "Octave does not know this API key."),
    402: (errors.NoCredits, "The Octave workspace has no credits left."),
    403: (errors.KeyProblem, "Octave does not allow this with this API key; its credits may also be used up."),
    405: (errors.SetupProblem, "The base URL does not answer as Octave's API does."),
    408: (errors.OutcomeUnknown, "Octave gave up waiting for the request."),
    425: (errors.OutcomeUnknown, "Octave put the request off."),
}
"""What a status means where it says more than its hundred."""

_REDIRECTS, _CLIENT_ERRORS = range(300, 400), range(400, 500)


def refusal(status: int, retry_after: str | None, answer: Any) -> errors.OctaveError:
    """What an HTTP status other than success means for the caller."""
    said, request_id, wait = said_in(answer), request_id_in(answer), _seconds(retry_after)
    waits = wait is not None and math.isfinite(wait)
    if status == HTTPStatus.TOO_MANY_REQUESTS or (status == HTTPStatus.SERVICE_UNAVAILABLE and waits):
        return errors.Busy(
            "Octave is busy and asked to wait.",
            retry_after=wait,
            said=said,
            status=status,
            request_id=request_id,
        )
    # Octave says in JSON that it does not know an oId; any other 404 is of an address without its API.
    elsewhere = status == HTTPStatus.NOT_FOUND and not isinstance(answer, dict)
    kind, text = _MEANINGS.get(HTTPStatus.METHOD_NOT_ALLOWED if elsewhere else status) or (
        (errors.SetupProblem, "The base URL redirects elsewhere, which is never followed.")
        if status in _REDIRECTS
        else (errors.InputProblem, "Octave did not accept the request.")
        if status in _CLIENT_ERRORS
        else (errors.OutcomeUnknown, "Octave failed before it had answered.")
    )
    return kind(f"{text[:-1]} (HTTP {status}).", said=said, status=status, request_id=request_id)


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After`, which is seconds or a date, as seconds from now; None where it is absent, infinite if nonsense."""
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


def said_in(answer: Any, *, envelope_only: bool = False) -> str | None:
    """Octave's own message, from the envelope's `message` (or `error`) or from `_metadata`."""
    if not isinstance(answer, dict):
        return None
    nested = answer.get("error")
    places = [answer.get("message"), nested, nested.get("message") if isinstance(nested, dict) else None]
    if not envelope_only and isinstance(metadata := answer.get("_metadata"), dict):
        places.append(metadata.get("message"))
    return next((place[:MAX_SAID_CHARACTERS] for place in places if isinstance(place, str) and place.strip()), None)


def request_id_in(answer: Any) -> str | None:
    """Octave's id of the request, from `_metadata`."""
    metadata = answer.get("_metadata") if isinstance(answer, dict) else None
    request_id = metadata.get("requestId") if isinstance(metadata, dict) else None
    return request_id if isinstance(request_id, str) else None
