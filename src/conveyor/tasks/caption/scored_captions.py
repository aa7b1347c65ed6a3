"""What a network wrote of pictures whose captions are known, and how good that is."""

from dataclasses import dataclass, replace
from functools import cached_property

from conveyor.tasks.caption.blind_captioner import BlindCaption
from conveyor.tasks.caption.caption_examples import ShownPictures
from conveyor.tasks.caption.caption_scores import CaptionScores
from conveyor.tasks.caption.captioner import Captioned, Captioner
from conveyor.tasks.caption.prepared_captions import examples_of


@dataclass(frozen=True, eq=False)
class ScoredCaptions:
    """What a network wrote.

    Attributes:
        network: the network.
        shown: the pictures, with their captions.
        beam: captions that were kept in mind.
        leaks: how many of the pictures were learned from.
        blind: what a network of the same size says that sees nothing; None without one.
    """

    network: Captioner
    shown: ShownPictures
    beam: int
    leaks: int = 0
    blind: BlindCaption | None = None

    @cached_property
    def written(self) -> list[Captioned]:
        """What the search found for each picture."""
        return [best[0] for best in self.network.write(self.shown, beam=self.beam)]

    @cached_property
    def greedy(self) -> list[Captioned]:
        """What was found with one caption kept in mind."""
        if self.beam == 1:
            return self.written
        return [best[0] for best in self.network.write(self.shown, beam=1)]

    @property
    def texts(self) -> list[str]:
        """The texts of ``written``."""
        return [each.text for each in self.written]

    @cached_property
    def shuffled(self) -> list[str] | None:
        """What is written of videos whose frames are shuffled; None of pictures."""
        if not self.network.sizes.frames:
            return None
        other = replace(self.shown, shuffled=True)
        return [best[0].text for best in self.network.write(other, beam=self.beam)]

    @cached_property
    def scores(self) -> CaptionScores:
        """How good they are."""
        return CaptionScores(self.texts, self.shown.references)

    @cached_property
    def nats(self) -> float:
        """Nats of a true symbol, the ends counted."""
        return self.network.nats(examples_of(self.shown, self.network.reader))
