"""The process's standard descriptors: all three open, and written by threads that nobody has to wait for."""

import io
import os
import queue
import sys
import threading
import time
from collections.abc import Callable

RETRY_SECONDS = 0.02
"""Pause before using a descriptor again that does not block and is not ready."""


def prepare_standard_streams() -> None:
    """Make printing safe, whatever this process was started with.

    Each standard descriptor that is missing becomes the null device: otherwise the next file or socket gets its number,
    and is written to by whatever prints. With no stderr, `sys.stderr` is the null device too; `sys.stdin` and
    `sys.stdout` stay None, so that commands can say so. A letter that a terminal lacks is printed as another.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - open as long as the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


class BackgroundWriter:
    """Writes to a descriptor in a daemon thread: a reader that is slow, stuck or gone holds nobody but that thread."""

    def __init__(self, descriptor: int, max_waiting: int = 0) -> None:
        """Write to `descriptor`, which stays open. At most `max_waiting` writes wait; 0 means no limit."""
        self._descriptor = descriptor
        self._waiting: queue.Queue[tuple[bytes, Callable[[bool], None] | None]] = queue.Queue(max_waiting)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_broken = False

    def write(self, data: bytes, done: Callable[[bool], None] | None = None) -> bool:
        """Have `data` written after what waits already; return False if too much waits, so that it is dropped.

        `done` is called by the thread: with True when all of `data` was written, with False when nobody reads it.
        """
        try:
            self._waiting.put_nowait((data, done))
        except queue.Full:
            return False
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"writer of {self._descriptor}", daemon=True)
                self._thread.start()
        return True

    def flush(self, seconds: float) -> bool:
        """Wait until everything is written or given up, at most so many seconds. Return whether it is."""
        until = time.monotonic() + seconds
        with self._waiting.all_tasks_done:
            while self._waiting.unfinished_tasks:
                if (left := until - time.monotonic()) <= 0:
                    return False
                self._waiting.all_tasks_done.wait(left)
        return True

    def _run(self) -> None:
        while True:
            data, done = self._waiting.get()
            try:
                if not self._is_broken:
                    self._write_all(data)
            except OSError:  # closed, or nobody reads it
                self._is_broken = True
            finally:
                if done is not None:
                    done(not self._is_broken)
                self._waiting.task_done()

    def _write_all(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:  # another process that shares the descriptor made it so
                time.sleep(RETRY_SECONDS)
