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
    spelled,
    stem_of,
    told,
    with_options,
)
from conveyor.cli.output import TERMINATED_CODE
from conveyor.cli.own_cell import find_cell
from conveyor.compiler.program import Program
from conveyor.compiler.show import program_of
from conveyor.errors import SettingError
from conveyor.signals import leaving_at_once
from conveyor.tasks.settings import TaskSettings, settings_of, sources_of
from conveyor.tasks.task_registry import TASKS, Entry

app = typer.Typer(no_args_is_help=True)

Out = Annotated[
    Path | None,
    typer.Option(help="The folder to write; runs/NAME unless given.", rich_help_panel=OUTPUT),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace the run that is there.", rich_help_panel=OUTPUT),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the run of --out.", rich_help_panel=OUTPUT)
]


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
        if not each.option.changeable and each.value(anew) != each.value(settings)
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


def _command(entry: Entry) -> Callable[..., None]:
    """Return the command that fits a task: its settings are its options."""

    def command(
        context: typer.Context,
        data: Annotated[Path, typer.Argument(help=_sentence(entry.source))],
        *,
        out: Out = None,
        overwrite: Overwrite = False,
        resume: Resume = False,
    ) -> None:
        _fit(context, entry, data, out or Path("runs") / stem_of(data))

    def without_data(
        context: typer.Context,
        *,
        out: Out = None,
        overwrite: Overwrite = False,
        resume: Resume = False,
    ) -> None:
        _fit(context, entry, None, out or Path("runs") / entry.name)

    chosen = command if entry.reads else without_data
    return with_options(chosen, offered(entry.settings), entry.summary)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _fit(context: typer.Context, entry: Entry, data: Path | None, folder: Path) -> None:
    """Fit a task, or go on with a run, and show how it went."""
    from conveyor.cli.output import say

    with leaving_at_once():
        from conveyor.training.fitting import fit_task
        from conveyor.training.launch import is_main_process
        from conveyor.training.stopping import StopRequest

        task = entry.task

    kind, resume = entry.settings, context.params["resume"]
    settings: TaskSettings
    cell: Cell | Program
    if resume:
        settings, cell = _resumed(context, folder, kind)
    else:
        values = told(context, kind) | sources_of(kind, data)
        check_given(values, kind)
        settings = kind.of(values)
        cell = find_cell(settings.network.cell)
    request = StopRequest()
    run = fit_task(
        task,
        data,
        settings,
        folder,
        cell=cell,
        overwrite=context.params["overwrite"],
        resume=resume,
        say=say,
        request=request,
    )
    if not is_main_process():
        return
    _show(entry, run)
    if request.signal == signal.SIGTERM:  # the run is whole
        raise typer.Exit(TERMINATED_CODE)


def _show(entry: Entry, run: Any) -> None:
    """Say how a fit ended, how good its network is, and what can be done with it."""
    from conveyor.cli.output import command_line, console, say, score_table
    from conveyor.tasks.run import REPORT

    fitted, scores = run.fitted, run.results.scores
    kept = f"kept the model of epoch {fitted.best_epoch}"
    if not fitted.best_epoch:
        kept = "no epoch was finished: kept the model as it is"
    say(f"stopped after {fitted.seconds:.0f} s: {fitted.stopped}; {kept}")
    say(f"\nOn the test part ({run.results.count}):")
    console.print(score_table(scores))
    for each in scores:
        say(each.verdict)
    say(f"\nReport: {run.folder / REPORT}")
    if entry.task.next_command:
        verb, *rest = entry.task.next_command
        say(f"Next:   {command_line(['conveyor', verb, str(run.folder), *rest])}")


for _entry in TASKS:
    app.command(_entry.name)(_command(_entry))
