"""The command ``conveyor``: starts the command line, or says what it needs."""

import importlib
import os
import signal
import sys

from conveyor import signals


def main() -> None:
    """Run the command line. Without the extra ``train`` it says how to get it, and exits 2."""
    if sys.stdout is None:  # closed by the caller
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
    signals.leave_at_once()
    try:
        app = importlib.import_module("conveyor.cli.app")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("conveyor"):
            raise
        print(
            f"error: the command line needs {error.name}, which is not installed. Install it with: "
            "pip install 'conveyor[train]'",
            file=sys.stderr,
        )
        sys.exit(2)
    try:
        signals.restore_handlers()
        app.run()
    finally:
        # All is done or given up: Ctrl-C once more would only tear Python's own last steps.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    main()
