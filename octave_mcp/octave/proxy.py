"""The one proxy on the way to Octave, from the proxy settings of this machine, for the client and for `doctor`.

Only what concerns Octave's origin is read: a setting that the HTTP library could not read must not stop calls that do
not go through it. Python's `urllib` knows where each system keeps its settings; the names here are those of the
environment.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

_DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
"""The kinds of proxies that can be used, and their ports."""

_ALIASES = {"": "http", "socks": "socks5h"}
"""GNOME writes `socks://`; an address alone is an HTTP proxy."""


@dataclass(frozen=True)
class Proxy:
    """A proxy: the setting that names it, and its address. Only `url` may hold its user and password."""

    setting: str
    host: str
    port: int
    url: str = field(repr=False)


@dataclass(frozen=True)
class Route:
    """The way to an origin: directly, or through `proxy`. `ignored` says which settings cannot be used, and why."""

    proxy: Proxy | None = None
    ignored: tuple[str, ...] = ()


def route_to(origin: str) -> Route:
    """Return the way to `origin`, such as `https://app.octavehq.com`.

    A call that is not encrypted goes directly: a proxy would read the API key. HTTPS_PROXY comes before ALL_PROXY.
    """
    parts = urlsplit(origin)
    if parts.scheme != "https" or _is_bypassed(parts):
        return Route()
    ignored: list[str] = []
    for setting, value in _settings():
        try:
            return Route(_proxy(setting, value), tuple(ignored))
        except ValueError as error:
            ignored.append(f"{setting} {error}")
    return Route(None, tuple(ignored))


def _is_bypassed(origin: SplitResult) -> bool:
    """Return whether NO_PROXY names this host; an entry in another form, such as a network, names none."""
    host = origin.hostname or ""
    authority = f"[{host}]" if ":" in host else host
    return any(map(proxy_bypass, (host, f"{authority}:{origin.port or 443}")))


def _settings() -> Iterator[tuple[str, str]]:
    proxies = getproxies()
    for kind in ("https", "all"):
        if value := proxies.get(kind, "").strip():
            yield f"{kind.upper()}_PROXY", value


def _proxy(setting: str, value: str) -> Proxy:
    """Read one setting. Raises ValueError with what is wrong, and never with the value: it may hold a password."""
    scheme, separator, rest = value.partition("://")
    scheme = scheme.lower() if separator else ""
    scheme = _ALIASES.get(scheme, scheme)
    if scheme not in _DEFAULT_PORTS:
        raise ValueError("is not the address of an http, https or socks5 proxy")
    try:
        parts = urlsplit(f"{scheme}://{rest if separator else value}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not all("!" <= character <= "~" for character in parts.netloc):
        raise ValueError("is not an address of the form http://host:port")
    return Proxy(setting, host, port or _DEFAULT_PORTS[scheme], parts.geturl())
