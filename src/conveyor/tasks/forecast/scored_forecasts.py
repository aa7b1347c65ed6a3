"""All forecasts that were scored, as a table."""

from collections.abc import Sequence

import polars as pl

from conveyor.data.time_text import write_time
from conveyor.errors import visible
from conveyor.tasks.forecast.comparison import Comparison
from conveyor.tasks.forecast.forecast_csv import no_formula, time_name
from conveyor.tasks.forecast.forecast_frame import ForecastFrame
from conveyor.tasks.forecast.group_rows import GroupRows
from conveyor.tasks.forecast.series_panel import Origins

# A file of more rows is larger than spreadsheets open.
_MOST_ROWS = 1_000_000


def scored_forecasts(
    frame: ForecastFrame,
    comparisons: Sequence[Comparison],
    groups: Sequence[GroupRows],
    origins_of: Sequence[Origins],
) -> pl.DataFrame:
    """Return a row for each step of each forecast, of the last ones where these are too many: the
    columns that name the series, the target where there are several, the time of the last known
    row, that of the step, what came, our forecast with its bands, and those of the baselines.

    Args:
        frame: the model's frame.
        comparisons: the forecasts of each series.
        groups: the rows of each group.
        origins_of: of each group, where its forecasts begin.
    """
    count = len(frame.targets)
    rows = sum(comparison.truth.size for comparison in comparisons)
    share = min(_MOST_ROWS / max(rows, 1), 1.0)
    parts = []
    for one in comparisons:
        group, target = divmod(one.number, count)
        kept = max(int(share * len(one.truth)), 1)
        numbers = origins_of[group].numbers
        parts.append(
            _of_series(frame, one, groups[group], numbers=numbers, target=target, kept=kept)
        )
    return pl.concat(parts) if parts else pl.DataFrame()


def _of_series(
    frame: ForecastFrame,
    comparison: Comparison,
    group: GroupRows,
    *,
    numbers: Sequence[int],
    target: int,
    kept: int,
) -> pl.DataFrame:
    origins, horizon = numbers[-kept:], frame.horizon
    windows = slice(len(numbers) - len(origins), None)
    begin = min(origins) - 1
    times = group.times_of(begin, max(origins) + horizon)
    if group.table.times:
        texts = [write_time(time, group.table.time_format) for time in times]
    else:
        skipped = len(group.table) - len(group.panel)
        texts = [str(number + skipped + 1) for number in times]
    rows = len(origins) * horizon
    ours = {"target", "known up to", "truth", "forecast", *comparison.baselines}
    called = {
        f"{name} of the series" if name in ours else name: [text] * rows
        for name, text in zip(
            frame.group_columns, frame.groups[comparison.number // len(frame.targets)], strict=True
        )
    }
    if len(frame.targets) > 1:
        called["target"] = [frame.targets[target]] * rows
    columns: dict[str, object] = {
        no_formula(visible(name)): [no_formula(visible(text)) for text in values]
        for name, values in called.items()
    }
    columns["known up to"] = [texts[o - 1 - begin] for o in origins for _ in range(horizon)]
    columns[time_name(frame.time, (*called, "known up to"))] = [
        texts[o + step - begin] for o in origins for step in range(horizon)
    ]
    middle = len(frame.levels)
    columns["truth"] = comparison.truth[windows].ravel()
    columns["forecast"] = comparison.quantiles[windows, :, middle].ravel()
    for place, level in reversed(list(enumerate(frame.levels))):
        columns[f"forecast-lo-{level}"] = comparison.quantiles[windows, :, place].ravel()
        columns[f"forecast-hi-{level}"] = comparison.quantiles[
            windows, :, 2 * middle - place
        ].ravel()
    columns |= {name: values[windows].ravel() for name, values in comparison.baselines.items()}
    table = pl.DataFrame(columns)
    floats = pl.selectors.float()
    # Of what float32 computed, seven digits mean something.
    return table.with_columns(floats.fill_nan(None).round_sig_figs(8))
