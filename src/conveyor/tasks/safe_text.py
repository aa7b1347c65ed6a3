"""Names from a user's file, shown so that they do nothing but be read."""

import re

# What moves a terminal's cursor, changes its colours or title, or turns the direction of writing.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

# A spreadsheet takes a cell that begins so for a formula, and may run it.
_FORMULA = ("=", "+", "-", "@", "|", "%")


def visible(text: str) -> str:
    r"""The text with its control characters spelled, as ``\x1b``; line ends and tabs stay."""
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def no_formula(text: str) -> str:
    """The text of a cell, behind an apostrophe if a spreadsheet would run it."""
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
