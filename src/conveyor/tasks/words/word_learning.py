"""The task ``words``: learns a vector for each word of a text, from the words around it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor

from conveyor.data.text import Numbers, read_text
from conveyor.data.text_blocks import TextBlocks
from conveyor.errors import DataError, RunError, counted, named
from conveyor.pages.words import Words, cell_text, counted_words, joined, number_text
from conveyor.tasks.bootstrap import interval_of
from conveyor.tasks.question import Question
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.results import Metric, Prediction, Results, Scores
from conveyor.tasks.task import Say, Task
from conveyor.tasks.words.held_pairs import NATS, PREFERRED, HeldPairs, Scorer
from conveyor.tasks.words.nearest_words import NearestWords
from conveyor.tasks.words.pmi_vectors import PmiVectors, pmi_vectors
from conveyor.tasks.words.prepared_words import (
    PreparedWords,
    Stretches,
    hash_of_text,
    prepared_words,
    read_words,
)
from conveyor.tasks.words.window_model import WindowModel
from conveyor.tasks.words.words_reading import WordsReading
from conveyor.tasks.words.words_report import frequent_words, sections
from conveyor.tasks.words.words_settings import (
    CBOW,
    LEAST_EPOCHS,
    LEAST_VALIDATED,
    MOST_EPOCHS,
    STEPS,
    WordsNetwork,
    WordsSettings,
)

PMI, COUNTS = "PMI + SVD", "word counts"

# Counting reads so many words at the end of the training set, at most, and knows so many of the
# most frequent ones: all counts are in memory.
MOST_COUNTED, MOST_DECOMPOSED = 5_000_000, 50_000

_ADVICE = Words(
    "On little text, count-based vectors are often better. Train longer, or give more text.",
    "Với ít văn bản, véc-tơ tính bằng cách đếm thường tốt hơn: hãy huấn luyện lâu hơn, hoặc cho "
    "thêm văn bản.",
)


class WordLearning(Task[WindowModel]):
    """The task of learning vectors of words, beside vectors by counting. Its score is how often a
    true neighbour, in a text that was held back, is told from noise."""

    name = "words"
    network_type = WindowModel
    metric: Metric = PREFERRED
    loss = "nats per pair"
    next_command = ("predict", "-")
    settings: WordsSettings

    def __init__(self, text: PreparedWords, title: Words, settings: WordsSettings) -> None:
        self.text, self.title = text, title
        self.train: Stretches = Stretches(text.known.numbers)
        self.validation: Stretches = Stretches(text.checked.numbers)
        training = settings.training.with_steps(STEPS, len(self.train), LEAST_EPOCHS, MOST_EPOCHS)
        self.settings = replace(settings, training=training)
        self.data_hash = text.data_hash
        self.join = partial(_joined, torch.tensor([text.words.boundary]))

    @classmethod
    def prepare(cls, source: Any, settings: WordsSettings, say: Say) -> "WordLearning":
        """Return the task on a text file in UTF-8."""
        path = Path(source)
        settings.training.check_one_process()
        text = prepared_words(path, settings.data, say)
        title = Words(f"Vectors of words of {path.name}", f"Véc-tơ từ của {path.name}")
        task = cls(text, title, settings)
        first = range(min(LEAST_VALIDATED, len(task.validation)))
        boundary = torch.tensor([text.words.boundary])
        stretch = _joined(boundary, [task.validation[number] for number in first])
        if not task._untrained.scored_blocks(stretch).near.any():
            raise DataError(
                f"{path}: no two words with a vector are neighbours in the validation set, after "
                "frequent words were left out. Give a longer text, larger parts as "
                f"{named('split', '0.6/0.2/0.2')}, or {named('subsample', 0)}."
            )
        return task

    def network(self, program: None, sizes: WordsNetwork) -> WindowModel:
        """Return a model with vectors that know nothing yet."""
        return WindowModel(self.text.words, **sizes.besides_the_cell())

    def about(self, network: WindowModel) -> str:
        """Return the size of a model, and how it reads the text."""
        words = counted(len(network.words), network.words.unit_name)
        return (
            f"{network.title}: vectors of {counted(network.sizes.dim, 'number')} for {words}, "
            f"{counted(network.parameter_count, 'parameter')}, windows of up to "
            f"{network.sizes.window} to either side"
        )

    def fitted_on(self) -> dict[str, Any]:
        """Return the hash of the text, and a word that a service asks for as an example."""
        example = frequent_words(self.text.words, 1)
        word = self.text.words.words[example[0]] if example else ""
        return {"source": self.data_hash.hexdigest(), "sample": word}

    @cached_property
    def _pairs(self) -> HeldPairs:
        return self._pairs_of(self._untrained, self.text.asked.numbers)

    @cached_property
    def _untrained(self) -> WindowModel:
        """A model that knows how the text is read: what training keeps, and noise."""
        with torch.device("meta"):
            return self.network(None, self.settings.network)

    @staticmethod
    def _pairs_of(network: WindowModel, numbers: Numbers) -> HeldPairs:
        return HeldPairs.of(
            numbers[0 : len(numbers)].long(),
            network.kept,
            network.noise,
            window=network.sizes.window,
            negative=network.sizes.negative,
        )

    @cached_property
    def counted(self) -> PmiVectors:
        """Vectors by counting, of the training set; 0 for words that are too rare for it."""
        network, numbers = self._untrained, self.text.known.numbers
        last = numbers[max(len(numbers) - MOST_COUNTED, 0) : len(numbers)].long()
        size = min(len(network.words), MOST_DECOMPOSED)
        # A rarer word is no boundary: windows reach over it.
        last = last[(last < size) | (last == len(network.words))].clamp(max=size)
        few = pmi_vectors(
            last,
            network.kept[:size],
            network.noise[:size],
            window=network.sizes.window,
            dim=network.sizes.dim,
        )
        more = len(network.words) - size
        pad = torch.nn.functional.pad
        return PmiVectors(pad(few.vectors, (0, 0, 0, more)), pad(few.contexts, (0, 0, 0, more)))

    def _baselines(self) -> dict[str, Scorer]:
        return {PMI: self.counted.scores, COUNTS: _scorer_of_counts(self._untrained)}

    def results(self, network: WindowModel) -> Results:
        """Return the scores on the test set, with the neighbours of frequent words."""
        text, counted_vectors = self.text, self.counted
        scores, interval = _scores(network, self._pairs, self._baselines(), self._counted_little())
        details = {
            "auc_interval": interval,
            "words": len(text.words),
            "training_words": text.known.words,
            "covered": {"training": text.known.covered, "test": text.asked.covered},
        }

        def draw() -> Iterable[Any]:
            known = NearestWords(text.words, counted_vectors.vectors)
            return sections(network, known, text)

        return Results(
            (scores,),
            _count(self._pairs),
            details,
            draw=draw,
            vectors=lambda: vectors_text(network),
        )

    def score(self, network: WindowModel) -> float:
        """Return how often a true neighbour of the test set is told from noise."""
        return float(self._pairs.row(network.scores)[0] or 0)

    def baselines(self) -> Mapping[str, float]:
        """Return the same of vectors by counting, and of counts of words."""
        return {
            name: float(self._pairs.row(scorer)[0] or 0)
            for name, scorer in self._baselines().items()
        }

    def _counted_little(self) -> Words | None:
        """Return that not all of a large text was counted; None if all was."""
        if len(self.text.known.numbers) <= MOST_COUNTED and len(self.text.words) <= MOST_DECOMPOSED:
            return None
        words, most = cell_text(f"{MOST_COUNTED:,}"), cell_text(f"{MOST_DECOMPOSED:,}")
        return Words(
            f"The text is large: {PMI} counted only the last {words.en} words of the training "
            f"set, and only the {most.en} most frequent ones.",
            f"Văn bản lớn: {PMI} chỉ đếm {words.vi} từ cuối của phần huấn luyện, và chỉ "
            f"{most.vi} từ hay gặp nhất.",
        )

    @classmethod
    def evaluate(
        cls,
        network: WindowModel,
        source: Any,
        *,
        settings: WordsSettings,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Results:
        """Score vectors: of the text that the run was fitted on its test set, of another text
        everything, beside counts of words.

        Raises:
            DataError: the text cannot be used.
        """
        blocks = TextBlocks.of_file(Path(source))
        if hash_of_text(blocks)[0].hexdigest() == (fitted_on or {}).get("source"):
            say("this is the text of the run: its test set is scored")
            return cls.prepare(source, settings, say).results(network)
        part = read_words(network.words, blocks)
        say(f"{100 * part.covered:.1f} % of its words have a vector")
        if part.words < 2:
            raise DataError(
                f"{source}: {counted(part.words, network.words.unit_name)} of it "
                f"{'has' if part.words == 1 else 'have'} a vector; expected 2 or more. Give a text "
                "in the language that the run was fitted on, with words that it knows."
            )
        pairs = cls._pairs_of(network, part.numbers)
        scores, interval = _scores(network, pairs, {COUNTS: _scorer_of_counts(network)}, None)
        details = {"covered": part.covered, "auc_interval": interval}
        return Results((scores,), _count(pairs), details)

    @classmethod
    def predict(
        cls,
        network: WindowModel,
        source: Any,
        *,
        fitted_on: Mapping[str, Any] | None,
        options: WordsReading,
        say: Say,
    ) -> Prediction:
        """Return the nearest neighbours of words: of a file a row for each, with what was asked,
        the neighbour, and the cosine of the angle between their vectors; of a list of words in
        Python an ``Answer`` for each.

        Args:
            source: a file with words on each line, or a list of such lines; see ``NearestWords``.

        Raises:
            DataError: there is nothing to look for.
        """
        if source is None:
            raise DataError(f"there is no word to look for. Give {named('data')}, or a dash.")
        if isinstance(source, str | Path):
            lines = [line for line in read_text(Path(source)).split("\n") if line.strip()]
        else:
            lines = [str(line) for line in source]
        nearest = NearestWords(network.words, network.table())
        answers = [nearest.answer(line, options.most) for line in lines]
        for line, answer in zip(lines, answers, strict=True):
            if answer.unknown:
                say(f"{line}: no vector is known of {', '.join(answer.unknown)}")
            elif answer.note:
                say(f"{line}: {answer.note}")
        title = Words("Nearest words", "Những từ gần nhất")
        if not isinstance(source, str | Path):
            return Prediction(answers, title)
        rows: list[tuple[str, str | None, float | None]] = []
        for line, answer in zip(lines, answers, strict=True):
            near = zip(answer.neighbours, answer.cosines, strict=True)
            rows += [(line, word, cosine) for word, cosine in near] or [(line, None, None)]
        frame = pl.DataFrame(
            rows,
            schema={"asked": pl.String, "neighbour": pl.String, "cosine": pl.Float64},
            orient="row",
        )
        return Prediction(frame, title)

    @classmethod
    def answers(
        cls,
        network: WindowModel,
        lines: Iterable[str],
        *,
        fitted_on: Mapping[str, Any] | None,
        options: WordsReading,
    ) -> Iterator[str]:
        """Yield for each line the nearest words with their cosines, with tabs between them; why
        there are none, as a word that is not known; an empty line for an empty one."""
        nearest = NearestWords(network.words, network.table())
        for line in lines:
            yield nearest.answer(line, options.most).line()

    @classmethod
    def question(cls, network: WindowModel, fitted_on: Mapping[str, Any] | None) -> Question:
        """Return that words are asked for."""
        asked = Words(
            "One word per line; also sums: a - b + c", "Mỗi dòng một từ; hoặc một tổng: a - b + c"
        )
        return Question("lines", asked, str((fitted_on or {}).get("sample", "")))

    @classmethod
    def read(
        cls,
        network: WindowModel,
        source: Any,
        *,
        settings: WordsSettings,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> ReadSequence:
        """Refuse to look inside.

        Raises:
            RunError: always.
        """
        raise RunError(
            "vectors of words are learned without a recurrent cell: there are no gates and no "
            f"memory to look at. The report shows neighbours and a map.{cls.used_by()}"
        )


def _joined(boundary: Tensor, stretches: list[Tensor]) -> Tensor:
    """Return stretches one after the other; no window reaches from one into the next."""
    return torch.cat([part for stretch in stretches for part in (stretch, boundary)])


def _scorer_of_counts(network: WindowModel) -> Scorer:
    """Return what scores pairs by knowing of each neighbour only how frequent it is."""
    kept = network.kept.double() * torch.tensor(network.words.counts).double()
    odds = (kept / kept.sum() / network.noise).log()
    return lambda _, contexts: odds[contexts]


def _scores(
    network: WindowModel, pairs: HeldPairs, baselines: Mapping[str, Scorer], remark: Words | None
) -> tuple[Scores, list[float]]:
    """Return the scores of a model beside baselines, and the 95 % interval of the first."""
    shift = float(torch.tensor(network.sizes.negative).log())
    samples = pairs.samples(network.scores)
    low, high = interval_of(samples)
    apart = {name: interval_of(samples - pairs.samples(each)) for name, each in baselines.items()}
    lowest, highest = (number_text(100 * end, ".1f") for end in (low, high))
    known = Words(
        f"95 % interval: {lowest.en} to {highest.en} %. Another seed also changes the score by "
        "about one point.",
        f"Khoảng tin cậy 95 % của {network.title} là {lowest.vi} đến {highest.vi} %; "
        "đổi seed cũng làm điểm số xê dịch khoảng một điểm phần trăm.",
    )
    noise = cell_text(f"{pairs.noise.shape[1]}")
    about = Words(
        f"Each true neighbour is compared with {noise.en} noise words.",
        f"Mỗi từ lân cận thật được so với {noise.vi} từ nhiễu.",
    )
    told, nats = pairs.row(network.scores)
    if network.sizes.model == CBOW:
        nats = None  # of one neighbour alone, where it has learned from the mean of several
    scores = Scores.of(
        "",
        (PREFERRED, NATS),
        title=network.title,
        ours=(told, nats),
        baselines={name: pairs.row(each, shift) for name, each in baselines.items()},
        advice=_ADVICE if PMI in baselines else None,
        remark=joined([known, about, remark or ""]),
        alike=tuple(name for name, (least, most) in apart.items() if least <= 0 <= most),
    )
    return scores, [low, high]


def _count(pairs: HeldPairs) -> Words:
    return counted_words(len(pairs), "pair of neighbours", "cặp từ lân cận", "pairs of neighbours")


def vectors_text(network: WindowModel) -> str:
    """Return the vectors in word2vec's text form: how many there are and how long they are, then a
    word and its numbers on each line, the most frequent word first."""
    words, table = network.words.words, network.table()
    lines = [f"{len(words)} {table.shape[1]}"]
    for word, vector in zip(words, table.tolist(), strict=True):
        lines.append(f"{word} {' '.join(f'{number:.6g}' for number in vector)}")
    return "\n".join(lines) + "\n"
