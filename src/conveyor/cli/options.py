"""Reading what stands on the command line."""

from pathlib import Path

import typer

from conveyor.errors import SettingError


def given(context: typer.Context) -> set[str]:
    """The options that stand on the command line."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source and source.name == "COMMANDLINE"}


def stem_of(file: Path) -> str:
    """A file's name without the ends that say what it is: what a run is called after it."""
    name = file.name
    while Path(name).suffix.lower() in (".gz", ".csv", ".tsv", ".txt", ".parquet", ".pq", ".json"):
        name = Path(name).stem
    return name.lstrip(".") or "run"


def parts_of(text: str) -> tuple[float, ...]:
    """Training, validation and test as numbers."""
    try:
        return tuple(float(part) for part in text.split("/"))
    except ValueError as error:
        raise SettingError(
            f"--split {text}: expected three parts, as 0.7/0.1/0.2 or 8640/2880/2880."
        ) from error
