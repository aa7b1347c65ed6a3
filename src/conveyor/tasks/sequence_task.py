"""What tasks on whole sequences share that a linear readout learns."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from conveyor.compiler.program import Program
from conveyor.data.synthetic import Batch
from conveyor.errors import RunError, counted
from conveyor.networks.readout import Readout, ReadoutSizes
from conveyor.tasks.results import Results, Scores
from conveyor.tasks.settings import NetworkSettings
from conveyor.tasks.task import Say, Task


class Sequences(Dataset[Batch]):
    """Sequences to learn from, taken some at a time: ``take`` gives those of these numbers."""

    def __init__(self, count: int, take: Callable[[Tensor], Batch]) -> None:
        self.count, self.take = count, take

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> Batch:
        return self.take(torch.tensor([number]))

    def __getitems__(self, numbers: list[int]) -> Any:
        """A batch, whole: what a DataLoader asks for where it is there."""
        return self.take(torch.tensor(numbers))


ADVICE = "Train longer, or with more hidden units."


def _whole(batch: Any) -> Any:
    return batch


class SequenceTask(Task[Readout]):
    """A task whose examples are whole sequences, learned by a linear readout.

    ``inputs`` and ``outputs`` are features of a step and of an answer; ``wanted`` and ``last`` are
    as in ``Readout``.
    """

    network_type = Readout
    join: Callable[[Any], Any] | None = staticmethod(_whole)
    inputs: int
    outputs: int
    wanted: str
    last: bool
    # What a network learns from, in words: "229 pieces".
    examples: str
    # What is scored, in words.
    asked_for: str

    def network(self, program: Program, sizes: NetworkSettings) -> Readout:
        """Return an untrained network."""
        return Readout.sized(
            program,
            ReadoutSizes(
                inputs=self.inputs,
                outputs=self.outputs,
                wanted=self.wanted,
                last=self.last,
                **sizes.besides_the_cell(),
            ),
        )

    def about(self, network: Readout) -> str:
        """Return how large a network is, and how much it learns from."""
        count = network.parameter_count
        return f"{network.title} with {counted(count, 'parameter')} on {self.examples}"

    def results(self, network: Readout) -> Results:
        """Return the score on the test part."""
        baselines = {name: (value,) for name, value in self.baselines().items()}
        scores = Scores.of(
            "",
            (self.metric,),
            title=network.title,
            ours=(self.score(network),),
            baselines=baselines,
            advice=ADVICE,
        )
        return Results((scores,), self.asked_for)

    @classmethod
    def evaluate(
        cls,
        network: Readout,
        source: Any,
        *,
        settings: Any,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Results:
        """Return the score on the test part of other data of the same kind.

        Raises:
            RunError: its sequences have other features than the network reads.
        """
        task = cls.prepare(source, settings, say)
        features = (task.inputs, task.outputs)
        if (network.recurrent.input_size, network.head.out_features) != features:
            raise RunError(
                f"the network reads {network.recurrent.input_size} features and answers "
                f"{network.head.out_features}; this data has {task.inputs} and {task.outputs}. "
                "Give data of the kind that the run was fitted on."
            )
        return task.results(network)
