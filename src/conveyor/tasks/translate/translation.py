"""The task ``translate``: one sequence into another."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from conveyor.data.paired_texts import PairedTexts, is_table, read_pairs, target_beside
from conveyor.data.subwords import Subwords
from conveyor.data.table_source import split_source
from conveyor.data.tokens import Tokenizer
from conveyor.data.written_tokens import written
from conveyor.pages.words import Words
from conveyor.tasks.drawn_parts import TEST, VALIDATION
from conveyor.tasks.pairs.judge import Judge
from conveyor.tasks.pairs.judged_pairs import JudgedPairs
from conveyor.tasks.pairs.nearest_source import NearestSource, words_and_pairs
from conveyor.tasks.pairs.prepared_pairs import Asked, PairRow, Sides, prepare_pairs
from conveyor.tasks.pairs.translator import Copying, Translator
from conveyor.tasks.pairs.word_dictionary import WordDictionary
from conveyor.tasks.results import Metric
from conveyor.tasks.task import Say
from conveyor.tasks.translate.translate_settings import TranslateSettings
from conveyor.tasks.translate.translation_judge import BLEU, TranslationJudge

COPY, NEAREST, DICTIONARY = "copy of the source", "nearest training source", "word dictionary"

# Pairs that the dictionary is learned from, at most.
_DICTIONARY_PAIRS = 10_000


class Translation(JudgedPairs):
    """The task of turning one text into another, beside its copy, what the most similar training
    source becomes, and a dictionary of words. Its score is BLEU."""

    name = "translate"
    metric: Metric = BLEU
    next_command = ("predict", "-")
    judge: ClassVar[Judge] = TranslationJudge()
    settings: TranslateSettings

    @classmethod
    def prepare(cls, source: Any, settings: TranslateSettings, say: Say) -> "Translation":
        """Return the task on pairs."""
        data = settings.data
        main = cls.read_source(source, data, paired=True)
        others = {}
        for part, path in ((VALIDATION, data.validation), (TEST, data.test)):
            if path is None:
                continue
            target = None
            if data.targets is not None and not is_table(path):
                target = target_beside(str(source), data.targets, path)
                name = {VALIDATION: "validation", TEST: "test"}[part]
                say(f"{name}: {path} becomes {target}")
            columns = main.columns if is_table(path) else (None, None)
            others[part] = read_pairs(path, target=target, columns=columns)
        # Sub-words are learned from the training set, which words are enough to draw.
        by_pieces = data.unit == "subword"
        tokenizer = Tokenizer("word" if by_pieces else data.unit, data.lower)

        def pieces(rows: list[PairRow]) -> Sides:
            texts = [text for row in rows for text in (row.source, row.target)]
            both = Subwords.of(texts, data.known_tokens, lower=data.lower)
            return _sides(both, both, True)

        prepared = prepare_pairs(
            main,
            others,
            settings,
            _sides(tokenizer, tokenizer, False),
            say,
            learned=pieces if by_pieces else None,
        )
        file = Path(split_source(prepared.name)[0]).name
        return cls(prepared, Words(f"Translation of {file}", f"Dịch {file}"))

    @classmethod
    def sides(cls, network: Translator) -> Sides:
        """Return what the two sides of a fitted network's pairs are."""
        reader = network.reader
        return _sides(reader.source.tokenizer, reader.target.tokenizer, reader.shared)

    @classmethod
    def read_source(cls, source: Any, data: Any, *, paired: bool) -> PairedTexts:
        """Read pairs, or sources."""
        if not paired:
            return read_pairs(source, columns=(data.from_, None), paired=False)
        target = data.targets
        return read_pairs(source, target=target, columns=(data.from_, data.to), part=data.part)

    def kept_settings(self) -> dict[str, Any]:
        """Return the column of sources."""
        return {"from_": self.settings.data.from_}

    def fitted_on(self) -> dict[str, Any]:
        """Return what later commands need: also a dictionary of words."""
        return {**super().fitted_on(), "dictionary": self._dictionary.words}

    @classmethod
    def not_kept(cls, fitted: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the baselines that need the training pairs."""
        return (NEAREST,) if fitted.get("dictionary") else (NEAREST, DICTIONARY)

    @classmethod
    def copying(
        cls, texts: Sequence[str], options: Any, fitted_on: Mapping[str, Any] | None
    ) -> Copying | None:
        """Return what stands for unknown words, if they may be written."""
        if not getattr(options, "copy", False):
            return None
        described = (fitted_on or {}).get("dictionary") or {}
        return Copying(texts, WordDictionary.described(described).words)

    @cached_property
    def _dictionary(self) -> WordDictionary:
        """What words become, by the training pairs."""
        rows = self.prepared.rows[:_DICTIONARY_PAIRS]
        tokens = self._word_tokenizer.tokens
        return WordDictionary.of(
            [tokens(row.source) for row in rows], [tokens(row.target) for row in rows]
        )

    @property
    def _word_tokenizer(self) -> Tokenizer:
        """Cuts texts into what the baselines know."""
        return _word_tokenizer_of(self.prepared.sides)

    @classmethod
    def kept_answers(
        cls, asked: Asked, sides: Sides, fitted: Mapping[str, Any]
    ) -> dict[str, list[str]]:
        """Return what the dictionary of a run says word by word, if there is one, and the copies
        of sources."""
        copies = {COPY: list(asked.shown)}
        if not fitted.get("dictionary"):
            return copies
        dictionary = WordDictionary.described(fitted["dictionary"])
        tokenizer = _word_tokenizer_of(sides)
        tokens = [tokenizer.tokens(text) for text in asked.shown]
        translations = [written(dictionary.translate(each), tokenizer.unit) for each in tokens]
        return {DICTIONARY: translations, **copies}

    def baseline_answers(self) -> dict[str, list[str]]:
        """Return copies, the targets of the nearest training sources, and what a dictionary says
        word by word."""
        prepared = self.prepared
        rows, asked, tokenizer = prepared.rows, prepared.asked, self._word_tokenizer
        nearest = NearestSource([words_and_pairs(tokenizer.tokens(row.source)) for row in rows])
        sources = [words_and_pairs(tokenizer.tokens(text)) for text in asked.shown]
        return {
            NEAREST: [rows[nearest.find(each)].target for each in sources],
            **self.kept_answers(asked, prepared.sides, {"dictionary": self._dictionary.words}),
        }


def _word_tokenizer_of(sides: Sides) -> Tokenizer:
    """Return what cuts sources into what the baselines know: words, where the network reads
    pieces."""
    source = sides.source
    return Tokenizer("word" if source.unit == "subword" else source.unit, source.lower)


def _sides(source: Tokenizer, target: Tokenizer, joint: bool) -> Sides:
    return Sides(source, target, joint)
