"""The server of a run: a socket, and uvicorn that listens on it."""

import ipaddress
import socket
from collections.abc import Callable

import uvicorn

from conveyor.errors import SettingError, named, speaking_of_keys
from conveyor.pages.words import Language
from conveyor.serving.application import Service
from conveyor.tasks.run import Run

# Connections at a time, at most: more are told to come later.
_MOST_CONNECTIONS = 64

# Seconds that a stopping server waits for answers on their way.
_PATIENCE = 3


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Listening(uvicorn.Server):
    """A server that says when it listens."""

    ready: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready()


class Server:
    """Serves a run.

    Args:
        run: the run.
        host: the address to listen on.
        port: the port; 0 for any that is free.
        most_bytes: of a request, at most; None for a million, or twenty where it is a file.
        seconds: that a request may take to arrive, and its answer to be found, at most.
        language: that the page begins in.

    Attributes:
        address: where the page is.

    Raises:
        RunError: the run answers nothing.
        SettingError: there is no such address, or another program uses it.
    """

    def __init__(
        self,
        run: Run,
        *,
        host: str = "127.0.0.1",
        port: int = 8000,
        most_bytes: int | None = None,
        seconds: float = 30.0,
        language: Language = "en",
    ) -> None:
        self._service = Service(
            run,
            most_bytes=most_bytes,
            seconds=seconds,
            only_here=is_loopback(host),
            language=language,
        )
        self._socket = _listening(host, port)
        shown = f"[{host}]" if ":" in host else host
        self.address = f"http://{shown}:{self._socket.getsockname()[1]}/"
        config = uvicorn.Config(
            self._service.application(),
            log_level="warning",
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_graceful_shutdown=_PATIENCE,
            server_header=False,
            lifespan="off",
            ws="none",
        )
        self._server = _Listening(config)

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until ``stop``.

        Args:
            ready: called when it listens, from when on Ctrl-C and SIGTERM let it end its answers.

        Raises:
            KeyboardInterrupt: Ctrl-C or SIGTERM ended it.
        """
        self._server.ready = ready
        try:
            # Who asks a service sends keys of JSON, whoever started it.
            with speaking_of_keys():
                self._server.run(sockets=[self._socket])
        finally:
            self._service.work.close()
            self._socket.close()

    def stop(self) -> None:
        """Let ``run`` return, from another thread."""
        self._server.should_exit = True


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()  # who connects before uvicorn is ready waits
    except (OSError, UnicodeError) as error:
        listening.close()
        raise SettingError(
            f"{named('host')} {host} with {named('port')} {port} cannot be listened on: {error}. "
            f"Give another port ({named('port')} 0 takes a free one) or address."
        ) from error
    return listening
