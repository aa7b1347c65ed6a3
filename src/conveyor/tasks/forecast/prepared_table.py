"""Prepares a table for forecasting: reads and splits it, takes its series apart, and infers missing
settings."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conveyor.cells.holt_winters import LONGEST_SEASON
from conveyor.data.calendar_columns import Calendar
from conveyor.data.group_names import group_label, listed
from conveyor.data.grouped_table import Groups, read_groups, shared_notes
from conveyor.data.table import Table
from conveyor.data.table_reading import TableReading
from conveyor.data.time_text import write_time
from conveyor.data.timeline import Step, utc_time
from conveyor.errors import DataError, counted, named
from conveyor.tasks.forecast.cycle_names import cycle_words
from conveyor.tasks.forecast.decomposition import Decomposition
from conveyor.tasks.forecast.forecast_frame import ForecastFrame, series_labels
from conveyor.tasks.forecast.forecast_settings import HOLT_WINTERS, ForecastData
from conveyor.tasks.forecast.group_rows import GroupRows, notes_on_plans
from conveyor.tasks.forecast.model_table import (
    panel_of,
    steps_from,
    unobserved_target,
    with_calendar,
)
from conveyor.tasks.forecast.parts import Parts
from conveyor.tasks.forecast.series_fit import fit_series
from conveyor.tasks.forecast.series_panel import Origins, Panel
from conveyor.tasks.forecast.static_features import static_features
from conveyor.tasks.forecast.statistical_baselines import check_installed
from conveyor.tasks.forecast.tail import rows_kept, rows_read

Numbers = NDArray[np.float64]
Say = Callable[[str], None]

# The longest season and horizon that inferred settings are based on; users may ask for longer ones.
LONGEST = 52

# More forecasts are not scored, but every second or third one, unless a stride is asked for: Theta
# takes a millisecond for each.
MOST_SCORED = 20_000

# Of more series than the first number, as many as the second are scored, drawn at random, by
# about as many forecasts as the third, unless a stride is asked for: their scores say
# as much, and baselines take longer than the network.
MANY_SERIES, SCORED_SERIES, SCORED_OF_THEM = 5_000, 1_000, 5_000

# Lines on what is taken out are printed for so many series.
MOST_LINES = 8

# A step reads four seasons up to this length, of longer ones a quarter more than one (Hewamalage et
# al. 2021, section 4.3).
_WEEK, _WEEKS, _MORE = 7, 4, 1.25


# A network that goes from season to season reads four of them, or a longer cycle of up to eight.
_LONGEST_CYCLE = 8


@dataclass(frozen=True)
class Prepared:
    """A prepared table.

    Attributes:
        name: of the table.
        groups: the rows of each group; one group where no column distinguishes groups.
        frame: the frame of the model; what it takes out of the series is fitted on the rows that a
            network may learn from.
        stride: steps from one forecast that is scored to the next.
        scored: how many forecasts of the test set of each group are scored, the last; None for
            all.
        chosen: the numbers of the groups that are scored; None for all.
    """

    name: str
    groups: tuple[GroupRows, ...]
    frame: ForecastFrame
    stride: int = 1
    scored: int | None = None
    chosen: frozenset[int] | None = None

    @property
    def panels(self) -> list[Panel]:
        """The rows of each group."""
        return [group.panel for group in self.groups]

    def is_scored(self, group: int) -> bool:
        """Return whether forecasts of a group are scored."""
        return self.chosen is None or group in self.chosen

    @property
    def drawn_of(self) -> int | None:
        """Of how many series those that are scored are drawn; None for all."""
        return None if self.chosen is None else len(self.frame.series)

    def validation(self) -> list[Origins]:
        """Return the origins of forecasts of the validation set, of each group."""
        return [
            group.origins(group.parts.train, group.parts.validation, self.frame, self.stride)
            if self.is_scored(number)
            else self._none(group)
            for number, group in enumerate(self.groups)
        ]

    def _none(self, group: GroupRows) -> Origins:
        return Origins(group.panel, (), self.frame.horizon, self.frame.season)

    def test(self) -> list[Origins]:
        """Return the origins of forecasts of the test set, of each group."""
        return [
            group.origins(group.parts.validation, group.parts.test, self.frame, self.stride).last(
                self.scored
            )
            if self.is_scored(number)
            else self._none(group)
            for number, group in enumerate(self.groups)
        ]

    def with_validation(self) -> "Prepared":
        """Return the table prepared for a network that learns from the validation set, too."""
        return self._extended([group.parts.validation for group in self.groups])

    def with_all_rows(self) -> "Prepared":
        """Return the table prepared for a network that learns from all rows."""
        return self._extended([len(group.panel) for group in self.groups])

    def _extended(self, fitted: Sequence[int]) -> "Prepared":
        groups = tuple(
            replace(group, fitted=rows) for group, rows in zip(self.groups, fitted, strict=True)
        )
        if groups == self.groups:
            return self
        past_units, known_units, series = fit_series(
            [group.panel.rows(0, group.fitted) for group in groups],
            labels=self.frame.labels,
            past=self.frame.past,
            known=self.frame.known,
            season=self.frame.season,
            cycles=self.frame.step.cycles if self.frame.step else (),
            short_seasons=not self.frame.by_season,
            like=self.frame.series,
        )
        frame = replace(self.frame, past_units=past_units, known_units=known_units, series=series)
        return replace(self, frame=frame, groups=groups)


def default_history(season: int, horizon: int) -> int:
    """Return how many values a step reads, if that is not said."""
    longest = max(min(season, LONGEST), min(horizon, LONGEST))
    return _WEEKS * longest if longest <= _WEEK else ceil(_MORE * longest)


def seasons_read(season: int, cycles: Sequence[float]) -> int:
    """Return how many values a network reads that goes from season to season: whole seasons.

    Args:
        season: in steps.
        cycles: of the calendar, in steps: of hours a week beside a day.
    """
    whole = [
        round(cycle) for cycle in cycles if cycle % season == 0 and cycle <= _LONGEST_CYCLE * season
    ]
    return max(_WEEKS * season if not whole or max(whole) == season else 0, *whole, season)


def prepare_data(
    data: Any,
    settings: ForecastData,
    say: Say,
    *,
    of_counts: bool = False,
    smoothed: bool = False,
    seed: int = 0,
) -> Prepared:
    """Read a table, split it, take its series apart as the training set shows them, and infer
    missing settings.

    Args:
        data: a file, a data frame or an array, see ``conveyor.data.raw_table.read_raw``.
        settings: how the table is read and what is forecast.
        say: called with each note on the data.
        of_counts: whether what is forecast are counts, of which no logarithm is taken.
        smoothed: whether the logarithm is taken of every series, all of which must be above 0, and
            smoothing corrects their season.
        seed: of the draw of those of many series that are scored.

    Raises:
        DataError: the table cannot be used; the text says where and why.
    """
    reading = TableReading(
        settings.decimal_mark,
        settings.missing_as,
        settings.day_first,
        settings.duplicates,
        settings.timezone,
        settings.freq,
    )
    check_installed([name for name in settings.baseline if name != HOLT_WINTERS])
    calendar = Calendar(settings.calendar, settings.holidays)
    calendar.check()
    groups = read_groups(
        data,
        settings.target,
        settings.series,
        time=settings.time,
        only_targets=settings.only_target,
        covariates=settings.past or None,
        known=settings.future,
        static=settings.static,
        fill_gaps=settings.fill_gaps,
        reading=reading,
    )
    reading = replace(reading, units=groups.units)
    known = (*settings.future, *calendar.names)
    most = settings.horizon or LONGEST
    tables = [with_calendar(table, calendar, most) for table in groups.tables]
    groups = replace(groups, tables=tuple(tables))
    columns, step = list(groups.tables[0].columns), groups.tables[0].step
    everything = settings.target == ("all",) and "all" not in columns
    targets = tuple(
        name
        for name in (columns if everything else settings.target)
        if name not in (*known, *settings.past)
    )
    past = tuple(name for name in columns if name not in (*targets, *known))
    _check_names(groups.name, targets, settings.level)
    names, rows, notes = _split(groups, (targets, past, known), settings.split)
    if smoothed:
        _check_positive(groups.name, series_labels(names, targets), rows)
    if of_counts:
        _check_counts(groups.name, targets, rows)
    longest = max((group.parts for group in rows), key=lambda parts: parts.test)
    season, season_notes = _season(groups.name, settings.season, step, longest)
    horizon = settings.horizon or (min(season, LONGEST) if season > 1 else 12)
    by_season = settings.pace == "season"
    if by_season and season < 2:
        raise DataError(
            f"{groups.name}: {named('pace', 'season')} needs a season, and there is none. Give "
            f"{named('season')}."
        )
    seasons = seasons_read(season, step.cycles if step else ()) if by_season else 0
    history = settings.history or seasons or default_history(season, horizon)
    if by_season and history < season:
        raise DataError(
            f"{groups.name}: {named('history')} is {history}, less than the season of "
            f"{counted(season, 'step')} that {named('pace', 'season')} reads at once. Give "
            f"{season} or more."
        )
    if smoothed and season > LONGEST_SEASON:
        raise DataError(
            f"{groups.name}: the season has {season} steps, and {named('es_rnn', True)} is of "
            f"seasons of {LONGEST_SEASON} at most. Leave it out, or give a shorter "
            f"{named('season')}."
        )
    _check_lengths(groups.name, longest, history, horizon, season)
    try:
        past_units, known_units, series = fit_series(
            [group.panel.rows(0, group.parts.train) for group in rows],
            labels=series_labels(names, targets),
            past=past,
            known=known,
            season=season,
            # Validation rows say how long to learn, so that they may say this, too.
            positive=[
                np.logical_not((group.panel.targets[: group.parts.validation] <= 0).any(0))
                & (not of_counts)
                for group in rows
            ],
            cycles=step.cycles if step else (),
            short_seasons=not by_season,
            always_logarithm=smoothed,
        )
    except DataError as error:
        raise DataError(f"{groups.name}: {error}") from error
    first = min((group.table for group in rows), key=_begin)
    texts = dict(zip(groups.names, groups.static, strict=True)) if settings.static else {}
    features = static_features(
        groups.name, settings.static, [texts.get(name, ()) for name in names], reading
    )
    frame = ForecastFrame(
        targets=targets,
        past=past,
        known=known,
        history=history,
        horizon=horizon,
        season=season,
        levels=tuple(sorted(settings.level, reverse=True)),
        series=series,
        past_units=past_units,
        known_units=known_units,
        rows=max(len(group.table) for group in rows),
        first=min(group.panel.first for group in rows),
        step=step,
        time_format=first.time_format,
        time=first.time_column,
        fill_gaps=settings.fill_gaps,
        zone=first.zone,
        reading=reading,
        origin=write_time(first.times[0], first.time_format) if first.times else "",
        group_columns=groups.columns,
        groups=names,
        calendar=calendar,
        static_names=features.names,
        static=features.values,
        pace=season if by_season else 1,
        baselines=settings.baseline,
    )
    prepared = Prepared(groups.name, tuple(rows), frame, scored=settings.origins)
    if settings.stride is None and len(rows) > MANY_SERIES:
        drawn = np.random.default_rng(seed).permutation(len(rows))[:SCORED_SERIES]
        prepared = replace(prepared, chosen=frozenset(drawn.tolist()))
    if settings.stride is not None:
        prepared = replace(prepared, stride=settings.stride)
    elif groups.columns:
        scored = len(targets) * sum(map(len, prepared.test()))
        most = MOST_SCORED if prepared.chosen is None else SCORED_OF_THEM
        prepared = replace(prepared, stride=-(-scored // most))
    for note in (*groups.notes, *notes, *season_notes, *_notes_on_ends(prepared)):
        say(note)
    for line in _lines(prepared, longest):
        say(line)
    for note in notes_on_plans(rows, names, settings.future, horizon, settings.horizon is None):
        say(note)
    kept = rows_kept(frame, smoothed=smoothed)
    if smoothed and kept < min(frame.rows, rows_read(frame)):
        say(
            f"the run keeps the last {counted(kept, 'row')} of each series: smoothing begins anew "
            "in them, so that forecasts differ from those that were scored. Give predict the "
            "table, too"
        )
    return prepared


def _begin(table: Table) -> datetime:
    """Return the first time of a table, in UTC; of counted rows any."""
    return utc_time(table.times[0]) if table.times else datetime.min


def _split(
    groups: Groups,
    columns: tuple[Sequence[str], Sequence[str], Sequence[str]],
    split: tuple[float, ...],
) -> tuple[tuple[tuple[str, ...], ...], list[GroupRows], list[str]]:
    """Return the names and the rows of each group that can be learned from, and notes.

    Args:
        groups: as they were read.
        columns: the names of the targets, of the past columns, and of the known ones.
        split: fractions, or numbers of rows.

    Raises:
        DataError: the parts have more rows than the table, a column has no value, or no group can
            be learned from.
    """
    labels = [group_label(names) for names in groups.names]
    panels, notes_of = [], []
    for table in groups.tables:
        panel, notes = panel_of(table, *columns)
        panels.append(panel)
        notes_of.append(notes)
    lengths = [len(panel) for panel in panels]
    try:
        several = len(panels) > 1
        parts = Parts.of_groups(lengths, split) if several else [Parts.of(lengths[0], split)]
    except DataError as error:
        raise DataError(f"{groups.name}: {error}") from error
    notes = shared_notes(labels, notes_of)
    if not groups.columns:
        only = GroupRows(groups.tables[0], panels[0], parts[0], parts[0].train)
        return groups.names, [only], notes
    names, constant = [], []
    rows: list[GroupRows] = []
    for number, (panel, part) in enumerate(zip(panels, parts, strict=True)):
        if all(map(_varies, panel.targets[: part.train].T)):
            names.append(groups.names[number])
            numbered = replace(panel, group=len(rows))
            rows.append(GroupRows(groups.tables[number], numbered, part, part.train))
        else:
            constant.append(labels[number])
    if not rows:
        raise DataError(
            f"{groups.name}: every series is constant in its training set: a constant series "
            "cannot be learned from."
        )
    if constant:
        are = "is" if len(constant) == 1 else "are"
        notes.append(
            f"{counted(len(constant), 'series', 'series')} {are} constant in the training set and "
            f"left out: {listed(constant)}"
        )
    # Steps are counted from the first one of the series that are kept, as a later table's are.
    origin = min((group.table for group in rows), key=_begin).times
    assert origin is not None
    counted_rows = [
        replace(
            group,
            panel=replace(
                group.panel, first=group.panel.first + steps_from(origin[0], group.table)
            ),
        )
        for group in rows
    ]
    return tuple(names), counted_rows, notes


def _varies(values: Numbers) -> bool:
    """Return whether a series has two different values."""
    observed = values[~np.isnan(values)]
    return bool(len(observed)) and bool(observed.max() > observed.min())


def _season(name: str, asked: int | None, step: Step | None, parts: Parts) -> tuple[int, list[str]]:
    """Return the season of the baselines in steps, and a note where there is none for want of rows.

    Raises:
        DataError: the season that is asked for is too long.
    """
    season = asked or (step.season if step else 1)
    if season <= parts.train // 2:
        return season, []
    if asked:
        raise DataError(
            f"{name}: a season of {counted(season, 'step')} needs {counted(2 * season, 'row')} in "
            f"the training set, which has {parts.train:,}. Give more rows or a smaller "
            f"{named('season')}."
        )
    steps = counted(season, "step")
    return 1, [f"the training set is shorter than two seasons of {steps}: none used"]


def _notes_on_ends(prepared: Prepared) -> list[str]:
    """Return notes on series that cannot be forecast on from the end of the table."""
    frame, notes = prepared.frame, []
    horizon, back = counted(frame.horizon, "step"), counted(frame.history, "row")
    for group, names in zip(prepared.groups, frame.groups, strict=True):
        of_group = f"{group_label(names)}: " if names else ""
        stale = unobserved_target(group.panel, frame)
        if stale:
            notes.append(
                f"{of_group}{stale} has no value in the last {back}: the run keeps no history to "
                "predict from, and predict needs a table"
            )
        if not group.has_next_times(frame.horizon):
            notes.append(
                f"{of_group}there is no time {horizon} of {frame.step} after "
                f"{group.table.last_time}, the end of the table: predict cannot go on from it"
            )
    return notes


def _lines(prepared: Prepared, parts: Parts) -> list[str]:
    """Return what is forecast from what, in lines."""
    frame = prepared.frame
    ahead, back = counted(frame.horizon, "step"), counted(frame.history, "step")
    several = len(prepared.groups) > 1
    lines = [
        f"forecasting {', '.join(frame.targets)}, {ahead} ahead, from {back}",
        f"past covariates: {', '.join(frame.past) or 'none'}; known ahead: "
        f"{', '.join(frame.known) or 'none'}; season of the baselines: "
        f"{counted(frame.season, 'step')}",
        *([f"of each series: {', '.join(frame.static_names)}"] if frame.static_names else []),
        *taken_out_lines(frame),
        f"rows: {parts.train:,} to train, {parts.validation - parts.train:,} to validate, "
        f"{parts.test - parts.validation:,} to test, in order of time"
        + (", of the longest series; the others are split from their own end" if several else ""),
    ]
    if prepared.chosen is not None:
        lines.append(
            f"{counted(len(prepared.chosen), 'series', 'series')} of {len(prepared.groups):,}, "
            f"drawn at random, are validated and scored: {named('stride', 1)} takes all"
        )
    if prepared.stride > 1:
        lines.append(
            f"{counted(sum(map(len, prepared.test())), 'forecast')} are scored, one every "
            f"{prepared.stride} steps: {named('stride', 1)} scores them all"
        )
    return lines


def taken_out_lines(frame: ForecastFrame) -> list[str]:
    """Return lines that say what is taken out of each series before the network reads it; of many
    series how many each thing is taken out of."""
    if len(frame.series) <= MOST_LINES:
        return [
            taken_out(name, series, frame)
            for name, series in zip(frame.labels, frame.series, strict=True)
        ]
    often = Counter(part for series in frame.series for part in _parts_taken_out(series, frame))
    said = [f"{part} ({counted(count, 'series', 'series')})" for part, count in often.items()]
    return [f"taken out before the network: {', '.join(said) or 'nothing but their level'}"]


def _check_counts(table: str, targets: Sequence[str], rows: Sequence[GroupRows]) -> None:
    """Check that targets are counts.

    Raises:
        DataError: one is not.
    """
    for group in rows:
        values = group.panel.targets
        wrong = (values < 0) | (values != np.round(values)) & ~np.isnan(values)
        if wrong.any():
            row, column = map(int, np.argwhere(wrong)[0])
            raise DataError(
                f"{table}: column {targets[column]} holds {values[row, column]:g}, and "
                f"{named('loss', 'negative-binomial')} is of counts: whole numbers from 0. Leave "
                "it out, or forecast another column."
            )


def _check_positive(table: str, labels: Sequence[str], rows: Sequence[GroupRows]) -> None:
    """Check that all series are above 0.

    Raises:
        DataError: one is not.
    """
    columns = [column for group in rows for column in group.panel.targets.T]
    for label, column in zip(labels, columns, strict=True):
        if (column <= 0).any():
            raise DataError(
                f"{table}: {label} holds {np.nanmin(column):g}, and {named('es_rnn', True)} is "
                "of series above 0, whose season multiplies. Leave it out."
            )


def _check_names(table: str, targets: Sequence[str], levels: Sequence[int]) -> None:
    """Check that no target is called as the end of another one's band.

    Raises:
        DataError: one is.
    """
    for target in targets:
        for name in (f"{target}-{end}-{level}" for end in ("lo", "hi") for level in levels):
            if name in targets:
                raise DataError(
                    f"{table}: column {name} is called as the end of {target}'s band in a "
                    "forecast. Rename it, or leave it out of the targets."
                )


def taken_out(name: str, decomposition: Decomposition, frame: ForecastFrame) -> str:
    """Return a line that says what is taken out of a series before the network reads it."""
    parts = _parts_taken_out(decomposition, frame)
    return f"{name}: taken out before the network: {', '.join(parts) or 'nothing but its level'}"


def _parts_taken_out(decomposition: Decomposition, frame: ForecastFrame) -> list[str]:
    parts = ["its logarithm"] if decomposition.logarithm else []
    parts += [cycle_words(cycle, frame.step).en for cycle in decomposition.cycles]
    if frame.known:
        parts.append(f"the effect of {', '.join(frame.known)}")
    return parts


def _check_lengths(name: str, parts: Parts, history: int, horizon: int, season: int) -> None:
    """Check that each part has enough rows.

    Raises:
        DataError: a part is too short.
    """
    shortest = max(history, season) + horizon
    if parts.train < shortest:
        raise DataError(
            f"{name}: the training set has {counted(parts.train, 'row')}; a history of "
            f"{history} and a horizon of {horizon} need at least {shortest}. Give more rows, or a "
            f"smaller {named('history')} or {named('horizon')}."
        )
    for part, rows in (
        ("validation", parts.validation - parts.train),
        ("test", parts.test - parts.validation),
    ):
        if rows < horizon:
            raise DataError(
                f"{name}: the {part} set has {counted(rows, 'row')}; a horizon of "
                f"{horizon} needs at least {horizon}. Give more rows, a smaller "
                f"{named('horizon')} or another {named('split')}."
            )
