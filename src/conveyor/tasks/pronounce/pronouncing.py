"""The task ``pronounce``: the letters of a word into its phonemes."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from conveyor.data.paired_texts import PairedTexts
from conveyor.data.pronunciations import read_pronunciations
from conveyor.data.table_source import split_source
from conveyor.data.tokens import Tokenizer
from conveyor.errors import named
from conveyor.pages.words import Words
from conveyor.tasks.drawn_parts import TEST, VALIDATION
from conveyor.tasks.pairs.judge import Judge
from conveyor.tasks.pairs.judged_pairs import JudgedPairs
from conveyor.tasks.pairs.prepared_pairs import Asked, Sides, prepare_pairs
from conveyor.tasks.pairs.translator import Translator
from conveyor.tasks.pronounce.letter_sounds import LetterSounds
from conveyor.tasks.pronounce.pronounce_settings import PronounceSettings
from conveyor.tasks.pronounce.pronunciation_judge import WORDS, PronunciationJudge
from conveyor.tasks.results import Metric
from conveyor.tasks.task import Say

LETTERS = "letter by letter"


class Pronouncing(JudgedPairs):
    """The task of pronouncing words, beside the most frequent sound of each letter. Its score is
    the share of wrong words."""

    name = "pronounce"
    metric: Metric = WORDS
    loss = "nats per phoneme"
    next_command = ("predict", "-")
    judge: ClassVar[Judge] = PronunciationJudge()
    settings: PronounceSettings

    @classmethod
    def prepare(cls, source: Any, settings: PronounceSettings, say: Say) -> "Pronouncing":
        """Return the task on a dictionary of pronunciations."""
        data = settings.data
        main = cls.read_source(source, data, paired=True)
        others = {
            part: cls.read_source(path, data, paired=True)
            for part, path in ((VALIDATION, data.validation), (TEST, data.test))
            if path is not None
        }
        if not data.stress:
            say(f"stress is left out; {named('stress', True)} learns it, too")
        sides = _sides(Tokenizer("char", lower=True), Tokenizer("word"))
        prepared = prepare_pairs(main, others, settings, sides, say)
        file = Path(split_source(prepared.name)[0]).name
        return cls(prepared, Words(f"Pronunciation by {file}", f"Phát âm theo {file}"))

    @classmethod
    def sides(cls, network: Translator) -> Sides:
        """Return what the two sides of a fitted network's pairs are."""
        return _sides(network.reader.source.tokenizer, network.reader.target.tokenizer)

    @classmethod
    def read_source(cls, source: Any, data: Any, *, paired: bool) -> PairedTexts:
        """Read words and pronunciations, or words."""
        return read_pronunciations(source, stress=bool(data.stress), paired=paired)

    @cached_property
    def _sounds(self) -> LetterSounds:
        """What letters sound like, by the training set."""
        rows = self.prepared.rows
        return LetterSounds.of(
            [row.source_tokens for row in rows], [row.target_tokens for row in rows]
        )

    def fitted_on(self) -> dict[str, Any]:
        """Return what later commands need: also what letters sound like."""
        return {**super().fitted_on(), "letters": self._sounds.best}

    @classmethod
    def not_kept(cls, fitted: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the baseline where an earlier version has fitted the run."""
        return () if fitted.get("letters") else (LETTERS,)

    @classmethod
    def kept_answers(
        cls, asked: Asked, sides: Sides, fitted: Mapping[str, Any]
    ) -> dict[str, list[str]]:
        """Return what each letter sounds like most often, one after the other."""
        if not fitted.get("letters"):
            return {}
        sounds = LetterSounds.described(fitted["letters"])
        return {
            LETTERS: [" ".join(sounds.pronounce(sides.source.tokens(word))) for word in asked.shown]
        }

    def baseline_answers(self) -> dict[str, list[str]]:
        """Return what each letter sounds like most often, one after the other."""
        prepared = self.prepared
        return self.kept_answers(prepared.asked, prepared.sides, {"letters": self._sounds.best})


def _sides(source: Tokenizer, target: Tokenizer) -> Sides:
    return Sides(
        source,
        target,
        joint=False,
        pair=("pronunciation", "pronunciations", "cách phát âm"),
        source_name=("word", "words", "từ"),
        tell_copies=False,
        tell_unlike=False,
    )
