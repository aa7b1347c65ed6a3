"""The commands of conveyor. An error of ours becomes one sentence and exit code 2."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated

import typer

from conveyor.cells.cell_registry import FAMILIES, find_structure
from conveyor.cells.structures import STRUCTURES
from conveyor.cli import fit, run_commands
from conveyor.cli.chat import chat
from conveyor.cli.compare import compare
from conveyor.cli.inspect import inspect
from conveyor.cli.output import INTERRUPTED_CODE, TERMINATED_CODE, console, fail
from conveyor.cli.search_command import search
from conveyor.cli.serve import serve
from conveyor.cli.units_command import units
from conveyor.compiler.cost import cost
from conveyor.compiler.page import parameters_of
from conveyor.compiler.plan import plan
from conveyor.compiler.show import KINDS, show
from conveyor.compiler.trace import trace
from conveyor.errors import ConveyorError, SettingError, speaking_of_options
from conveyor.signals import Terminated
from conveyor.version import VERSION

app = typer.Typer(
    help="Recurrent networks whose cells are written once, as their equations.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(
    fit.app,
    name="fit",
    help="Fit a network to your data, or to a task that draws its own.",
)
app.command("predict")(run_commands.predict)
app.command("evaluate")(run_commands.evaluate)
app.command("update")(run_commands.update)
app.command("generate")(run_commands.generate)
app.command("chat")(chat)
app.command("serve")(serve)
app.command("inspect")(inspect)
app.command("units")(units)
app.command("compare")(compare)
app.command("search")(search)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"conveyor {VERSION}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Recurrent networks whose cells are written once, as their equations."""
    context.with_resource(speaking_of_options())


@app.command("cells")
def list_cells() -> None:
    """List the built-in cells with their sources and parameter counts."""
    from rich.table import Table

    for family in FAMILIES:
        console.print(f"\n{family.doc.splitlines()[0]}", style="bold")
        table = Table(box=None, pad_edge=False)
        for column in ("cell", "parameters"):
            table.add_column(column, no_wrap=True)
        table.add_column("what it is, and its source")
        for cell in family.cells:
            count = cost(plan(trace(cell))).parameters
            names = "\n".join([cell.name, *(f"  or {alias}" for alias in cell.aliases)])
            about = " ".join(cell.doc.split())
            table.add_row(names, str(count), f"{about}\n[dim]{cell.source}[/dim]")
        console.print(table)
    console.print("\nLayers made of cells, and ways to begin", style="bold")
    table = Table(box=None, pad_edge=False)
    for column in ("name", "parameters", "what it is, its source, and how to get it"):
        table.add_column(column)
    for structure in STRUCTURES:
        about = f"{structure.doc}\n[dim]{structure.source}[/dim]\n{structure.use}"
        table.add_row(structure.name, parameters_of(structure), about)
    console.print(table)
    console.print("\nI input features, H hidden units. Next: conveyor show lstm")


@app.command("show")
def show_cell(
    cell: Annotated[str, typer.Argument(help="A cell's name, or mine.py:name.")],
    kind: Annotated[str, typer.Option("--as", help=f"One of: {', '.join(KINDS)}.")] = "equations",
    size: Annotated[
        list[str] | None,
        typer.Option("--size", help="For --as cost: a width, as I=1 or H=50. May be repeated."),
    ] = None,
) -> None:
    """Print a cell: its equations, LaTeX, program, gradient, plan or cost."""
    from conveyor.cli.user_cell import find_cell

    sizes = {}
    if size and kind != "cost":
        raise SettingError("--size is for --as cost. Leave it out, or give --as cost.")
    for text in size or []:
        axis, _, number = text.partition("=")
        if not axis or not number.lstrip("-").isdigit():
            raise SettingError(f"--size {text}: expected a letter and a number, as H=50.")
        sizes[axis] = int(number)
    structure = find_structure(cell)
    if structure is not None and kind == "equations":
        print(f"{show(structure.block)}\n\nno cell of its own: {structure.use}")
        return
    print(show(find_cell(cell), kind, **sizes))


@contextmanager
def _taking_sigterm() -> Iterator[None]:
    """Let SIGTERM interrupt the block as Ctrl-C does, so that half-written files are removed.

    Raises:
        Terminated: the signal came.
    """

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _tell_interrupt(end: BaseException) -> None:
    """Say what ended a command and exit, where Typer turned an interrupt into an exit."""
    error: BaseException | None = end
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    if isinstance(error, Terminated):
        fail("terminated.", code=TERMINATED_CODE)
    if error is not None:
        fail("interrupted.", code=INTERRUPTED_CODE)


def run() -> None:
    """Run the command line; errors of ours become a sentence and exit code 2."""
    try:
        with _taking_sigterm():
            app()
    except ConveyorError as error:
        fail(str(error))
    except (SystemExit, KeyboardInterrupt) as end:
        _tell_interrupt(end)
        raise
    except BrokenPipeError:
        # The reader of our output has ended, as `| head` does: nobody would read an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        fail(f"the output could not be written: {error.strerror or error}.")
