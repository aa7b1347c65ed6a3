"""Reads columns of numbers: which texts are numbers, which stand for a missing value, and which are
errors."""

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from conveyor.data.bounds import LARGEST
from conveyor.data.number_signs import Bare, row_without_unit, without_signs
from conveyor.data.raw_table import RawTable, label
from conveyor.data.table_reading import BY_EVIDENCE, TableReading
from conveyor.errors import DataError, counted, named

Numbers = NDArray[np.float64]

# People, spreadsheets and libraries write these for "no value", in capitals or not.
MISSING = (
    "", "na", "n/a", "nan", "-nan", "null", "none", "?", "-", "--", ".", "nat", "<na>",
    "#n/a", "#na", "#n/a n/a",
)  # fmt: skip

# Numbers with a decimal point and numbers with a decimal comma, with thousands separated or not.
POINT = r"[+-]?(\d+|\d{1,3}([,' ]\d{3})+)(\.\d*)?(e[+-]?\d+)?"
COMMA = r"[+-]?(\d+|\d{1,3}([.' ]\d{3})+)(,\d*)?(e[+-]?\d+)?"

# What is said of a table whose decimal mark is known.
MARKS = {
    ",": "the comma is the decimal mark: 1.234,5 is 1234.5",
    ".": "the comma stands between thousands: 1,234.5 is 1234.5",
}

# Beyond this number float64 does not hold every whole number.
_EXACT = 2.0**53

# A column of texts with more than this share of numbers holds numbers; its other texts are errors.
MOSTLY = 0.5

# Signs that keep a number from being read, and what to do about them.
_SIGNS = (
    (r"\s*(%|‰)$", "take out the percent sign"),
    (r"^[$€£¥₫₹]\s*|\s*[$€£¥₫₹]$", "take out the sign of the currency"),
    (r"^\(|\)$", "a negative number is written with a minus before it"),
    (r"-$", "a negative number is written with a minus before it"),
    (r"\s*[^\W\d_]+[²³]?$", "take out the unit"),
)

# Formats that cannot leave a value empty mark it with nines, or with the smallest or largest whole
# number of 16 or 32 bits.
_NINES = re.compile(r"9{2,}(\.9+)?|9{3,}(\.25|\.0)?")
_ENDS = (-32768.0, 32767.0, 65535.0, -2147483648.0, 2147483647.0)


# 1.234 can be a little more than one, or more than a thousand; 0.123 and 1234.5 are fractions.
IN_DOUBT = r"^[+-]?[1-9]\d{0,2}\.\d{3}$"

# Plain numbers below this are too small to show whether 1.007 is about one or about a thousand.
_PLAIN_FROM = 100.0


# What is so, and what is not: 1 and 0 in a column that has no other text.
_TRUTHS = (
    ("true", "false"),
    ("yes", "no"),
    ("y", "n"),
    ("có", "không"),
    ("ja", "nein"),
    ("oui", "non"),
)


@dataclass(frozen=True)
class NumberColumn:
    """A column as numbers [T].

    ``values`` is NaN where there is no number; ``missing`` marks missing values, and ``bad`` marks
    texts that are no numbers.

    ``doubtful`` is the first text with a point if the point of every such text could stand between
    thousands or before decimals; it is empty otherwise. ``read_as`` says how the first text with a
    sign beside its number is read, ``unit`` what the numbers are of; they are empty without one.
    """

    values: Numbers
    missing: NDArray[np.bool_]
    bad: NDArray[np.bool_]
    doubtful: str = ""
    read_as: str = ""
    unit: str = ""

    @cached_property
    def mark(self) -> tuple[float, int] | None:
        """A value that seems to stand for missing ones, and how often it occurs; None without one.
        It is the smallest or largest value, lies far from all others, and is written in nines or
        is the end of a whole number's range."""
        ends = np.fmin.reduce(self.values), np.fmax.reduce(self.values)
        for end in ends if len(self.values) else ():
            # Of most columns the ends say enough: no copy is made of them.
            if not _is_mark(float(end)):
                continue
            values = self.values[~np.isnan(self.values)]
            rest = values[values != end]
            count = len(values) - len(rest)
            if count < 2 or len(rest) < 2:
                continue
            span = max(float(np.ptp(rest)), 1e-300)
            if min(abs(end - rest.min()), abs(end - rest.max())) > span:
                return float(end), count
        return None


