"""Connect while `before_send` runs, and send the request when both are done.

A paid request must be in the ledger before its first byte leaves. Connecting (TCP, TLS, a proxy's tunnel) takes as long
as writing that record, so both are done at once. httpcore reports each of its steps to an awaited callback, the `trace`
request extension. The callback here waits before the step that writes the first byte.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import anyio

BeforeSend = Callable[[], Awaitable[None]]
"""Is awaited before the first byte of a request leaves. If it raises, nothing is sent."""

_FIRST_BYTE = "http11.send_request_headers.started"
"""httpcore's name of the step that writes the first byte of a request, also of a CONNECT to a proxy."""

_SOCKS_CONNECTED = "socks.connect_tcp.complete"
"""httpcore's name of the step after which there is a connection to a SOCKS proxy."""

_Result = TypeVar("_Result")


class Withheld(Exception):
    """Signal that `before_send` failed, so nothing is sent. `send_after` raises the error of `before_send` instead."""


class SendGate:
    """Hold one request back until `before_send` has returned.

    `sent` is False as long as no byte of the request can have left this machine.
    """

    def __init__(self) -> None:
        """Start closed: `wait` waits."""
        self.sent = False
        self.error: Exception | None = None
        self._opened = anyio.Event()
        self._socks: Any = None
        self._connected: Callable[[], None] | None = None

    async def open_after(self, before_send: BeforeSend) -> None:
        """Await `before_send`, then open. Its exception is kept in `error`, and nothing is sent."""
        try:
            await before_send()
        except Exception as error:  # noqa: BLE001 - the caller's own; `send_after` raises it again, unchanged
            self.error = error
        self.open()

    def open(self) -> None:
        """End all waiting: `wait` returns, or raises `Withheld` if `error` is set."""
        self._opened.set()

    async def trace(self, step: str, info: dict[str, Any]) -> None:
        """Receive httpcore's report of a step; at the request's first byte, wait. Raises `Withheld`."""
        if step == _SOCKS_CONNECTED:
            self._socks = info["return_value"]
        if step == _FIRST_BYTE and info["request"].method != b"CONNECT":
            await self.wait()

    async def close_unused(self) -> None:
        """Close a connection to a SOCKS proxy if nothing was sent: httpcore leaves one open that fails."""
        if self._socks is not None and not self.sent:
            await self._socks.aclose()

    async def wait(self) -> None:
        """Return when the request may be sent. Raises `Withheld` if `before_send` failed."""
        if self._connected is not None:
            self._connected()
        await self._opened.wait()
        if self.error is not None:
            raise Withheld
        self.sent = True

    @contextmanager
    def deadline(self, *, connect_seconds: float, seconds: float) -> Iterator[None]:
        """Bound the block: `connect_seconds` until it is connected, `seconds` in all. Raises TimeoutError."""
        ends = anyio.current_time() + seconds
        with anyio.fail_after(min(connect_seconds, seconds)) as scope:
            self._connected = lambda: setattr(scope, "deadline", ends)
            yield


async def send_after(before_send: BeforeSend | None, send: Callable[[SendGate], Awaitable[_Result]]) -> _Result:
    """Run `send` and `before_send` at the same time, and return the result of `send`.

    `send` receives a gate, and must wait at it before the first byte. `before_send` is awaited even if `send` fails. If
    it raises, that exception is raised unchanged, and not that of `send`. Cancelling the task cancels both.
    """
    gate = SendGate()
    if before_send is None:
        gate.open()
        return await send(gate)
    results: list[_Result] = []
    failures: list[Exception] = []
    async with anyio.create_task_group() as group:
        group.start_soon(gate.open_after, before_send)
        try:
            results.append(await send(gate))
        except Exception as error:  # noqa: BLE001 - raised below, outside of the group, which would wrap it
            failures.append(error)
    for failure in filter(None, (gate.error, *failures)):
        raise failure
    return results[0]
