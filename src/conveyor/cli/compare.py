"""``conveyor compare``: which cell is best on the user's own data."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

import typer

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
from conveyor.cli.output import INTERRUPTED_CODE, TERMINATED_CODE, command_line
from conveyor.cli.own_cell import find_cell
from conveyor.errors import DataError, SettingError, counted, did_you_mean
from conveyor.signals import Terminated
from conveyor.tasks.classic.classic_settings import ClassicData, ClassicSettings
from conveyor.tasks.forecast.forecast_settings import (
    ForecastData,
    ForecastNetwork,
    ForecastSettings,
)
from conveyor.tasks.music.music_settings import MusicSettings
from conveyor.tasks.pixels.pixel_settings import PixelData, PixelSettings
from conveyor.tasks.settings import Training
from conveyor.tasks.text.text_settings import TextData, TextSettings

# What a file's name ends in, and what is learned from such files.
TASKS = {
    "forecast": (".csv", ".tsv", ".parquet", ".pq"),
    "text": (".txt",),
    "music": (".json",),
    "pixels": (),
    "classic": (),
}

# What is said and the exit code where a signal ended the trials.
_ENDS: dict[type[KeyboardInterrupt], tuple[str, int]] = {
    KeyboardInterrupt: ("interrupted", INTERRUPTED_CODE),
    Terminated: ("terminated", TERMINATED_CODE),
}

# Of texts that are drawn: some 10,000 sums, or 1,000 nests of tags.
CHARACTERS = 300_000

# Options of one task only.
_FORECAST = ("target", "time", "only_target", "fill_gaps", "horizon", "history", "season", "linear")
_OWN: dict[str, tuple[str, ...]] = {
    "forecast": _FORECAST,
    "text": ("chunk", "embedding"),
    "pixels": ("order",),
    "classic": ("steps", "examples"),
}


def _ended_by(interrupt: KeyboardInterrupt) -> typer.Exit:
    """Say that a signal ended the trials, and return the exit with its code."""
    from conveyor.cli.output import say

    ended, code = _ENDS[type(interrupt)]
    say(f"{ended}: the same command goes on")
    return typer.Exit(code)


def _task(data: Path, wanted: str | None) -> str:
    """The task of a file, of a folder, or of a name of a classic task."""
    from conveyor.tasks.classic.classics import CLASSICS, TEXTS

    if wanted is not None:
        if wanted not in TASKS:
            raise SettingError(f"--task {wanted}: {did_you_mean(wanted, TASKS)}")
        return wanted
    if data.is_dir():
        return "pixels"
    if not data.exists():
        if str(data) in CLASSICS:
            return "classic"
        if str(data) in TEXTS:
            return "text"
    name = data.name.lower().removesuffix(".gz")
    for task, ends in TASKS.items():
        if name.endswith(ends):
            return task
    classic = [*CLASSICS, *TEXTS]
    if not data.exists():
        raise DataError(
            f"{data}: there is no such file, folder or classic task. "
            f"{did_you_mean(str(data), classic)}"
        )
    raise SettingError(
        f"{data}: what is to be learned from it? Give --task forecast, text, music or pixels, or "
        f"the name of a classic task: {', '.join(classic)}."
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


def _drawn(data: Path, folder: Path, seed: int) -> Path:
    """The file to learn from: ``data``, or the text that it is the name of, drawn."""
    import torch

    from conveyor.data.files import read_bytes, write_whole
    from conveyor.tasks.classic.classics import TEXTS, some_text

    if str(data) not in TEXTS or data.exists():
        return data
    file = folder / f"{data}-{seed}.txt"
    text = some_text(str(data), CHARACTERS, torch.Generator().manual_seed(seed))
    if not file.exists():
        write_whole(file, text)
    elif read_bytes(file) != text.encode():
        raise SettingError(f"{file} holds something else than is to be drawn. Give another --out.")
    return file


def _range(option: str, text: str, kind: type[Any]) -> tuple[Any, Any]:
    """``20:200``, or one number."""
    least, _, most = text.partition(":")
    try:
        return kind(least), kind(most or least)
    except ValueError as error:
        whole = "whole numbers, as 20:200" if kind is int else "numbers, as 1e-3:1e-1"
        raise SettingError(f"{option} {text}: expected {whole}, or one for all trials.") from error


def _settings(context: typer.Context, data: Path, task: str) -> Any:
    """What stays the same in all trials: the task's own settings but for what is given."""
    options = context.params
    for other, names in _OWN.items():
        wrong = sorted(given(context).intersection(names)) if other != task else []
        if wrong:
            named = ", ".join("--" + name.replace("_", "-") for name in wrong)
            raise SettingError(f"{named}: only for --task {other}; this is {task}.")
    if options["split"] is not None and task not in ("forecast", "text"):
        raise SettingError(f"--split: the task {task} comes in parts already. Leave it out.")
    split: dict[str, Any] = {}
    if options["split"] is not None:
        split["split"] = parts_of(options["split"])
    if task == "forecast":
        if not options["target"]:
            raise SettingError("--target is missing: the column to forecast, or 'all'.")
        names = ("time", "fill_gaps", "horizon", "history", "season")
        settings: Any = ForecastSettings(
            data=ForecastData(
                target=tuple(options["target"]),
                only_target=options["only_target"],
                **{name: options[name] for name in names},
                **split,
            ),
            network=ForecastNetwork(linear=options["linear"]),
        )
    elif task == "text":
        own = {n: options[n] for n in ("chunk",) if options[n] is not None}
        settings = TextSettings(data=TextData(**own, **split))
        if options["embedding"] is not None:
            wide = replace(settings.network, embedding=options["embedding"])
            settings = replace(settings, network=wide)
    elif task == "pixels":
        settings = PixelSettings(data=PixelData(order=options["order"]))
    elif task == "classic":
        drawn = {n: options[n] for n in ("steps", "examples") if options[n] is not None}
        settings = ClassicSettings(data=ClassicData(name=str(data), seed=options["seed"], **drawn))
    else:
        settings = MusicSettings()
    network = {n: options[n] for n in ("layers", "dropout", "projection")}
    asked = {
        "epochs": options["epochs"],
        "batch": options["batch"],
        "clip": options["clip"],
        "patience": options["patience"],
        "minutes": options["minutes"],
    }
    training = {name: value for name, value in asked.items() if value is not None}
    return replace(
        settings,
        network=replace(settings.network, **network),
        training=replace(settings.training, **training),
    )


