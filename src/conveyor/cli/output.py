"""What the command line prints: tables, and errors on the other stream."""

import re
import shlex
import sys
from collections.abc import Sequence
from typing import NoReturn

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from conveyor.errors import CONTROLS, visible
from conveyor.training.compare import Comparison

# What a shell says of a process that was ended by Ctrl-C, and by SIGTERM: 128 and the signal.
INTERRUPTED_CODE, TERMINATED_CODE = 130, 143

console = Console(highlight=False, soft_wrap=True)


def say(line: str) -> None:
    """One line of what is going on."""
    print(visible(line), flush=True)


def remark(line: str) -> None:
    """One line of what is going on, beside an output that is data."""
    print(visible(line), file=sys.stderr, flush=True)


def command_line(words: Sequence[str]) -> str:
    r"""Return a command that can be pasted into a shell: words with control characters as bash and
    zsh read them, ``$'a\x1bb'``."""
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    if visible(word) == word:
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    # Not \x9b above ASCII: to a shell that is one byte, no letter.
    return f"$'{re.sub(CONTROLS, lambda match: _spelled(ord(match[0])), escaped)}'"


def _spelled(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"


def fail(message: str, code: int = 2) -> NoReturn:
    """Say what is wrong, on the error stream, and exit."""
    print(f"error: {visible(message)}", file=sys.stderr)
    sys.exit(code)


def score_table(comparisons: list[Comparison]) -> Table:
    """Our scores beside the baselines', a block per target."""
    several = len(comparisons) > 1
    table = Table(box=None, pad_edge=False, show_edge=False)
    for name in ["target"] * several + [""]:
        table.add_column(name)
    for name in ("MAE", "RMSE", "MASE", "in 80 % band"):
        table.add_column(name, justify="right")
    for comparison in comparisons:
        for number, (label, each) in enumerate(comparison.scores.items()):
            row = [escape(visible(comparison.target)) if number == 0 else ""] * several
            row += [
                escape(visible(label)),
                f"{each.mae:.4g}",
                f"{each.rmse:.4g}",
                f"{each.mase:.3f}",
            ]
            row.append("" if each.coverage is None else f"{100 * each.coverage:.0f} %")
            table.add_row(*row, style="bold" if number == 0 else None)
    return table
