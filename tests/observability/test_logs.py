"""The log: both forms of a line, and what is in neither."""

import json
import logging
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span
from pydantic import SecretStr

from octave_mcp.observability.logs import MAX_SECRETS, REPETITIVE, TALKATIVE, Secrets, configure_logging

CANARY = "sk-canary-8f3a1c77e2"

FORMS = ["text", "json"]


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    """Logging is the process's: other tests find it as it was."""
    loggers = [logging.getLogger(name) for name in ("", *TALKATIVE, *REPETITIVE)]
    before = [(one, one.level, one.handlers[:]) for one in loggers]
    yield
    for one, level, handlers in before:
        one.setLevel(level)
        one.handlers[:] = handlers


@pytest.fixture
def ours() -> logging.Logger:
    """A logger of this package's."""
    return logging.getLogger("octave_mcp.test")


def written_to_stderr(capfd: pytest.CaptureFixture[str]) -> str:
    """Return what was logged since the last look: lines are written in the background."""
    for handler in logging.getLogger().handlers:
        handler.flush()
    return capfd.readouterr().err


def objects(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was written, line by line."""
    return [json.loads(line) for line in written_to_stderr(capfd).splitlines()]


def test_a_line_of_text_is_for_a_person(ours: logging.Logger, capfd: pytest.CaptureFixture[str]) -> None:
    """With the time, the level and the logger; added fields are for machines."""
    configure_logging("INFO", Secrets())
    ours.info("took %d s", 3, extra={"seconds": 3})
    written = written_to_stderr(capfd)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO octave_mcp\.test: took 3 s\n", written)


def test_a_line_of_json_is_for_a_machine(ours: logging.Logger, capfd: pytest.CaptureFixture[str]) -> None:
    """One object, with the fields that were added, whatever they are."""
    configure_logging("INFO", Secrets(), form="json")
    extra = {"request_id": "req_1", "status": 200, "seconds": 1.5, "none": None, "odd": {1}, "nan": float("nan")}
    ours.info("Umlaut ü, emoji 🙂, a line\nand another, lone \ud800", extra=extra)
    (line,) = objects(capfd)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "INFO",
        "logger": "octave_mcp.test",
        "message": "Umlaut ü, emoji 🙂, a line\nand another, lone \ud800",
        "request_id": "req_1",
        "status": 200,
        "seconds": 1.5,
        "none": None,
        "odd": "{1}",
        "nan": "nan",
    }


def test_added_fields_do_not_replace_those_that_every_line_has(
    ours: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    """Else a line could say that it was another's."""
    configure_logging("INFO", Secrets(), form="json")
    ours.info("this", extra={"level": "DEBUG", "time": "never", "logger": "mine"})
    (line,) = objects(capfd)
    assert (line["level"], line["logger"]) == ("INFO", "octave_mcp.test")
    assert line["time"] != "never"


def test_a_line_of_json_names_the_active_span(ours: logging.Logger, capfd: pytest.CaptureFixture[str]) -> None:
    """So that the log of a trace can be found."""
    configure_logging("INFO", Secrets(), form="json")
    with use_span(NonRecordingSpan(SpanContext(10, 11, is_remote=False, trace_flags=TraceFlags(1)))):
        ours.info("within")
    ours.info("without")
    within, without = objects(capfd)
    assert (within["trace_id"], within["span_id"]) == (f"{10:032x}", f"{11:016x}")
    assert "trace_id" not in without


@pytest.mark.parametrize("form", FORMS)
def test_an_exception_is_logged_without_its_text(
    ours: logging.Logger, form: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """Which quotes what it stumbled over; where it was raised, and from what, says enough."""
    configure_logging("INFO", Secrets(), form=form)
    try:
        try:
            int("somebody's name")
        except ValueError as error:
            raise ExceptionGroup("somebody's group", [KeyError("somebody's key")]) from error
    except ExceptionGroup:
        ours.exception("It failed")
    written = written_to_stderr(capfd)
    assert "somebody's name'" not in written.replace('int("somebody\'s name")', "")
    told = json.loads(written)["exception"] if form == "json" else written
    assert "test_logs.py" in told
    assert told.index("builtins.ValueError") < told.index("builtins.ExceptionGroup") < told.index("builtins.KeyError")
    assert "ValueError:" not in told


ODD = ["sk-\"quoted'both", r"sk-back\slash\twice", "sk-percent%20/+=?&", "sk-braces{}[]()*.^$", 'sk-"double-quoted']


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("key", [CANARY, *ODD])
def test_a_key_is_taken_out_however_it_is_written(
    ours: logging.Logger, form: Any, key: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """In a message, an argument, a repr of text or bytes, JSON, a field or its name; and lines stay what they are."""
    configure_logging("DEBUG", Secrets(SecretStr(CANARY), SecretStr(key)), form=form)
    ours.info("plain %s", key, extra={"field": key, f"named {key}": [key, {key: key.encode()}]})
    ours.info("repr %r, bytes %r, both %r", key, key.encode(), f"'\"{key}")
    ours.info("json %s, twice %s, in a list %s", json.dumps(key), json.dumps(json.dumps([key])), [(b"h", key.encode())])
    ours.warning("libraries %s", {"headers": [("api_key", key)]})
    written = written_to_stderr(capfd)
    assert written.count("[key removed]") >= 7
    readable = written.replace("\\", "")
    assert key.replace("\\", "") not in readable
    if form == "json":
        assert all(json.loads(line) for line in written.splitlines())


def test_keys_that_are_added_later_are_removed_too(ours: logging.Logger, capfd: pytest.CaptureFixture[str]) -> None:
    """A team's server meets them one by one; and the longest is removed first, so that nothing of it is left."""
    secrets = Secrets(None)
    configure_logging("INFO", secrets)
    ours.info("%s", CANARY)
    secrets.add(SecretStr(CANARY))
    secrets.add(SecretStr(f"{CANARY}-and-more"))
    ours.info("%s-and-more, %s", CANARY, CANARY)
    before, after = written_to_stderr(capfd).splitlines()
    assert CANARY in before
    assert after.endswith(": [key removed], [key removed]")


def test_so_many_keys_are_kept_and_no_more() -> None:
    """The oldest is forgotten, unless it was seen again."""
    secrets = Secrets()
    keys = [f"sk-number-{number:06d}" for number in range(MAX_SECRETS + 1)]
    for key in keys[:MAX_SECRETS]:
        secrets.add(SecretStr(key))
    secrets.add(SecretStr(keys[0]))
    secrets.add(SecretStr(keys[-1]))
    assert secrets.removed_from(" ".join([keys[0], keys[1], keys[2], keys[-1]])) == (
        f"[key removed] {keys[1]} [key removed] [key removed]"
    )


def test_what_is_too_short_for_a_key_is_left_alone() -> None:
    """Else whoever sends `e` as a key makes the log unreadable."""
    secrets = Secrets(SecretStr(""), SecretStr("e"), SecretStr("INFO"))
    assert secrets.removed_from("INFO here") == "INFO here"


def test_keys_may_come_while_lines_are_written(ours: logging.Logger, capfd: pytest.CaptureFixture[str]) -> None:
    """From any thread."""
    secrets = Secrets(SecretStr(CANARY))
    configure_logging("INFO", secrets)

    def learn(first: int) -> None:
        for number in range(50):
            secrets.add(SecretStr(f"sk-{first}-{number:08d}"))

    threads = [threading.Thread(target=learn, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(200):
        ours.info("%s", CANARY)
    for thread in threads:
        thread.join()
    written = written_to_stderr(capfd)
    assert CANARY not in written
    assert written.count("[key removed]") == 200


@pytest.mark.parametrize("name", ["httpx", "httpcore.http11", "mcp.server", "sse_starlette.sse", "psycopg"])
def test_libraries_that_log_what_goes_over_the_wire_are_logged_from_warning_on(
    name: str, ours: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    """At DEBUG too: one logs a whole address, with its query, and another whole messages."""
    configure_logging("DEBUG", Secrets())
    logging.getLogger(name).info("GET https://elsewhere.example/?text=somebody")
    logging.getLogger(name).warning("loud")
    ours.debug("ours")
    written = written_to_stderr(capfd)
    assert "somebody" not in written
    assert "loud" in written
    assert "ours" in written


@pytest.mark.parametrize("level", ["DEBUG", "WARNING"])
def test_what_the_ledger_says_once_is_not_said_for_each_connection(
    level: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A database that was down for three seconds had filled the log with nine lines."""
    configure_logging(level, Secrets())
    logging.getLogger("psycopg.pool").warning("error connecting")
    logging.getLogger("psycopg.pool").error("worse")
    log = written_to_stderr(capfd)
    assert "error connecting" not in log
    assert "worse" in log


def test_a_record_that_cannot_be_written_is_lost_and_not_shown(
    ours: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    """Logging's own way prints it as it is, key included."""
    configure_logging("INFO", Secrets(SecretStr(CANARY)))
    ours.info("%d", CANARY)
    assert written_to_stderr(capfd) == ""
