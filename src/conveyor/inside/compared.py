"""Networks that are looked at beside each other on the same sequence."""

import re
from dataclasses import dataclass

import torch

from conveyor.compiler.program import Program
from conveyor.compiler.show import program_of
from conveyor.errors import ShapeError
from conveyor.inspect.one_sequence import Sequence, main_input, step_count, with_batch
from conveyor.layers.recurrent import Recurrent
from conveyor.networks.network import has_projection, projection_of
from conveyor.pages.words import Words

# What stands beside a cell: the simplest, and the two that everybody knows.
CLASSIC = ("lstm", "gru", "rnn")


@dataclass(frozen=True)
class Compared:
    """A network, and the sequence as it reads it.

    Args:
        name: what it is called.
        about: a line about it.
        layer: its recurrent part.
        inputs: what that reads, one sequence, by name where its cell has several inputs.
        dashed: whether its line is dashed: of a network that has learned nothing.
    """

    name: Words
    about: Words
    layer: Recurrent
    inputs: Sequence
    dashed: bool = False


def spoken(program: Program) -> str:
    """Return a cell's name as a sentence writes it: acronyms in capitals, and whose RNN it is."""
    if program.name == "rnn":
        return "RNN (Elman)"
    return re.sub(
        r"(^|_)(lstm|gru|sru|[qv]rnn)(?=_|$)", lambda match: match[0].upper(), program.name
    )


def before_training(program: Program) -> Words:
    """Return the name of a network that has learned nothing."""
    name = spoken(program)
    return Words(f"{name} before training", f"{name} trước khi huấn luyện")


def after_training(program: Program) -> Words:
    """Return the name of a fitted network."""
    name = spoken(program)
    return Words(f"{name} after training", f"{name} sau khi huấn luyện")


def fresh(cell: str, like: Recurrent, inputs: Sequence, *, seed: int = 0) -> Compared:
    """Return a network that has learned nothing, of the size of another, on the same input: on the
    first where the other cell has several, unless it is the same cell.

    Args:
        cell: its name.
        like: the other.
        inputs: what the other reads.
        seed: of its weights.
    """
    first = main_input(like, inputs)
    if cell == like.program.name:
        program, width = like.program, like.input_size
        sizes = {axis: size for axis, size in like.sizes.items() if axis != "H"}
    else:
        program, inputs, width = program_of(cell), first, first.shape[-1]
        projected = like.sizes.get("P", 0) if has_projection(program) else 0
        sizes = projection_of(program, projected) or {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layer = Recurrent(
            program,
            width,
            like.hidden_size,
            like.num_layers,
            batch_first=like.batch_first,
            sizes=sizes,
            dtype=first.dtype,
        )
    return Compared(
        before_training(program),
        Words(
            "random weights, of the same size, on the same input",
            "trọng số ngẫu nhiên, cùng kích thước, cùng đầu vào",
        ),
        layer.eval(),
        inputs,
        dashed=True,
    )


def untrained(like: Recurrent, inputs: Sequence) -> list[Compared]:
    """Return what stands beside a network: itself before training, and two other cells."""
    others = [cell for cell in CLASSIC if cell != like.program.name][-2:]
    return [fresh(cell, like, inputs) for cell in (like.program.name, *others)]


def check_same_steps(one: Compared, other: Compared) -> None:
    """Check that two networks read sequences of as many steps.

    Raises:
        ShapeError: they do not.
    """
    counts = [
        step_count(network.layer, with_batch(network.layer, network.inputs))
        for network in (one, other)
    ]
    if counts[0] != counts[1]:
        raise ShapeError(
            f"{one.name.en} reads {counts[0]:,} steps and {other.name.en} {counts[1]:,}. Give runs "
            "that read the same sequence."
        )
