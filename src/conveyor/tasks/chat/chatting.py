"""The task ``chat``: the last turns of a dialogue into the next."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from conveyor.compiler.program import Program
from conveyor.data.dialogues import read_contexts, read_dialogues
from conveyor.data.paired_texts import PairedTexts
from conveyor.data.subwords import Subwords
from conveyor.data.table_source import split_source
from conveyor.data.token_vocabulary import TokenVocabulary
from conveyor.data.tokens import Tokenizer
from conveyor.data.turns import TURN, TurnTokenizer
from conveyor.pages.words import Words
from conveyor.tasks.chat.chat_reading import ChatReading
from conveyor.tasks.chat.chat_results import FOUND, results_of
from conveyor.tasks.chat.chat_settings import ChatSettings
from conveyor.tasks.chat.conversation import Conversation
from conveyor.tasks.chat.replier import Replier
from conveyor.tasks.chat.reply_baselines import (
    FREQUENT,
    KNESER_NEY,
    RETRIEVAL,
    ReplyBaselines,
    turns_once,
)
from conveyor.tasks.chat.scored_replies import ScoredReplies
from conveyor.tasks.chat.true_among import drawn_trials
from conveyor.tasks.drawn_parts import TEST, VALIDATION
from conveyor.tasks.pairs.pair_reader import PairReader
from conveyor.tasks.pairs.pair_task import PairTask
from conveyor.tasks.pairs.prepared_pairs import (
    PairRow,
    Sides,
    asked_of,
    examples_of,
    prepare_pairs,
)
from conveyor.tasks.pairs.translator import Copying, Translator, Written
from conveyor.tasks.question import Question
from conveyor.tasks.results import Metric, Results
from conveyor.tasks.task import Say


class Chatting(PairTask):
    """The task of replying, beside what others replied to the most similar turns, and what is
    replied most. Its score is how often the network finds the true reply among ten."""

    name = "chat"
    metric: Metric = FOUND
    network_type = Replier
    next_command = ("chat",)
    settings: ChatSettings

    @classmethod
    def prepare(cls, source: Any, settings: ChatSettings, say: Say) -> "Chatting":
        """Return the task on dialogues."""
        data = settings.data
        dialogues = read_dialogues(source, data.columns)
        others = {
            part: read_dialogues(path).replies(data.turns)
            for part, path in ((VALIDATION, data.validation), (TEST, data.test))
            if path is not None
        }
        by_pieces = data.unit == "subword"

        def pieces(rows: list[PairRow]) -> Sides:
            texts = [text for row in rows for text in turns_once(row)]
            return _sides(Subwords.of(texts, data.known_tokens, lower=data.lower))

        tokenizer = Tokenizer("word" if by_pieces else data.unit, data.lower)
        prepared = prepare_pairs(
            dialogues.replies(data.turns),
            others,
            settings,
            _sides(tokenizer),
            say,
            learned=pieces if by_pieces else None,
            reader_of=_reader_of,
        )
        file = Path(split_source(prepared.name)[0]).name
        return cls(prepared, Words(f"Chat by {file}", f"Trò chuyện theo {file}"))

    def network(self, program: Program, sizes: Any) -> Replier:
        """Return an untrained network."""
        longest = max(len(target) - 1 for target in self.train.targets)
        return Replier(
            program,
            self.prepared.reader,
            Replier.sizes_type(**sizes.besides_the_cell()),
            longest,
            self.settings.data.turns,
        )

    def after_fit(self, network: Translator) -> None:
        """Mix the network with counts of replies and what was said, unless it is to write alone."""
        assert isinstance(network, Replier)
        if self.settings.network.mixture:
            network.mix(self.train, self.prepared.parts[VALIDATION])

    @classmethod
    def sides(cls, network: Translator) -> Sides:
        """Return what the two sides of a fitted network's pairs are."""
        tokenizer = network.reader.source.tokenizer
        assert isinstance(tokenizer, TurnTokenizer)
        return _sides(tokenizer.inside)

    @classmethod
    def read_source(cls, source: Any, data: Any, *, paired: bool) -> PairedTexts:
        """Read replies and what was said before, or that alone."""
        if not paired:
            return read_contexts(source, data.said)
        return read_dialogues(source, data.columns).replies(data.turns)

    def kept_settings(self) -> dict[str, Any]:
        """Return the column of what was said."""
        return {"said": self.settings.data.said}

    @classmethod
    def written(
        cls,
        network: Translator,
        sources: Sequence[Tensor],
        options: Any,
        copying: Copying | None = None,
    ) -> list[list[Written]]:
        """Return replies, the best first."""
        del copying
        assert isinstance(network, Replier)
        return [network.replies(source, options) for source in sources]

    @classmethod
    def conversation(
        cls, network: Translator, fitted_on: Mapping[str, Any] | None, options: Any
    ) -> Conversation:
        """Return a conversation with a network, in which nothing was said yet."""
        del fitted_on
        assert isinstance(network, Replier)
        return Conversation(network, options)

    @classmethod
    def question(cls, network: Translator, fitted_on: Mapping[str, Any] | None) -> Question:
        """Return that a conversation is held; the example is what begins one of the test set."""
        sample = str((fitted_on or {}).get("sample", "")).split(TURN)[0]
        return Question(
            "conversation", Words("Say something", "Hãy nói gì đó"), " ".join(sample.split())
        )

    @cached_property
    def _simple(self) -> ReplyBaselines:
        prepared = self.prepared
        return ReplyBaselines(prepared.rows, self.train.targets, prepared.reader)

    def _scored(self, network: Translator, options: ChatReading) -> ScoredReplies:
        assert isinstance(network, Replier)
        prepared = self.prepared
        return ScoredReplies(
            network=network,
            sides=prepared.sides,
            asked=prepared.asked,
            pairs=prepared.parts[TEST],
            how=options,
            leaks=prepared.leaks,
            simple=self._simple,
        )

    def results(self, network: Translator) -> Results:
        """Return the scores on the test set beside the baselines."""
        return results_of(self._scored(network, ChatReading()))

    @classmethod
    def not_kept(cls, fitted: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the baselines that need the training dialogues."""
        del fitted
        return RETRIEVAL, KNESER_NEY, FREQUENT

    def results_with(self, network: Translator, options: Any) -> Results:
        """Return the scores on the test set beside the baselines."""
        return results_of(self._scored(network, options))

    def score(self, network: Translator) -> float:
        """Return how often the network finds the true reply."""
        return float(self._scored(network, ChatReading()).found.mean())

    def baselines(self) -> Mapping[str, float]:
        """Return how often the baselines find the true reply."""
        pairs = self.prepared.parts[TEST]
        return {RETRIEVAL: float(self._simple.found(pairs, drawn_trials(pairs.shown)).mean())}

    @classmethod
    def results_on(
        cls,
        network: Translator,
        rows: list[PairRow],
        leaks: int,
        options: Any,
        fitted_on: Mapping[str, Any] | None,
    ) -> Results:
        """Return the scores on other dialogues."""
        del fitted_on
        assert isinstance(network, Replier)
        return results_of(
            ScoredReplies(
                network=network,
                sides=cls.sides(network),
                asked=asked_of(rows, network.reader),
                pairs=examples_of(rows, network.reader),
                how=options,
                leaks=leaks,
            )
        )


def _sides(tokenizer: Tokenizer) -> Sides:
    turns = TurnTokenizer.of(tokenizer)
    return Sides(
        turns,
        turns,
        joint=True,
        pair=("reply", "replies", "câu đáp"),
        source_name=("context", "contexts", "ngữ cảnh"),
        tell_copies=False,
        tell_unlike=False,
    )


def _reader_of(rows: list[PairRow], data: Any, sides: Sides) -> PairReader:
    """Return the reader of a training set. Each turn is counted once, and what stands once is not
    known: no network learns to write what it has seen once, nor what is unknown."""
    turns = (sides.source.tokens(text) for row in rows for text in turns_once(row))
    known = TokenVocabulary.of(turns, sides.source, data.known_tokens, least=2)
    if TURN not in known:
        known = replace(known, known=(*known.known, TURN))
    return PairReader(known, known, data.longest, from_end=True)
