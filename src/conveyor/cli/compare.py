"""``conveyor compare``: the command that ranks cells on the user's data."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, get_args

import typer

from conveyor.cli.options import (
    OUTPUT,
    Spoken,
    check_required,
    given_names,
    option_words,
    spelled,
    stem_of,
    with_options,
)
from conveyor.cli.output import INTERRUPTED_CODE, TERMINATED_CODE, command_line
from conveyor.cli.user_cell import find_cell
from conveyor.data.table_source import split_source
from conveyor.errors import DataError, SettingError, counted, did_you_mean
from conveyor.signals import Terminated, leaving_at_once
from conveyor.tasks.settings import (
    REQUIRED,
    NetworkSettings,
    Option,
    Setting,
    TaskSettings,
    Training,
    options_of,
    settings_of,
    sources_of,
)
from conveyor.tasks.task_registry import FOLDER, NAME, TASKS, Entry, find

# The tasks whose networks have a cell.
WITH_CELLS = tuple(entry for entry in TASKS if entry.settings.has_cell())

# The help of DATA, and the names of the tasks.
_SOURCES = f"One of: {'; '.join(entry.source or entry.name for entry in WITH_CELLS)}."
NAMES = ", ".join(entry.name for entry in WITH_CELLS)

# The seed of drawn data; the seed of the comparison unless given.
DATA_SEED = "data_seed"

# The word and the exit code for each signal that may end the trials.
_ENDS: dict[type[KeyboardInterrupt], tuple[str, int]] = {
    KeyboardInterrupt: ("interrupted", INTERRUPTED_CODE),
    Terminated: ("terminated", TERMINATED_CODE),
}

# Settings that are no options of their own here: drawn for every trial, given in another form, or
# of a machine, because a trial runs on one device.
_OTHERWISE = ("cell", "hidden", "learning_rate", "seed", "devices", "nodes", "precision")


# The help of settings that are given in another form here, with their ranges.
HELP = {
    name: replace(options_of(record)[name], help=text).described
    for record, name, text in (
        (NetworkSettings, "hidden", "Units to draw from, LEAST:MOST, or one number."),
        (Training, "learning_rate", "Learning rates to draw from, LEAST:MOST, or one."),
        (Training, "seed", "The same seed gives the same draws."),
    )
}


# Options of the commands that keep trials in a database.
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Forget what was tried before.", rich_help_panel=OUTPUT),
]
Storage = Annotated[
    str | None,
    typer.Option(
        help="A database for several machines: postgresql://..., mysql+pymysql://...",
        rich_help_panel=OUTPUT,
    ),
]
StudyName = Annotated[
    str | None, typer.Option(help="The study's name in it.", rich_help_panel=OUTPUT)
]


def ended_by(interrupt: KeyboardInterrupt) -> typer.Exit:
    """Print that a signal ended the trials, and return the exit with its code."""
    from conveyor.cli.output import say

    ended, code = _ENDS[type(interrupt)]
    say(f"{ended}: the same command goes on")
    return typer.Exit(code)


def task_of(data: Path, name: str | None) -> Entry:
    """Return the task called ``name``, or, without a name, the task that reads such a file or
    folder, or knows data of such a name.

    Raises:
        DataError: there is no such file, and no task knows the name.
        SettingError: no task is called so, it has no cell, or several read such a file.
    """
    if name is not None:
        entry = find(name, "--task")
        if entry not in WITH_CELLS:
            raise SettingError(
                f"--task {name}: it is learned without a recurrent cell, so there are no cells to "
                f"compare. Use conveyor fit {name}, and another --out for each way of learning it."
            )
        return entry
    if data.is_dir():
        return next(entry for entry in WITH_CELLS if FOLDER in entry.reads)
    known = {source: entry for entry in WITH_CELLS for source in entry.task.source_names}
    known |= {entry.name: entry for entry in WITH_CELLS if not entry.reads}
    if not data.exists() and str(data) in known:
        return known[str(data)]
    file = split_source(data.name)[0].lower().removesuffix(".gz")
    for entry in WITH_CELLS:
        if file.endswith(tuple(ending for ending in entry.reads if ending.startswith("."))):
            return entry
    if not data.exists():
        raise DataError(
            f"{data}: there is no such file, folder or classic task. "
            f"{did_you_mean(str(data), known)}"
        )
    names = [entry.name for entry in WITH_CELLS if entry.reads and NAME not in entry.reads]
    raise SettingError(
        f"{data}: what is to be learned from it? Give --task {', '.join(names[:-1])} or "
        f"{names[-1]}, or the name of a classic task: {', '.join(known)}."
    )


def programs_of(cells: str) -> dict[str, Any]:
    """Return the programs of cells, by the names in ``--cells``.

    Raises:
        SettingError: no cell is named, or one twice.
    """
    from conveyor.compiler.show import program_of
    from conveyor.networks.network import check_one_input

    names = [name.strip() for name in cells.split(",") if name.strip()]
    programs = {name: check_one_input(program_of(find_cell(name))) for name in names}
    for name, other in combinations(programs, 2):
        if programs[name] == programs[other]:
            raise SettingError(f"--cells {cells}: {name} and {other} are the same cell. Name one.")
    if not programs or len(programs) < len(names):
        raise SettingError(f"--cells {cells}: expected names, each once, with commas between them.")
    return programs


def range_of(option: str, text: str, kind: type[Any]) -> tuple[Any, Any]:
    """Return both ends of a range that is given as ``20:200``, or as one number.

    Raises:
        SettingError: the text is neither.
    """
    least, _, most = text.partition(":")
    try:
        return kind(least), kind(most or least)
    except ValueError as error:
        numbers = "whole numbers, as 20:200" if kind is int else "numbers, as 1e-3:1e-1"
        raise SettingError(
            f"{option} {text}: expected {numbers}, or one for all trials."
        ) from error


def _tasks_with(name: str) -> list[Entry]:
    """Return the tasks that have a setting of that name."""
    return [
        entry
        for entry in WITH_CELLS
        if any(setting.name == name for setting in settings_of(entry.settings))
    ]


def shared_settings() -> list[Setting]:
    """Return the settings that stay the same in all trials, of any task, each name once, ordered by
    their headings. What is not given is as the task says."""
    by_task: dict[str, dict[str, Setting]] = {}
    for entry in WITH_CELLS:
        for setting in settings_of(entry.settings):
            if setting.name not in _OTHERWISE and not setting.option.source:
                by_task.setdefault(setting.name, {})[entry.name] = setting
    settings = [_merged(same_name) for same_name in by_task.values()]
    headings = list(dict.fromkeys(setting.heading for setting in settings))
    parts = list(dict.fromkeys(setting.part for setting in settings))
    return sorted(settings, key=lambda s: (parts.index(s.part), headings.index(s.heading)))


def _merged(by_task: dict[str, Setting]) -> Setting:
    """Return the settings of one name, by the tasks that have it, as one option: its heading tells
    which tasks these are, if not all, and its help the default, which may differ between them."""
    setting = next(iter(by_task.values()))
    choices = tuple(
        dict.fromkeys(word for each in by_task.values() for word in each.option.choices)
    )
    setting = replace(setting, option=replace(setting.option, choices=choices))
    if len({value_kind(each) for each in by_task.values()}) > 1:  # each reads its own of a text
        helps = [f"{task}: {each.option.described}" for task, each in by_task.items()]
        option = Option(help="; ".join(text.rstrip(".") for text in helps) + ".")
        setting = replace(setting, kind=str | None, default=None, option=option)
    if len(by_task) < len(WITH_CELLS):
        setting = replace(setting, heading=f"{setting.heading}, only for {' and '.join(by_task)}")
    differs = any(other.default != setting.default for other in by_task.values())
    if setting.default in (None, REQUIRED) or (setting.kind is bool and not differs):
        return setting
    first = setting.default
    shown = f"{first:g}" if isinstance(first, float) else str(first)
    if setting.name == DATA_SEED:
        shown = "that of --seed"
    elif differs:
        shown = "by the task"
    help_ = f"{setting.option.help.rstrip('.')}; {shown} unless given."
    return replace(setting, default=None, option=replace(setting.option, help=help_))


def value_kind(setting: Setting) -> Any:
    """Return the type of a setting's values that are given."""
    kinds = [kind for kind in get_args(setting.kind) if kind is not type(None)]
    return kinds[0] if isinstance(setting.kind, UnionType) and len(kinds) == 1 else setting.kind


