"""Logging of the whole process, on stderr, without the key whoever logs it."""

import logging

from pydantic import SecretStr

__all__ = ["configure_logging"]


def configure_logging(level: str, api_key: SecretStr | None) -> None:
    """Send every log record of `level` and above to stderr. Call it once, before anything logs."""
    handler = logging.StreamHandler()
    handler.setFormatter(_WithoutKey(api_key))
    logging.basicConfig(level=level, handlers=[handler], force=True)


class _WithoutKey(logging.Formatter):
    """Takes the key out of finished lines, tracebacks included.

    Nothing here logs it; but an answer's headers may echo it, and the HTTP library logs those at DEBUG.
    """

    def __init__(self, api_key: SecretStr | None) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._key = api_key

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        if self._key is not None:
            key = self._key.get_secret_value()
            for written in (key, repr(key)[1:-1]):  # as it is, and as a repr of bytes or text has it
                line = line.replace(written, "[key removed]")
        return line
