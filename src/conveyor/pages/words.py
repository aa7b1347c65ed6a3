"""Words of a page in English and Vietnamese."""

import html
import locale
import os
from typing import Literal, NamedTuple, get_args

from conveyor.errors import SettingError, did_you_mean, named

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

    >>> number_text(0.634, ".2f")
    Words(en='0.63', vi='0,63')
    """
    text = f"{value:{form}}"
    return Words(text, text.translate(str.maketrans(",.", ".,")))


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