# What an option that tasks read differently must be: its values of some kinds, by what stands for
# them in a text.
_KINDS: dict[Any, tuple[Callable[[str], Any], str]] = {
    int: (int, "a whole number"),
    float: (float, "a number"),
    bool: ({"true": True, "false": False}.__getitem__, "true or false"),
}


def as_kept(setting: Setting, text: str) -> Any:
    """Return the value of an option that tasks read differently as a task keeps it.

    Raises:
        SettingError: the text is no number, or neither true nor false, and the task's setting is.
    """
    read, expected = _KINDS.get(value_kind(setting), (str, "a text"))
    try:
        return read(text)
    except (ValueError, KeyError) as error:
        raise SettingError(f"{spelled(setting.name)} {text}: expected {expected}.") from error


def settings_for(
    context: typer.Context, data: Path, entry: Entry, beside: tuple[Entry, ...] = ()
) -> TaskSettings:
    """Return the settings of all trials: the task's, changed by what is given. Options of the tasks
    ``beside`` it may be given too.

    Raises:
        SettingError: an option is of another task, or one is missing.
    """
    names = [setting.name for setting in shared_settings() if setting.name in given_names(context)]
    there = [name for name in names if entry in _tasks_with(name)]
    others = [
        name
        for name in names
        if name not in there and not any(task in _tasks_with(name) for task in beside)
    ]
    if "split" in others:
        raise SettingError(f"--split: the task {entry.name} comes in parts already. Leave it out.")
    if others:
        owners = _tasks_with(others[0])
        options = ", ".join(spelled(name) for name in others if _tasks_with(name) == owners)
        tasks = " or ".join(owner.name for owner in owners)
        raise SettingError(f"{options}: only for --task {tasks}; this is {entry.name}.")
    kind = entry.settings
    values = {name: context.params[name] for name in (*there, "seed")}
    for setting in settings_of(entry.settings):
        if isinstance(values.get(setting.name), str):
            values[setting.name] = as_kept(setting, values[setting.name])
    if any(setting.name == DATA_SEED for setting in settings_of(kind)):
        values.setdefault(DATA_SEED, values["seed"])
    values |= sources_of(kind, data)
    check_required(values, kind)
    return kind.of(values)


