"""The classic tasks by name: how sequences are drawn, and which answers count as right."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from conveyor.data.synthetic import (
    Batch,
    accepted,
    adding,
    all_legal_above,
    copying,
    counting,
    generate_spikes,
    measure_spikes,
    multiplication,
    periodic,
    reber,
    sines,
    temporal_order,
    two_sequence,
)
from conveyor.data.synthetic.batch import draw_between
from conveyor.errors import SettingError, named
from conveyor.networks.readout import Wanted, losses_of_each
from conveyor.pages.words import Words
from conveyor.tasks.classic.about_classics import ABOUT
from conveyor.tasks.results import Metric
from conveyor.tasks.sequence_costs import SequenceCosts


@dataclass(frozen=True)
class Classic:
    """A classic task.

    Args:
        draw: draws a batch from a number of steps, a number of sequences, and a generator.
        inputs: features of a step.
        outputs: features of an answer.
        wanted: the kind of the targets, as in ``Readout``.
        steps: the default number of steps, as ``draw`` counts them; 0 if the task draws the lengths
            of its sequences.
        right: returns which sequences [B] are answered right, for tasks whose papers count that.
        about: what the task is, in two sentences.
        single: whether the task is a single sequence without random numbers, which is both the
            training and the test data.
        features: what the features of a step are; empty for tasks whose features are symbols.
    """

    draw: Callable[[int, int, torch.Generator], Batch]
    inputs: int
    outputs: int
    wanted: Wanted
    about: Words
    steps: int = 0
    right: Callable[[Tensor, Batch], Tensor] | None = None
    single: bool = False
    features: tuple[Words, ...] = ()

    @property
    def loss(self) -> str:
        """The name of the loss, in words."""
        if self.wanted == "numbers":
            return "mean squared error"
        return "nats per step" if self.right is None else "nats"

    @property
    def metric(self) -> Metric:
        """The metric that ``score_of`` returns."""
        if self.right is not None:
            return Metric("wrong", "share of wrong sequences")
        if self.wanted == "numbers":
            return Metric("mse", self.loss)
        return Metric("nats", self.loss, self.loss, apart="difference")

    def costs_of(self, outputs: Tensor, batch: Batch) -> SequenceCosts:
        """Return which sequences are answered wrong, or their losses."""
        if self.right is not None or batch.at_end:
            counts = torch.ones(len(batch.lengths), dtype=torch.float64)
        else:
            counts = batch.lengths.double()
        if self.right is None:
            return SequenceCosts(losses_of_each(outputs, batch, self.wanted), counts)
        return SequenceCosts((~self.right(outputs, batch)).double(), counts)

    def checked_steps(self, steps: int | None) -> int:
        """Return ``steps``, or the task's default if it is None; 0, as the settings of a run hold
        it, for a task that draws the lengths of its sequences.

        Raises:
            SettingError: the task draws the lengths of its sequences.
        """
        if steps and not self.steps:
            raise SettingError(
                f"{named('steps')}: the sequences of this task have lengths of their own."
            )
        return self.steps if steps is None else steps


def _counting(most: int, batch: int, draw: torch.Generator) -> Batch:
    if most < 1:
        raise SettingError(f"steps is {most}; expected the largest n of aⁿbⁿ, 1 or more.")
    return counting(draw_between(1, most + 1, batch, draw).tolist())


def _same_class(outputs: Tensor, batch: Batch) -> Tensor:
    return outputs.argmax(-1) == batch.targets


def _accepted(outputs: Tensor, batch: Batch) -> Tensor:
    return accepted(outputs, batch, threshold=0.0)  # the logit of probability 1/2


# An answer is right with an error of at most 0.04 (Hochreiter & Schmidhuber 1997), or with a
# squared error below 0.04 (Pascanu, Mikolov & Bengio 2013).
def _within(outputs: Tensor, batch: Batch) -> Tensor:
    return (outputs - batch.targets).abs().squeeze(-1) <= 0.04


def _square_within(outputs: Tensor, batch: Batch) -> Tensor:
    return (outputs - batch.targets).square().squeeze(-1) < 0.04


def _without_steps(make: Callable[..., Batch]) -> Callable[[int, int, torch.Generator], Batch]:
    def draw(steps: int, batch: int, generator: torch.Generator) -> Batch:
        return make(batch, generator)

    return draw


def _single(make: Callable[[int], Batch]) -> Callable[[int, int, torch.Generator], Batch]:
    def draw(steps: int, batch: int, generator: torch.Generator) -> Batch:
        return make(steps)

    return draw


# Gers, Schraudolph & Schmidhuber 2002 begin with a period of 10 steps; a sequence has ten of them.
def _periodic(form: str) -> Classic:
    make = _single(lambda steps: periodic(steps, 10, form=form))
    return Classic(make, 1, 1, "numbers", ABOUT["periodic"], 100, single=True)


_MARKED: dict[str, Any] = {
    "inputs": 2,
    "outputs": 1,
    "wanted": "numbers",
    "steps": 100,
    "features": (Words("number", "số"), Words("marker", "dấu")),
}
_SPIKES: dict[str, Any] = {"outputs": 1, "wanted": "numbers", "steps": 100}

CLASSICS: dict[str, Classic] = {
    "adding": Classic(adding, about=ABOUT["adding"], **_MARKED),
    "adding_tcn": Classic(partial(adding, form="tcn"), about=ABOUT["adding"], **_MARKED),
    "adding_hochreiter": Classic(
        partial(adding, form="hochreiter"), about=ABOUT["adding"], **_MARKED, right=_within
    ),
    "adding_pascanu": Classic(
        partial(adding, form="pascanu"), about=ABOUT["adding"], **_MARKED, right=_square_within
    ),
    "multiplication": Classic(multiplication, about=ABOUT["multiplication"], **_MARKED),
    "copying": Classic(copying, 10, 10, "class", ABOUT["copying"], 100),
    "copying_tcn": Classic(partial(copying, form="tcn"), 10, 10, "class", ABOUT["copying"], 100),
    "temporal_order": Classic(
        _without_steps(temporal_order), 8, 4, "class", ABOUT["temporal_order"], 0, _same_class
    ),
    "two_sequence": Classic(two_sequence, 1, 1, "numbers", ABOUT["two_sequence"], 100),
    "reber": Classic(_without_steps(reber), 7, 7, "symbols", ABOUT["reber"], 0, all_legal_above),
    "counting": Classic(_counting, 3, 3, "symbols", ABOUT["counting"], 10, _accepted),
    "measure_spikes": Classic(measure_spikes, 1, about=ABOUT["measure_spikes"], **_SPIKES),
    "generate_spikes": Classic(generate_spikes, 2, about=ABOUT["generate_spikes"], **_SPIKES),
    "cosine": _periodic("cosine"),
    "triangle": _periodic("triangle"),
    "rectangle": _periodic("rectangle"),
    "sines": Classic(_single(sines), 1, 1, "numbers", ABOUT["sines"], 320, single=True),
}


def without_looking(known: Batch, asked: Batch, task: Classic) -> Tensor:
    """Return the best answers to ``asked`` that ignore the inputs, learned from ``known``.

    They are the mean of the targets at the end, or at each step, as the numbers or logits that a
    readout would give. For a single sequence they are the mean over its steps, because the mean at
    each step would be the target itself.
    """
    targets = known.targets
    if task.single:
        return targets.mean(0, keepdim=True).expand(asked.targets.shape)
    if task.wanted == "class":
        targets = torch.nn.functional.one_hot(targets, task.outputs)
    shape = (*asked.targets.shape[: 1 if asked.at_end else 2], task.outputs)
    if known.at_end:
        mean = targets.double().mean(0)
        return _as_answers(mean, len(targets), task).expand(shape)
    counted = known.counted[..., None]
    count = counted.sum(1)
    mean = (targets * counted).sum(1, dtype=torch.float64) / count.clamp(min=1)
    answers = _as_answers(mean, count, task)
    # Steps after the longest known sequence get the answer of its last step.
    steps = torch.arange(shape[0]).clamp(max=len(answers) - 1)
    return answers[steps, None].expand(shape)


def _as_answers(mean: Tensor, count: Tensor | int, task: Classic) -> Tensor:
    if task.wanted == "numbers":
        return mean.float()
    # Each case counts once more than seen: otherwise an unseen case would have an infinite loss.
    cases = task.outputs if task.wanted == "class" else 2
    probability = (mean * count + 1) / (count + cases)
    return (probability.log() if task.wanted == "class" else probability.logit()).float()
