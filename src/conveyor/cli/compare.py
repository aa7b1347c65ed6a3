"""``conveyor compare``: which cell is best on the user's own data."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

import typer

from conveyor.cli.options import (
    OUTPUT,
    check_given,
    given,
    said_again,
    spelled,
    stem_of,
    with_options,
)
from conveyor.cli.output import INTERRUPTED_CODE, TERMINATED_CODE, command_line
from conveyor.cli.own_cell import find_cell
from conveyor.errors import DataError, SettingError, counted, did_you_mean
from conveyor.signals import Terminated, leaving_at_once
from conveyor.tasks.settings import REQUIRED, Setting, TaskSettings, settings_of, sources_of
from conveyor.tasks.task_registry import FOLDER, NAME, TASKS, Entry, find

# What data may be, as its help says it, and the names of tasks.
_SOURCES = f"One of: {'; '.join(each.source or each.name for each in TASKS)}."
_NAMES = ", ".join(each.name for each in TASKS)

# The seed of data that is drawn; the comparison's own unless given.
DATA_SEED = "data_seed"

# What is said and the exit code where a signal ended the trials.
_ENDS: dict[type[KeyboardInterrupt], tuple[str, int]] = {
    KeyboardInterrupt: ("interrupted", INTERRUPTED_CODE),
    Terminated: ("terminated", TERMINATED_CODE),
}

# Settings that are drawn for every trial or given as something else here, and those of a machine: a
# trial is made on one device.
_OTHERWISE = ("cell", "hidden", "learning_rate", "seed", "devices", "nodes", "precision")


def _ended_by(interrupt: KeyboardInterrupt) -> typer.Exit:
    """Say that a signal ended the trials, and return the exit with its code."""
    from conveyor.cli.output import say

    ended, code = _ENDS[type(interrupt)]
    say(f"{ended}: the same command goes on")
    return typer.Exit(code)


def _task(data: Path, wanted: str | None) -> Entry:
    """Return the task of a file, of a folder, or of a name that a task knows."""
    if wanted is not None:
        return find(wanted, "--task")
    if data.is_dir():
        return next(entry for entry in TASKS if FOLDER in entry.reads)
    known = {name: entry for entry in TASKS for name in entry.task.source_names}
    known |= {entry.name: entry for entry in TASKS if not entry.reads}
    if not data.exists() and str(data) in known:
        return known[str(data)]
    name = data.name.lower().removesuffix(".gz")
    for entry in TASKS:
        if name.endswith(tuple(end for end in entry.reads if end.startswith("."))):
            return entry
    if not data.exists():
        raise DataError(
            f"{data}: there is no such file, folder or classic task. "
            f"{did_you_mean(str(data), known)}"
        )
    names = [entry.name for entry in TASKS if entry.reads and NAME not in entry.reads]
    raise SettingError(
        f"{data}: what is to be learned from it? Give --task {', '.join(names[:-1])} or "
        f"{names[-1]}, or the name of a classic task: {', '.join(known)}."
    )


def _programs(cells: str) -> dict[str, Any]:
    """The cells by the names that they are given by."""
    from conveyor.compiler.show import program_of

    named = [name.strip() for name in cells.split(",") if name.strip()]
    programs = {name: program_of(find_cell(name)) for name in named}
    for name, other in combinations(programs, 2):
        if programs[name] == programs[other]:
            raise SettingError(f"--cells {cells}: {name} and {other} are the same cell. Name one.")
    if not programs or len(programs) < len(named):
        raise SettingError(f"--cells {cells}: expected names, each once, with commas between them.")
    return programs


def _range(option: str, text: str, kind: type[Any]) -> tuple[Any, Any]:
    """``20:200``, or one number."""
    least, _, most = text.partition(":")
    try:
        return kind(least), kind(most or least)
    except ValueError as error:
        whole = "whole numbers, as 20:200" if kind is int else "numbers, as 1e-3:1e-1"
        raise SettingError(f"{option} {text}: expected {whole}, or one for all trials.") from error


def _with_task(name: str) -> list[Entry]:
    """The tasks that have a setting of that name."""
    return [each for each in TASKS if any(s.name == name for s in settings_of(each.settings))]


def _shared() -> list[Setting]:
    """The settings that stay the same in all trials, of any task, each once; what is not given is
    as the task says."""
    found: dict[str, Setting] = {}
    defaults: dict[str, list[Any]] = {}
    for entry in TASKS:
        for each in settings_of(entry.settings):
            if each.name not in _OTHERWISE and not each.option.source:
                found.setdefault(each.name, each)
                defaults.setdefault(each.name, []).append(each.default)
    return [_by_the_task(each, defaults[each.name]) for each in found.values()]


def _by_the_task(setting: Setting, defaults: list[Any]) -> Setting:
    """A setting whose default its help tells, because it differs between tasks, or may."""
    if setting.kind is bool or setting.default in (None, REQUIRED):
        return setting
    same = all(each == defaults[0] for each in defaults)
    shown = f"{defaults[0]:g}" if isinstance(defaults[0], float) else str(defaults[0])
    help_ = f"{setting.option.help.rstrip('.')}; {shown if same else 'by the task'} unless given."
    return replace(setting, default=None, option=replace(setting.option, help=help_))


def _settings(context: typer.Context, data: Path, entry: Entry) -> TaskSettings:
    """What stays the same in all trials: the task's own settings but for what is given."""
    stand = [each.name for each in _shared() if each.name in given(context)]
    others = [name for name in stand if entry not in _with_task(name)]
    if "split" in others:
        raise SettingError(f"--split: the task {entry.name} comes in parts already. Leave it out.")
    if others:
        owners = _with_task(others[0])
        named = ", ".join(spelled(name) for name in others if _with_task(name) == owners)
        tasks = " or ".join(each.name for each in owners)
        raise SettingError(f"{named}: only for --task {tasks}; this is {entry.name}.")
    kind = entry.settings
    values = {name: context.params[name] for name in (*stand, "seed")}
    if any(each.name == DATA_SEED for each in settings_of(kind)):
        values.setdefault(DATA_SEED, values["seed"])
    values |= sources_of(kind, data)
    check_given(values, kind)
    return kind.of(values)


