"""Words in two languages."""

import math

import pytest

from conveyor.errors import SettingError
from conveyor.pages.words import (
    Words,
    cell_text,
    counted_words,
    decimal_text,
    joined,
    language_of,
    number_text,
    same,
)


def test_a_page_holds_both_languages_as_text() -> None:
    assert Words("a < b", "á").html() == '<span lang="en">a &lt; b</span><span lang="vi">á</span>'
    assert same("<c>").html() == "&lt;c&gt;"


def test_numbers_have_the_comma_of_their_language() -> None:
    assert number_text(0.634, ".2f") == ("0.63", "0,63")
    assert number_text(12345, ",d") == ("12,345", "12.345")
    assert number_text(1234567.8, ".4g") == ("1,234,568", "1.234.568")


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (1234567.8, ".4g", "1,234,568"),
        (-1234567.8, ".4g", "-1,234,568"),
        (1234.4, ".4g", "1,234"),
        (999.96, ".4g", "1,000"),
        (999.94, ".4g", "999.9"),
        (12.3456, ".4g", "12.35"),
        (12345.6, ".3g", "12,346"),
        (0.000012345, ".4g", "0.00001234"),
        (0.0, ".4g", "0"),
        (1234.5, "+.4g", "+1,234"),
        (0.5, "+,.3g", "+0.5"),
        (100000.0, "g", "100,000"),
        (12345.678, ".2f", "12,345.68"),
        (1e20, ".4g", "1e+20"),
        (1e-12, ".4g", "1e-12"),
        (math.nan, ".4g", "nan"),
        (math.inf, ".4g", "inf"),
    ],
)
def test_numbers_have_no_exponent_where_their_decimals_can_be_read(
    value: float, form: str, text: str
) -> None:
    assert decimal_text(value, form) == text


@pytest.mark.parametrize(
    ("text", "vietnamese"),
    [
        ("1,200.5", "1.200,5"),
        ("12.5 %", "12,5 %"),
        ("0.1–0.25", "0,1–0,25"),
        ("-1e-05", "-1e-05"),
        ("", ""),
        ("v1.5", "v1.5"),
        ("a, b", "a, b"),
    ],
)
def test_cells_of_tables_that_are_numbers_have_commas(text: str, vietnamese: str) -> None:
    assert cell_text(text) == (text, vietnamese)


def test_parts_are_joined_in_both_languages() -> None:
    assert joined([Words("a", "b"), "", "c"], "+") == ("a+c", "b+c")
    assert joined([]) == ("", "")
    assert counted_words(1, "row", "hàng") == ("1 row", "1 hàng")
    assert counted_words(1234, "row", "hàng") == ("1,234 rows", "1.234 hàng")


@pytest.mark.parametrize(
    ("variables", "language"),
    [
        ({"LANG": "vi_VN.UTF-8"}, "vi"),
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LANG": "vi_VN.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8", "LC_MESSAGES": "vi_VN"}, "vi"),
        ({"LANG": "ja_JP.UTF-8"}, "en"),
    ],
)
def test_the_language_is_the_systems(
    variables: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert language_of(None) == language
    assert language_of("vi") == "vi"
    assert language_of("en") == "en"


def test_another_language_is_an_error() -> None:
    with pytest.raises(SettingError, match="language is 'de'"):
        language_of("de")
