"""``conveyor predict``, ``evaluate`` and ``generate``: using a run."""

import itertools
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from conveyor.cli.options import FillGaps, Time

Run = Annotated[Path, typer.Argument(help="A run folder that conveyor fit made.")]


def _told(**options: Any) -> dict[str, Any]:
    """Return the options that are given: a task knows its own."""
    return {name: value for name, value in options.items() if value}


def predict(
    run: Run,
    data: Annotated[
        Path | None, typer.Argument(help="Forecast on from its end; else from the run's data.")
    ] = None,
    time: Time = None,
    fill_gaps: FillGaps = False,
    out: Annotated[Path | None, typer.Option(help="Write the CSV here, not to the screen.")] = None,
) -> None:
    """Write the next steps with their quantiles as CSV."""
    from conveyor.cli.output import remark, say
    from conveyor.data.files import write_output
    from conveyor.errors import counted
    from conveyor.tasks.run import Run as FittedRun

    frame = FittedRun(run).predict(data, say=remark, **_told(time=time, fill_gaps=fill_gaps))
    written = frame.write_csv()
    if out is None:
        sys.stdout.write(written)
    else:
        write_output(out, written.encode())
        say(f"wrote {counted(len(frame), 'row')} to {out}")


def evaluate(
    run: Run,
    data: Annotated[Path, typer.Argument(help="A table with the run's columns.")],
    time: Time = None,
    fill_gaps: FillGaps = False,
    all_rows: Annotated[
        bool, typer.Option("--all-rows", help="Score rows that the run was fitted on, too.")
    ] = False,
) -> None:
    """Score a forecaster on the rows of a table that come after those it was fitted on, beside
    naive forecasts."""
    from conveyor.cli.output import console, say, score_table
    from conveyor.tasks.run import Run as FittedRun

    results = FittedRun(run).evaluate(
        data, say=say, **_told(time=time, fill_gaps=fill_gaps, all_rows=all_rows)
    )
    console.print(score_table(results.scores))
    for scores in results.scores:
        say(scores.verdict)


def generate(
    run: Run,
    prompt: Annotated[str, typer.Option(help="What the text begins with.")] = "",
    length: Annotated[int, typer.Option(help="Characters to write.")] = 400,
    temperature: Annotated[float, typer.Option(help="Below 1 safer, above 1 more varied.")] = 0.8,
    top_p: Annotated[float, typer.Option(help="Draw from the likeliest that hold this.")] = 0.95,
    seed: Annotated[int, typer.Option(help="The same seed gives the same text.")] = 0,
) -> None:
    """Go on writing from a prompt, each character as soon as it is drawn. What would move a
    terminal is spelled there; a file or pipe gets the text as it is."""
    from conveyor.data.text import normal
    from conveyor.errors import visible
    from conveyor.tasks.run import Run as FittedRun

    written = FittedRun(run).generate(
        prompt, length, temperature=temperature, top_p=top_p, seed=seed
    )
    terminal = sys.stdout.isatty()
    first = next(written, "")
    for text in itertools.chain([normal(prompt) + first], written):
        sys.stdout.write(visible(text) if terminal else text)
        sys.stdout.flush()
    sys.stdout.write("\n")
