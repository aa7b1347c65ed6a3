"""The Reber grammar and the embedded Reber grammar: which symbols may come next."""

import torch

from conveyor.data.synthetic.batch import Batch, one_hot

SYMBOLS = "BTPSXVE"

# For each state of the automaton after B: the symbols that may follow, and the state to which each
# leads (Reber 1967, as in Hochreiter & Schmidhuber 1997, figure 3).
MOVES: tuple[dict[str, int], ...] = (
    {"T": 1, "P": 2},
    {"S": 1, "X": 3},
    {"T": 2, "V": 4},
    {"X": 2, "S": 5},
    {"P": 3, "V": 5},
    {"E": 6},
)
END = 6


def _inner(draw: torch.Generator) -> tuple[str, list[str]]:
    """Draw a string of the grammar. Return it, and which symbols may follow each of its symbols but
    the last."""
    text, legal, state = "B", [], 0
    while state != END:
        moves = MOVES[state]
        legal.append("".join(moves))
        symbol = list(moves)[int(torch.randint(len(moves), (), generator=draw))]
        text, state = text + symbol, moves[symbol]
    return text, legal


def reber_string(draw: torch.Generator, *, embedded: bool = True) -> tuple[str, list[str]]:
    """Draw a string. Return it, and which symbols may follow each of its symbols but the last.

    A string of the embedded grammar is B, T or P, a string of the inner grammar, the same T or P
    again, and E: 9 symbols or more.
    """
    inner, legal = _inner(draw)
    if not embedded:
        return inner, legal
    outer = "TP"[int(torch.randint(2, (), generator=draw))]
    return f"B{outer}{inner}{outer}E", ["TP", "B", *legal, outer, "E"]


def reber(batch: int, draw: torch.Generator, *, embedded: bool = True) -> Batch:
    """Draw strings. The targets [T, B, 7] are 1 for the symbols that may come next, 0 for others.

    As in the paper, a network is right if at every step the outputs of all symbols that may come
    next are above all others. In the embedded grammar it must remember the second symbol, which is
    also the second last.
    """
    strings = [reber_string(draw, embedded=embedded) for _ in range(batch)]
    lengths = torch.tensor([len(text) - 1 for text, _ in strings], dtype=torch.long)
    longest = int(lengths.max()) if batch else 1
    inputs = torch.zeros(longest, batch, len(SYMBOLS))
    targets = torch.zeros_like(inputs)
    for number, (text, legal) in enumerate(strings):
        symbols = torch.tensor([SYMBOLS.index(symbol) for symbol in text[:-1]])
        inputs[: len(symbols), number] = one_hot(symbols, len(SYMBOLS))
        for step, allowed in enumerate(legal):
            targets[step, number, [SYMBOLS.index(symbol) for symbol in allowed]] = 1.0
    return Batch(inputs, targets, lengths)


def all_legal_above(outputs: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return in which sequences [B] the outputs of all symbols that may come next are above all
    others, at every step."""
    legal = batch.targets > 0
    lowest = outputs.masked_fill(~legal, torch.inf).amin(-1)
    highest = outputs.masked_fill(legal, -torch.inf).amax(-1)
    return ((lowest > highest) | ~batch.counted).all(0)
