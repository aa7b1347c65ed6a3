"""``conveyor serve``: a run as a service, with a page to try it."""

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from conveyor.cli.found_run import find_run
from conveyor.cli.options import Spoken
from conveyor.errors import SettingError
from conveyor.signals import leaving_at_once

_LIMITS = "Limits"


def serve(
    run: Annotated[Path, typer.Argument(help="A run folder that conveyor fit made.")],
    *,
    host: Annotated[
        str, typer.Option(help="The address to listen on; by default nobody else can reach it.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="The port; 0 for any that is free.", min=0, max=65_535)
    ] = 8000,
    most_bytes: Annotated[
        int | None,
        typer.Option(
            help="Bytes of a request, at most; else a million, or twenty where it is a file.",
            min=1,
            rich_help_panel=_LIMITS,
        ),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(help="Seconds of a request, at most.", min=0.1, rich_help_panel=_LIMITS),
    ] = 30.0,
    language: Spoken = None,
) -> None:
    """Answer requests by a run, and show a page on which it can be tried. Ctrl-C stops it."""
    from conveyor.cli.output import remark, say
    from conveyor.pages.words import language_of

    with leaving_at_once():
        try:
            from conveyor.serving.server import Server, is_loopback
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn"):
                raise
            raise SettingError(
                f"conveyor serve needs the library {error.name}. Install it with: "
                "pip install 'conveyor[serve]'"
            ) from error

    server = Server(
        find_run(run),
        host=host,
        port=port,
        most_bytes=most_bytes,
        seconds=seconds,
        language=language_of(language),
    )
    if not is_loopback(host):
        remark(
            f"warning: everybody who can reach {host} may ask. Put a server before it that knows "
            "who may, and speaks HTTPS"
        )
    with contextlib.suppress(KeyboardInterrupt):
        server.run(lambda: say(f"serving {run} on {server.address} (Ctrl-C stops it)"))
    say("stopped")
