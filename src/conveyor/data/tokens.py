"""Cuts a text into what a network reads: words, syllables, or characters."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

from conveyor.errors import SettingError, did_you_mean, named

Unit = Literal["word", "syllable", "char", "subword"]
UNITS = get_args(Unit)

# What messages call a unit, in the singular.
UNIT_NAMES = {"word": "word", "syllable": "syllable", "char": "character", "subword": "sub-word"}

# Signs of Chinese and Japanese, which are written without spaces: each is a token.
_HAN_AND_KANA = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"


@cache
def _word(joins: str) -> re.Pattern[str]:
    """Return the pattern of a token.

    Marks belong to the letter before them, also where no single character holds both, as in Hindi:
    Python's ``\\w`` leaves them out.

    Args:
        joins: the signs between letters that make one token of both sides.
    """
    marks = "".join(
        chr(code)
        for code in range(0x300, 0x10000)
        if unicodedata.category(chr(code)) in ("Mn", "Mc", "Me")
    )
    letter = rf"(?:[^\W{_HAN_AND_KANA}]|[{marks}])"
    return re.compile(
        rf"\d+(?:[.,:]\d+)+|[{_HAN_AND_KANA}][{marks}]*|{letter}+(?:[{joins}]{letter}+)*|[^\w\s]"
    )


@dataclass(frozen=True)
class Tokenizer:
    """Cuts texts into tokens.

    The text is put into Unicode's normal form C first, so that ế is one character however it was
    typed. Small letters come after that, and German ß stays (``str.lower``, not ``casefold``).

        >>> Tokenizer().tokens("It's 3.5 stars, isn't it?")
        ["It's", '3.5', 'stars', ',', "isn't", 'it', '?']

    Args:
        unit: ``"word"``: words, numbers, and each other sign by itself; between spaces a
            Vietnamese syllable is a word. ``"syllable"``: the same, and a hyphen stands by itself,
            which joins Vietnamese syllables (``cà-phê``). ``"char"``: every character, runs of
            blanks as one space.
        lower: whether capitals become small letters.

    Raises:
        SettingError: there is no such unit; sub-words are cut by ``Subwords``.
    """

    unit: str = "word"
    lower: bool = False

    def __post_init__(self) -> None:
        if self.unit == "subword":
            raise SettingError(
                f"{named('unit')} is subword, whose pieces are learned from texts: "
                "conveyor.data.subwords.Subwords.of(texts, 4000)."
            )
        if self.unit not in UNITS:
            raise SettingError(
                f"{named('unit')} is {self.unit!r}. {did_you_mean(self.unit, UNITS)}"
            )

    @property
    def every(self) -> tuple[str, ...]:
        """All tokens that are ever known, where that is certain before any text is cut; else
        none."""
        return ()

    def normal(self, text: str) -> str:
        """Return a text in normal form C, in small letters where they are asked for."""
        normal = unicodedata.normalize("NFC", text)
        return normal.lower() if self.lower else normal

    def tokens(self, text: str) -> list[str]:
        """Return the tokens of a text; none of one that is blank."""
        normal = self.normal(text)
        if self.unit == "char":
            return list(" ".join(normal.split()))
        return _word("'’-" if self.unit == "word" else "'’").findall(normal)

    def description(self) -> dict[str, Any]:
        """Return the tokenizer as JSON holds it."""
        return {"unit": self.unit, "lower": self.lower}
