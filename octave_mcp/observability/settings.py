"""OpenTelemetry's own variables, read from the environment once."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class TelemetrySettings(BaseSettings):
    """Those of OpenTelemetry's own variables that say whether anything is sent; its SDK reads the others."""

    model_config = SettingsConfigDict(env_prefix="OTEL_", extra="ignore", frozen=True)

    sdk_disabled: str = ""
    exporter_otlp_endpoint: str = ""
    exporter_otlp_traces_endpoint: str = ""
    exporter_otlp_metrics_endpoint: str = ""
    exporter_otlp_protocol: str = ""
    traces_exporter: str = ""
    metrics_exporter: str = ""

    @property
    def traces(self) -> bool:
        """Return whether spans are sent."""
        return self._sent(self.exporter_otlp_traces_endpoint, self.traces_exporter)

    @property
    def metrics(self) -> bool:
        """Return whether metrics are sent."""
        return self._sent(self.exporter_otlp_metrics_endpoint, self.metrics_exporter)

    def _sent(self, own_endpoint: str, exporter: str) -> bool:
        named = own_endpoint.strip() or self.exporter_otlp_endpoint.strip()
        return bool(named) and exporter.strip() != "none" and self.sdk_disabled.strip().lower() != "true"


def load_telemetry_settings() -> TelemetrySettings:
    """Read OpenTelemetry's variables from the environment."""
    return TelemetrySettings()
