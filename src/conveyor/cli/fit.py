"""``conveyor fit TASK``: train a model on the user's own data."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from conveyor.cells.definition import Cell
from conveyor.cli.options import (
    OUTPUT,
    check_given,
    given,
    offered,
    sources_of,
    spelled,
    stem_of,
    told,
    with_options,
)
from conveyor.cli.output import TERMINATED_CODE
from conveyor.cli.own_cell import find_cell
from conveyor.compiler.program import Program
from conveyor.compiler.show import program_of
from conveyor.errors import SettingError, counted
from conveyor.tasks.registry import TASKS, Entry
from conveyor.tasks.settings import TaskSettings, settings_of

app = typer.Typer(no_args_is_help=True)

# Fits a task on data: (data, settings, folder, and how, by name), and says how it went.
Fit = Callable[..., None]


def _resumed(
    context: typer.Context, folder: Path, kind: type[TaskSettings]
) -> tuple[TaskSettings, Program]:
    """The settings of the run that goes on, with what may be given anew, and its cell. The rest is
    the run's own: it may be given once more as it is, so that the same command with --resume goes
    on.

    Raises:
        SettingError: what is given is not the run's own, or the run is of another task.
    """
    from conveyor.training.run_folder import open_folder, read_beginning

    if "overwrite" in given(context):
        raise SettingError("--resume goes on with a run and --overwrite replaces it: give one.")
    open_folder(folder, overwrite=False, resume=True)
    settings, program = read_beginning(folder)
    if not isinstance(settings, kind):
        raise SettingError(f"{folder} is a run of another task.")
    values = told(context, kind)
    cell = values.pop("cell", None)
    anew = settings.changed(values)
    changed = {
        each.name
        for each in settings_of(kind)
        if not each.option.anew and each.value(anew) != each.value(settings)
    }
    if cell is not None and program_of(find_cell(cell)) != program:
        changed.add("cell")
    if changed:
        names = ", ".join(map(spelled, sorted(changed)))
        raise SettingError(
            f"--resume goes on with the settings of {folder}; {names} cannot change. Leave them "
            "out, or begin a new run with another --out."
        )
    return anew, program


def _command(entry: Entry, fit: Fit) -> Callable[..., None]:
    """The command that fits a task: its settings are its options."""
    kind = entry.settings
    source = Annotated[Path, typer.Argument(help=f"{entry.source[:1].upper()}{entry.source[1:]}.")]

    def command(
        context: typer.Context,
        data: source,
        *,
        out: Annotated[
            Path | None,
            typer.Option(
                help="The folder to write; runs/NAME unless given.", rich_help_panel=OUTPUT
            ),
        ] = None,
        overwrite: Annotated[
            bool,
            typer.Option(
                "--overwrite", help="Replace the run that is there.", rich_help_panel=OUTPUT
            ),
        ] = False,
        resume: Annotated[
            bool,
            typer.Option("--resume", help="Go on with the run of --out.", rich_help_panel=OUTPUT),
        ] = False,
    ) -> None:
        from conveyor.training.processes import is_main_process
        from conveyor.training.stopping import Wish

        folder = out or Path("runs") / stem_of(data)
        settings: TaskSettings
        cell: Cell | Program
        if resume:
            settings, cell = _resumed(context, folder, kind)
        else:
            values = told(context, kind) | sources_of(kind, data)
            check_given(values, kind)
            settings = kind.of(values)
            cell = find_cell(settings.network.cell)
        wish = Wish()
        fit(data, settings, folder, cell=cell, overwrite=overwrite, resume=resume, wish=wish)
        if wish.signal == signal.SIGTERM and is_main_process():  # the run is whole
            raise typer.Exit(TERMINATED_CODE)

    return with_options(command, offered(kind), entry.summary)


def _forecast(data: Path, settings: Any, folder: Path, **how: Any) -> None:
    """Fit a forecaster, and say how it did beside naive forecasts."""
    from conveyor.cli.output import command_line, console, say, score_table
    from conveyor.training.forecasting import fit_forecast
    from conveyor.training.processes import is_main_process

    run = fit_forecast(data, settings, folder, say=say, **how)
    if not is_main_process():
        return
    _say_how_it_ended(run.fitted)
    windows = counted(len(run.comparisons[0].truth), "window")
    say(f"\nOn the test part ({windows}):")
    console.print(score_table(run.comparisons))
    for comparison in run.comparisons:
        say(comparison.verdict)
    say(f"\nReport: {folder / 'report.html'}")
    say(f"Next:   {command_line(['conveyor', 'predict', str(folder)])}")


def _text(data: Path, settings: Any, folder: Path, **how: Any) -> None:
    """Fit a language model, and say how it did beside counting models."""
    from rich.markup import escape
    from rich.table import Table

    from conveyor.cli.output import command_line, console, say
    from conveyor.training.texting import fit_text

    run = fit_text(data, settings, folder, say=say, **how)
    _say_how_it_ended(run.fitted)
    table = Table("", "nats per character", "perplexity", box=None, pad_edge=False)
    for number, (name, each) in enumerate(run.scores.items()):
        style = "bold" if number == 0 else None
        table.add_row(escape(name), f"{each.nats:.4f}", f"{each.perplexity:.2f}", style=style)
    say("\nOn the test part:")
    console.print(table)
    say(run.verdict)
    say(f"\nReport: {folder / 'report.html'}")
    say(f"Next:   {command_line(['conveyor', 'generate', str(folder), '--length', '400'])}")


def _say_how_it_ended(fitted: Any) -> None:
    from conveyor.cli.output import say

    kept = f"kept the model of epoch {fitted.best_epoch}"
    if not fitted.best_epoch:
        kept = "no epoch was finished: kept the model as it is"
    say(f"stopped after {fitted.seconds:.0f} s: {fitted.stopped}; {kept}")


# The tasks that can be fitted by themselves, not only compared.
FITS: dict[str, Fit] = {"forecast": _forecast, "text": _text}

for _entry in TASKS:
    if _entry.name in FITS:
        app.command(_entry.name)(_command(_entry, FITS[_entry.name]))
