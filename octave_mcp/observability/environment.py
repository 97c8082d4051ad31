"""OpenTelemetry's environment variables: what they may do here, and where they say that telemetry goes.

A platform sets such variables for a whole pod, and a client's child processes inherit them. OpenTelemetry loads what
they name when it is imported, and raises an error if that is not installed. No variable may end the server's start.
"""

import logging
import os
from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points

_LOADED_AT_IMPORT = {"OTEL_PYTHON_CONTEXT": "opentelemetry_context", "OTEL_PROPAGATORS": "opentelemetry_propagator"}
"""The entry point group of each variable whose named parts OpenTelemetry loads when it is imported."""

_PROVIDERS = ("OTEL_PYTHON_TRACER_PROVIDER", "OTEL_PYTHON_METER_PROVIDER")
"""Variables that name a provider. The exporter makes the providers here, so these are never used."""

logger = logging.getLogger(__name__)


@cache
def drop_unusable_variables() -> tuple[str, ...]:
    """Remove from the environment what OpenTelemetry would fail to load, and return the names of those variables.

    Call it before anything imports OpenTelemetry. Later calls return what the first one found.
    """
    found = tuple(name for name, group in _LOADED_AT_IMPORT.items() if _keep_loadable(name, group))
    return found + tuple(name for name in _PROVIDERS if os.environ.pop(name, None))


def _keep_loadable(variable: str, group: str) -> bool:
    """Leave only names that can be loaded in a variable with names separated by commas. Returns whether one was not."""
    given = [name for part in os.environ.pop(variable, "").split(",") if (name := part.strip())]
    usable = [name for name in given if name.lower() == "none" or _is_loadable(name, group)]
    if usable:
        os.environ[variable] = ",".join(usable)
    return usable != given


def _is_loadable(name: str, group: str) -> bool:
    try:
        return any(point.load()() is not None for point in entry_points(group=group, name=name))
    except Exception:  # noqa: BLE001 - it is other people's code, and whatever it raises would end the start
        return False


def set_up_telemetry() -> Callable[[], None]:
    """Send spans and metrics to a collector if the standard variables name one. Call it once, after logging is set up.

    Returns the function to call at the end of the process. It sends what is left within a bounded time. Nothing waits
    for a collector that does not answer.
    """
    from octave_mcp.observability.settings import load_telemetry_settings  # noqa: PLC0415 - only a server pays for its import

    if dropped := drop_unusable_variables():
        logger.warning("Ignored what is not installed, or not used here, of %s", ", ".join(dropped))
    settings = load_telemetry_settings()
    if not settings.traces and not settings.metrics:
        return _do_nothing
    if settings.exporter_otlp_protocol not in {"", "http/protobuf"}:
        logger.warning("No telemetry is sent: OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf, or unset")
        return _do_nothing
    try:
        from octave_mcp.observability.exporter import start_export  # noqa: PLC0415 - an extra, and slow to import

        return start_export(traces=settings.traces, metrics=settings.metrics)
    except ImportError:
        logger.warning(
            "No telemetry is sent: OTEL_EXPORTER_OTLP_ENDPOINT is set, but the exporter is not installed. "
            "Install octave-personas-mcp[otel], or unset the variable"
        )
    except Exception as error:  # noqa: BLE001 - the SDK reads two dozen variables, and a bad one must not end the start
        logger.warning("No telemetry is sent: the OTEL_ variables cannot be used (%s)", type(error).__name__)
    return _do_nothing


def _do_nothing() -> None:
    """Send nothing, as nothing was recorded."""
