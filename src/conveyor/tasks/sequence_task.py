"""What tasks on whole sequences share that a linear readout learns."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from conveyor.compiler.program import Program
from conveyor.data.synthetic import Batch
from conveyor.errors import DataError, RunError, counted, named
from conveyor.layers.state import main_output
from conveyor.networks.readout import Readout, ReadoutSizes
from conveyor.pages.words import Words, joined, same
from conveyor.tasks.read_sequence import MOST_LINES, ReadSequence
from conveyor.tasks.results import Results, Scores, Section
from conveyor.tasks.sequence_choice import check_row
from conveyor.tasks.sequence_costs import SequenceCosts
from conveyor.tasks.settings import NetworkSettings
from conveyor.tasks.task import Say, Task, whole


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


ADVICE = Words(
    "Train longer, or with more hidden units.",
    "Hãy huấn luyện lâu hơn, hoặc với nhiều đơn vị ẩn hơn.",
)


class SequenceTask(Task[Readout]):
    """A task whose examples are whole sequences, learned by a linear readout.

    ``inputs`` and ``outputs`` are features of a step and of an answer; ``wanted`` and ``last`` are
    as in ``Readout``.
    """

    network_type = Readout
    join: Callable[[Any], Any] | None = staticmethod(whole)
    inputs: int
    outputs: int
    wanted: str
    last: bool
    # What a network learns from, in words: "229 pieces".
    examples: str
    # What is scored, in words.
    asked_for: Words
    # What its sequences are called, in English and Vietnamese.
    nouns: tuple[str, str] = ("sequences", "chuỗi")

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

    @abstractmethod
    def test_answers(self, network: Readout) -> Tensor:
        """Return the network's answers to the test set."""

    @abstractmethod
    def costs_of(self, answers: Tensor) -> SequenceCosts:
        """Return what answers to the test set cost."""

    @abstractmethod
    def baseline_costs(self) -> Mapping[str, SequenceCosts]:
        """Return what the answers of methods without a network cost, by name."""

    def sections(
        self, network: Readout, answers: Tensor, costs: SequenceCosts
    ) -> Iterable[Section]:
        """Yield what the report shows below the scores: nothing, unless the task has something."""
        return ()

    def score(self, network: Readout) -> float:
        """Return the score on the test set."""
        return self.costs_of(self.test_answers(network)).mean

    def baselines(self) -> Mapping[str, float]:
        """Return the scores of methods without a network on the test set, by name."""
        return {name: costs.mean for name, costs in self.baseline_costs().items()}

    def results(self, network: Readout) -> Results:
        """Return the score on the test set, and how surely it is known."""
        answers = self.test_answers(network)
        costs, others = self.costs_of(answers), self.baseline_costs()
        scores = Scores.of(
            "",
            (self.metric,),
            title=network.title,
            ours=(costs.mean,),
            baselines={name: (each.mean,) for name, each in others.items()},
            advice=ADVICE,
            remark=None
            if costs.interval is None
            else self.metric.interval_over(Words(*self.nouns), costs.interval),
            alike=tuple(name for name, each in others.items() if costs.may_be_chance(each)),
        )
        return Results(
            (scores,),
            self.asked_for,
            {} if costs.interval is None else {"interval": costs.interval},
            draw=lambda: self.sections(network, answers, costs),
        )

    def asked_sequence(self, row: int) -> Batch:
        """Return a sequence that was not learned from, as a batch of one: of the validation set,
        unless a task has one of its test set.

        Args:
            row: which, counted from 1.

        Raises:
            DataError: there are not so many.
        """
        index = check_row(row, len(self.validation), "sequence")
        batch: Batch = self.validation[index]
        return batch

    def step_labels(self, inputs: Tensor) -> tuple[str, ...]:
        """Return what stands at each step of a sequence [T, inputs]; its number unless the task
        knows better."""
        return tuple(map(str, range(1, len(inputs) + 1)))

    def title_of(self, row: int) -> Words:
        """Return what a sequence is called, which is counted from 1."""
        return joined([self.title, Words(f"sequence {row}", f"chuỗi {row}")], ", ")

    def feature_names(self) -> tuple[Words, ...]:
        """Return what the features of a step are called; empty where they have no names."""
        return ()

    @classmethod
    def read(
        cls,
        network: Readout,
        source: Any,
        *,
        settings: Any,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> ReadSequence:
        """Return a sequence of the test set as the network reads it.

        Raises:
            DataError: there is no such sequence, or no data.
        """
        if source is None and not cls.holds_sequence:
            raise DataError(f"the run holds no data to look at. Give {named('data')}.")
        task = cls.prepare(source, settings, say)
        task.check_fits(network)
        row = options.row or 1
        batch = task.asked_sequence(row)
        steps = int(batch.lengths[0])
        inputs = batch.inputs[:steps]
        width = inputs.shape[-1]
        asked, answer = _asked(network, inputs)
        names = task.feature_names() or [same(f"x[{number}]") for number in range(width)]
        lines = {name: tuple(inputs[:, 0, place].tolist()) for place, name in enumerate(names)}
        return ReadSequence(
            title=task.title_of(row),
            inputs=inputs,
            labels=task.step_labels(inputs[:, 0]),
            answer=answer,
            asked=asked,
            features=lines if width <= MOST_LINES else {},
        )

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
        """Return the score on the test set of other data of the same kind.

        Raises:
            RunError: its sequences have other features than the network reads.
        """
        task = cls.prepare(source, settings, say)
        task.check_fits(network)
        return task.results(network)

    def check_fits(self, network: Readout) -> None:
        """Check that the task's sequences are such as a network reads.

        Raises:
            RunError: they have other features.
        """
        features = (self.inputs, self.outputs)
        if (network.recurrent.input_size, network.head.out_features) != features:
            raise RunError(
                f"the network reads {network.recurrent.input_size} features and answers "
                f"{network.head.out_features}; this data has {self.inputs} and {self.outputs}. "
                "Give data of the kind that the run was fitted on."
            )


@torch.no_grad()
def _asked(network: Readout, inputs: Tensor) -> tuple[Words, Callable[[Tensor], Tensor]]:
    """Return what is asked about a sequence [T, 1, inputs], and the number that answers it, of the
    recurrent layer's output: the likeliest class or symbol at the end, or the number there."""
    answers = network.head(main_output(network.recurrent(inputs)[0])[-1])[0]
    likeliest = int(answers.argmax())
    if network.wanted == "numbers":
        asked = Words("the answer at the last step", "câu trả lời ở bước cuối")
        return asked, lambda output: network.head(output[-1])[:, 0]
    if network.wanted == "class":
        asked = Words(
            f"the log-probability of class {likeliest}, the likeliest at the last step",
            f"log xác suất của lớp {likeliest}, lớp có khả năng nhất ở bước cuối",
        )
        return asked, lambda output: torch.log_softmax(network.head(output[-1]), -1)[:, likeliest]
    asked = Words(
        f"the logit of symbol {likeliest}, the likeliest after the last step",
        f"logit của ký hiệu {likeliest}, ký hiệu có khả năng nhất sau bước cuối",
    )
    return asked, lambda output: network.head(output[-1])[:, likeliest]
