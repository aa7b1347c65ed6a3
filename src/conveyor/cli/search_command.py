"""``conveyor search``: the command that looks for new cells."""

from pathlib import Path
from typing import Annotated, Any

import typer

from conveyor.cli.compare import (
    HELP,
    NAMES,
    Overwrite,
    Storage,
    StudyName,
    ended_by,
    folder_for,
    programs_of,
    range_of,
    settings_for,
    shared_settings,
    shown_path,
    task_of,
)
from conveyor.cli.options import (
    OUTPUT,
    Spoken,
    given_names,
    option_words,
    stem_of,
    with_options,
)
from conveyor.cli.output import command_line
from conveyor.errors import SettingError, counted
from conveyor.signals import leaving_at_once


def _search_command(context: typer.Context, data: str) -> str:
    """Return the command that goes on with the search. It names no database, whose address may hold
    a password."""
    there = given_names(context)
    names = ["cells", "mutants", "screen", "survivors", "draws", "parameters", "learning_rate"]
    names += ["finalists", "fresh", "seed"]
    names += [name for name in ("task", "out", "study") if name in there]
    names += [setting.name for setting in shared_settings() if setting.name in there]
    asked = [name for name in names if context.params.get(name) is not None]
    return command_line(
        ["conveyor", "search", shown_path(Path(data)), *option_words(context, asked)]
    )


def _prepared(context: typer.Context, data: str, task: str | None, say: Any) -> dict[str, Any]:
    """Return the tasks of some data, with commas between their names, made ready; ``task`` says
    what is to be learned from files.

    Raises:
        SettingError: one is named twice, or none.
    """
    names = [name.strip() for name in data.split(",") if name.strip()]
    if not names or len(set(names)) < len(names):
        raise SettingError(f"{data}: expected tasks or files, each once, with commas between them.")
    entries = {name: task_of(Path(name), task if Path(name).exists() else None) for name in names}
    shown = [Path(name).name for name in names]
    tasks = {}
    for name, entry in entries.items():
        settings: Any = settings_for(context, Path(name), entry, tuple(entries.values()))
        # Tables call a file by its name alone, unless two files are called the same.
        key = name if shown.count(Path(name).name) > 1 else Path(name).name
        tasks[key] = entry.task.prepare(Path(name) if entry.reads else None, settings, say)
    return tasks


def _search(
    context: typer.Context,
    data: Annotated[
        str,
        typer.Argument(
            help="Tasks and files as conveyor compare takes them, with commas between them: "
            "arithmetic,xml,corpus.txt. A cell is tried on them in this order."
        ),
    ],
    *,
    cells: Annotated[
        str,
        typer.Option(help="What to begin with, besides the GRU: lstm,mut1,mine.py:cell."),
    ] = "lstm,gru",
    mutants: Annotated[int, typer.Option(help="New cells to draw (0 or more).")] = 300,
    screen: Annotated[
        int | None,
        typer.Option(help="How many of them take the memory test; all unless given (0 or more)."),
    ] = None,
    survivors: Annotated[
        int | None,
        typer.Option(
            help="How many of those that pass it are tried on the tasks; all unless given (0 or "
            "more)."
        ),
    ] = None,
    draws: Annotated[
        int, typer.Option(help="Random settings that a cell is tried with on each task.")
    ] = 6,
    parameters: Annotated[
        int, typer.Option(help="Parameters of every network at most; the width follows.")
    ] = 20_000,
    learning_rate: Annotated[str, typer.Option(help=HELP["learning_rate"])] = "1e-3:2e-2",
    finalists: Annotated[
        int, typer.Option(help="How many of the best are fitted with fresh seeds (0 or more).")
    ] = 5,
    fresh: Annotated[int, typer.Option(help="With how many fresh seeds (1 or more).")] = 5,
    task: Annotated[
        str | None, typer.Option(help=f"Of the files: one of {NAMES}; by the file unless given.")
    ] = None,
    seed: Annotated[int, typer.Option(help=HELP["seed"])] = 0,
    overwrite: Overwrite = False,
    storage: Storage = None,
    study: StudyName = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The folder to write; runs/search-NAME unless given.", rich_help_panel=OUTPUT
        ),
    ] = None,
    language: Spoken = None,
) -> None:
    """Look for new cells: change known ones at random, and keep what learns the tasks well.

    The same command goes on where it stopped, and with more --mutants or --screen it looks further.
    With --storage, several machines that are given it share the work.
    """
    from conveyor.cli.output import say
    from conveyor.pages.words import language_of

    spoken = language_of(language)
    with leaving_at_once():
        from conveyor.comparing.storage import sqlite_url
        from conveyor.comparing.study import Space
        from conveyor.searching.cell_search import CellSearch, SearchSettings
        from conveyor.searching.search_report import SEARCH, write_search
        from conveyor.tasks.run import REPORT

    settings = SearchSettings(
        mutants=mutants,
        screen=screen,
        survivors=survivors,
        draws=draws,
        finalists=finalists,
        fresh=fresh,
        seed=seed,
    )
    rates = range_of("--learning-rate", learning_rate, float)
    space = Space((1, 1), rates, parameters)
    programs = programs_of(cells)
    name = "-".join(stem_of(Path(part.strip())) for part in data.split(","))
    folder = folder_for(out, f"search-{name}", SEARCH)
    tasks = _prepared(context, data, task, say)
    if storage is None:
        folder.mkdir(parents=True, exist_ok=True)
        storage = sqlite_url(folder / "study.db")
    search = CellSearch(
        storage,
        study or name,
        tasks,
        cells=programs,
        space=space,
        settings=settings,
        overwrite=overwrite,
    )
    interrupt = None
    try:
        search.run(say)
    except KeyboardInterrupt as error:
        interrupt = error
    folder.mkdir(parents=True, exist_ok=True)
    outcome = write_search(
        folder, search, title=data, repeat=_search_command(context, data), language=spoken
    )
    _show(search, outcome)
    say(f"\nReport: {folder / REPORT}")
    if interrupt is not None:
        raise ended_by(interrupt)
    listed = search.listed()
    if listed:
        best = listed[0].cell
        first = data.split(",")[0].strip()
        words = ["conveyor", "compare", first, "--cells", f"{folder}/cells/{best}.py:{best},gru"]
        say(f"Next:   {command_line(words)}")


def _show(search: Any, outcome: Any) -> None:
    """Show what was tried, the finalists as a table, and the verdict."""
    from rich.markup import escape
    from rich.table import Table

    from conveyor.cli.output import console, say
    from conveyor.searching.search_report import described_counts

    counts = described_counts(search)
    tried = ", ".join(f"{number:,} {what}" for what, number in counts.items())
    say(f"\n{tried or 'nothing was drawn'}")
    table = Table(box=None, pad_edge=False, show_edge=False, padding=(0, 0, 0, 1))
    head = outcome.head
    table.add_column(head[0], overflow="fold")
    for column in head[1:]:
        table.add_column(column, justify="right", overflow="fold")
    for row in outcome.rows:
        table.add_row(*map(escape, row))
    console.print(table)
    fits = counted(search.settings.fresh, "fresh seed")
    say(f"{outcome.described.en}; means on the test set over {fits}; fitness: by validation")
    say(f"\n{outcome.verdict.en}")


search = with_options(_search, shared_settings())
