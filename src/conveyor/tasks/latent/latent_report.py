"""The sections of the report on sequences with latent values."""

from collections.abc import Iterable

from conveyor.pages.frame import paragraph
from conveyor.pages.words import Words
from conveyor.tasks.latent.latent_examples import SequenceExamples
from conveyor.tasks.latent.scored_sequences import ScoredSequences
from conveyor.tasks.results import Section


def sections(
    scored: ScoredSequences, beside: ScoredSequences | None, train: SequenceExamples
) -> Iterable[Section]:
    """Yield the sections: samples, and the divergence over time."""
    network = scored.network
    samples = network.sample(6, None, seed=1)
    pictures = "".join(network.kind.picture(each, "sample") for each in samples)
    yield Section(Words("What it draws", "Mạng sinh ra gì"), paragraph(Words("", "")) + pictures)