def _is_mark(value: float) -> bool:
    return value in _ENDS or bool(_NINES.fullmatch(f"{abs(value):.10g}"))


def _missing(column: pl.Series) -> NDArray[np.bool_]:
    if column.dtype == pl.String:
        blank = column.str.strip_chars().str.to_lowercase().is_in(list(MISSING))
        return (blank | column.is_null()).fill_null(True).to_numpy()
    return column.is_null().to_numpy()


def _reads(texts: pl.Series, mark: str) -> pl.Series:
    """Return which texts are numbers with this decimal mark."""
    return texts.str.contains(f"^(?i:{POINT if mark == '.' else COMMA})$")


def _written_with(texts: pl.Series) -> str:
    """Return the decimal mark that most texts can be read with: "." or ",". It is "" where both
    marks or neither fit: 1,234 is more than a thousand or a little more than one."""
    point, comma = int(_reads(texts, ".").sum()), int(_reads(texts, ",").sum())
    if point == comma or max(point, comma) <= MOSTLY * len(texts):
        return ""
    return "." if point > comma else ","


def _doubtful(values: pl.Series) -> str:
    """Return the first value with a point if the point of every such value could stand between
    thousands or before decimals; "" otherwise."""
    pointed = values.filter(values.str.contains(".", literal=True))
    return str(pointed[0]) if len(pointed) and pointed.str.contains(IN_DOUBT).all() else ""


def _beside_larger(values: pl.Series) -> bool:
    """Return whether the point of doubtful values stands between thousands, because only then they
    are about as large as the whole numbers beside them: so is 1.007 beside 900, and not 99.875
    beside 100."""
    is_pointed = values.str.contains(IN_DOUBT)
    # Nines mark missing values and say nothing about the size of the others.
    plain = values.filter(~is_pointed & ~values.str.contains(r"^[+-]?9{2,}$"))
    pointed = values.filter(is_pointed).cast(pl.Float64).abs().to_numpy().max()
    if not plain.str.contains(r"^[+-]?\d{1,3}$").all():
        return False
    largest = plain.cast(pl.Float64).abs().to_numpy().max(initial=0.0)
    if largest < _PLAIN_FROM:
        return False
    return bool(abs(np.log(1000 * pointed / largest)) < abs(np.log(pointed / largest)))


def _plain(texts: pl.Series) -> pl.Series:
    # Word processors write a typographic minus and spaces that do not break.
    plain = texts.str.strip_chars().str.replace_all("\u2212", "-", literal=True)
    return plain.str.replace_all("[\u00a0\u202f\u2009]", " ")


def _without_marks(texts: pl.Series, mark: str) -> pl.Series:
    """Return the texts with a decimal point and without separators of thousands. A text with a
    point that does not fit a decimal comma is made unreadable, so that it is not misread."""
    bare = texts.str.replace_all("[,' ]" if mark == "." else "[.' ]", "")
    bare = bare.str.replace_all(",", ".", literal=True)
    other = texts if mark == "." else texts.str.replace_all(".", "x", literal=True)
    return bare.zip_with(_reads(texts, mark), other)


