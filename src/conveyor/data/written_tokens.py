"""Tokens put together into a text as people write it."""

from collections.abc import Sequence

from conveyor.data.subwords import Subwords

# No space stands before the first, and none after the second. A quotation mark that is the same at
# both ends opens and closes in turn.
_CLOSING = frozenset(".,;:!?)]}%…”’»、。，！？")
_OPENING = frozenset("([{“‘«¿¡$€£#@")
_BOTH = frozenset("\"'")


def written(tokens: Sequence[str], unit: str) -> str:
    """Return the text of tokens, which ``Tokenizer`` cut.

    Words and syllables get a space between each other, and none where punctuation wants none. That
    is a guess: what was written "3 / 4" or "3/4" has the same tokens.

    >>> written(["He", "said", ":", '"', "Yes", ",", "sir", '"', "."], "word")
    'He said: "Yes, sir".'

    Args:
        tokens: of one text.
        unit: that they are of.
    """
    if unit == "subword":
        return Subwords.text(tokens)
    if unit == "char":
        return "".join(tokens)
    text, attached, quoted = "", True, dict.fromkeys(_BOTH, False)
    for token in tokens:
        closes = token in _CLOSING or quoted.get(token, False)
        text += token if attached or closes else f" {token}"
        attached = token in _OPENING or (token in _BOTH and not quoted[token])
        if token in _BOTH:
            quoted[token] = not quoted[token]
    return text
