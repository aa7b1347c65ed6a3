"""Asking a service of a run, by requests and on its page."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from conveyor.serving.server import Server
from conveyor.tasks.run import Run
from tests.training.browser import Page

JSON = "application/json"


class Asking:
    """Somebody who asks a service."""

    def __init__(self, server: Server) -> None:
        self.port = int(server.address.rstrip("/").rpartition(":")[2])

    def __call__(
        self, method: str, path: str, body: bytes | str = b"", **headers: str
    ) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body if isinstance(body, bytes) else body.encode(), names)
        response = connection.getresponse()
        said = response.status, response.read().decode()
        connection.close()
        return said

    def json(self, path: str, content: Any, **headers: str) -> tuple[int, Any]:
        status, text = self("POST", path, json.dumps(content), Content_Type=JSON, **headers)
        return status, json.loads(text)


@contextmanager
def serving(run: Run, **options: Any) -> Iterator[Asking]:
    """A service of a run on any port, stopped in the end."""
    server = Server(run, port=0, **options)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield Asking(server)
    finally:
        server.stop()
        thread.join(30)
        assert not thread.is_alive()


def shown(page: Page, asking: Asking, **how: Any) -> None:
    page.complaints.clear()
    page.show(**how)
    page.open(f"http://127.0.0.1:{asking.port}/")


def asked(page: Page, text: str | None) -> None:
    """Put a text into the page's box, press the button, and wait for what comes."""
    if text is not None:
        page.ask(f"document.getElementById('asked').value = {json.dumps(text)}")
    page.ask("document.querySelector('button[type=submit]').click()")
    page.ask("""new Promise((done) => {
        const look = () => document.querySelector("button[type=submit]").disabled
            ? setTimeout(look, 20) : done();
        look();
    })""")  # fmt: skip
