"""What is likely to be said: a run on texts that helps a recogniser."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from conveyor.networks.prefix_beam_search import NextLabels
from conveyor.tasks import saved
from conveyor.tasks.speller import Speller


@dataclass(frozen=True)
class SpokenLanguage:
    """Scores texts beside what is heard (shallow fusion).

    Attributes:
        log_probabilities: log P of texts, in nats.
        weight: how much they count beside what is heard.
        bonus: for each label.
    """

    log_probabilities: Callable[[Sequence[str]], list[float]]
    weight: float = 0.5
    bonus: float = 0.0

    @staticmethod
    def of_options(options: Any) -> "SpokenLanguage | None":
        """Return the language of a run that options name; None where they name none.

        Args:
            options: a ``TranscribeReading``.

        Raises:
            RunError: the folder is no run, or one that gives texts no probability.
        """
        if options.text_model is None:
            return None
        folder = Path(options.text_model)
        task, network, _ = saved.load(folder)
        kind = saved.task_of(task, str(folder))
        kind.log_probabilities(network, ["a"])  # an error now is one before anything is heard
        return SpokenLanguage(
            partial(kind.log_probabilities, network), options.text_weight, options.label_bonus
        )

    def following(self, speller: Speller) -> NextLabels:
        """Return log P of each label after some, by the texts that they make."""

        def next_labels(prefix: tuple[int, ...]) -> list[float]:
            texts = [speller.decode(prefix)]
            for label in range(1, len(speller.labels) + 1):
                # A blank at the end is a part of the text, too.
                ended = " " if speller.labels[label - 1] == " " else ""
                texts.append(speller.decode((*prefix, label)) + ended)
            before, *after = self.log_probabilities(texts)
            return [value - before for value in after]

        return next_labels
