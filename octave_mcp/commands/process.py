"""The process of a command: how it loads modules, what its exit codes mean, and how it ends."""

import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

__all__ = ["BAD_SETTINGS", "FAILED", "INTERRUPTED", "ExitCode", "exit_within", "loading", "shut_down_on_signals"]

FAILED = 1
BAD_SETTINGS = 2
INTERRUPTED = 130


@contextmanager
def loading() -> Iterator[None]:
    """Keep the garbage collector from walking modules while they load, and afterwards: they are never freed."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@dataclass
class ExitCode:
    """The exit code of a command: 0, or 128 and the number of the signal that ended it."""

    value: int = 0


def shut_down_on_signals(shut_down: Callable[[], None], exit_code: ExitCode) -> None:
    """Call `shut_down` at SIGINT and SIGTERM, and set the exit code. The same signal again ends the process at once.

    SIGHUP, which a closed terminal sends, counts as SIGTERM, unless this process was started with SIGHUP ignored, as
    `nohup` does. The other two are received even if they were ignored or blocked.
    """

    def asked(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        exit_code.value = 128 + number
        shut_down()

    def hung_up(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # a terminal and its shell send one each
        signal.raise_signal(signal.SIGTERM)

    signal.signal(signal.SIGINT, asked)
    signal.signal(signal.SIGTERM, asked)
    if hasattr(signal, "SIGHUP"):  # not on Windows
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, hung_up)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


def exit_within(seconds: float, exit_code: ExitCode) -> None:
    """End the process after so many seconds, whatever holds it by then."""
    timer = threading.Timer(seconds, lambda: os._exit(exit_code.value))
    timer.daemon = True
    timer.start()
