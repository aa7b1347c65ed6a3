"""``conveyor fit``: train a model on the user's own file."""

import signal
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from conveyor.cells.definition import Cell
from conveyor.cli.options import (
    Dropout,
    FillGaps,
    History,
    Horizon,
    Layers,
    Linear,
    OnlyTarget,
    Projection,
    Season,
    Targets,
    Time,
    given,
    parts_of,
    stem_of,
)
from conveyor.cli.output import TERMINATED_CODE
from conveyor.cli.own_cell import find_cell
from conveyor.compiler.program import Program
from conveyor.compiler.show import program_of
from conveyor.errors import SettingError
from conveyor.tasks.forecast.forecast_settings import ForecastNetwork
from conveyor.tasks.settings import Training
from conveyor.tasks.text.text_settings import TextData, TextNetwork, TextSettings

app = typer.Typer(no_args_is_help=True)

# What is not given is as the settings say.
_WINDOWS, _FORECASTER, _TEXT = Training(), ForecastNetwork(), TextSettings()

# Options that both tasks have.
CellName = Annotated[str, typer.Option(help="A cell's name (conveyor cells), or mine.py:name.")]
Epochs = Annotated[int, typer.Option(help="Passes over the training part, at most.")]
LearningRate = Annotated[float, typer.Option(help="Adam's learning rate at the start.")]
Clip = Annotated[float, typer.Option(help="Largest L2 norm of all gradients together.")]
Patience = Annotated[int, typer.Option(help="Epochs without progress before stopping early.")]
Minutes = Annotated[float | None, typer.Option(help="Stop after so many minutes.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same run.")]
Out = Annotated[Path | None, typer.Option(help="The folder to write; runs/NAME unless given.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run that is there.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run of --out.")]
Devices = Annotated[int, typer.Option(help="Devices (processes on a CPU) to train on.")]
Precision = Annotated[str, typer.Option(help="As Lightning: 32-true, 64-true, bf16-mixed, ...")]

# What may be given anew when a run is resumed. The rest is the run's own: it may be given once more
# as it is, so that the same command with --resume goes on.
_NEW_ON_RESUME = ("epochs", "minutes", "devices")
_OF_NO_SETTING = {"data", "file", "out", "resume", "overwrite", "cell"}


def _resumed(
    context: typer.Context, folder: Path, kind: Any, anew: Callable[[], Any]
) -> tuple[Any, Program]:
    """The settings of the run that goes on, with what may be given anew, and its cell.

    Args:
        anew: the settings that the command line would give a new run.

    Raises:
        SettingError: what is given is not the run's own, or the run is of the other task.
    """
    from conveyor.training.run_folder import open_folder, read_beginning

    told = given(context)
    if "overwrite" in told:
        raise SettingError("--resume goes on with a run and --overwrite replaces it: give one.")
    open_folder(folder, overwrite=False, resume=True)
    settings, program = read_beginning(folder)
    if not isinstance(settings, kind):
        raise SettingError(f"{folder} is a run of another task.")
    new = {name: context.params[name] for name in _NEW_ON_RESUME if name in told}
    changed = told - _OF_NO_SETTING - set(new)
    if changed:
        changed = {name for name in changed if _value(anew(), name) != _value(settings, name)}
    if "cell" in told and program_of(find_cell(context.params["cell"])) != program:
        changed.add("cell")
    if changed:
        names = ", ".join("--" + name.replace("_", "-") for name in sorted(changed))
        raise SettingError(
            f"--resume goes on with the settings of {folder}; {names} cannot change. Leave them "
            "out, or begin a new run with another --out."
        )
    return replace(settings, training=replace(settings.training, **new)), program


# Options whose settings have other names.
_SETTING_OF: dict[str, str] = {}


def _value(settings: Any, option: str) -> Any:
    """What the settings say of an option."""
    name = _SETTING_OF.get(option, option)
    parts = (settings.data, settings.network, settings.training)
    return next(getattr(part, name) for part in parts if hasattr(part, name))


def _network(context: typer.Context) -> dict[str, Any]:
    """The options that say what the network is."""
    names = ("cell", "hidden", "layers", "dropout", "projection")
    return {name: context.params[name] for name in names}


def _training(context: typer.Context) -> Training:
    """The options that say how it is fitted."""
    names = {field.name for field in fields(Training)}
    options = context.params
    return Training(**{name: options[name] for name in names})


