"""Scores a fitted run on a table, or on the rows that it keeps."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from conveyor.errors import DataError, RunError, counted, named
from conveyor.tasks.forecast.comparison import compare
from conveyor.tasks.forecast.forecast_results import results_of
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.model_table import groups_for
from conveyor.tasks.forecast.series_panel import Origins, Panel
from conveyor.tasks.forecast.tail import rows_kept
from conveyor.tasks.forecast.unseen_rows import first_unseen, placed, stored_rows
from conveyor.tasks.results import Results
from conveyor.tasks.task import Say


class _Unseen(NamedTuple):
    """Rows that are to be scored.

    Attributes:
        name: of their table.
        rows: of each group, its rows and the first of them that is scored.
        known: which rows the run has seen, as a sentence.
        notes: for the user.
    """

    name: str
    rows: Sequence[tuple[Panel, int]]
    known: str
    notes: Sequence[str]


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
        source: the table; None for the rows that the run keeps.
        fitted_on: the record of the rows of training and validation.
        options: how the table is read, see ``ForecastReading``; with ``all_rows`` all are scored.
        say: called with each note on the data.

    Raises:
        DataError: the table cannot be used, or has no row to score.
        RunError: there is no table, and the run keeps no rows.
    """
    frame = network.frame
    unseen = (
        _of_run(network, fitted_on=fitted_on, all_rows=options.all_rows)
        if source is None
        else _of_table(network, source, fitted_on=fitted_on, options=options)
    )
    name, rows, known, notes = unseen
    left = sum(len(panel) - first for panel, first in rows)
    if not left:
        of_run = "to score the rows that the run keeps, though it was fitted on them"
        of_table = "if these are not the rows it was fitted on"
        raise DataError(
            f"{name}: {known}, and no row comes after them: there is nothing to score. Give a "
            f"table with later rows, or pass {named('all_rows', True)} "
            f"{of_run if source is None else of_table}. The scores of the run's own test set, of "
            "a network that had not learned from it, are in metrics.json."
        )
    for note in notes:
        say(note)
    rest = counted(left, "row")
    whole = not any(first for _, first in rows)
    say(f"{known}: scoring " + (f"all {rest}" if whole else f"the {rest} after them"))
    to_score = [
        Origins.within(
            panel,
            max(first, frame.history),
            len(panel),
            horizon=frame.horizon,
            season=frame.season,
        )
        for panel, first in rows
    ]
    if not sum(map(len, to_score)):
        most = max(len(panel) - first for panel, first in rows)
        of_each = f"at most {counted(most, 'row')} of each series" if frame.groups[1:] else rest
        raise DataError(
            f"{name}: there is no window to score: {of_each} to score, a history of "
            f"{frame.history} and a horizon of {frame.horizon}. Give more rows."
        )
    return results_of(network, compare(network, [of for of in to_score if len(of)]))


def _of_table(
    network: Forecaster, source: Any, *, fitted_on: Mapping[str, Any] | None, options: Any
) -> _Unseen:
    """Return the rows of a table; see ``evaluate``."""
    name, groups, notes = groups_for(
        network.frame, source, time=options.time, fill_gaps=options.fill_gaps
    )
    rows, sentences = [], []
    for table, as_read in groups:
        of_group = stored_rows(fitted_on, as_read.group)
        panel = as_read if table.times else placed(network.frame, of_group, as_read)
        first = 0
        if not options.all_rows:
            first, sentence = first_unseen(network, of_group, table, panel)
            sentences.append(sentence)
        rows.append((panel, first))
    return _Unseen(name, rows, _known(sentences, all_rows=options.all_rows), notes)


def _of_run(network: Forecaster, *, fitted_on: Mapping[str, Any] | None, all_rows: bool) -> _Unseen:
    """Return the rows that a run keeps: those of its table, and of its updates."""
    if not network.tails:
        raise RunError("the run keeps no rows. Give a table.")
    rows, sentences = [], []
    for tail in network.tails:
        panel, seen = tail.panel, stored_rows(fitted_on, tail.group)
        until = tail.last_time if seen is None else seen.last_time or f"row {seen.rows:,}"
        sentences.append(f"the run was fitted on rows up to {until}")
        rows.append((panel, 0 if all_rows else max(tail.learned - panel.first, 0)))
    notes = ["no table is given: on the rows that the run keeps"]
    most = rows_kept(network.frame, smoothed=network.smooths)
    if any(len(panel) >= most for panel, _ in rows):
        of_each = " of each series" if network.frame.groups[1:] else ""
        notes.append(
            f"the run keeps the last {counted(most, 'row')}{of_each}: forecasts and baselines know "
            "no earlier ones"
        )
    return _Unseen("the run's rows", rows, _known(sentences, all_rows=all_rows), notes)


def _known(sentences: Sequence[str], *, all_rows: bool) -> str:
    """Return which rows the run has seen, as a sentence, of those of its groups."""
    if all_rows:
        return "all rows are asked for"
    if len(set(sentences)) > 1:
        return "the run was fitted on rows up to another time of each series"
    return sentences[0]
