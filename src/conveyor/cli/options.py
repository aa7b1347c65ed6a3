"""Reading what stands on the command line."""

from pathlib import Path
from typing import Annotated

import typer

from conveyor.errors import SettingError

# Options that several commands have.
Targets = Annotated[
    list[str] | None,
    typer.Option(help="The column to forecast; may be repeated; 'all' is every number."),
]
Time = Annotated[str | None, typer.Option(help="The column of times; 'none': evenly spaced rows.")]
OnlyTarget = Annotated[bool, typer.Option("--only-target", help="Leave out the other columns.")]
FillGaps = Annotated[bool, typer.Option("--fill-gaps", help="Missing rows become missing values.")]
Horizon = Annotated[int | None, typer.Option(help="Steps ahead; else one season, or 12.")]
History = Annotated[int | None, typer.Option(help="Steps read; else two seasons, or horizons.")]
Season = Annotated[int | None, typer.Option(help="Steps of a season; else by the times' step.")]
Linear = Annotated[bool, typer.Option(help="Add a linear autoregression to the recurrent network.")]
Layers = Annotated[int, typer.Option(help="Recurrent layers.")]
Dropout = Annotated[float, typer.Option(help="Probability of dropping what goes between layers.")]
Projection = Annotated[int, typer.Option(help="Units of the projection, for lstm_projected.")]


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