def _fit_again(cell: str, draw: Any, folder: Path) -> list[str]:
    """The options with which ``conveyor fit`` makes a trial again."""
    options = ["--cell", cell, "--hidden", str(draw.hidden)]
    options += ["--learning-rate", repr(draw.learning_rate), "--seed", str(draw.seed)]
    return [*options, "--out", str(folder / "best")]


def _show(problem: Any, ranked: Any, baselines: Any) -> None:
    """The ranking as a table, and what it says."""
    from rich.markup import escape
    from rich.table import Table

    from conveyor.cli.output import console, say
    from conveyor.comparing.ranking import HEAD, LEGEND, lost, rows, verdict

    say(f"\nOn the test part, {problem.metric.name}; each cell's best trial by {problem.loss}:")
    table = Table(box=None, pad_edge=False, show_edge=False, padding=(0, 0, 0, 1))
    table.add_column(HEAD[0], overflow="fold")  # names give way to numbers in a narrow terminal
    for name in HEAD[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    for number, row in enumerate(rows(ranked, baselines)):
        table.add_row(*(escape(each) for each in row), style="bold" if number == 0 else None)
    console.print(table)
    say(LEGEND)
    say(f"\n{verdict(ranked, baselines)}")
    without = lost(ranked)
    if without:
        say(without)


def _compare(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(help=_SOURCES)],
    *,
    cells: Annotated[
        str, typer.Option(help="Names with commas between them: lstm,gru,mine.py:cell.")
    ],
    trials: Annotated[int, typer.Option(help="Random draws that every cell is tried with.")] = 20,
    hidden: Annotated[
        str, typer.Option(help="Units to draw from, LEAST:MOST, or one number.")
    ] = "16:128",
    learning_rate: Annotated[
        str, typer.Option(help="Learning rates to draw from, LEAST:MOST, or one.")
    ] = "3e-4:3e-2",
    task: Annotated[
        str | None, typer.Option(help=f"One of {_NAMES}; by DATA unless given.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same draws.")] = 0,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Forget what was tried before.", rich_help_panel=OUTPUT),
    ] = False,
    storage: Annotated[
        str | None,
        typer.Option(
            help="A database for several machines: postgresql://..., mysql+pymysql://...",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="The study's name in it.", rich_help_panel=OUTPUT)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The folder to write; runs/compare-NAME unless given.", rich_help_panel=OUTPUT
        ),
    ] = None,
) -> None:
    """Try cells with the same random widths and learning rates, and rank them.

    The same command goes on where it stopped, and with more --trials or --cells it adds to them.
    With --storage, several machines that are given it share the work. Data, settings and equations
    must stay as they were; --overwrite begins anew.
    """
    from conveyor.cli.output import say

    with leaving_at_once():
        from conveyor.comparing.contest import RANKING, write_contest
        from conveyor.comparing.ledger import in_file
        from conveyor.comparing.ranking import rank
        from conveyor.comparing.study import Space, Study
        from conveyor.tasks.run import REPORT

    if trials < 1:
        raise SettingError(f"--trials is {trials}; expected 1 or more.")
    programs = _programs(cells)
    entry = _task(data, task)
    settings: Any = _settings(context, data, entry)
    space = Space(_range("--hidden", hidden, int), _range("--learning-rate", learning_rate, float))
    folder = out or Path("runs") / f"compare-{stem_of(data)}"
    if folder.exists() and not folder.is_dir():
        raise SettingError(f"{folder} is a file; expected a folder. Choose another with --out.")
    if (folder / REPORT).exists() and not (folder / RANKING).exists():
        raise SettingError(f"{folder} holds a report of something else. Give another --out.")
    problem = entry.task.prepare(data if entry.reads else None, settings, say)
    if storage is None:
        folder.mkdir(parents=True, exist_ok=True)
        storage = in_file(folder / "study.db")
    contest = Study(
        storage,
        study or stem_of(data),
        problem,
        cells=programs,
        space=space,
        seed=seed,
        overwrite=overwrite,
    )
    known = len(contest.trials())
    if known:
        say(f"{counted(known, 'trial is', 'trials are')} known already")
    interrupt, busy = None, 0
    try:
        busy = contest.run(trials, say)
    except KeyboardInterrupt as error:
        interrupt = error
    tried = contest.trials()
    ranked = rank(tried, programs)
    if ranked:
        baselines = problem.baselines()
        write_contest(folder, contest, ranked, title=data.name, baselines=baselines)
        _show(problem, ranked, baselines)
        left_out = len(tried) - sum(each.tried for each in ranked)
        if left_out:
            left = counted(left_out, "trial is", "trials are")
            say(f"{left} left out: not every cell was tried with the same draws yet")
        say(f"\nReport: {folder / REPORT}")
    else:
        say("no draw was tried with every cell yet: there is nothing to rank")
    if busy:
        still = counted(busy, "trial is", "trials are")
        say(f"{still} still at work elsewhere: the same command shows more later")
    if interrupt is not None:
        raise _ended_by(interrupt)
    best = ranked[0].best if ranked else None
    if best is not None and not best.lost:
        fitted = _fit_again(best.cell, space.draw(seed, best.number), folder)
        # A name that begins with a dash would be read as an option.
        file = f"./{data}" if str(data).startswith("-") else str(data)
        again = said_again(context, [e.name for e in _shared() if e.name in given(context)])
        if str(data) in entry.task.source_names and DATA_SEED not in given(context):
            again += [spelled(DATA_SEED), str(seed)]
        command = ["conveyor", "fit", entry.name, *[file] * bool(entry.reads), *again, *fitted]
        say(f"Next:   {command_line(command)}")


compare = with_options(_compare, _shared())
