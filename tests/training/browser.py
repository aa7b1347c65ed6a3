"""Chromium, told what to do: a page at a width, in light or dark, with no network, and questions
asked of it in JavaScript. Spoken through a pipe, as Chromium's protocol for its developer tools."""

import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)

# Seconds until a browser that is silent is given up.
PATIENCE = 60

# Chromium reads its file 3 and writes into its file 4: puts two files there, and becomes Chromium.
_MOVE = """
import os, sys
from fcntl import F_DUPFD, fcntl
for place, file in enumerate([fcntl(int(each), F_DUPFD, 10) for each in sys.argv[1:3]], 3):
    os.dup2(file, place)
os.execv(sys.argv[3], sys.argv[3:])
"""

# When the charts of a page are drawn: plotly draws each in layers.
_DRAWN = """
new Promise((done) => {
  const look = () => [...document.querySelectorAll(".chart")].every(
    (chart) => chart.querySelector(".main-svg, .untold")) ? done(true) : setTimeout(look, 50);
  look();
})
"""


class Page:
    """A page in a browser of its own."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._number = 0
        self._session: str | None = None
        self._rest = b""
        # What the page tried to fetch, and what its scripts complained of.
        self.fetched: list[str] = []
        self.complaints: list[str] = []

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            if not select.select([self._answers], [], [], PATIENCE)[0]:
                raise TimeoutError(f"Chromium has said nothing for {PATIENCE} seconds.")
            read = os.read(self._answers, 1 << 20)
            if not read:
                raise EOFError("Chromium has ended.")
            self._rest += read
        message, self._rest = self._rest.split(b"\0", 1)
        found: dict[str, Any] = json.loads(message)
        return found

    def _note(self, event: dict[str, Any]) -> None:
        method, what = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.fetched.append(what["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(what["exceptionDetails"]))
        elif method == "Log.entryAdded" and what["entry"]["level"] == "error":
            self.complaints.append(what["entry"]["text"])

    def send(self, method: str, **options: Any) -> dict[str, Any]:
        """Give a command, and return its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": options}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            found = self._message()
            if found.get("id") == self._number:
                assert "error" not in found, (method, found["error"])
                result: dict[str, Any] = found["result"]
                return result
            self._note(found)

    def attach(self, *, offline: bool) -> None:
        """Open a tab, without a network or with one."""
        tab = self.send("Target.createTarget", url="about:blank")["targetId"]
        found = self.send("Target.attachToTarget", targetId=tab, flatten=True)
        self._session = found["sessionId"]
        for each in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{each}.enable")
        whole = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        nothing = {"latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        self.send(
            "Network.emulateNetworkConditions", offline=offline, **(nothing if offline else whole)
        )

    def show(self, *, width: int = 1280, dark: bool = False, touch: bool = False) -> None:
        """Set the width in pixels, the colours that the system prefers, and a finger or a mouse."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1}
        self.send("Emulation.setDeviceMetricsOverride", mobile=touch, **size)
        self.send("Emulation.setTouchEmulationEnabled", enabled=touch)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, page: Path | str) -> None:
        """Open a file or an address, and wait until its charts are drawn."""
        self.send("Page.navigate", url=page if isinstance(page, str) else page.as_uri())
        self.ask("new Promise((done) => document.readyState === 'complete' ? done() : "
                 "addEventListener('load', done))")  # fmt: skip
        self.ask(_DRAWN)

    def ask(self, script: str) -> Any:
        """Return what a script returns, as JSON; a promise is waited for."""
        found = self.send(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")


@contextmanager
def browser(profile: Path, *, offline: bool = True) -> Iterator[Page]:
    """A page in a fresh Chromium, which is ended in the end."""
    assert CHROMIUM is not None
    their_commands, commands = os.pipe()
    answers, their_answers = os.pipe()
    options = [
        "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--remote-debugging-pipe", f"--user-data-dir={profile}",
    ]  # fmt: skip
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            _MOVE,
            *map(str, (their_commands, their_answers)),
            CHROMIUM,
            *options,
        ],
        pass_fds=(their_commands, their_answers),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(their_commands)
    os.close(their_answers)
    try:
        page = Page(commands, answers)
        page.attach(offline=offline)
        yield page
    finally:
        os.close(commands)  # with nobody to command it, Chromium ends
        os.close(answers)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
