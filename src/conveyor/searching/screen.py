"""The test that a mutant passes before anything longer is tried: it remembers five letters.

Jozefowicz, Zaremba & Sutskever 2015, section 3.2: five of 26 letters are read, one after the other,
and then written in the same order; where the network writes, it is told the letter before. A cell
that gets fewer than 95 % of the letters right is given up.
"""

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from conveyor.compiler.program import Program
from conveyor.errors import ConveyorError
from conveyor.layers.recurrent import Recurrent
from conveyor.layers.state import main_output

LETTERS, LENGTH = 26, 5
PASSED = 0.95

# Sequences of a step of Adam; how often it is looked whether the cell passes; sequences that it is
# asked then.
BATCH, LOOK_EVERY, ASKED = 64, 50, 512

# A cell is given up early if its loss, in nats a letter, is above this after so many steps: twice
# what the slowest of GRU, LSTM and MUT1 has then, with rates of 0.003, 0.0077 and 0.02 (0.3 to 1.3;
# by chance ln 26 = 3.26).
FIRST_LOOK, HOPELESS = 200, 2.6


@dataclass(frozen=True)
class ScreenSettings:
    """What a screening costs at most.

    Args:
        hidden: units.
        steps: of Adam.
        seconds: of a processor, after which a cell is given up: a busy machine gives up no more.
        rates: the learning rate is drawn from least to most, log-uniformly.
    """

    hidden: int = 64
    steps: int = 800
    seconds: float = 60.0
    rates: tuple[float, float] = (3e-3, 2e-2)


@dataclass(frozen=True)
class Screened:
    """How a cell did.

    Args:
        accuracy: the share of letters that were right at the end.
        steps: that it was trained for.
        seconds: of a clock, that all took, compiling too.
        failure: why it was given up: a loss that is no number, late, or an error; empty otherwise.
    """

    accuracy: float
    steps: int
    seconds: float
    failure: str = ""

    @property
    def passed(self) -> bool:
        """Whether the cell remembers well enough."""
        return self.accuracy >= PASSED


class _Memoriser(nn.Module):
    """Letters in, letters out: one-hot letters, a sign to begin writing, the cell, a linear map."""

    def __init__(self, program: Program, hidden: int) -> None:
        super().__init__()
        self.recurrent = Recurrent(program, LETTERS + 1, hidden)
        self.head = nn.Linear(self.recurrent.output_size, LETTERS)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits [5, B, 26] of the letters that are written."""
        outputs, _ = self.recurrent(inputs)
        logits: Tensor = self.head(main_output(outputs)[-LENGTH:])
        return logits


def memory_batch(count: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw sequences to remember. Return the inputs [10, B, 27] and the letters [5, B].

    Five letters are read; then comes a sign, and behind it the letter that was to be written
    before.
    """
    letters = torch.randint(0, LETTERS, (LENGTH, count), generator=draw)
    begin = torch.full((1, count), LETTERS)
    told = torch.cat([letters, begin, letters[:-1]])
    return nn.functional.one_hot(told, LETTERS + 1).float(), letters


def screened(program: Program, settings: ScreenSettings, seed: int) -> Screened:
    """Train a cell on the memory test with one random learning rate, and return how it did.

    A cell that cannot be compiled, whose numbers overflow, or that takes too long is a failure, not
    an error.

    Args:
        program: of the cell.
        settings: what it may cost.
        seed: of the learning rate, the weights and the sequences.
    """
    began, worked = time.monotonic(), time.process_time()
    source = np.random.default_rng(seed)
    slow, fast = settings.rates
    rate = math.exp(source.uniform(math.log(slow), math.log(fast)))
    draw = torch.Generator().manual_seed(seed)
    taken = 0

    def ended(accuracy: float, failure: str = "") -> Screened:
        return Screened(accuracy, taken, time.monotonic() - began, failure)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            network = _Memoriser(program, settings.hidden)
            optimizer = torch.optim.Adam(network.parameters(), lr=rate)
            accuracy = 0.0
            while taken < settings.steps:
                inputs, letters = memory_batch(BATCH, draw)
                loss = nn.functional.cross_entropy(network(inputs).flatten(0, 1), letters.flatten())
                if not math.isfinite(loss.item()):
                    return ended(accuracy, "its numbers overflow")
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                taken += 1
                if taken % LOOK_EVERY == 0:
                    accuracy = _accuracy(network, draw)
                    if accuracy >= PASSED:
                        break
                    if time.process_time() - worked > settings.seconds:
                        return ended(accuracy, "it takes too long")
                    if taken >= FIRST_LOOK and loss.item() > HOPELESS:
                        break
        except (ConveyorError, RuntimeError, ValueError) as error:
            return ended(0.0, f"{type(error).__name__}: {str(error).splitlines()[0][:200]}")
    return ended(accuracy)


@torch.no_grad()
def _accuracy(network: _Memoriser, draw: torch.Generator) -> float:
    inputs, letters = memory_batch(ASKED, draw)
    return float((network(inputs).argmax(-1) == letters).double().mean())
