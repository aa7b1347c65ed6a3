"""``conveyor fit TASK``: the commands that train a model on the user's data."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from conveyor.cells.definition import Cell
from conveyor.cli.options import (
    OUTPUT,
    Spoken,
    check_required,
    given_names,
    given_values,
    offered,
    stem_of,
    with_options,
)
from conveyor.cli.output import TERMINATED_CODE
from conveyor.cli.user_cell import find_cell
from conveyor.compiler.program import Program
from conveyor.compiler.show import program_of
from conveyor.errors import SettingError
from conveyor.signals import leaving_at_once
from conveyor.tasks.settings import TaskSettings, resumed_with, sources_of
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
) -> tuple[TaskSettings, Program | None]:
    """Return the settings of a run that is resumed, changed by the options that may change, and its
    cell. Other options may be repeated with the values of the run, so that the command that
    began it resumes it with --resume.

    Raises:
        SettingError: an option differs from the run's setting, or the run is of another task.
    """
    from conveyor.training.run_folder import open_folder, read_beginning, working_folder

    if "overwrite" in given_names(context):
        raise SettingError("--resume goes on with a run and --overwrite replaces it: give one.")
    open_folder(folder, overwrite=False, resume=True)
    work = working_folder(folder, overwrite=False, resume=True)
    settings, program = read_beginning(work)
    if not isinstance(settings, kind):
        raise SettingError(f"{folder} is a run of another task.")
    values = given_values(context, offered(kind))
    cell = values.pop("cell", None)
    other_cell = cell is not None and program_of(find_cell(cell)) != program
    return resumed_with(settings, values, other_cell=other_cell), program


def _command(entry: Entry) -> Callable[..., None]:
    """Return the command that fits a task and has its settings as options."""

    def command(
        context: typer.Context,
        data: Annotated[Path, typer.Argument(help=_sentence(entry.source))],
        *,
        out: Out = None,
        overwrite: Overwrite = False,
        resume: Resume = False,
        language: Spoken = None,
    ) -> None:
        _fit(context, entry, data, out or Path("runs") / stem_of(data))

    def without_data(
        context: typer.Context,
        *,
        out: Out = None,
        overwrite: Overwrite = False,
        resume: Resume = False,
        language: Spoken = None,
    ) -> None:
        _fit(context, entry, None, out or Path("runs") / entry.name)

    function = command if entry.reads else without_data
    return with_options(function, offered(entry.settings), entry.summary)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _fit(context: typer.Context, entry: Entry, data: Path | None, folder: Path) -> None:
    """Fit a task, or resume a run, and show how it went."""
    from conveyor.cli.output import say

    with leaving_at_once():
        from conveyor.training.fitting import fit_task
        from conveyor.training.launch import is_main_process
        from conveyor.training.stopping import StopRequest

        task = entry.task

    kind, resume = entry.settings, context.params["resume"]
    settings: TaskSettings
    cell: Cell | Program | None
    if resume:
        settings, cell = _resumed(context, folder, kind)
    else:
        values = given_values(context, offered(kind)) | sources_of(kind, data)
        check_required(values, kind)
        settings = kind.of(values)
        cell = None if settings.cell is None else find_cell(settings.cell)
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
        language=context.params["language"],
    )
    if not is_main_process():
        return
    _show(run)
    if request.signal == signal.SIGTERM:  # the run is finished all the same
        raise typer.Exit(TERMINATED_CODE)


# The name of a file that the user is to give begins so.
_NEW = "new."


def _show(run: Any) -> None:
    """Print how a fit ended, the scores of its network, and the commands to use it with."""
    from conveyor.cli.output import command_line, console, say, score_table
    from conveyor.tasks.run import REPORT

    fitted, scores = run.fitted, run.results.scores
    kept = f"kept the model of epoch {fitted.best_epoch}"
    if not fitted.best_epoch:
        kept = "no epoch was finished: kept the model as it is"
    say(f"stopped after {fitted.seconds:.0f} s: {fitted.stopped}; {kept}")
    say(f"\nOn the test set ({run.results.count.en}):")
    console.print(score_table(scores))
    for subject in scores:
        say(subject.verdict.en)
    say(f"\nReport: {run.folder / REPORT}")
    commands = [run.look_inside] if run.look_inside else []
    if run.next_command:
        verb, *rest = run.next_command
        commands.insert(0, ["conveyor", verb, str(run.folder), *rest])
    if run.has_page:
        commands.append(["conveyor", "serve", str(run.folder)])
    for number, words in enumerate(commands):
        # What the command reads, as a remark of a shell: the line can be pasted as it is.
        read = next(
            (f"  # {word} is a file of yours" for word in words if word.startswith(_NEW)), ""
        )
        read = "  # type lines; Ctrl-D ends" if words[-1] == "-" else read
        read = "  # a page to try it on" if words[1] == "serve" else read
        say(f"{'        ' if number else 'Next:   '}{command_line(words)}{read}")


for _entry in TASKS:
    app.command(_entry.name)(_command(_entry))
