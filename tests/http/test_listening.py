"""Listening sockets: a host is taken as people write it, and reached as clients resolve it."""

import socket

import pytest

from octave_mcp.http.listening import bracketed, open_sockets, unbracketed


def has_ipv6() -> bool:
    """Return whether this machine can listen on ::1."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


def reached(host: str) -> set[str]:
    """Return the loopback addresses at which a server on `host` is reached."""
    sockets = open_sockets(host, 0)
    port = sockets[0].getsockname()[1]
    found = set()
    for address in ("127.0.0.1", "::1"):
        try:
            socket.create_connection((address, port), timeout=5).close()
        except OSError:
            continue
        found.add(address)
    for one in sockets:
        one.close()
    return found


@needs_ipv6
@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("127.0.0.1", {"127.0.0.1"}),
        ("::1", {"::1"}),
        ("[::1]", {"::1"}),
        ("::", {"127.0.0.1", "::1"}),
        ("[::]", {"127.0.0.1", "::1"}),
        ("0.0.0.0", {"127.0.0.1"}),
        ("localhost", {"127.0.0.1", "::1"}),
    ],
)
def test_a_host_is_reached_at_all_its_addresses(host: str, addresses: set[str]) -> None:
    """One port serves all of them, also where a free one is taken."""
    assert reached(host) == addresses


def test_without_ipv6_localhost_is_still_listened_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers often have none."""
    original = socket.create_server

    def only_ipv4(address: tuple[str, int], **options: object) -> socket.socket:
        if options.get("family") == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return original(address, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "create_server", only_ipv4)
    assert reached("localhost") == {"127.0.0.1"}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_port_that_is_taken_is_an_error(host: str) -> None:
    """Of any of the host's addresses: half a server would confuse everybody."""
    family, address = (socket.AF_INET6, "::1") if host == "localhost" and has_ipv6() else (socket.AF_INET, "127.0.0.1")
    with socket.create_server((address, 0), family=family) as taken, pytest.raises(OSError, match="in use"):
        open_sockets(host, taken.getsockname()[1])


@pytest.mark.parametrize("host", ["no.such.name.invalid", ""])
def test_a_host_that_does_not_exist_is_an_error(host: str) -> None:
    """The command reports it in words."""
    with pytest.raises(OSError, match=r"."):
        open_sockets(host, 0)


@pytest.mark.parametrize(
    ("given", "bare", "in_a_url"),
    [("::1", "::1", "[::1]"), ("[::1]", "::1", "[::1]"), ("localhost", "localhost", "localhost"), ("10.0.0.7",) * 3],
)
def test_an_address_has_brackets_in_a_url_only(given: str, bare: str, in_a_url: str) -> None:
    """People write it either way."""
    assert (unbracketed(given), bracketed(given)) == (bare, in_a_url)