def read_numbers(
    column: pl.Series,
    decimal: str = "",
    reading: TableReading = BY_EVIDENCE,
    *,
    signs: bool = True,
) -> NumberColumn:
    """Read a column as numbers.

    Args:
        column: texts, numbers or truth values.
        decimal: the decimal mark of the table's other columns, "." or ","; empty if unknown.
        reading: what the user says of the table.
        signs: whether signs beside numbers are taken off, as units.
    """
    missing = _missing(column)
    doubtful, as_written = "", column
    bare: Bare | None = None
    if column.dtype == pl.String:
        column = _plain(column.fill_null(""))
        if signs:
            plain = column.cast(pl.Float64, strict=False)
            marked = plain.is_in(list(reading.missing)).fill_null(value=False).to_numpy()
            bare = without_signs(column, missing | marked)
            column = bare.texts
        values = column.filter(pl.Series(~missing))
        small = values.str.to_lowercase()
        pair = next((pair for pair in _TRUTHS if len(values) and small.is_in(pair).all()), None)
        if pair is not None:
            column = column.str.to_lowercase() == pair[0]
        elif reading.decimal:
            column = _without_marks(column, reading.decimal)
        elif values.cast(pl.Float64, strict=False).null_count() or decimal == ",":
            mark = _written_with(values) or decimal
            if not mark and not values.str.contains("[.,]").any():
                mark = "."  # 1 200 is the same number with either mark
            doubtful = _doubtful(values) if decimal == "," else ""
            column = _without_marks(column, mark) if mark else column
        elif not decimal and (doubtful := _doubtful(values)) and _beside_larger(values):
            column = _without_marks(column, ",")
    elif not column.dtype.is_numeric() and column.dtype != pl.Boolean:
        return NumberColumn(np.full(len(column), np.nan), missing, ~missing)
    cast = column.cast(pl.Float64, strict=False)
    bad = cast.is_null().to_numpy() & ~missing
    numbers = cast.fill_null(float("nan")).to_numpy().astype(np.float64)
    read_as, unit = "", ""
    if bare and bare.changed is not None:
        numbers, unit = numbers * bare.factors, bare.unit
        if (bare.factors != 1).any():
            doubtful = ""  # 1.200 million is no whole number of millions
        read_as = f"{str(as_written[bare.changed]).strip()} is read as {numbers[bare.changed]:.10g}"
    if reading.missing:
        missing = missing | np.isin(numbers, reading.missing)
    return NumberColumn(np.where(missing, np.nan, numbers), missing, bad, doubtful, read_as, unit)


def decimal_mark(raw: RawTable) -> str:
    """Return the decimal mark of a table of texts, "" if it is unknown.

    A column that can be read in one way only decides. Without such a column it is a comma if
    semicolons separate values and a value has a comma, or points that may stand between thousands.
    """
    texts = []
    for column in raw.frame.get_columns():
        if column.dtype == pl.String:
            missing = _missing(column)
            bare = without_signs(_plain(column.fill_null("")), missing)
            values = bare.texts.filter(pl.Series(~missing))
            if len(values) and values.cast(pl.Float64, strict=False).null_count():
                mark = _written_with(values)
                if mark:
                    return mark
            texts.append(values)
    if raw.separator != ";":
        return ""
    in_doubt = any(map(_doubtful, texts)) and not any(map(_some_fraction, texts))
    return "," if in_doubt or any(map(_some_comma, texts)) else ""


def _some_comma(texts: pl.Series) -> bool:
    return bool(texts.str.contains(r"^[+-]?\d+,\d+$").any())


def _some_fraction(texts: pl.Series) -> bool:
    """Return whether a text can only be a number with a decimal point."""
    pointed = texts.str.contains(r"^[+-]?\d*\.\d*(?i:e[+-]?\d+)?$")
    return bool((pointed & ~texts.str.contains(IN_DOUBT)).any())


# What people mark rows with: a word of a pair, or a sign where the other rows are empty, and may
# be missing.
_MARKS = {"x", "✓", "✔", *(word for pair in _TRUTHS for word in pair)}


def _remedy(text: str) -> str:
    """Return what to do about a text that is a number but for one sign; "" for any other text."""
    bare = text.strip()
    for pattern, remedy in _SIGNS:
        rest = re.sub(pattern, "", bare).strip()
        if rest != bare and (re.fullmatch(POINT, rest) or re.fullmatch(COMMA, rest)):
            return f": {remedy}"
    return ""


