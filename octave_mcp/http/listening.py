"""Listening sockets for a host as people write it: a name, an address, with brackets or without."""

import ipaddress
import socket
from contextlib import ExitStack

BACKLOG = 1024
"""Connections that may wait to be accepted. It bounds a burst of clients that connect at once."""

ATTEMPTS = 10
"""Tries to find a free port that is the same for all addresses of a host."""

ANY_IPV6 = "::"


def open_sockets(host: str, port: int) -> list[socket.socket]:
    """Listen on every address of `host`, with one port for all. Port 0 takes a free one.

    `::` accepts IPv4 too, and `localhost` is 127.0.0.1 and, where the machine has IPv6, ::1. Raises OSError if any
    address cannot be listened on.
    """
    host = unbracketed(host)
    for attempt in range(ATTEMPTS):
        try:
            return _open_all(host, port)
        except OSError:
            if port or attempt == ATTEMPTS - 1:
                raise
    raise AssertionError  # pragma: no cover - the last attempt returns or raises


def _open_all(host: str, port: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    with ExitStack() as stack:
        for family, address in _addresses(host):
            try:
                one = _open(family, address, port)
            except OSError:
                if host == "localhost" and sockets and family == socket.AF_INET6 and not _has_ipv6_loopback():
                    continue
                raise
            stack.enter_context(one)
            sockets.append(one)
            port = one.getsockname()[1]
        stack.pop_all()
    return sockets


def _addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    """Return family and address of each address of a host. Raises OSError if it has none."""
    if host == "localhost":  # not as resolved: some machines know but one of the two, and clients try both
        return [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def _open(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    dual = family == socket.AF_INET6 and address == ANY_IPV6 and socket.has_dualstack_ipv6()
    listening = socket.create_server((address, port), family=family, backlog=BACKLOG, dualstack_ipv6=dual)
    # Connections inherit it. Otherwise an answer in two writes waits for the client to acknowledge the first.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _has_ipv6_loopback() -> bool:
    """Return whether anything can listen on ::1, so that a failure there is about the port."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def unbracketed(host: str) -> str:
    """Return a host without the brackets that an IPv6 address has in a URL."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def bracketed(host: str) -> str:
    """Return a host as it stands in a URL: an IPv6 address in brackets."""
    host = unbracketed(host)
    try:
        return f"[{ipaddress.IPv6Address(host)}]"
    except ValueError:
        return host
