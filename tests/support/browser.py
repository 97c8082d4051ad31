"""A headless Chromium, driven by the Chrome DevTools Protocol through two pipes.

The browser comes from npm, in the package `@sparticuz/chromium`, for Linux on x86-64. It is unpacked once beside the
installed packages. Elsewhere a Chromium on the path is used; without one the test is skipped.
"""

import base64
import json
import os
import platform
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from support.npm import MODULES, node

SECONDS = 20.0
"""For one answer of the browser, and for anything that a test waits for in it. It takes milliseconds, or a start of it
a second or two; the rest is for a busy machine."""

PAUSE_SECONDS = 0.02
UNPACKED = MODULES / ".chromium"

_UNPACK = """
import chromium from "@sparticuz/chromium";
import { inflate } from "@sparticuz/chromium";
await chromium.executablePath();
await inflate(process.argv[1]);
"""

_OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-default-browser-check"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    *(
        "--disable-dev-shm-usage",
        "--disable-features=IsolateSandboxedIframes,Translate",
        "--disable-site-isolation-trials",
    ),
    *("--hide-scrollbars", "--font-render-hinting=none", "--force-color-profile=srgb", "--remote-debugging-pipe"),
)


class Page:
    """One page of the browser. Scripts run in it, or in the frame in it."""

    def __init__(self, browser: "Browser", session: str, target: str) -> None:
        """Represent the page of a session."""
        self._browser = browser
        self._session = session
        self._target = target
        self.calls: dict[str, Callable[[Any], Any]] = {}
        """Functions of this process that scripts may call by name, with and returning JSON; see `expose`."""
        self.problems: list[str] = []
        """What the page, or the frame in it, complained of: errors, and what a policy blocked."""
        self._contexts: dict[int, dict[str, Any]] = {}

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the protocol and return its result."""
        return self._browser.send(method, parameters, self._session)

    def open(self, html: str, *, width: int = 800, height: int = 900) -> None:
        """Show an HTML document in a window of this size."""
        self.resize(width, height)
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")
        frame = self.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
        self.send("Page.setDocumentContent", frameId=frame, html=html)

    def resize(self, width: int, height: int) -> None:
        """Give the window another size."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def expose(self, name: str, call: Callable[[Any], Any]) -> None:
        """Let scripts call `call` as `window[name](json)`; the answer is given to `window.answered(number, json)`."""
        self.calls[name] = call
        self.send("Runtime.addBinding", name=name)

    def run(self, script: str, *, in_frame: bool = False, as_person: bool = False) -> Any:
        """Return the value of an expression, a promise's once it is there.

        `as_person` lets it do what a browser allows only just after a click or a key.
        """
        parameters: dict[str, Any] = {"contextId": self._frame()} if in_frame else {}
        parameters |= {"userGesture": True} if as_person else {}
        answer = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, **parameters)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, script: str, *, in_frame: bool = True) -> Any:
        """Return the value of an expression once it is true."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            if value := self.run(script, in_frame=in_frame):
                return value
            time.sleep(PAUSE_SECONDS)
        shown = self.run("document.body.innerText", in_frame=in_frame)
        pytest.fail(f"Not seen within {SECONDS:g} seconds: {script}\nThe page shows:\n{shown}\n{self.problems}")

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press a key: Tab, Enter, Space or a letter."""
        codes = {"Tab": (9, ""), "Enter": (13, "\r"), "Space": (32, " ")}
        code, text = codes.get(key, (ord(key[0].upper()), key))
        event = {"key": text if key == "Space" else key, "code": key, "windowsVirtualKeyCode": code}
        event |= {"modifiers": 8} if shift else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", **event, **({"text": text} if text else {}))
        self.send("Input.dispatchKeyEvent", type="keyUp", **event)

    def picture(self, *, height: int | None = None) -> bytes:
        """Return a PNG of the window, or of the document down to `height`."""
        clip = (
            {}
            if height is None
            else {"clip": {**dict.fromkeys("xy", 0), "width": self.width(), "height": height, "scale": 1}}
        )
        shot = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=height is not None, **clip)
        return base64.b64decode(shot["data"])

    def width(self) -> int:
        """Return the window's width in CSS pixels."""
        return int(self.run("innerWidth"))

    def close(self) -> None:
        """Close the page."""
        self._browser.send("Target.closeTarget", {"targetId": self._target})

    def receive(self, method: str, parameters: dict[str, Any]) -> None:
        """Take notice of an event."""
        if method == "Runtime.executionContextCreated":
            self._contexts[parameters["context"]["id"]] = parameters["context"]
        elif method == "Runtime.executionContextDestroyed":
            self._contexts.pop(parameters["executionContextId"], None)
        elif method == "Runtime.executionContextsCleared":
            self._contexts.clear()
        elif method == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(parameters["exceptionDetails"])[:2000])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.problems.append(parameters["entry"]["text"])
        elif method == "Runtime.bindingCalled":
            asked = json.loads(parameters["payload"])
            answer = self.calls[parameters["name"]](asked["value"])
            answered = f"answered({asked['number']}, {json.dumps(json.dumps(answer))})"
            self._browser.post("Runtime.evaluate", {"expression": answered}, self._session)

    def _frame(self) -> int:
        """Return the script context of the innermost frame, the last one that was made."""
        own = self.send("Page.getFrameTree")["frameTree"]
        frames = [child["frame"]["id"] for child in own.get("childFrames", [])]
        found = [key for key, one in self._contexts.items() if one["auxData"]["frameId"] in frames]
        assert found, "The page has no frame"
        return found[-1]


