"""``conveyor inspect``: the page that looks inside a run, or inside a cell that learns to add."""

from pathlib import Path
from typing import Annotated

import typer

from conveyor.cli.found_run import find_run
from conveyor.cli.options import (
    OUTPUT,
    Spoken,
    given_names,
    given_values,
    options_by_task,
    with_options,
)
from conveyor.errors import SettingError
from conveyor.signals import leaving_at_once
from conveyor.tasks.task_registry import TASKS

# How tasks choose the sequence that is looked at.
_CHOOSING = options_by_task({entry.name: entry.choosing for entry in TASKS})

_CELL = "Without a run"


def _inspect(
    context: typer.Context,
    run: Annotated[Path | None, typer.Argument(help="A run folder that conveyor fit made.")] = None,
    *,
    data: Annotated[
        Path | None, typer.Option(help="Data of the kind that the run was fitted on.")
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(help="Another run on the same data, to compare with. May be repeated."),
    ] = None,
    cell: Annotated[
        str | None,
        typer.Option(
            help="Train this cell on the adding problem and look inside it: a name, or "
            "mine.py:name.",
            rich_help_panel=_CELL,
        ),
    ] = None,
    steps: Annotated[
        int, typer.Option(help="Steps of the adding problem.", min=2, rich_help_panel=_CELL)
    ] = 100,
    language: Spoken = None,
    kind: Annotated[
        str, typer.Option("--as", help="html, npz or parquet.", rich_help_panel=OUTPUT)
    ] = "html",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write here; else inspect.html in the run's folder.", rich_help_panel=OUTPUT
        ),
    ] = None,
) -> None:
    """Show the gates, the memory and the gradients of a network on a sequence, as a page."""
    from conveyor.cli.output import remark, say
    from conveyor.cli.user_cell import find_cell
    from conveyor.data.files import write_output
    from conveyor.pages.words import language_of

    names = given_names(context)
    _check(run, cell, kind, names)
    spoken = language_of(language)
    with leaving_at_once():
        from conveyor.inside.export import as_npz, as_parquet
        from conveyor.inside.inspect_cell import inspect_cell
        from conveyor.inside.inspect_run import inspect_run
        from conveyor.pages.inside import write_inside
        from conveyor.tasks.run import INSIDE

    options = given_values(context, _CHOOSING)
    if run is None:
        assert cell is not None
        seen = inspect_cell(find_cell(cell), steps, row=options.get("row", 1), say=say)
        path = out or Path(f"inspect-{cell.rpartition(':')[2]}.{kind}")
    else:
        fitted = find_run(run, data)
        seen = inspect_run(
            fitted,
            data,
            beside=[find_run(folder) for folder in beside or ()],
            say=remark,
            **options,
        )
        path = out or run / INSIDE if kind == "html" else out or run / f"inspect.{kind}"
    if kind == "html":
        write_inside(path, seen.page, spoken)
    else:
        write_output(path, as_npz(seen) if kind == "npz" else as_parquet(seen))
    for words in seen.page.verdict:
        say(getattr(words, spoken))
    say(f"wrote {path}")


def _check(run: Path | None, cell: str | None, kind: str, names: set[str]) -> None:
    """Check that the options fit each other.

    Raises:
        SettingError: they do not.
    """
    if kind not in ("html", "npz", "parquet"):
        raise SettingError(f"--as {kind}: expected html, npz or parquet.")
    if run is None and cell is None:
        raise SettingError("give a run's folder, or --cell lstm to look inside a cell.")
    if run is not None and cell is not None:
        raise SettingError(f"there are a run, {run}, and --cell {cell}. Give one of them.")
    if run is not None and "steps" in names:
        raise SettingError("--steps is for --cell. Leave it out.")
    if cell is not None:
        for name in ("data", "beside", "text", "time", "fill_gaps"):
            if name in names:
                raise SettingError(f"--{name.replace('_', '-')} is for a run. Leave it out.")


inspect = with_options(_inspect, _CHOOSING)
