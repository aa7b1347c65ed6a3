"""Properties of a text at each of its characters: whether it is in quotes, its place in a line."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from conveyor.pages.words import Words

# The marks of the five tones of Vietnamese that are written, in Unicode's normal form D.
_TONES = {
    "\N{COMBINING ACUTE ACCENT}": Words("tone sắc (á)", "thanh sắc (á)"),
    "\N{COMBINING GRAVE ACCENT}": Words("tone huyền (à)", "thanh huyền (à)"),
    "\N{COMBINING HOOK ABOVE}": Words("tone hỏi (ả)", "thanh hỏi (ả)"),
    "\N{COMBINING TILDE}": Words("tone ngã (ã)", "thanh ngã (ã)"),
    "\N{COMBINING DOT BELOW}": Words("tone nặng (ạ)", "thanh nặng (ạ)"),
}
_QUOTES = {"“": "”", "«": "»", "„": "“", "‘": "’"}
_BRACKETS = {"(": ")", "[": "]", "{": "}"}

Property = Callable[[str], list[float]]


@dataclass(frozen=True)
class TextProperty:
    """A property of a text.

    Args:
        name: in words.
        of: returns it at every character of a text, after the character has been read.
    """

    name: Words
    of: Property


def _inside(pairs: dict[str, str]) -> Property:
    """Return whether a character stands between an opening and a closing sign; an empty line ends
    what was left open."""

    def of(text: str) -> list[float]:
        values, closing = [], ""
        for place, character in enumerate(text):
            if closing:
                if character == closing or text[place : place + 2] == "\n\n":
                    closing = ""
            else:
                closing = pairs.get(character, "")
            values.append(float(bool(closing)))
        return values

    return of


def _inside_quotes(text: str) -> list[float]:
    return _inside({**_QUOTES, '"': '"'})(text)


def _since(separators: Callable[[str], bool]) -> Property:
    """Return how many characters were read since the last separator."""

    def of(text: str) -> list[float]:
        values, count = [], 0
        for character in text:
            count = 0 if separators(character) else count + 1
            values.append(float(count))
        return values

    return of


def _is(holds: Callable[[str], bool]) -> Property:
    def of(text: str) -> list[float]:
        return [float(holds(character)) for character in text]

    return of


def _words_in_line(text: str) -> list[float]:
    """Return how many words of the line were read."""
    values, count, inside = [], 0, False
    for character in text:
        if character == "\n":
            count, inside = 0, False
        elif character.isalnum():
            count, inside = count + (not inside), True
        elif character.isspace():
            inside = False
        values.append(float(count))
    return values


def _tone(mark: str) -> Property:
    """Return whether the syllable, up to here, bears a tone."""

    def of(text: str) -> list[float]:
        values, bears = [], False
        for character in text:
            if not character.isalpha():
                bears = False
            elif mark in unicodedata.normalize("NFD", character):
                bears = True
            values.append(float(bears))
        return values

    return of


PROPERTIES = (
    TextProperty(Words("inside quotes", "bên trong dấu ngoặc kép"), _inside_quotes),
    TextProperty(Words("inside brackets", "bên trong dấu ngoặc đơn"), _inside(_BRACKETS)),
    TextProperty(
        Words("characters since the line began", "số ký tự tính từ đầu dòng"),
        _since(lambda character: character == "\n"),
    ),
    TextProperty(Words("words of the line so far", "số tiếng đã đọc trong dòng"), _words_in_line),
    TextProperty(
        Words("letters since the word began", "số chữ cái tính từ đầu tiếng"),
        _since(lambda character: not character.isalnum()),
    ),
    TextProperty(
        Words("characters since the sentence ended", "số ký tự từ khi câu trước kết thúc"),
        _since(lambda character: character in ".!?…"),
    ),
    TextProperty(Words("a capital letter", "chữ hoa"), _is(str.isupper)),
    TextProperty(Words("a digit", "chữ số"), _is(str.isdigit)),
    TextProperty(
        Words("between words", "khoảng trống giữa hai tiếng"), _is(lambda c: not c.isalnum())
    ),
    TextProperty(Words("the end of a line", "cuối dòng"), _is(lambda c: c == "\n")),
    TextProperty(
        Words("a vowel", "nguyên âm"),
        _is(lambda c: unicodedata.normalize("NFD", c)[0].lower() in "aeiouy"),
    ),
    *(TextProperty(name, _tone(mark)) for mark, name in _TONES.items()),
)
