"""Words of a page that explain themselves when they are pointed at or tapped."""

import re

from conveyor.pages.glossary import EXPLAINED, key_of, name_of


def _identifier(word: str) -> str:
    """Return the id of the box that explains a word."""
    return "word-" + re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-")


def term(word: str) -> str:
    """Return a word as a part of a page, as a button if ``EXPLAINED`` has it, because a keyboard
    and a finger reach buttons. ``explanations`` gives the boxes that it opens."""
    text = name_of(word).html()
    if key_of(word) not in EXPLAINED:
        return text
    box = _identifier(key_of(word))
    return (
        f'<button type="button" class="term" popovertarget="{box}" aria-describedby="{box}">'
        f"{text}</button>"
    )


def explanations(body: str) -> str:
    """Return the boxes that explain the terms of a page, each once, in alphabetical order.

    Args:
        body: the page's body, as HTML.
    """
    boxes = []
    for word, meaning in sorted(EXPLAINED.items()):
        box = _identifier(word)
        button = re.search(f'popovertarget="{box}"[^>]*>(.*?)</button>', body)
        if button:  # the word is written as in the page, so that MAE stays in capitals
            boxes.append(
                f'<div popover id="{box}" class="word"><strong>{button[1]}</strong> '
                f"{meaning.html()}</div>"
            )
    return "\n".join(boxes)
