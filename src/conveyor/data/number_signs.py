"""Signs beside numbers: percent signs, currencies, units, brackets around negative numbers, and
words for thousands and millions."""

import re
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

_CURRENCIES = (
    "$", "€", "£", "¥", "₫", "₹", "đồng", "đ", "usd", "eur", "gbp", "jpy", "vnd", "vnđ"
)  # fmt: skip
_CURRENCY = "(?i:" + "|".join(map(re.escape, _CURRENCIES)) + ")"

# Of these there is nothing smaller than one: 1.200 đ is twelve hundred.
_WITHOUT_FRACTIONS = ("¥", "₫", "đồng", "đ", "jpy", "vnd", "vnđ")
_WHOLE = r"^[+-]?(?:\d+|\d{1,3}(?:[.,' ]\d{3})+)$"

# Thousands and more, in English and Vietnamese.
_WORDS = {
    "k": 1e3, "K": 1e3, "nghìn": 1e3, "ngàn": 1e3, "M": 1e6, "mn": 1e6, "tr": 1e6, "triệu": 1e6,
    "bn": 1e9, "tỷ": 1e9, "tỉ": 1e9,
}  # fmt: skip
_WORD = "|".join(sorted(_WORDS, key=len, reverse=True))

# What follows a number and is no unit of it: halves of a day, and months.
_NO_UNITS = re.compile(r"(?i)[ap]m|utc|gmt|z|(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\w*")
_UNIT = r"[°%‰]?[^\W\d_]+[²³]?(?:/[^\W\d_]+)?|[$€£¥₫₹]/[^\W\d_]+|[%‰]"

# What must remain.
_NUMBER = r"^[+-]?\d[\d.,' ]*(?:[eE][+-]?\d+)?$"


class Bare(NamedTuple):
    """Texts of numbers without the signs beside them.

    Attributes:
        texts: of all rows.
        factors: what the number of each row is multiplied by, [T].
        changed: the first row whose text had a sign; None without any.
        unit: what the numbers are of: a currency, a unit, a percent sign; empty for none.
    """

    texts: pl.Series
    factors: Numbers
    changed: int | None
    unit: str = ""


def without_signs(texts: pl.Series, missing: NDArray[np.bool_]) -> Bare:
    """Return texts without the signs beside their numbers, where all rows have one sign that can be
    meant: every row but zeros the same unit, percent sign or some word for thousands; some rows one
    currency, or brackets or a minus behind for negative numbers. Otherwise they stay as they are.

    Args:
        texts: of a column, without spaces around.
        missing: which rows hold no value.
    """
    plain = Bare(texts, np.ones(len(texts)), None)
    values = texts.filter(pl.Series(~missing))
    # Most columns have nothing but numbers, and a column of names no number.
    if not len(values) or not values.str.contains(r"\d").all():
        return plain
    if values.str.contains(_NUMBER).all():
        return plain
    bare = texts.str.replace(r"^\((.*)\)$", "-${1}").str.replace(r"^([^-].*?)\s*-$", "-${1}")
    bare, currency = _without_currency(bare, missing)
    bare, factors, unit = _without_unit(bare, missing)
    if not bare.filter(pl.Series(~missing)).str.contains(_NUMBER).all():
        return plain
    changed = (bare != texts).to_numpy() & ~missing
    of = " ".join(filter(None, (currency, unit)))
    return Bare(bare, factors, int(changed.argmax()) if changed.any() else None, of)


def _without_currency(texts: pl.Series, missing: NDArray[np.bool_]) -> tuple[pl.Series, str]:
    """Return texts without the one currency that they have, and the currency; empty without one."""
    before = texts.str.extract(rf"^-?({_CURRENCY})\s*[\d-]")
    behind = texts.str.extract(rf"\d\s*({_CURRENCY})$")
    kinds = {kind.lower() for column in (before, behind) for kind in column.drop_nulls().unique()}
    if len(kinds) != 1:
        return texts, ""
    currency = kinds.pop()
    sign = f"(?i:{re.escape(currency)})"
    bare = texts.str.replace(rf"^(-?){sign}\s*", "${1}").str.replace(rf"\s*{sign}$", "")
    return _whole(bare, currency, missing), currency


def _whole(bare: pl.Series, unit: str, missing: NDArray[np.bool_]) -> pl.Series:
    """Return texts of numbers without the signs between thousands, where they are of a currency, or
    of a currency for each of something, that has nothing smaller than one."""
    currency = unit.partition("/")[0].lower()
    whole = bare.filter(~pl.Series(missing)).str.contains(_WHOLE).all()
    if currency in _WITHOUT_FRACTIONS and whole:
        return bare.str.replace_all("[.,' ]", "")
    return bare


def row_without_unit(texts: pl.Series, missing: NDArray[np.bool_]) -> tuple[int, str] | None:
    """Return the first row without a unit in a column most of whose rows have one, and a unit of
    theirs; None where there is none.

    Args:
        texts: of a column, without spaces around.
        missing: which rows hold no value.
    """
    units, lacking = _units_of(texts, missing)
    kinds = sorted(set(units.drop_nulls().unique()))
    few = 0 < lacking.sum() < (~missing).sum() / 2
    return (int(lacking.argmax()), kinds[0]) if kinds and few else None


def _units_of(texts: pl.Series, missing: NDArray[np.bool_]) -> tuple[pl.Series, NDArray[np.bool_]]:
    """Return the unit behind each number, and which rows lack one; zeros need none."""
    units = texts.str.extract(rf"\d\s*({_UNIT})$")
    zeros = texts.str.contains(r"^[+-]?0+(?:[.,]0+)?$").to_numpy()
    return units, units.is_null().to_numpy() & ~missing & ~zeros


def _without_unit(texts: pl.Series, missing: NDArray[np.bool_]) -> tuple[pl.Series, Numbers, str]:
    """Return texts without units or words for thousands, the factors of these words, and the
    unit."""
    units, lacking = _units_of(texts, missing)
    kinds = set(units.drop_nulls().unique())
    ones = np.ones(len(texts))
    if not kinds or lacking.any():
        return texts, ones, ""
    unit = ""
    if kinds <= set(_WORDS):
        factors = np.array([_WORDS.get(unit or "", 1.0) for unit in units.to_list()])
    elif len(kinds) == 1 and not _NO_UNITS.fullmatch(min(kinds)):
        factors, unit = ones, min(kinds)
    else:
        return texts, ones, ""
    bare = texts.str.replace(rf"(\d)\s*(?:{_UNIT})$", "${1}")
    return _whole(bare, unit, missing), factors, unit
