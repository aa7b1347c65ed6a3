"""A captioner of the same size that sees nothing: what can be said without looking."""

from dataclasses import dataclass, replace

import torch
from torch.nn.utils import clip_grad_norm_

from conveyor.compiler.program import Program
from conveyor.tasks.caption.caption_examples import CaptionExamples
from conveyor.tasks.caption.caption_settings import CaptionTraining
from conveyor.tasks.caption.captioner import Captioner


@dataclass(frozen=True)
class BlindCaption:
    """What a blind captioner says of every picture.

    Attributes:
        text: the caption.
        nats: of a true symbol of the test set, the ends counted.
        steps: that it was fitted for.
    """

    text: str
    nats: float
    steps: int


def blind_caption(
    network: Captioner,
    program: Program,
    train: CaptionExamples,
    test: CaptionExamples,
    training: CaptionTraining,
) -> BlindCaption:
    """Fit a network of the same sizes that sees nothing, and return what it says. It has as many
    steps as the settings say, in batches as large, at the same learning rate, which falls to 0.

    Args:
        network: the one that sees.
        program: the cell's.
        train: captions to learn from.
        test: captions to be scored on.
        training: the settings.
    """
    steps = training.blind_steps
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        blind = Captioner(
            program, network.reader, replace(network.sizes, blind=True), network.longest
        )
        optimizer = torch.optim.Adam(blind.decoder.parameters(), lr=training.learning_rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda done: training.rate_factor(done, steps)
        )
        draw = torch.Generator().manual_seed(training.seed)
        order: list[int] = []
        blind.train()
        for _ in range(steps):
            if len(order) < min(training.batch, len(train)):
                order += torch.randperm(len(train), generator=draw).tolist()
            chosen, order = order[: training.batch], order[training.batch :]
            loss = blind.loss(train.__getitems__(chosen)).value
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            clip_grad_norm_(blind.parameters(), training.clip)
            optimizer.step()
            schedule.step()
        blind.eval()
        seen = train.__getitems__([0]).seen
        best = blind.captioned(blind.hypotheses(seen, beam=5)[0][0])
        return BlindCaption(best.text, blind.nats(test), steps)
