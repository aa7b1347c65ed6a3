"""What tasks on pairs of sequences have in common: each says how its data are read, how answers are
judged, and what simple methods answer."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl
import torch
from torch import Tensor

from conveyor.compiler.program import Program
from conveyor.data.paired_texts import PairedTexts, plain
from conveyor.data.token_vocabulary import UNK
from conveyor.errors import DataError, SettingError, counted, named
from conveyor.networks.search import select_batch
from conveyor.pages.words import Words, same
from conveyor.tasks.drawn_parts import TRAIN, VALIDATION
from conveyor.tasks.known_keys import hash_of_parts, packed_hashes, tell_not_kept, told_leaks
from conveyor.tasks.pairs.pair_examples import PairExamples
from conveyor.tasks.pairs.pair_reading import BEAM
from conveyor.tasks.pairs.prepared_pairs import (
    PairRow,
    PreparedPairs,
    Sides,
    hash_of,
    usable_rows,
)
from conveyor.tasks.pairs.translator import (
    NOTHING,
    Copying,
    Translator,
    Written,
    attention_in_words,
)
from conveyor.tasks.question import Question
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.results import Prediction, Results, free_name
from conveyor.tasks.sequence_choice import check_row
from conveyor.tasks.task import Say, Task, whole

# A source longer than this is shortened where it is a title.
_TITLE = 60


class PairTask(Task[Translator]):
    """A task on pairs of sequences."""

    network_type: type[Translator] = Translator
    loss = "nats per token"
    join: Callable[[Any], Any] | None = staticmethod(whole)

    def __init__(self, prepared: PreparedPairs, title: Words) -> None:
        self.prepared, self.settings, self.title = prepared, prepared.settings, title
        self.train: PairExamples = prepared.parts[TRAIN]
        self.validation: PairExamples = prepared.parts[VALIDATION].by_length()
        self.lengths = self.train.lengths
        parts = prepared.parts
        self.data_hash = hash_of_parts(
            zip(each.sources, each.targets, strict=True) for each in parts
        )

    # What each task says -----------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def sides(cls, network: Translator) -> Sides:
        """Return what the two sides of a fitted network's pairs are."""

    @classmethod
    @abstractmethod
    def read_source(cls, source: Any, data: Any, *, paired: bool) -> PairedTexts:
        """Read data as a run with these settings of data does.

        Args:
            source: the data.
            data: the settings.
            paired: whether targets are read.
        """

    # The contract ------------------------------------------------------------------------------

    def network(self, program: Program, sizes: Any) -> Translator:
        """Return an untrained translator."""
        return self.network_type(
            program,
            self.prepared.reader,
            self.network_type.sizes_type(**sizes.besides_the_cell()),
            self.prepared.room,
        )

    def about(self, network: Translator) -> str:
        """Return how large a network is, and how much it learns from."""
        count = network.parameter_count
        pairs = counted(len(self.train), *self.prepared.sides.pair[:2])
        return f"{network.title} with {counted(count, 'parameter')} on {pairs}"

    def fitted_on(self) -> dict[str, Any]:
        """Return what later commands need: what was learned from, and a source to look at."""
        keys = self.prepared.keys
        return {
            "source": self.prepared.source_hash,
            "known": packed_hashes([*keys[TRAIN], *keys[VALIDATION]]),
            "sample": self.prepared.asked.shown[0],
            "data": self.kept_settings(),
        }

    def kept_settings(self) -> dict[str, Any]:
        """Return the settings of data by which new sources are read. The default keeps none."""
        return {}

    @classmethod
    def not_kept(cls, fitted: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the baselines that learn from a run's training set and are not kept with the run.
        The default knows none.

        Args:
            fitted: the result of ``fitted_on`` when the run was fitted.
        """
        del fitted
        return ()

    @abstractmethod
    def results_with(self, network: Translator, options: Any) -> Results:
        """Return the scores on the test set beside the baselines.

        Args:
            network: the network.
            options: how targets are searched for.
        """

    @classmethod
    @abstractmethod
    def results_on(
        cls,
        network: Translator,
        rows: list[PairRow],
        leaks: int,
        options: Any,
        fitted_on: Mapping[str, Any] | None,
    ) -> Results:
        """Return the scores on pairs of other data.

        Args:
            network: the network.
            rows: the pairs, one or more.
            leaks: how many of their sources were learned from.
            options: how targets are searched for.
            fitted_on: the result of ``fitted_on`` when the run was fitted.
        """

    @classmethod
    def evaluate(
        cls,
        network: Translator,
        source: Any,
        *,
        settings: Any,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Results:
        """Score a network: of the data that the run was fitted on its test set, of other data
        everything.

        Raises:
            DataError: the data cannot be used.
        """
        fitted = fitted_on or {}
        pairs = cls.read_source(source, settings.data, paired=True)
        if hash_of(pairs) == fitted.get("source"):
            say("this is the data of the run: its test set is scored")
            return cls.prepare(source, settings, say).results_with(network, options)
        sides = cls.sides(network)
        rows = usable_rows(pairs, sides, say)
        if not rows:
            raise DataError(f"{pairs.name}: there is no pair with two sides.")
        keys = list(dict.fromkeys(row.key for row in rows))
        leaks = told_leaks(keys, fitted, say, *sides.source_name[:2])
        missing = cls.not_kept(fitted)
        if missing:
            tell_not_kept(missing, say)
        return cls.results_on(network, rows, leaks, options, fitted_on)

    @classmethod
    def copying(
        cls, texts: Sequence[str], options: Any, fitted_on: Mapping[str, Any] | None
    ) -> Copying | None:
        """Return what stands for tokens that a network does not know; None for a task that writes
        none.

        Args:
            texts: the sources.
            options: how targets are searched for.
            fitted_on: the result of ``fitted_on`` when the run was fitted.
        """
        del texts, options, fitted_on
        return None

    @classmethod
    def written(
        cls,
        network: Translator,
        sources: Sequence[Tensor],
        options: Any,
        copying: Copying | None = None,
    ) -> list[list[Written]]:
        """Return what a network writes of sources, the best first.

        Args:
            network: the network.
            sources: as its reader encodes them.
            options: how targets are searched for.
            copying: see ``copying``.
        """
        return network.write(
            sources,
            beam=options.beam,
            n_best=options.n_best,
            attention=options.explain,
            copying=copying,
        )

    @classmethod
    def predict(
        cls,
        network: Translator,
        source: Any,
        *,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Prediction:
        """Return the rows of a table, or the lines of a file, with what the network writes of each;
        of a list of texts in Python, a list of texts.

        Raises:
            DataError: there is no data, or it cannot be used.
        """
        if source is None:
            raise DataError(f"there is nothing to write from. Give {named('data')}.")
        fitted = fitted_on or {}
        read = cls.read_source(source, _Kept(fitted.get("data") or {}), paired=False)
        sources = [network.reader.encode(text) for text in read.sources]
        empty = [place for place, each in zip(read.places, sources, strict=True) if not len(each)]
        if empty:
            say(
                f"{counted(len(empty), 'row holds', 'rows hold')} no source, the first {empty[0]}: "
                "nothing is written of it"
            )
        odd = [
            place
            for place, each in zip(read.places, sources, strict=True)
            if bool((each == UNK).any())
        ]
        if odd:
            say(
                f"{counted(len(odd), 'row holds', 'rows hold')} what the run has never seen, the "
                f"first {odd[0]}"
            )
        copying = cls.copying(read.sources, options, fitted_on)
        best = cls.written(network, sources, options, copying)
        title = Words("Output", "Kết quả")
        bare = not (options.scores or options.explain) and options.n_best == 1
        if isinstance(source, list | tuple) and bare:
            return Prediction([each[0].text for each in best], title)
        frame = pl.DataFrame({"source": read.sources}) if read.frame is None else read.frame
        return Prediction(_with_answers(frame, network, read.sources, best, options), title)

    @classmethod
    def answers(
        cls,
        network: Translator,
        lines: Iterable[str],
        *,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
    ) -> Iterator[str]:
        """Yield for each line what is written of it; nothing for a line without a token. With
        scores or several answers, TABs stand between, as many in every line."""
        reader = network.reader
        columns = options.n_best * (1 + options.scores + options.explain)
        for line in lines:
            encoded = reader.encode(plain(line))
            if not len(encoded):
                yield "\t" * (columns - 1)
                continue
            copying = cls.copying([plain(line)], options, fitted_on)
            (best,) = cls.written(network, [encoded], options, copying)
            words = []
            for each in best:
                words.append(each.text)
                if options.scores:
                    words.append(f"{each.log_probability:.4f}")
                if options.explain:
                    words.append(attention_in_words(reader.source_tokens(plain(line)), each))
            yield "\t".join(words)

    @classmethod
    def question(cls, network: Translator, fitted_on: Mapping[str, Any] | None) -> Question:
        """Return that sources are asked for; the example is one of the test set."""
        _, many, vietnamese = cls.sides(network).source_name
        asked = Words(f"{many.capitalize()}, one per line", f"Mỗi dòng một {vietnamese}")
        sample = str((fitted_on or {}).get("sample", ""))
        return Question("lines", asked, " ".join(sample.split()))

    @classmethod
    def read(
        cls,
        network: Translator,
        source: Any,
        *,
        settings: Any,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> ReadSequence:
        """Return a source as the encoder reads it: the text given, a row of data, or a source of
        the test set that the run keeps.

        Raises:
            DataError: there is no such row, or no token in the text.
            SettingError: a text is given beside data.
        """
        if options.text is not None and source is not None:
            raise SettingError(f"there are data and {named('text')}. Give one of them.")
        if options.row is not None and source is None:
            raise SettingError(f"{named('row')} is of data. Give {named('data')}, too.")
        title = options.text if options.text is not None else (fitted_on or {}).get("sample", "")
        if source is not None:
            texts = cls.read_source(source, settings.data, paired=False).sources
            title = texts[check_row(options.row or 1, len(texts), cls.sides(network).pair[0])]
        encoded = network.reader.encode(plain(title))
        if not len(encoded):
            raise DataError(f"{named('text')} holds no token. Give one or more.")
        return _sequence_of(network, encoded, title, given=options.text)


class _Kept:
    """The settings of data that a run keeps, by name; None for all others."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __getattr__(self, name: str) -> Any:
        return self._values.get(name)


def _with_answers(
    frame: pl.DataFrame,
    network: Translator,
    sources: Sequence[str],
    best: Sequence[Sequence[Written]],
    options: Any,
) -> pl.DataFrame:
    """Return a table with columns of what was written."""
    columns: list[tuple[str, list[Any]]] = []
    for place in range(options.n_best):
        end = "" if place == 0 else f"_{place + 1}"
        each = [answers[place] if place < len(answers) else None for answers in best]
        columns.append((f"written{end}", [written and written.text for written in each]))
        if options.scores:
            columns.append(
                (
                    f"log_probability{end}",
                    [
                        written and written.log_probability if written != NOTHING else None
                        for written in each
                    ],
                )
            )
        if options.explain:
            looked = [
                written and attention_in_words(network.reader.source_tokens(text), written)
                for text, written in zip(sources, each, strict=True)
            ]
            columns.append((f"attention{end}", looked))
    for name, values in columns:
        frame = frame.with_columns(pl.Series(free_name(frame.columns, name), values))
    return frame


def _shortened(text: str) -> str:
    """Return a text as it stands in a title."""
    return text if len(text) <= _TITLE else text[:_TITLE].rstrip() + "…"


def _sequence_of(
    network: Translator, encoded: Tensor, title: str, *, given: str | None
) -> ReadSequence:
    """Return a source as the encoder reads it. What counts is how likely the network finds what it
    writes, through what the decoder looks at; what it begins with stays as it is."""
    model, reader = network.model, network.reader
    hypothesis = network.hypotheses([encoded], beam=BEAM)[0][0]
    symbols = torch.tensor([reader.begin, *hypothesis.tokens, reader.end]).unsqueeze(1)
    assert model.encoder.embedding is not None
    with torch.no_grad():
        inputs = model.encoder.embedding(encoded.unsqueeze(1))
        _, state = model.encoder.read(inputs)
        begun = None
        if model.bridge is not None:
            begun = model.bridge.begin(network.recurrent, state, model.decoder.layer, 1)

    def answer(output: Tensor) -> Tensor:
        rows = output.shape[1]
        repeated = select_batch(begun, torch.zeros(rows, dtype=torch.long))
        logits, _, _ = model.decoder(
            symbols[:-1].expand(-1, rows), model.decoder.begin(output, repeated)
        )
        chances = logits.log_softmax(-1)
        wanted = symbols[1:].expand(-1, rows).unsqueeze(-1)
        log_probability: Tensor = chances.gather(-1, wanted).squeeze(-1).sum(0)
        return log_probability

    written = _shortened(reader.text_of(reader.target_tokens(hypothesis.tokens)))
    said = Words(f"‘{written}’, the output", f"‘{written}’, câu mà mạng viết")
    if not written:
        said = Words("an empty output", "câu trả lời rỗng, vì mạng không viết gì")
    return ReadSequence(
        title=same(_shortened(title)),
        inputs=inputs,
        labels=tuple(reader.source_tokens(title)),
        answer=answer,
        asked=Words(
            f"the log-probability of {said.en}, through attention",
            f"log xác suất của {said.vi}, qua sự chú ý",
        ),
        symbols=True,
        repeat={"text": given} if given else {},
    )
