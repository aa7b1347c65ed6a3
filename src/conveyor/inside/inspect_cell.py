"""Looks inside a cell without a run: on the adding problem, at the start and after training."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.compiler.show import program_of
from conveyor.inside.compared import CLASSIC, Compared, after_training, before_training
from conveyor.inside.look import Look, look
from conveyor.layers.recurrent import Recurrent
from conveyor.networks.network import check_one_input, has_projection
from conveyor.pages.words import Words, number_text
from conveyor.tasks.run import Run
from conveyor.tasks.settings import TaskSettings
from conveyor.tasks.settings_file import to_toml
from conveyor.tasks.task_registry import find
from conveyor.training.fitting import fit_task

# What each network is: in so many passes, some seconds for each cell, an LSTM of 32 units comes to
# 1/36 of the error of not looking at 100 steps, and a GRU to 1/145.
HIDDEN, EXAMPLES, EPOCHS, BATCH, RATE = 32, 5000, 10, 50, 1e-2


def inspect_cell(
    cell: str | Cell | Program,
    steps: int = 100,
    *,
    row: int = 1,
    say: Callable[[str], None] = print,
) -> Look:
    """Look inside a cell that learns the adding problem, beside itself before training and beside
    two other cells that learn the same.

    Args:
        cell: which.
        steps: of a sequence, 2 or more.
        row: which sequence of the test set, from 1.
        say: called with each line for the user.

    Raises:
        SettingError: an argument is out of its range, or the cell cannot learn the task.
    """
    program = check_one_input(program_of(cell))
    others = [name for name in CLASSIC if name != program.name][-2:]
    with tempfile.TemporaryDirectory(prefix="conveyor-") as folder:
        run, start = _fit(program, steps, Path(folder) / program.name, say)
        beside = [_fit(program_of(name), steps, Path(folder) / name, say)[0] for name in others]
        read = run.read(None, say=lambda line: None, row=row)
        named = [
            Compared(
                after_training(one.recurrent.program),
                _score(one),
                one.recurrent,
                read.inputs,
            )
            for one in (run, *beside)
        ]
        before = Compared(
            before_training(program),
            Words("the weights that it began with", "trọng số mà chính nó bắt đầu"),
            start,
            read.inputs,
            dashed=True,
        )
        settings = to_toml(_settings(program, steps))
        return look(read, named[0], [before, *named[1:]], settings=settings, say=say)


def _score(run: Run) -> Words:
    """Return how well a run answers, beside the best answer of who does not see the input."""
    ours, blind = (row["mse"] for row in run.metrics["scores"][0]["rows"].values())
    numbers = number_text(ours, ".2g"), number_text(blind, ".2g")
    return Words(
        f"mean squared error {numbers[0].en}; always guessing the mean: {numbers[1].en}",
        f"sai số bình phương trung bình {numbers[0].vi}; luôn đoán giá trị trung bình: "
        f"{numbers[1].vi}",
    )


def _settings(program: Program, steps: int) -> TaskSettings:
    values = {
        "name": "adding",
        "steps": steps,
        "examples": EXAMPLES,
        "cell": program.name,
        "hidden": HIDDEN,
        "epochs": EPOCHS,
        "batch": BATCH,
        "learning_rate": RATE,
        "patience": EPOCHS,
        "projection": HIDDEN // 2 if has_projection(program) else 0,
    }
    return find("classic").settings.of(values)


def _fit(
    program: Program, steps: int, folder: Path, say: Callable[[str], None]
) -> tuple[Run, Recurrent]:
    """Return a fitted run, and its recurrent part as it began."""
    settings = _settings(program, steps)
    entry = find("classic")
    # As ``fit_task`` does it, so that this is the network that the fit begins with.
    torch.manual_seed(settings.training.seed)
    task = entry.task.prepare(None, settings, lambda line: None)
    network = task.network(program, task.settings.network)
    say(f"training {program.name} on the adding problem of {steps} steps")
    fit_task(entry.task, None, settings, folder, cell=program, say=lambda line: None)
    return Run(folder), network.recurrent.eval()
