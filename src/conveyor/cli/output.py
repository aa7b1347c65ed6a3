"""Printing to the terminal: lines, tables of scores, and errors on the error stream."""

import re
import shlex
import sys
from collections.abc import Sequence
from typing import NoReturn

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from conveyor.errors import CONTROLS, visible
from conveyor.tasks.results import Scores, heads, lines
from conveyor.training.launch import reports_errors

# The exit codes of a shell for a process that Ctrl-C or SIGTERM ended: 128 plus the signal.
INTERRUPTED_CODE, TERMINATED_CODE = 130, 143

console = Console(highlight=False, soft_wrap=True)


def say(line: str) -> None:
    """Print a line of progress on the output stream."""
    print(visible(line), flush=True)


def remark(line: str) -> None:
    """Print a line of progress on the error stream, where the output is data."""
    print(visible(line), file=sys.stderr, flush=True)


def command_line(words: Sequence[str]) -> str:
    r"""Return a command that can be pasted into a shell. Words with control characters are quoted
    as bash and zsh read them, ``$'a\x1bb'``."""
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    if visible(word) == word:
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    # Above ASCII \x9b would be one byte to a shell, which is no letter.
    return f"$'{re.sub(CONTROLS, lambda match: _spelled(ord(match[0])), escaped)}'"


def _spelled(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"


def fail(message: str, code: int = 2) -> NoReturn:
    """Print an error on the error stream and exit. Of several processes only one prints it."""
    if reports_errors():
        print(f"error: {visible(message)}", file=sys.stderr)
    sys.exit(code)


def score_table(scores: Sequence[Scores]) -> Table:
    """Return a table of our scores beside the baselines', a block for each subject."""
    head = heads(scores)
    table = Table(box=None, pad_edge=False, show_edge=False)
    label_count = len(head) - len(scores[0].metrics)
    for column, name in enumerate(head):
        table.add_column(name, justify="left" if column < label_count else "right")
    for cells, is_ours in lines(scores):
        table.add_row(*map(escape, cells), style="bold" if is_ours else None)
    return table
