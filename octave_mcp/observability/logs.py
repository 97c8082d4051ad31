"""Logging of the whole process, on stderr: one line each, or one JSON object each, without keys whoever logs them.

Nor is anything of what callers sent or Octave said in it. This package logs none of that; libraries do, at INFO and
below (the HTTP library a whole URL, the MCP SDK whole messages), so those are heard from WARNING on only; and the texts
of exceptions, which quote what they stumbled over, are left out of tracebacks.
"""

import json
import logging
import math
import threading
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal
from urllib.parse import quote

from pydantic import SecretStr

from octave_mcp.observability.telemetry import active_ids
from octave_mcp.streams import BackgroundWriter

__all__ = ["Secrets", "configure_logging"]

REMOVED = "[key removed]"
"""Stands where a secret was."""

MAX_SECRETS = 1000
"""Kept, the latest: a server that many call learns their keys one by one."""

SHORTEST_SECRET = 8
"""Characters. A shorter one may be a common word, and whoever can name one could make the log unreadable."""

TALKATIVE = ("octave_mcp", "asyncio", "uvicorn")
"""Who is heard below WARNING: those that log nothing of what is sent and answered."""

STDERR = 2
"""The descriptor itself: whoever prints to `sys.stderr` does not wait for a line of the log."""

MAX_WAITING_LINES = 1000
"""Lines that wait for a reader of stderr; the next are dropped."""

FLUSH_SECONDS = 1.0
"""At the end of the process, for lines that were not read yet."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}
"""What every record has; all else are fields that somebody added."""

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class Secrets:
    """What must never be in the log. More may be added while it is written, by any thread."""

    def __init__(self, *secrets: SecretStr | None) -> None:
        """Begin with these."""
        self._lock = threading.Lock()
        self._forms: dict[str, frozenset[str]] = {}
        self._longest_first: tuple[str, ...] = ()
        for secret in secrets:
            if secret is not None:
                self.add(secret)

    def add(self, secret: SecretStr) -> None:
        """Take this out too, from now on. One that is known already counts as the latest again."""
        text = secret.get_secret_value()
        if len(text) < SHORTEST_SECRET:
            return
        with self._lock:
            known = self._forms.pop(text, None)
            self._forms[text] = known or _forms(text)
            dropped = len(self._forms) > MAX_SECRETS
            if dropped:
                del self._forms[next(iter(self._forms))]
            if dropped or known is None:
                forms = frozenset[str]().union(*self._forms.values())
                self._longest_first = tuple(sorted(forms, key=lambda form: (-len(form), form)))

    def removed_from(self, text: str) -> str:
        """`text` without any of them."""
        for form in self._longest_first:  # the longest first, as one may be a part of another
            if form in text:
                text = text.replace(form, REMOVED)
        return text


def _forms(secret: str) -> frozenset[str]:
    """A secret as it is, and as it is written in a repr of text or bytes, in JSON, in one of these twice, or a URL."""
    once = {secret, repr(secret)[1:-1], secret.replace("\\", "\\\\").replace("'", "\\'"), json.dumps(secret)[1:-1]}
    twice = {form for one in once for form in (repr(one)[1:-1], json.dumps(one)[1:-1])}
    return frozenset(once | twice | {quote(secret, safe="")})


def configure_logging(level: str, secrets: Secrets, *, form: Literal["text", "json"] = "text") -> None:
    """Send every log record of `level` and above to stderr, as `form`. Call it once, before anything logs."""
    handler = _Stderr()
    handler.setFormatter(_Json(secrets) if form == "json" else _Text(secrets))
    heard = logging.getLevelNamesMapping()[level]
    logging.basicConfig(level=max(heard, logging.WARNING), handlers=[handler], force=True)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(heard)


class _Stderr(logging.Handler):
    """Writes to stderr in the background, and drops lines that nobody reads: logging never holds up a call."""

    def __init__(self) -> None:
        super().__init__()
        self._writer = BackgroundWriter(STDERR, MAX_WAITING_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - arguments that do not fit the message
            self.handleError(record)
            return
        self._writer.write(f"{line}\n".encode(errors="backslashreplace"))

    def flush(self) -> None:
        self._writer.flush(FLUSH_SECONDS)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Lose the record: the standard way prints it as it is, secrets included."""


class _Text(logging.Formatter):
    """A line for a person."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # another handler's, which has the texts
        return self._secrets.removed_from(super().format(record))

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 - logging's own name
        return _traceback(ei[1])


class _Json(logging.Formatter):
    """An object for a machine: `time`, `level`, `logger`, `message`, and what somebody added; last an `exception`."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        fields: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **active_ids(),
        }
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD} | fields
        if record.exc_info and record.exc_info[1]:
            fields["exception"] = _traceback(record.exc_info[1])
        if record.stack_info:
            fields["stack"] = record.stack_info
        ordered = ("time", "level", "logger", "message")
        names = [*ordered, *(name for name in fields if name not in ordered)]
        # Whoever brings a key may choose it: no choice of theirs blanks what a line is found by.
        told = {name: value if name in ordered[:3] else self._plain(value) for name, value in fields.items()}
        return json.dumps({self._secrets.removed_from(name): told[name] for name in names})

    def _plain(self, value: Any) -> Any:
        """A value that JSON has, without secrets."""
        if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
            return value
        return self._secrets.removed_from(f"{value}")


def _traceback(error: BaseException | None) -> str:
    """Where it was raised, and what it was raised from, each with its class and without its text."""
    parts: list[str] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        where = "".join(traceback.format_tb(error.__traceback__))
        inner = [_traceback(one) for one in error.exceptions] if isinstance(error, BaseExceptionGroup) else []
        kind = type(error)
        parts.append(
            "\n".join([f"Traceback (most recent call last):\n{where}{kind.__module__}.{kind.__name__}", *inner])
        )
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n\nfrom which came:\n\n".join(reversed(parts))