def _said_again(context: typer.Context) -> list[str]:
    """The options on the command line that ``conveyor fit`` has too."""
    ours = {"data", "cells", "trials", "hidden", "learning_rate", "task", "seed"}
    ours |= {"storage", "study", "out", "overwrite"}
    told, found = given(context), list[str]()
    for name, value in context.params.items():
        if name not in told or name in ours:
            continue
        option = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            found.append(option if value else "--no-" + option.removeprefix("--"))
            continue
        for each in value if isinstance(value, list | tuple) else [value]:
            found += [option, str(each)]
    return found


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


def compare(
    context: typer.Context,
    data: Annotated[
        Path,
        typer.Argument(
            help="A table to forecast, a text (.txt) or music (.json), also .gz; a folder with "
            "MNIST's files; or a classic task: adding, copying, reber, ..."
        ),
    ],
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
        str | None,
        typer.Option(help="forecast, text, music, pixels or classic; by DATA unless given."),
    ] = None,
    target: Targets = None,
    time: Time = None,
    only_target: OnlyTarget = False,
    fill_gaps: FillGaps = False,
    horizon: Horizon = None,
    history: History = None,
    season: Season = None,
    linear: Linear = True,
    chunk: Annotated[
        int | None, typer.Option(help="Steps of truncated BPTT; 100 unless given.")
    ] = None,
    embedding: Annotated[
        int | None, typer.Option(help="Numbers that stand for a character; 64 unless given.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="How long a classic task's sequences are; by the task.")
    ] = None,
    examples: Annotated[
        int | None, typer.Option(help="Sequences of a classic task to learn from; 5000.")
    ] = None,
    order: Annotated[
        int | None,
        typer.Option(help="Pixels in an order drawn by this seed; line by line unless given."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="As 0.7/0.1/0.2, training first; by the task unless given.")
    ] = None,
    layers: Layers = 1,
    dropout: Dropout = 0.0,
    projection: Projection = 0,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the data, at most; by the task unless given.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Examples in a batch; by the task unless given.")
    ] = None,
    clip: Annotated[
        float | None, typer.Option(help="Largest norm of all gradients; 1 unless given.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="Epochs without progress before stopping early; by the task.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Of one trial, at most.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same draws.")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Forget what was tried before.")
    ] = False,
    storage: Annotated[
        str | None,
        typer.Option(help="A database for several machines: postgresql://..., mysql+pymysql://..."),
    ] = None,
    study: Annotated[str | None, typer.Option(help="The study's name in it.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder to write; runs/compare-NAME unless given.")
    ] = None,
) -> None:
    """Try cells with the same random widths and learning rates, and rank them.

    The same command goes on where it stopped, and with more --trials or --cells it adds to them.
    With --storage, several machines that are given it share the work. Data, settings and equations
    must stay as they were; --overwrite begins anew.
    """
    from conveyor.cli.output import say
    from conveyor.comparing.contest import RANKING, write_contest
    from conveyor.comparing.ledger import in_file
    from conveyor.comparing.ranking import rank
    from conveyor.comparing.study import Space, Study
    from conveyor.tasks.registry import find
    from conveyor.tasks.run import REPORT

    if trials < 1:
        raise SettingError(f"--trials is {trials}; expected 1 or more.")
    Training(seed=seed)  # it knows the seeds that can be
    programs = _programs(cells)
    task = _task(data, task)
    settings = _settings(context, data, task)
    space = Space(_range("--hidden", hidden, int), _range("--learning-rate", learning_rate, float))
    folder = out or Path("runs") / f"compare-{stem_of(data)}"
    if folder.exists() and not folder.is_dir():
        raise SettingError(f"{folder} is a file; expected a folder. Choose another with --out.")
    if (folder / REPORT).exists() and not (folder / RANKING).exists():
        raise SettingError(f"{folder} holds a report of something else. Give another --out.")
    if task == "text":
        data = _drawn(data, folder, seed)
    problem = find(task).task.prepare(data, settings, say)
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
        command = ["conveyor", "fit", problem.name, file, *_said_again(context), *fitted]
        say(f"Next:   {command_line(command)}")
