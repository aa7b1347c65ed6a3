"""The temporal order problem, and the two-sequence problem of a class shown at the beginning."""

import torch

from conveyor.data.synthetic.batch import Batch, draw_between, one_hot, steps_that_count
from conveyor.errors import SettingError

SYMBOLS = ("a", "b", "c", "d", "B", "E", "X", "Y")


def temporal_order(batch: int, draw: torch.Generator, *, marks: int = 2) -> Batch:
    """Draw sequences with X or Y at two (three) steps. The target is the class of their order, of 4
    (8) classes.

    A sequence has 100 to 110 symbols of 8 kinds: B first, E last, X or Y at one of the steps 10 to
    20 and one of 50 to 60 (of 10 to 20, 33 to 43 and 66 to 76 for three), and a, b, c or d at all
    others (Hochreiter & Schmidhuber 1997, experiments 6a and 6b). The class is the binary number
    in which X is 0, Y is 1, and the first mark is the highest digit. In the paper an answer is
    right if the output of each class is within 0.3 of 1 or 0.

    Args:
        batch: B, the number of sequences.
        draw: the random generator.
        marks: how many steps have X or Y, 2 or 3.

    Raises:
        SettingError: ``marks`` is neither 2 nor 3.
    """
    ranges = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}
    if marks not in ranges:
        raise SettingError(f"marks is {marks!r}; expected 2 or 3.")
    lengths = draw_between(100, 111, batch, draw)
    longest = int(lengths.max()) if batch else 100
    symbols = torch.randint(0, 4, (longest, batch), generator=draw)
    sequence = torch.arange(batch)
    symbols[0] = SYMBOLS.index("B")
    symbols[lengths - 1, sequence] = SYMBOLS.index("E")
    classes = torch.zeros(batch, dtype=torch.long)
    for low, high in ranges[marks]:
        step, kind = draw_between(low, high + 1, batch, draw), draw_between(0, 2, batch, draw)
        symbols[step, sequence] = SYMBOLS.index("X") + kind
        classes = 2 * classes + kind
    counted = steps_that_count(longest, lengths)[..., None]
    return Batch(one_hot(symbols, len(SYMBOLS)) * counted, classes, lengths)


def two_sequence(steps: int, batch: int, draw: torch.Generator, *, informative: int = 3) -> Batch:
    """Draw sequences whose first numbers show their class and are followed by noise. The target is
    the class, 1.0 or 0.0, [B, 1].

    A sequence has T to 1.1 T numbers: the first three are all 1 or all -1, the others normal with
    variance 0.2 (Bengio, Simard & Frasconi 1994, in the form of Hochreiter & Schmidhuber 1997,
    experiment 3a).

    Args:
        steps: T.
        batch: B, the number of sequences.
        draw: the random generator.
        informative: how many numbers show the class, 1 to T.

    Raises:
        SettingError: ``informative`` is below 1 or above ``steps``.
    """
    if not isinstance(steps, int) or informative < 1 or steps < informative:
        raise SettingError(f"{steps} steps cannot begin with {informative} numbers that inform.")
    lengths = draw_between(steps, steps + steps // 10 + 1, batch, draw)
    longest = int(lengths.max()) if batch else steps
    kind = draw_between(0, 2, batch, draw)
    numbers = torch.randn(longest, batch, generator=draw) * 0.2**0.5
    numbers[:informative] = 2.0 * kind - 1.0
    counted = steps_that_count(longest, lengths)
    return Batch((numbers * counted)[..., None], kind.float()[:, None], lengths)
