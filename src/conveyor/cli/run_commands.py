"""``conveyor predict``, ``evaluate``, ``update`` and ``generate``: the commands that use a run."""

import itertools
import sys
from pathlib import Path
from typing import Annotated

import typer

from conveyor.cli.options import OUTPUT, Spoken, given_values, options_by_task, with_options
from conveyor.signals import leaving_at_once
from conveyor.tasks.task_registry import TASKS

RunFolder = Annotated[Path, typer.Argument(help="A run folder that conveyor fit made.")]

# How tasks read data with a fitted network, and how they write. A task that does not have an option
# raises an error that names it.
_READING = options_by_task({entry.name: entry.reading for entry in TASKS})
_UPDATING = options_by_task({entry.name: entry.updating for entry in TASKS})
_WRITING = options_by_task({entry.name: entry.writing for entry in TASKS})
# There is nothing to choose rows from where only the end of a table is read.
_PREDICTING = [setting for setting in _READING if setting.name != "all_rows"]


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
    chart: Annotated[
        Path | None,
        typer.Option(help="Write a page with charts here: next.html.", rich_help_panel=OUTPUT),
    ] = None,
    language: Spoken = None,
) -> None:
    """Write what a run answers as CSV: the next steps with their quantiles."""
    from conveyor.cli.output import remark, say
    from conveyor.data.files import write_output
    from conveyor.errors import counted
    from conveyor.pages.words import language_of

    with leaving_at_once():
        from conveyor.tasks.run import Run

    options = given_values(context, _PREDICTING)
    frame = Run(run).predict(
        data, chart=chart, language=language_of(language), say=remark, **options
    )
    if chart is not None:
        remark(f"wrote {chart}")
    csv = frame.write_csv()
    if out is None:
        sys.stdout.write(csv)
    else:
        write_output(out, csv.encode())
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

    results = Run(run).evaluate(data, say=say, **given_values(context, _READING))
    console.print(score_table(results.scores))
    for scores in results.scores:
        say(scores.verdict.en)


def _update(
    context: typer.Context,
    run: RunFolder,
    data: Annotated[
        Path, typer.Argument(help="A table of later rows, with or without those of the run.")
    ],
) -> None:
    """Take new rows into a run without fitting it again: its next forecast begins after them, and
    its bands move by how far off its forecasts of them were."""
    from conveyor.cli.output import console, say, score_table

    with leaving_at_once():
        from conveyor.tasks.run import Run

    results = Run(run).update(data, say=say, **given_values(context, _UPDATING))
    if results is None:
        say("no forecast of these rows is over yet: there is nothing to score")
        return
    console.print(score_table(results.scores))
    for scores in results.scores:
        say(scores.verdict.en)


def _generate(context: typer.Context, run: RunFolder) -> None:
    """Go on writing from a prompt, each character as soon as it is drawn. What would move a
    terminal is spelled there; a file or pipe gets the text as it is."""
    from conveyor.data.text import normal
    from conveyor.errors import visible

    with leaving_at_once():
        from conveyor.tasks.run import Run

    prompt = context.params["prompt"]
    pieces = Run(run).generate(**given_values(context, _WRITING))
    terminal = sys.stdout.isatty()
    first = next(pieces, "")
    for text in itertools.chain([normal(prompt) + first], pieces):
        sys.stdout.write(visible(text) if terminal else text)
        sys.stdout.flush()
    sys.stdout.write("\n")


predict = with_options(_predict, _PREDICTING)
update = with_options(_update, _UPDATING)
evaluate = with_options(_evaluate, _READING)
generate = with_options(_generate, _WRITING)
