"""Explanations of the words of reports, a sentence each, for readers who do not know the field."""

import html
import re

_BAND = (
    "How many of the true values lay inside the band that the model draws around its forecast; "
    "a model that knows how sure it is has about 80 % there."
)
_NATS = (
    "How surprised the model is by the next character, on average; 0 is never surprised, and less "
    "is better. A nat is 1.44 bits."
)
_HIDDEN = "How many numbers the network remembers from one step to the next; more can learn more."
_RATE = "How big a step the network takes each time it learns from a mistake."
_PARAMETERS = "How many numbers inside the network are learned from the data."
_INTERVAL = (
    "Had other widths and learning rates been drawn, the score would lie in here 95 times of 100."
)
_FIRST = (
    "Had other widths and learning rates been drawn, in so many of a hundred cases this cell would "
    "come first."
)
_MARKOV = "A model without a network: it knows what mostly comes after {}."

# The explanations, by the word in lower case.
EXPLAINED = {
    "mae": "Mean absolute error: how far off a forecast is on average, in the units of the data; "
    "less is better.",
    "rmse": "Root mean squared error: like MAE, but a few big misses weigh more; less is better.",
    "mase": "Mean absolute scaled error: the error as a share of what repeating the last season "
    "makes; below 1 is better than that.",
    "mape": "Mean absolute percentage error: how far off a forecast is on average, in percent of "
    "the true value; less is better.",
    "smape": "Symmetric mean absolute percentage error: the error in percent of the mean of "
    "forecast and true value; less is better.",
    "wape": "Weighted absolute percentage error: all errors together, in percent of all true "
    "values together; less is better.",
    "mean squared error": "The mean of the squares of the errors, so that big misses weigh more; "
    "less is better.",
    "pinball loss": "What training makes small: an error that is low when the middle and the band "
    "of a forecast are both where they should be.",
    "80 % band": _BAND,
    "in 80 % band": _BAND,
    "within the 80 % band": _BAND,
    "coverage": _BAND,
    "naive": "The simplest forecast: everything stays as it was last.",
    "seasonal naive": "A simple forecast: everything repeats as it was one season ago, as the same "
    "day last week; a model should beat it.",
    "baseline": "A simple method without a network; a model that does not beat it is not worth its "
    "trouble.",
    "nats": _NATS,
    "nats per character": _NATS,
    "perplexity": "Among how many characters, all as likely, the model seems to choose each time; "
    "less is better.",
    "temperature": "How daring the model writes: low keeps to what is likely, high tries more.",
    "unigram": "A model without a network: it knows only how often each character occurs.",
    "2-gram": _MARKOV.format("a character"),
    "3-gram": _MARKOV.format("two characters"),
    "nats per step": "How surprised the model is by the next step, on average; 0 is never "
    "surprised, and less is better. A nat is 1.44 bits.",
    "share of wrong sequences": "How many sequences are answered wrongly, as a share of all; 0 is "
    "none, and less is better.",
    "share of wrong images": "How many images are taken for another digit, as a share of all; 0 is "
    "none, and less is better.",
    "target": "The column of the table that is forecast.",
    "always the mean": "A guess without a network: always the mean of the answers.",
    "without looking": "A guess without a network: the best answer for who does not see the input.",
    "accuracy": "The share of answers that are right; more is better.",
    "epoch": "One walk through all the data that is learned from.",
    "epochs": "Walks through all the data that is learned from.",
    "loss": "A measure of how wrong the network is; training makes it smaller.",
    "training loss": "How wrong the network is on the data that it learns from.",
    "validation": "Data that is kept out of learning, to see when to stop.",
    "validation loss": "How wrong the network is on data that is kept out of learning; where it is "
    "least, the network is kept.",
    "test part": "The last part of the data, which neither learning nor choosing has seen.",
    "horizon": "How many steps ahead are forecast.",
    "cell": "The equations of one step of a recurrent network, such as LSTM or GRU.",
    "trial": "One training of one cell, with one drawn width and learning rate.",
    "trials": "How often the cell was trained, each time with another width and learning rate.",
    "score": "What the cells are compared by, on data that none of them has seen; the sentence "
    "above the table says whether less or more is better.",
    "interval": _INTERVAL,
    "95 % interval": _INTERVAL,
    "first": _FIRST,
    "hidden": _HIDDEN,
    "hidden units": _HIDDEN,
    "rate": _RATE,
    "learning rate": _RATE,
    "parameters": _PARAMETERS,
    "s": "Seconds that a trial of the cell took; half of the trials took longer.",
    "seconds": "Seconds that a trial of the cell took; half of the trials took longer.",
}


def _identifier(word: str) -> str:
    """Return the id of the box that explains a word."""
    return "word-" + re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-")


def term(word: str) -> str:
    """Return a word as a part of a page, as a button if ``EXPLAINED`` has it, because a keyboard
    and a finger reach buttons. ``explanations`` gives the boxes that it opens."""
    text = html.escape(word)
    if word.lower() not in EXPLAINED:
        return text
    box = _identifier(word)
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
        button = re.search(f'popovertarget="{box}"[^>]*>([^<]*)<', body)
        if button:  # the word is written as in the page, so that MAE stays in capitals
            boxes.append(
                f'<div popover id="{box}" class="word"><strong>{button[1]}</strong> '
                f"{html.escape(meaning)}</div>"
            )
    return "\n".join(boxes)