@app.command("forecast")
def forecast(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(help="A CSV (also .gz) or Parquet file.")],
    target: Targets = None,
    time: Time = None,
    only_target: OnlyTarget = False,
    fill_gaps: FillGaps = False,
    horizon: Horizon = None,
    history: History = None,
    season: Season = None,
    split: Annotated[
        str, typer.Option(help="Training/validation/test: fractions or rows.")
    ] = "0.7/0.1/0.2",
    cell: CellName = _FORECASTER.cell,
    linear: Linear = True,
    hidden: Annotated[int, typer.Option(help="Units of the hidden state.")] = _FORECASTER.hidden,
    layers: Layers = _FORECASTER.layers,
    dropout: Dropout = _FORECASTER.dropout,
    projection: Projection = _FORECASTER.projection,
    epochs: Epochs = _WINDOWS.epochs,
    batch: Annotated[int, typer.Option(help="Windows in a batch.")] = _WINDOWS.batch,
    learning_rate: LearningRate = _WINDOWS.learning_rate,
    clip: Clip = _WINDOWS.clip,
    patience: Patience = _WINDOWS.patience,
    minutes: Minutes = None,
    seed: Seed = _WINDOWS.seed,
    out: Out = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    devices: Devices = _WINDOWS.devices,
    precision: Precision = _WINDOWS.precision,
) -> None:
    """Forecast columns of a table: quantiles of the next steps, beside naive forecasts."""
    from conveyor.tasks.forecast.forecast_settings import ForecastData, ForecastSettings

    def anew() -> ForecastSettings:
        return ForecastSettings(
            data=ForecastData(
                target=tuple(target or ("all",)),  # a resumed run has its own
                time=time,
                only_target=only_target,
                fill_gaps=fill_gaps,
                horizon=horizon,
                history=history,
                season=season,
                split=parts_of(split),
            ),
            network=ForecastNetwork(linear=linear, **_network(context)),
            training=_training(context),
        )

    if not target and not resume:
        raise SettingError("--target is missing: the column to forecast, or 'all'.")
    _fit(context, "forecast", data, anew)


@app.command("text")
def text(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A text in UTF-8.")],
    unit: Annotated[str, typer.Option(help="What is predicted: char.")] = _TEXT.data.unit,
    chunk: Annotated[int, typer.Option(help="Steps of truncated BPTT.")] = _TEXT.data.chunk,
    embedding: Annotated[
        int, typer.Option(help="Numbers that stand for a character.")
    ] = _TEXT.network.embedding,
    split: Annotated[
        str, typer.Option(help="Training/validation/test: fractions.")
    ] = "0.9/0.05/0.05",
    cell: CellName = _TEXT.network.cell,
    hidden: Annotated[int, typer.Option(help="Units of the hidden state.")] = _TEXT.network.hidden,
    layers: Layers = _TEXT.network.layers,
    dropout: Dropout = _TEXT.network.dropout,
    projection: Projection = _TEXT.network.projection,
    epochs: Epochs = _TEXT.training.epochs,
    batch: Annotated[int, typer.Option(help="Parallel streams of text.")] = _TEXT.training.batch,
    learning_rate: LearningRate = _TEXT.training.learning_rate,
    clip: Clip = _TEXT.training.clip,
    patience: Patience = _TEXT.training.patience,
    minutes: Minutes = None,
    seed: Seed = _TEXT.training.seed,
    out: Out = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    devices: Devices = _TEXT.training.devices,
    precision: Precision = _TEXT.training.precision,
) -> None:
    """Learn to write like a text, by characters, beside counting models."""

    def anew() -> TextSettings:
        return TextSettings(
            data=TextData(unit=unit, chunk=chunk, split=parts_of(split)),
            network=TextNetwork(embedding=embedding, **_network(context)),
            training=_training(context),
        )

    _fit(context, "text", file, anew)


def _fit(context: typer.Context, task: str, source: Path, anew: Callable[[], Any]) -> None:
    """Fit, and say how it went."""
    from conveyor.cli.output import command_line, console, say, score_table
    from conveyor.tasks.registry import find
    from conveyor.training.processes import is_main_process
    from conveyor.training.run import fit_task
    from conveyor.training.stopping import Wish

    entry, options, wish = find(task), context.params, Wish()
    folder = options["out"] or Path("runs") / stem_of(source)
    chosen: Cell | Program
    if options["resume"]:
        settings, chosen = _resumed(context, folder, entry.settings, anew)
    else:
        settings, chosen = anew(), find_cell(options["cell"])
    run = fit_task(
        entry.task,
        source,
        settings,
        folder,
        cell=chosen,
        overwrite=options["overwrite"],
        resume=options["resume"],
        say=say,
        wish=wish,
    )
    if not is_main_process():
        return
    _say_how_it_ended(run.fitted)
    say(f"\nOn the test part ({run.results.count}):")
    console.print(score_table(run.results.scores))
    for scores in run.results.scores:
        say(scores.verdict)
    say(f"\nReport: {folder / 'report.html'}")
    if entry.task.next_command:
        verb, *rest = entry.task.next_command
        say(f"Next:   {command_line(['conveyor', verb, str(folder), *rest])}")
    _exit_if_terminated(wish)


def _exit_if_terminated(wish: Any) -> None:
    """Exit as SIGTERM asks for, now that the run is whole."""
    if wish.signal == signal.SIGTERM:
        raise typer.Exit(TERMINATED_CODE)


def _say_how_it_ended(fitted: Any) -> None:
    from conveyor.cli.output import say

    kept = f"kept the model of epoch {fitted.best_epoch}"
    if not fitted.best_epoch:
        kept = "no epoch was finished: kept the model as it is"
    say(f"stopped after {fitted.seconds:.0f} s: {fitted.stopped}; {kept}")
