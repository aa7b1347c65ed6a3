"""Scores a fitted run on a table."""

from collections.abc import Mapping
from typing import Any

from conveyor.errors import DataError, counted, named
from conveyor.tasks.forecast.comparison import compare
from conveyor.tasks.forecast.forecast_results import results_of
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.model_table import groups_for
from conveyor.tasks.forecast.series_panel import Origins
from conveyor.tasks.forecast.unseen_rows import first_unseen, placed, stored_rows
from conveyor.tasks.results import Results
from conveyor.tasks.task import Say


def evaluate(
    network: Forecaster,
    source: Any,
    *,
    fitted_on: Mapping[str, Any] | None,
    options: Any,
    say: Say,
) -> Results:
    """Return the scores of the rows of a table that come after those that the run has seen.

    Args:
        network: the run's forecaster.
        source: the table.
        fitted_on: the record of the rows of training and validation.
        options: how the table is read, see ``ForecastReading``; with ``all_rows`` all are scored.
        say: called with each note on the data.

    Raises:
        DataError: the table cannot be used, or has no row to score.
    """
    frame = network.frame
    name, rows, notes = groups_for(frame, source, time=options.time, fill_gaps=options.fill_gaps)
    to_score: list[Origins] = []
    firsts, left = [], 0
    sentences = ["all rows are asked for"] if options.all_rows else []
    for table, as_read in rows:
        of_group = stored_rows(fitted_on, as_read.group)
        panel = as_read if table.times else placed(frame, of_group, as_read)
        first = 0
        if not options.all_rows:
            first, sentence = first_unseen(network, of_group, table, panel)
            sentences.append(sentence)
        firsts.append(first)
        left += len(panel) - first
        to_score.append(
            Origins.within(
                panel,
                max(first, frame.history),
                len(panel),
                horizon=frame.horizon,
                season=frame.season,
            )
        )
    apart = len(set(sentences)) > 1
    known = "the run was fitted on rows up to another time of each series"
    known = known if apart else sentences[0]
    if not left:
        raise DataError(
            f"{name}: {known}, and no row comes after them: there is nothing to score. Give a "
            f"table with later rows, or pass {named('all_rows', True)} if these are not the "
            "rows it was fitted on. The scores of the run's own test part, of a network that "
            "had not learned from it, are in metrics.json."
        )
    for note in notes:
        say(note)
    rest = counted(left, "row")
    say(f"{known}: scoring " + (f"the {rest} after them" if any(firsts) else f"all {rest}"))
    if not sum(map(len, to_score)):
        most = max(len(as_read) - first for (_, as_read), first in zip(rows, firsts, strict=True))
        of_each = f"at most {counted(most, 'row')} of each series" if frame.groups[1:] else rest
        raise DataError(
            f"{name}: there is no window to score: {of_each} to score, a history of "
            f"{frame.history} and a horizon of {frame.horizon}. Give more rows."
        )
    return results_of(network, compare(network, [of for of in to_score if len(of)]))
