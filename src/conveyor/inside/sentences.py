"""What is said about a network: steps in words, and the answers that the page begins with."""

from collections.abc import Sequence

from torch import Tensor

from conveyor.data.text import spelled
from conveyor.errors import counted
from conveyor.inspect.overview import Overview
from conveyor.pages.inside_data import NetworkGradients, Reach
from conveyor.pages.words import Words, number_text, same
from conveyor.tasks.read_sequence import ReadSequence

# So many letters of what it looks back over are said.
MOST_SAID = 40


class StepTexts:
    """How steps are told in words.

    Args:
        shown: the steps that are shown.
        labels: of every step of the sequence.
        symbols: whether the labels are what is read.
    """

    def __init__(self, shown: Sequence[int], labels: Sequence[str], *, symbols: bool) -> None:
        self.shown, self.labels, self.symbols = shown, labels, symbols
        # Whether labels say more than the number of the step.
        self.named = list(labels) != [str(step + 1) for step in range(len(labels))]

    def place(self, place: int) -> Words:
        """Return a step in words, by its place among those that are shown."""
        return self.step(self.shown[place])

    def step(self, step: int) -> Words:
        """Return a step in words, by its number from 0."""
        number = number_text(step + 1, ",d")
        if not self.named:
            return Words(f"step {number.en}", f"bước {number.vi}")
        label = self.labels[step]
        if self.symbols:
            label = f"‘{spelled(label)}’"
        return Words(f"{label} (step {number.en})", f"{label} (bước {number.vi})")

    def last(self, steps: int) -> Words:
        """Return the words of a text over which the last step looks back so many steps; nothing
        where no text is read."""
        if not self.symbols or not steps:
            return same("")
        read = "".join(self.labels)[-steps - 1 :]
        shown = read.strip() if len(read) <= MOST_SAID else f"…{read[-MOST_SAID:]}"
        shown = shown.replace("\n", "⏎")
        count = len(read.split())
        return Words(
            f", over ‘{shown}’ ({counted(count, 'word')})", f", tức ‘{shown}’ ({count} tiếng)"
        )

    def steps_in(self, places: Sequence[int]) -> Words:
        """Return several steps in words."""
        words = [self.place(place) for place in places]
        if not words:
            return Words("no step", "không bước nào")
        return Words(", ".join(one.en for one in words), ", ".join(one.vi for one in words))


def verdict(
    overviews: Sequence[Overview],
    texts: StepTexts,
    *,
    gradients: Sequence[NetworkGradients],
    contributed: Tensor | None,
    read: ReadSequence,
) -> list[Words]:
    """Return the answers of the page, a sentence each."""
    sentences = []
    one = overviews[-1] if not overviews[-1].reverse else overviews[0]
    if gradients:
        sentences.append(_how_far(gradients, texts))
    if bool(one.before.any()):
        sentences.append(_forgot(one, texts))
    step = texts.place(int(one.put_on.abs().mean(1).argmax()))
    sentences.append(
        Words(
            f"It wrote most to its memory at {step.en}.",
            f"Mạng ghi vào bộ nhớ nhiều nhất ở {step.vi}.",
        )
    )
    if contributed is not None and bool((contributed != 0).any()):
        place = int(contributed.abs().argmax())
        step, rises = texts.step(place), float(contributed[place]) > 0
        # What is asked may end in a clause, which a comma closes.
        asked = Words(*(f"{text}," if "," in text else text for text in read.asked))
        sentences.append(
            Words(
                f"{asked.en[:1].upper()}{asked.en[1:]} was {'raised' if rises else 'lowered'} most "
                f"by {step.en}.",
                f"Bước làm {asked.vi} {'tăng' if rises else 'giảm'} nhiều nhất: {step.vi}.",
            )
        )
    dead = int(one.dead.sum())
    if dead:
        sentences.append(
            Words(
                f"{dead} of {len(one.dead)} units never change.",
                f"{dead} trong số {len(one.dead)} đơn vị không bao giờ thay đổi.",
            )
        )
    return sentences


def _forgot(one: Overview, texts: StepTexts) -> Words:
    """Return at which step the least of the memory was kept, and how much: of the steps at which
    there was at least half of the most that it ever held, as an empty memory has nothing to
    forget."""
    held = one.before.abs().sum(1)
    places = (held >= held.max() / 2).nonzero().flatten()
    shares = (one.carried * one.before).abs().sum(1)[places] / held[places].clamp(1e-30)
    place, there = int(places[shares.argmin()]), float(shares.min())
    what = "cell state" if one.memory != "h" else "state"
    what_vi = "trạng thái tế bào" if one.memory != "h" else "trạng thái"
    step, mean = texts.place(place), float(shares.mean())
    return Words(
        f"It forgot most at {step.en}: there it kept {100 * there:.0f} % of its {what}; the "
        f"average is {100 * mean:.0f} %.",
        f"Mạng quên nhiều nhất ở {step.vi}: ở đó chỉ giữ lại {100 * there:.0f} % {what_vi}; trung "
        f"bình là {100 * mean:.0f} %.",
    )


def _how_far(gradients: Sequence[NetworkGradients], texts: StepTexts) -> Words:
    """Return how far back the gradient of the last step reaches, of all networks."""

    def told(reach: Reach) -> Words:
        number = number_text(reach.steps, ",d")
        return Words(
            f"{'at least ' * reach.farther}{number.en}", f"{'ít nhất ' * reach.farther}{number.vi}"
        )

    (tenth, _), *_ = network_reaches = [network.reach[-1] for network in gradients]
    others = [
        (network.name, told(reach))
        for network, (reach, _) in zip(gradients[1:], network_reaches[1:], strict=True)
    ]
    en = "; ".join(f"{name.en} {words.en}" for name, words in others)
    vi = "; ".join(f"{name.vi}: {words.vi}" for name, words in others)
    beside = (f" For comparison, in steps: {en}.", f" Để so sánh, số bước: {vi}.")
    words, over = told(tenth), texts.last(tenth.steps)
    return Words(
        f"It looks back {words.en} step{'s' * (tenth.steps != 1)}{over.en}: so far back, at least "
        f"a tenth of the last step's gradient is left.{beside[0] * bool(others)}",
        f"Mạng nhìn lại được {words.vi} bước{over.vi}: lùi đến đó, gradient của bước cuối vẫn còn "
        f"ít nhất một phần mười.{beside[1] * bool(others)}",
    )
