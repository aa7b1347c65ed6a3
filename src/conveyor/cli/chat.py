"""``conveyor chat``: a conversation with a run, on a terminal or through a pipe."""

import itertools
import sys
from collections.abc import Iterator
from typing import Any

import typer

from conveyor.cli.options import given_values, options_by_task, with_options
from conveyor.cli.run_commands import RunFolder, lines_of_input
from conveyor.errors import did_you_mean, visible
from conveyor.signals import leaving_at_once
from conveyor.tasks.task_registry import TASKS

_REPLYING = options_by_task({entry.name: entry.reading for entry in TASKS if entry.converses})

# What may be typed instead of something to say.
_COMMANDS = {
    "/reset": "forget what was said",
    "/quit": "end, as Ctrl-D does",
    "/help": "show these",
}

_PROMPT = "you: "


def _chat(context: typer.Context, run: RunFolder) -> None:
    """Talk with a run: a line is said, and the next is the reply. It reads the last turns, too.
    /reset forgets them, /quit, Ctrl-D or Ctrl-C ends it. Through a pipe each line has a line of
    reply."""
    from conveyor.cli.output import remark

    with leaving_at_once():
        from conveyor.tasks.run import Run

    options = given_values(context, _REPLYING)
    talk = Run(run).chat(**options)
    terminal = sys.stdin.isatty()
    if terminal:
        remark(f"Say something. {', '.join(f'{name}: {does}' for name, does in _COMMANDS.items())}")
    try:
        for line in _typed() if terminal else lines_of_input():
            said = line.strip()
            if said == "/quit":
                return
            if said.startswith("/"):
                _obey(said, talk)
                continue
            reply = talk.say(line)
            if reply or not terminal:
                print(_told(reply, talk, options, terminal=sys.stdout.isatty()), flush=True)
            elif said:
                remark("(nothing to say)")
            unknown = talk.unknown(line)
            if unknown and terminal:
                remark(f"(never read: {' '.join(unknown)})")
    except KeyboardInterrupt:
        # What was said is said; nothing is lost.
        if terminal:
            print()


def _typed() -> Iterator[str]:
    """Yield what is typed at a prompt, until Ctrl-D."""
    import contextlib

    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (lets the line be edited, and brings back earlier ones)
    for _ in itertools.count():
        try:
            yield input(_PROMPT)
        except EOFError:
            print()
            return


def _obey(command: str, talk: Any) -> None:
    from conveyor.cli.output import remark

    if command == "/reset":
        talk.reset()
        remark("(forgotten)")
    elif command == "/help":
        remark("\n".join(f"{name}  {does}" for name, does in _COMMANDS.items()))
    else:
        remark(f"there is no command {command}. {did_you_mean(command, list(_COMMANDS))}")


def _told(reply: str, talk: Any, options: dict[str, Any], *, terminal: bool) -> str:
    """Return a reply, or several, with what was asked for besides, TABs between."""
    words = []
    for answer in talk.answers or [None]:
        words.append(reply if answer is None else answer.text)
        if answer is not None and options.get("scores"):
            words.append(f"{answer.log_probability:.4f}")
        if answer is not None and options.get("explain"):
            words.append(talk.looked(answer))
    text = "\t".join(words)
    return visible(text) if terminal else text


chat = with_options(_chat, _REPLYING)