class Browser:
    """A running browser."""

    def __init__(self, commands: int, events: int) -> None:
        """Speak through these two pipes."""
        self._commands = commands
        self._events = events
        self._number = 0
        self._buffer = b""
        self._pages: dict[str, Page] = {}

    def page(self) -> Page:
        """Open an empty page."""
        target = self.send("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.send("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        self._pages[session] = Page(self, session, target)
        return self._pages[session]

    def send(self, method: str, parameters: dict[str, Any], session: str | None = None) -> dict[str, Any]:
        """Send a command and return its result."""
        number = self.post(method, parameters, session)
        deadline = time.monotonic() + SECONDS
        while True:
            message = self._next(deadline)
            if message.get("id") == number:
                assert "error" not in message, (method, message["error"])
                result: dict[str, Any] = message["result"]
                return result
            if "method" in message and (page := self._pages.get(message.get("sessionId", ""))):
                page.receive(message["method"], message["params"])

    def post(self, method: str, parameters: dict[str, Any], session: str | None = None) -> int:
        """Send a command, and do not wait for its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        sent = json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0"
        while sent:
            sent = sent[os.write(self._commands, sent) :]
        return self._number

    def _next(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            readable, _, _ = select.select([self._events], [], [], max(0.0, deadline - time.monotonic()))
            received = os.read(self._events, 1 << 20) if readable else b""
            assert received, "The browser did not answer in time, or has ended"
            self._buffer += received
        line, self._buffer = self._buffer.split(b"\0", 1)
        message: dict[str, Any] = json.loads(line)
        return message


@contextmanager
def browser() -> Iterator[Browser]:
    """Run a browser. Skips the test if there is none for this machine."""
    program, environment = _program()
    command_end, commands = os.pipe()
    events, event_end = os.pipe()
    shell = (
        f'exec "$0" "$@" 3<&{command_end} 4>&{event_end}'  # the browser reads commands from 3 and writes events to 4
    )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        running = subprocess.Popen(
            ["/bin/bash", "-c", shell, program, *_OPTIONS, f"--user-data-dir={profile}", "about:blank"],
            env={**environment, "HOME": profile},
            pass_fds=(command_end, event_end),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(command_end)
        os.close(event_end)
        started = Browser(commands, events)
        try:
            yield started
        finally:
            with suppress(AssertionError, OSError):
                started.send("Browser.close", {})
            os.close(commands)
            os.close(events)
            try:
                running.wait(SECONDS)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def _program() -> tuple[str, dict[str, str]]:
    """Return the browser's path and environment."""
    environment = dict(os.environ)
    program = node()
    if (sys.platform, platform.machine()) == ("linux", "x86_64"):
        if not (UNPACKED / "ready").exists():
            _unpack(program)
        environment["LD_LIBRARY_PATH"] = f"{UNPACKED}/al2023/lib"
        if not Path("/etc/fonts/fonts.conf").exists():
            environment["FONTCONFIG_FILE"] = str(UNPACKED / "fonts.conf")
        return str(UNPACKED / "chromium"), environment
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found, environment
    pytest.skip("there is no Chromium for this machine")


def _unpack(program: str) -> None:
    """Unpack the browser, its fonts and its libraries. It is done beside, so that half of it is never used."""
    with tempfile.TemporaryDirectory(dir=MODULES) as beside:
        libraries = MODULES / "@sparticuz" / "chromium" / "bin" / "al2023.tar.br"
        command = [program, "--input-type=module", "--eval", _UNPACK, str(libraries)]
        environment = {**os.environ, "TMPDIR": beside}
        subprocess.run(command, cwd=MODULES.parent, env=environment, check=True, timeout=4 * SECONDS)
        (Path(beside) / "fonts.conf").write_text(
            f"<fontconfig><dir>{UNPACKED}/fonts</dir></fontconfig>", encoding="utf-8"
        )
        (Path(beside) / "ready").touch()
        with suppress(OSError):  # another process was first
            Path(beside).rename(UNPACKED)
            Path(beside).mkdir()
