"""``conveyor predict``, ``evaluate`` and ``generate``: using a run."""

import itertools
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from conveyor.cli.options import OUTPUT, given, of_records, with_options
from conveyor.signals import leaving_at_once
from conveyor.tasks.task_registry import TASKS

RunFolder = Annotated[Path, typer.Argument(help="A run folder that conveyor fit made.")]

# What the tasks take that read data with a fitted network, and that write.
_READING = of_records(entry.reading for entry in TASKS)
_WRITING = of_records(entry.writing for entry in TASKS)
# There is nothing to choose rows from where only the end of a table is read.
_PREDICTING = [setting for setting in _READING if setting.name != "all_rows"]


def _told(context: typer.Context, settings: list[Any]) -> dict[str, Any]:
    """Return the options that stand on the command line: a task knows its own."""
    names = given(context)
    return {each.name: context.params[each.name] for each in settings if each.name in names}


def _predict(
    context: typer.Context,
    run: RunFolder,
    data: Annotated[
        Path | None, typer.Argument(help="Forecast on from its end; else from the run's data.")
    ] = None,
    *,
    out: Annotated[
        Path | None,
        typer.Option(help="Write the CSV here, not to the screen.", rich_help_panel=OUTPUT),
    ] = None,
) -> None:
    """Write what a run answers as CSV: the next steps with their quantiles."""
    from conveyor.cli.output import remark, say
    from conveyor.data.files import write_output
    from conveyor.errors import counted

    with leaving_at_once():
        from conveyor.tasks.run import Run

    frame = Run(run).predict(data, say=remark, **_told(context, _PREDICTING))
    written = frame.write_csv()
    if out is None:
        sys.stdout.write(written)
    else:
        write_output(out, written.encode())
        say(f"wrote {counted(len(frame), 'row')} to {out}")


def _evaluate(
    context: typer.Context,
    run: RunFolder,
    data: Annotated[
        Path | None, typer.Argument(help="Data of the kind that the run was fitted on.")
    ] = None,
) -> None:
    """Score a run on other data, beside baselines: of a table, the rows that come after those it
    was fitted on."""
    from conveyor.cli.output import console, say, score_table

    with leaving_at_once():
        from conveyor.tasks.run import Run

    results = Run(run).evaluate(data, say=say, **_told(context, _READING))
    console.print(score_table(results.scores))
    for scores in results.scores:
        say(scores.verdict)


def _generate(context: typer.Context, run: RunFolder) -> None:
    """Go on writing from a prompt, each character as soon as it is drawn. What would move a
    terminal is spelled there; a file or pipe gets the text as it is."""
    from conveyor.data.text import normal
    from conveyor.errors import visible

    with leaving_at_once():
        from conveyor.tasks.run import Run

    prompt = context.params["prompt"]
    written = Run(run).generate(**_told(context, _WRITING))
    terminal = sys.stdout.isatty()
    first = next(written, "")
    for text in itertools.chain([normal(prompt) + first], written):
        sys.stdout.write(visible(text) if terminal else text)
        sys.stdout.flush()
    sys.stdout.write("\n")


predict = with_options(_predict, _PREDICTING)
evaluate = with_options(_evaluate, _READING)
generate = with_options(_generate, _WRITING)
