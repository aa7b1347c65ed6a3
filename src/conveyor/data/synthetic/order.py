"""Order and class: what came first, and what was said at the beginning."""

import torch

from conveyor.data.synthetic.batch import Batch, between, one_hot, steps_that_count
from conveyor.errors import SettingError

SYMBOLS = ("a", "b", "c", "d", "B", "E", "X", "Y")


def temporal_order(batch: int, draw: torch.Generator, *, marks: int = 2) -> Batch:
    """Which of X and Y stood at two (three) places, in their order: 4 (8) classes.

    100 to 110 symbols of 8 kinds, B first and E last, X or Y at steps 10 to 20 and 50 to 60 (with
    three: 10 to 20, 33 to 43, 66 to 76), else a, b, c, d (Hochreiter & Schmidhuber 1997,
    experiments 6a and 6b). The class has Y as 1, the first mark as its highest digit. Right, in the
    paper, is an output for each class within 0.3 of 1 or 0.

    Raises:
        SettingError: ``marks`` is neither 2 nor 3.
    """
    places = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}
    if marks not in places:
        raise SettingError(f"marks is {marks!r}; expected 2 or 3.")
    lengths = between(100, 111, batch, draw)
    longest = int(lengths.max()) if batch else 100
    symbols = torch.randint(0, 4, (longest, batch), generator=draw)
    each = torch.arange(batch)
    symbols[0] = SYMBOLS.index("B")
    symbols[lengths - 1, each] = SYMBOLS.index("E")
    classes = torch.zeros(batch, dtype=torch.long)
    for low, high in places[marks]:
        at, kind = between(low, high + 1, batch, draw), between(0, 2, batch, draw)
        symbols[at, each] = SYMBOLS.index("X") + kind
        classes = 2 * classes + kind
    counted = steps_that_count(longest, lengths)[..., None]
    return Batch(one_hot(symbols, len(SYMBOLS)) * counted, classes, lengths)


def two_sequence(steps: int, batch: int, draw: torch.Generator, *, informative: int = 3) -> Batch:
    """Of which of two classes a sequence is, said by its first numbers and followed by noise: 1.0
    or 0.0 is wanted, [B, 1].

    T to 1.1 T numbers; the first three are 1 or -1, the others normal with variance 0.2 (Bengio,
    Simard & Frasconi 1994, in the form of Hochreiter & Schmidhuber 1997, experiment 3a).

    Raises:
        SettingError: there are fewer steps than numbers that inform.
    """
    if not isinstance(steps, int) or informative < 1 or steps < informative:
        raise SettingError(f"{steps} steps cannot begin with {informative} numbers that inform.")
    lengths = between(steps, steps + steps // 10 + 1, batch, draw)
    longest = int(lengths.max()) if batch else steps
    kind = between(0, 2, batch, draw)
    numbers = torch.randn(longest, batch, generator=draw) * 0.2**0.5
    numbers[:informative] = 2.0 * kind - 1.0
    counted = steps_that_count(longest, lengths)
    return Batch((numbers * counted)[..., None], kind.float()[:, None], lengths)