def checked_numbers(
    raw: RawTable, name: str, decimal: str, reading: TableReading = BY_EVIDENCE
) -> NumberColumn:
    """Read a column that must hold numbers.

    Args:
        raw: the table.
        name: of the column.
        decimal, reading: as in ``read_numbers``.

    Raises:
        DataError: a value is no number, is infinite, or too large to compute with; the text names
            its line and column.
    """
    column = raw.column(name)
    numbers = read_numbers(column, decimal, reading)

    def error_at(row: int, what: str) -> DataError:
        return DataError(f"{raw.name}, {raw.position(row)}, column {label(name)}: {what}")

    if numbers.bad.any():
        row = int(numbers.bad.argmax())
        text = column[row]
        what = (
            f"{text!r} is not a number{_remedy(str(text))}. Correct it, or leave it empty if the "
            "value is missing."
        )
        if str(text).strip().lower() in _MARKS:
            what = f"{text!r} is not a number. Write 1 in all rows where it is so, and 0 elsewhere."
        plain = _plain(column.fill_null("")) if column.dtype == pl.String else None
        bare = "" if plain is None else str(without_signs(plain, numbers.missing).texts[row])
        odd = None if plain is None else row_without_unit(plain, numbers.missing)
        if odd is not None:
            row, unit = odd
            what = (
                f"{column[row]!r} is not in {unit}, as most other rows are. Write its unit, or "
                "leave it empty if the value is missing."
            )
        if re.fullmatch(POINT, bare) and re.fullmatch(COMMA, bare):
            what = (
                f"{text!r} can be a thousand or a decimal fraction, and no other row shows which. "
                f"Pass {named('decimal', ',')} or {named('decimal', '.')}."
            )
        raise error_at(row, what)
    infinite = np.isinf(numbers.values)
    if infinite.any():
        row = int(infinite.argmax())
        raise error_at(row, f"{column[row]} is infinite. Leave it empty if the value is missing.")
    large = np.abs(numbers.values) >= LARGEST
    if large.any():
        row = int(large.argmax())
        raise error_at(
            row,
            f"{column[row]} is beyond {LARGEST:g}, the largest that float32 computes with. Give "
            "the column in another unit, or leave it empty if the value is missing.",
        )
    return numbers


def note_of_doubt(name: str, numbers: NumberColumn) -> str | None:
    """Return a note about numbers such as 1.234, which can mean two things; None without any."""
    text = numbers.doubtful
    if not text:
        return None
    if float(text) in numbers.values:
        meaning, otherwise = "a decimal fraction", "stands between thousands, take it out"
    else:
        meaning = f"{text.replace('.', '')}, as the point stands between thousands"
        otherwise = "is a decimal mark, write numbers with another count of decimals"
    return f"column {label(name)}: {text} is read as {meaning}. If its point {otherwise}"


def note_of_signs(name: str, numbers: NumberColumn) -> str | None:
    """Return a note about signs beside numbers, as percent signs; None without any."""
    return f"column {label(name)}: {numbers.read_as}" if numbers.read_as else None


def note_of_digits(name: str, numbers: NumberColumn) -> str | None:
    """Return a note about whole numbers that have more digits than float64; None without any."""
    large = np.abs(numbers.values[~numbers.missing]) > _EXACT
    if not large.any():
        return None
    return (
        f"column {label(name)} holds numbers beyond {_EXACT:.0f}: their last digits are rounded, "
        "as float64 has about 16"
    )


def note_of_mark(name: str, numbers: NumberColumn) -> str | None:
    """Return a warning about a value that seems to stand for missing ones; None without one."""
    if numbers.mark is None:
        return None
    value, count = numbers.mark
    return (
        f"warning: column {label(name)} holds {value:.10g} {counted(count, 'time')}, far from its "
        f"other values. If it stands for a missing value, pass {named('missing_as', value)}"
    )
