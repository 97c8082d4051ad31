"""Logging of the whole process to stderr, as lines of text or as JSON objects. Keys are removed, whoever logs them.

The log contains nothing that callers sent or Octave answered. This package logs none of it. Libraries do at INFO and
below (the HTTP library whole URLs, the MCP SDK whole messages), so their records are kept from WARNING on only.
Exceptions are logged without their texts, which quote the values that caused them.
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
from octave_mcp.values import REMOVED, SHORTEST_SECRET

MAX_SECRETS = 1000
"""Most secrets that are remembered. Beyond it the oldest is dropped; a team's server adds one for each caller's key."""

TALKATIVE = ("octave_mcp", "asyncio", "uvicorn")
"""Loggers whose records below WARNING are kept, as they contain nothing that is sent or answered."""

REPETITIVE = ("psycopg.pool",)
"""Loggers whose warnings are dropped: for each connection that fails they say again what the ledger says once."""

STDERR = 2
"""Descriptor of stderr. The log writes to it directly, so that printing to `sys.stderr` never waits for the log."""

MAX_WAITING_LINES = 1000
"""Most lines that wait until stderr is read. Further lines are dropped."""

FLUSH_SECONDS = 1.0
"""Seconds at the end of the process for lines that wait to be written."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}
"""Attributes of every record. All others were added by the caller, as fields of the JSON object."""

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class Secrets:
    """Texts that must never be in the log. Any thread may add more at any time."""

    def __init__(self, *secrets: SecretStr | None) -> None:
        """Start with these secrets; None is ignored."""
        self._lock = threading.Lock()
        self._forms: dict[str, frozenset[str]] = {}
        self._longest_first: tuple[str, ...] = ()
        for secret in secrets:
            if secret is not None:
                self.add(secret)

    def add(self, secret: SecretStr) -> None:
        """Remove this from the log too, from now on. One that is known already counts as the newest again."""
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
        """Return `text` without any of the secrets."""
        for form in self._longest_first:  # the longest first, as one may be a part of another
            if form in text:
                text = text.replace(form, REMOVED)
        return text


def _forms(secret: str) -> frozenset[str]:
    """Return a secret as it is, and as it is written in a repr, in JSON, in one of these twice, and in a URL."""
    once = {secret, repr(secret)[1:-1], secret.replace("\\", "\\\\").replace("'", "\\'"), json.dumps(secret)[1:-1]}
    twice = {form for one in once for form in (repr(one)[1:-1], json.dumps(one)[1:-1])}
    return frozenset(once | twice | {quote(secret, safe="")})


def configure_logging(level: str, secrets: Secrets, *, form: Literal["text", "json"] = "text") -> None:
    """Send every log record of `level` and above to stderr, as `form`. Call it once, before anything logs."""
    handler = _Stderr()
    handler.setFormatter(_Json(secrets) if form == "json" else _Text(secrets))
    minimum = logging.getLevelNamesMapping()[level]
    logging.basicConfig(level=max(minimum, logging.WARNING), handlers=[handler], force=True)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(minimum)
    for name in REPETITIVE:
        logging.getLogger(name).setLevel(max(minimum, logging.ERROR))


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
    """Format a record as a line for a person."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # cached by another handler, with the texts
        return self._secrets.removed_from(super().format(record))

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 - logging's own name
        return _traceback(ei[1])


class _Json(logging.Formatter):
    """Format a record as a JSON object: `time`, `level`, `logger`, `message`, then added fields and the `exception`."""

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
        # Callers choose their own keys. None may remove time, level or logger, by which a line is found.
        values = {name: value if name in ordered[:3] else self._plain(value) for name, value in fields.items()}
        return json.dumps({self._secrets.removed_from(name): values[name] for name in names})

    def _plain(self, value: Any) -> Any:
        """Return a value of a JSON type, without secrets."""
        if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
            return value
        return self._secrets.removed_from(f"{value}")


def _traceback(error: BaseException | None) -> str:
    """Return the traceback of an error and of its causes, each with its class and without its text."""
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
    return "\n\nwhich caused:\n\n".join(reversed(parts))
