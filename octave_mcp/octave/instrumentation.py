"""Instrumentation of calls to Octave: a span, a duration, and a line in the log for each.

None of them has the query, the body, a header, or a text of Octave's.
"""

import logging
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.trace import Span, StatusCode

from octave_mcp.observability.telemetry import Attributes, client_span, time_request
from octave_mcp.octave import errors

logger = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[\w.:-]{1,100}", re.ASCII)
"""The form of the request ids that are logged: one of another form could contain any text."""


@dataclass
class Call:
    """A call to Octave, and what is known of its answer. `outcome`: done, refused, failed or unknown."""

    method: str
    path: str
    status: int | None = None
    request_id: str | None = None
    credits: float | None = None
    outcome: str = "unknown"
    error: str | None = None

    def ended_with(self, error: BaseException) -> None:
        """Record the error that the call ended with. Unless it is an `OctaveError`, the outcome stays unknown."""
        self.error = type(error).__name__
        if not isinstance(error, errors.OctaveError):
            return
        self.status = self.status or error.status
        self.request_id = self.request_id or error.request_id
        self.credits = error.usage
        if not isinstance(error, errors.OutcomeUnknown):
            self.outcome = "refused" if isinstance(error, errors.Refused) else "failed"


@contextmanager
def instrumented(method: str, path: str, origin: str, about: Attributes) -> Iterator[Call]:
    """Trace, time and log the block, which makes one call and completes its `Call`. `about` is added to the span."""
    call = Call(method, path)
    address = urlsplit(origin)
    common: dict[str, str | int] = {
        "http.request.method": method,
        "url.template": path,
        "server.address": address.hostname or "",
        "server.port": address.port or (443 if address.scheme == "https" else 80),
    }
    with client_span(f"{method} {path}", {**common, "url.path": path, **about}) as span:
        started = time.monotonic()
        logger.debug("%s %s begins", method, path)
        try:
            yield call
            call.outcome = "done" if call.error is None else call.outcome
        except BaseException as error:
            call.ended_with(error)
            raise
        finally:
            _report(call, span, common, time.monotonic() - started)


def _report(call: Call, span: Span, common: Mapping[str, str | int], seconds: float) -> None:
    request_id = call.request_id if call.request_id and _REQUEST_ID.fullmatch(call.request_id) else None
    answered = {"http.response.status_code": call.status, "error.type": call.error}
    attributes = answered | {
        "octave.outcome": call.outcome,
        "octave.request_id": request_id,
        "octave.credits": call.credits,
    }
    span.set_attributes({name: value for name, value in attributes.items() if value is not None})
    if call.error is not None:
        span.set_status(StatusCode.ERROR)
    time_request(seconds, {**common, **{name: value for name, value in answered.items() if value is not None}})
    fields: dict[str, Any] = {
        "method": call.method,
        "path": call.path,
        "status": call.status,
        "seconds": round(seconds, 3),
        "outcome": call.outcome,
        "error": call.error,
        "request_id": request_id,
    }
    logger.info(
        "%s %s: %s in %.1f s%s",
        call.method,
        call.path,
        f"{call.outcome}, {call.status or call.error}" if call.error else call.status,
        seconds,
        f" (request {request_id})" if request_id else "",
        extra={name: value for name, value in fields.items() if value is not None},
    )
