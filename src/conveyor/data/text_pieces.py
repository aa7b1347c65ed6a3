"""A text as words, syllables or sub-words, from which the same text can be written again."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from conveyor.data.records import shown
from conveyor.data.subwords import SPACE, Subwords, described_tokenizer
from conveyor.data.text import UNKNOWN
from conveyor.data.tokens import UNIT_NAMES, Tokenizer
from conveyor.errors import RunError

# Words and syllables that are known, at most, and sub-words that are learned, where nothing else is
# said.
MOST_KNOWN = {"word": 10_000, "syllable": 10_000, "subword": 2_000}

# Sub-words are learned from so many blocks of a long text.
MOST_LEARNED_FROM = 10

# Words of which it is kept in mind how they are cut.
_KEPT = 200_000

_BLANKS = re.compile(r"(\s+)")


@dataclass(frozen=True)
class Pieces:
    """The pieces of a text, numbered; the first is ``UNKNOWN``.

    A piece that begins with ``SPACE`` is written with a space before it, but for the first of a
    text, and one that stands behind a blank that is a piece: a line end, or any other blank than a
    single space between words. So the pieces of a text, written one after the other, are the text.

    Syllables that are not known are spelled by characters, and sub-words spell every word. Words
    that are not known are ``UNKNOWN``, and so is a character that the training set has not.

    Args:
        tokenizer: cuts what stands between blanks.
        symbols: the pieces, ``UNKNOWN`` first.
    """

    tokenizer: Tokenizer
    symbols: tuple[str, ...]
    _cut: dict[str, tuple[int, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @staticmethod
    def of(blocks: Iterable[str], unit: str, most: int | None = None) -> "Pieces":
        """Return the pieces of a text.

        Args:
            blocks: the text in parts, read once, none of which begins or ends inside a word.
            unit: ``"word"`` or ``"syllable"``: those that occur more than once; or ``"subword"``.
            most: how many are known, the commonest, of syllables besides all characters; None for
                ``MOST_KNOWN``.

        Raises:
            SettingError: see ``Subwords.of``.
        """
        most = MOST_KNOWN[unit] if most is None else most
        blanks: set[str] = set()
        if unit == "subword":
            learned = []
            for block in islice(blocks, MOST_LEARNED_FROM):
                blanks |= {character for character in set(block) if character.isspace()}
                learned.append(_readable(block))
            subwords = Subwords.of(learned, most)
            return Pieces(subwords, (UNKNOWN, *sorted({*blanks, " "}), *subwords.pieces))
        counts: Counter[str] = Counter()
        for block in blocks:
            parts = _BLANKS.split(_readable(block))
            blanks.update(*parts[1::2])
            counts.update(parts[::2])
        del counts[""]
        tokenizer = Tokenizer(unit)
        tokens: Counter[str] = Counter()
        for text, count in counts.items():
            for token in _begun(tokenizer.tokens(text)):
                tokens[token] += count
        known = [token for token, count in tokens.items() if count > 1]
        known = sorted(known, key=lambda token: (-tokens[token], token))[:most]
        letters = set("".join(counts)) | {SPACE} if unit == "syllable" else set()
        singles = sorted((letters | blanks | {" "}) - {UNKNOWN})
        others = [token for token in known if token not in letters and UNKNOWN not in token]
        return Pieces(tokenizer, (UNKNOWN, *singles, *others))

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def unit(self) -> str:
        """What a piece is: ``"word"``, ``"syllable"`` or ``"subword"``."""
        return self.tokenizer.unit

    @property
    def unit_name(self) -> str:
        """What messages call a piece, in the singular."""
        return UNIT_NAMES[self.unit]

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {symbol: number for number, symbol in enumerate(self.symbols)}

    def _numbers_of(self, text: str) -> tuple[int, ...]:
        """Return the numbers of the pieces of what stands between blanks."""
        numbers = self._cut.get(text)
        if numbers is None:
            if len(self._cut) >= _KEPT:
                self._cut.clear()
            numbers = self._cut[text] = tuple(self._cut_up(text))
        return numbers

    def _cut_up(self, text: str) -> Iterator[int]:
        known, readable = self._numbers, _readable(text)
        if isinstance(self.tokenizer, Subwords):
            for piece in self.tokenizer.pieces_of(readable):
                yield known.get(piece, 0)
            return
        for token in _begun(self.tokenizer.tokens(readable)):
            if token in known:
                yield known[token]
            elif self.unit == "syllable":
                yield from (known.get(character, 0) for character in token)
            else:
                yield 0

    def cut(self, text: str, *, begins: bool = True) -> list[int]:
        """Return the numbers of a text's pieces.

        Args:
            text: in normal form C.
            begins: whether it is the beginning of a text, or goes on where another ended, with a
                blank or after one.
        """
        numbers: list[int] = []
        known = self._numbers
        parts = _BLANKS.split(text)
        last = len(parts) - 1
        for place, part in enumerate(parts):
            if place % 2 == 0:
                if part:
                    numbers += self._numbers_of(part)
                continue
            first = begins and place == 1 and not parts[0]
            ends = place == last - 1 and not parts[last]
            if part != " " or first or ends:
                numbers += [known.get(blank, 0) for blank in part]
        return numbers

    def encode(self, text: str) -> Tensor:
        """Return the numbers of a text's pieces, int64 [N]; 0 for what is not known.

        Args:
            text: in normal form C.
        """
        return torch.tensor(self.cut(text), dtype=torch.long)

    def written(self, numbers: Iterable[int], *, after: int | None = None) -> Iterator[str]:
        """Yield what each piece adds to the text.

        Args:
            numbers: of the pieces.
            after: the piece before them; None at the beginning of a text.
        """
        blank = after is None or self.symbols[after].isspace()
        for number in numbers:
            symbol = self.symbols[number]
            if symbol.startswith(SPACE):
                yield symbol[1:] if blank else " " + symbol[1:]
            else:
                yield symbol
            blank = symbol.isspace()

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the text that pieces make up."""
        return "".join(self.written(numbers))

    def labels(self, text: str) -> list[str]:
        """Return what each piece stands for in a text; put together, they are the text.

        Args:
            text: in normal form C.
        """
        labels, rest = [], text
        numbers = self.cut(text)
        for number, written in zip(numbers, self.written(numbers), strict=True):
            length = len(written) if number else self._unknown(rest)
            labels.append(rest[:length])
            rest = rest[length:]
        return labels

    def _unknown(self, rest: str) -> int:
        """Return the length of what is not known at the beginning of the rest of a text."""
        if self.unit != "word":
            return 1
        if rest[0] != " " and rest[0].isspace():
            return 1
        blank = 1 if rest[0] == " " else 0
        text = _BLANKS.split(rest[blank:], 1)[0]
        return blank + len(self.tokenizer.tokens(_readable(text))[0]) if text else blank

    def description(self) -> dict[str, Any]:
        """Return the pieces as JSON holds them."""
        return {**self.tokenizer.description(), "symbols": list(self.symbols)}

    @staticmethod
    def described(described: Mapping[str, Any], where: str) -> "Pieces":
        """Return the pieces of a description.

        Args:
            described: what ``description`` gave, read from a file that may hold anything.
            where: the file, for errors.

        Raises:
            RunError, SettingError: the description is none.
        """
        symbols = described.get("symbols")
        if not isinstance(symbols, list) or not all(isinstance(each, str) for each in symbols):
            raise RunError(f"{where}: symbols is {shown(symbols)}; expected texts.")
        if len(set(symbols)) < len(symbols) or symbols[:1] != [UNKNOWN] or "" in symbols:
            raise RunError(
                f"{where}: the vocabulary is none: expected {UNKNOWN!r} and then other pieces, "
                "each once."
            )
        tokenizer = described_tokenizer(described, where)
        if tokenizer.unit not in MOST_KNOWN:
            raise RunError(f"{where}: unit is {shown(tokenizer.unit)}.")
        return Pieces(tokenizer, tuple(symbols))


def _readable(text: str) -> str:
    """Return a text in which ``SPACE`` is no character."""
    return text.replace(SPACE, UNKNOWN) if SPACE in text else text


def _begun(tokens: list[str]) -> list[str]:
    """Return the tokens between two blanks, the first with ``SPACE``."""
    return [SPACE + tokens[0], *tokens[1:]]
