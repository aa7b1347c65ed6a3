"""Words of a page in English and Vietnamese."""

import html
import locale
import os
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Literal, NamedTuple, get_args

from conveyor.errors import SettingError, counted, did_you_mean, named

Language = Literal["en", "vi"]


class Words(NamedTuple):
    """The same in English and in Vietnamese, as text."""

    en: str
    vi: str

    def html(self) -> str:
        """Return both, of which the page shows the one of its language."""
        if self.en == self.vi:
            return html.escape(self.en)
        return "".join(
            f'<span lang="{language}">{html.escape(text)}</span>'
            for language, text in self._asdict().items()
        )


def same(text: str) -> Words:
    """Return words that are the same in both languages, as a name is."""
    return Words(text, text)


def number_text(value: float, form: str = ".2g") -> Words:
    """Return a number as both languages write it: 0.63 and 0,63.

    Args:
        value: the number.
        form: see ``decimal_text``.

    >>> number_text(0.634, ".2f"), number_text(1234567.8, ".4g")
    (Words(en='0.63', vi='0,63'), Words(en='1,234,568', vi='1.234.568'))
    """
    return _numeral(decimal_text(value, form))


# Numbers of other sizes are written with an exponent: nobody counts so many zeros.
_SMALLEST, _LARGEST = 1e-6, 1e15

_FORM = re.compile(r"(?P<sign>\+?),?(?:\.(?P<digits>\d+))?(?P<kind>[fg])")


def decimal_text(value: float, form: str = ".4g") -> str:
    """Return a number in English, as people write it: with separators of thousands, and without an
    exponent. Significant digits are counted down to the units: what is larger is a whole number.

    Args:
        value: the number.
        form: a format of Python, such as ".4g" for four significant digits, "+.3g" for three after
            a sign, or ".2f" for two decimals.

    >>> decimal_text(1234567.8), decimal_text(12.3456), decimal_text(0.000012345)
    ('1,234,568', '12.35', '0.00001234')
    """
    parts = _FORM.fullmatch(form)
    readable = value == 0 or _SMALLEST <= abs(value) < _LARGEST
    if parts is None or not readable:
        return f"{value:{form}}"
    sign = parts["sign"]
    if parts["kind"] == "f":
        return f"{value:{sign},.{parts['digits'] or 6}f}"
    digits = int(parts["digits"] or 6)
    rounded = Decimal(f"{value:.{digits}g}")
    if abs(rounded) >= 10 ** (digits - 1):
        return f"{value:{sign},.0f}"
    return f"{rounded:{sign},f}"


def _numeral(text: str) -> Words:
    """Return numerals, which use points where Vietnamese uses commas, in both languages."""
    return Words(text, text.translate(str.maketrans(",.", ".,")))


def cell_text(text: str) -> Words:
    """Return the text of a table's cell: a number, a share or an interval as both languages write
    it, any other text as it is.

    >>> cell_text("1,200.5–1,300 %").vi, cell_text("v1.5").vi, cell_text("25.06.2021").vi
    ('1.200,5–1.300 %', 'v1.5', '25.06.2021')
    """
    is_date = re.search(r"\d\.\d+\.", text) is not None
    is_number = not is_date and re.fullmatch(r"[-+]?\d[\d.,e+–-]*( %)?", text) is not None
    return _numeral(text) if is_number else same(text)


def counted_words(number: int, noun: str, vietnamese: str, plural: str = "") -> Words:
    """Return a number with what is counted.

    Args:
        number: how many.
        noun: what, in the singular.
        vietnamese: what, in Vietnamese.
        plural: the English plural, if it is not the noun with an s.

    >>> counted_words(2000, "row", "hàng"), counted_words(2, "series", "chuỗi", "series")
    (Words(en='2,000 rows', vi='2.000 hàng'), Words(en='2 series', vi='2 chuỗi'))
    """
    return Words(counted(number, noun, plural), f"{_numeral(f'{number:,}').vi} {vietnamese}")


def joined(parts: Iterable[Words | str], between: str = " ") -> Words:
    """Return parts one after the other; strings are the same in both languages, and empty parts
    are left out.

    >>> joined([Words("more", "thêm"), "", "x"])
    Words(en='more x', vi='thêm x')
    """
    both = [same(part) if isinstance(part, str) else part for part in parts]
    return Words(
        between.join(words.en for words in both if words.en),
        between.join(words.vi for words in both if words.vi),
    )


def language_buttons(begins: Language) -> str:
    """Return the buttons that switch a page between its languages, see ``languages.js``.

    Args:
        begins: the language that the page begins in.
    """
    buttons = "".join(
        f'<button type="button" value="{language}" '
        f'aria-pressed="{"true" if language == begins else "false"}">{name}</button>'
        for language, name in (("en", "English"), ("vi", "Tiếng Việt"))
    )
    return f'<div class="languages">{buttons}</div>'


def language_of(asked: str | None) -> Language:
    """Return the language that a page begins in: the one asked for, or the system's, or English.

    Args:
        asked: ``"en"``, ``"vi"`` or None.

    Raises:
        SettingError: it is another one.
    """
    languages = get_args(Language)
    if asked is not None and asked not in languages:
        raise SettingError(
            f"{named('language')} is {asked!r}. {did_you_mean(asked, list(languages))}"
        )
    if asked is None:
        variables = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
        system = next(filter(None, variables), None) or locale.getlocale()[0] or ""
        asked = "vi" if system.lower().startswith("vi") else "en"
    return "vi" if asked == "vi" else "en"
