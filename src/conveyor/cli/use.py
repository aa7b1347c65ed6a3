"""``conveyor predict``, ``evaluate`` and ``generate``: using a run."""

import itertools
import sys
from pathlib import Path
from typing import Annotated

import typer

from conveyor.cli.options import option_of
from conveyor.tasks.forecast.forecast_settings import ForecastData

Time = Annotated[str | None, option_of(ForecastData, "time")]
FillGaps = Annotated[bool, option_of(ForecastData, "fill_gaps")]
Run = Annotated[Path, typer.Argument(help="A run folder that conveyor fit made.")]


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
    from conveyor.tasks.forecast.forecast_csv import forecast_csv
    from conveyor.training import forecasting

    model, times, quantiles = forecasting.predict(
        run, data, time=time, fill_gaps=fill_gaps, say=remark
    )
    written = forecast_csv(model.frame, times, quantiles)
    if out is None:
        sys.stdout.write(written)
    else:
        write_output(out, written.encode())
        say(f"wrote {counted(len(times), 'step')} to {out}")


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
    from conveyor.training import forecasting

    comparisons = forecasting.evaluate(
        run, data, time=time, fill_gaps=fill_gaps, all_rows=all_rows, say=say
    )
    console.print(score_table(comparisons))
    for comparison in comparisons:
        say(comparison.verdict)


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
    from conveyor.training.texting import load_language_model

    model = load_language_model(run)
    written = model.generate(prompt, length, temperature=temperature, top_p=top_p, seed=seed)
    terminal = sys.stdout.isatty()
    first = next(written, "")
    for text in itertools.chain([normal(prompt) + first], written):
        sys.stdout.write(visible(text) if terminal else text)
        sys.stdout.flush()
    sys.stdout.write("\n")