def folder_for(out: Path | None, usual: str, beside: str) -> Path:
    """Return the folder that a command writes: the one that is given, or the usual one.

    Args:
        out: the folder that is given.
        usual: the name of the other one, in ``runs``.
        beside: the file that lies beside the command's report.

    Raises:
        SettingError: it is a file, or holds the report of another command.
    """
    from conveyor.tasks.run import REPORT

    folder = out or Path("runs") / usual
    if folder.exists() and not folder.is_dir():
        raise SettingError(f"{folder} is a file; expected a folder. Choose another with --out.")
    if (folder / REPORT).exists() and not (folder / beside).exists():
        raise SettingError(f"{folder} holds a report of something else. Give another --out.")
    return folder


def shown_path(data: Path) -> str:
    """Return the data as a command line names it: what begins with a dash would be an option."""
    return f"./{data}" if str(data).startswith("-") else str(data)


def _compare_command(context: typer.Context, data: Path) -> str:
    """Return the command that makes the comparison again. It names no database, whose address may
    hold a password."""
    stand = given_names(context)
    names = ["cells", "trials", "learning_rate", "seed"]
    names.insert(2, "hidden" if context.params["parameters"] is None else "parameters")
    names += [name for name in ("task", "out") if name in stand]
    names += [setting.name for setting in shared_settings() if setting.name in stand]
    return command_line(["conveyor", "compare", shown_path(data), *option_words(context, names)])


def _fit_command(
    context: typer.Context, data: Path, entry: Entry, cell: str, draw: Any, folder: Path
) -> str:
    """Return the command that makes a trial again, as a run of its own."""
    stand = given_names(context)
    shared = option_words(context, [s.name for s in shared_settings() if s.name in stand])
    if str(data) in entry.task.source_names and DATA_SEED not in stand:
        shared += [spelled(DATA_SEED), str(context.params["seed"])]
    source = [shown_path(data)] if entry.reads else []
    trial = ["--cell", cell, "--hidden", str(draw.hidden)]
    trial += ["--learning-rate", repr(draw.learning_rate), "--seed", str(draw.seed)]
    trial += ["--out", str(folder / "best")]
    return command_line(["conveyor", "fit", entry.name, *source, *shared, *trial])


def _show(ranking: Any, loss: str) -> None:
    """Show the ranking as a table, and its verdict; cells are chosen by ``loss``."""
    from rich.markup import escape
    from rich.table import Table

    from conveyor.cli.output import console, say
    from conveyor.comparing.ranking import HEAD, LEGEND

    say(
        f"\nOn the test set, {ranking.metric.name} ({ranking.direction.en}); each cell's best "
        f"trial by {loss}:"
    )
    table = Table(box=None, pad_edge=False, show_edge=False, padding=(0, 0, 0, 1))
    table.add_column(HEAD[0], overflow="fold")  # names give way to numbers in a narrow terminal
    for name in HEAD[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    for number, row in enumerate(ranking.rows):
        table.add_row(*map(escape, row), style="bold" if number == 0 else None)
    console.print(table)
    say(LEGEND)
    say(f"\n{ranking.verdict.en}")
    if ranking.without_score:
        say(ranking.without_score.en)


def _compare(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(help=_SOURCES)],
    *,
    cells: Annotated[
        str, typer.Option(help="Names with commas between them: lstm,gru,mine.py:cell.")
    ],
    trials: Annotated[
        int, typer.Option(help="Random draws that every cell is tried with (1 or more).")
    ] = 20,
    hidden: Annotated[str, typer.Option(help=HELP["hidden"])] = "16:128",
    parameters: Annotated[
        int | None,
        typer.Option(
            help="Parameters of every network at most, instead of --hidden: the width follows (1 "
            "or more)."
        ),
    ] = None,
    learning_rate: Annotated[str, typer.Option(help=HELP["learning_rate"])] = "3e-4:3e-2",
    task: Annotated[str | None, typer.Option(help=f"One of {NAMES}; by DATA unless given.")] = None,
    seed: Annotated[int, typer.Option(help=HELP["seed"])] = 0,
    overwrite: Overwrite = False,
    storage: Storage = None,
    study: StudyName = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The folder to write; runs/compare-NAME unless given.", rich_help_panel=OUTPUT
        ),
    ] = None,
    language: Spoken = None,
) -> None:
    """Try cells with the same random widths and learning rates, and rank them.

    The same command goes on where it stopped, and with more --trials or --cells it adds to them.
    With --storage, several machines that are given it share the work. Data, settings and equations
    must stay as they were; --overwrite begins anew.
    """
    from conveyor.cli.output import say
    from conveyor.pages.words import language_of

    spoken = language_of(language)
    with leaving_at_once():
        from conveyor.comparing.comparison_report import RANKING, write_comparison
        from conveyor.comparing.ranking import Ranking, rank
        from conveyor.comparing.storage import sqlite_url
        from conveyor.comparing.study import Space, Study
        from conveyor.tasks.run import REPORT

    if trials < 1:
        raise SettingError(f"--trials is {trials}; expected 1 or more.")
    if parameters is not None and "hidden" in given_names(context):
        raise SettingError("--hidden, --parameters: one follows from the other. Give one of them.")
    programs = programs_of(cells)
    entry = task_of(data, task)
    settings: Any = settings_for(context, data, entry)
    space = Space(
        range_of("--hidden", hidden, int),
        range_of("--learning-rate", learning_rate, float),
        parameters,
    )
    folder = folder_for(out, f"compare-{stem_of(data)}", RANKING)
    prepared = entry.task.prepare(data if entry.reads else None, settings, say)
    if storage is None:
        folder.mkdir(parents=True, exist_ok=True)
        storage = sqlite_url(folder / "study.db")
    comparison = Study(
        storage,
        study or stem_of(data),
        prepared,
        cells=programs,
        space=space,
        seed=seed,
        overwrite=overwrite,
    )
    known = len(comparison.trials())
    if known:
        say(f"{counted(known, 'trial is', 'trials are')} known already")
    interrupt, busy = None, 0
    try:
        busy = comparison.run(trials, say)
    except KeyboardInterrupt as error:
        interrupt = error
    tried = comparison.trials()
    ranked = rank(tried, programs, prepared.metric)
    best = None
    if ranked and not ranked[0].best.lost:
        trial = ranked[0].best
        draw = comparison.draw(trial.cell, trial.number)
        best = _fit_command(context, data, entry, trial.cell, draw, folder)
    if ranked:
        ranking = Ranking(prepared.metric, ranked, prepared.baselines())
        repeat = _compare_command(context, data)
        write_comparison(
            folder,
            comparison,
            ranking,
            title=data.name,
            repeat=repeat,
            best=best,
            language=spoken,
        )
        _show(ranking, prepared.loss)
        left_out = len(tried) - sum(each.tried for each in ranked)
        if left_out:
            left = counted(left_out, "trial is", "trials are")
            say(f"{left} left out: not every cell was tried with the same draws yet")
        say(f"\nReport: {folder / REPORT}")
    else:
        say("no draw was tried with every cell yet: there is nothing to rank")
    if busy:
        still = counted(busy, "trial is", "trials are")
        say(f"{still} still running elsewhere: the same command shows more later")
    if interrupt is not None:
        raise ended_by(interrupt)
    if best is not None:
        say(f"Next:   {best}")


compare = with_options(_compare, shared_settings())
