"""A recording as a recogniser hears it, for a look inside."""

import torch
from torch import Tensor

from conveyor.networks.ctc import BLANK, best_path, ctc_loss
from conveyor.pages.words import Words, same
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.transcribe.recogniser import Recogniser
from conveyor.tasks.transcribe.transcribe_reading import BEAM


def heard_sequence(network: Recogniser, frames: Tensor, name: str) -> ReadSequence:
    """Return a recording as a network hears it. The answer is the log-probability of what it
    writes, over all ways of placing its labels.

    Args:
        network: the network.
        frames: of the recording, [T, bands].
        name: what the recording is called.
    """
    with torch.no_grad():
        lengths = torch.tensor([len(frames)])
        inputs = network.stacked(frames.unsqueeze(1), lengths)
        (chances,) = network.log_probabilities([frames])
    answer = network.decoded(chances, beam=BEAM)
    labels = torch.tensor(answer.labels, dtype=torch.long)
    step = network.step_seconds
    written = [
        "" if symbol == BLANK else network.speller.labels[symbol - 1]
        for symbol in best_path(chances)
    ]

    def log_chance(output: Tensor) -> Tensor:
        logits = network.head(output)
        rows = logits.shape[1]
        return -ctc_loss(
            logits,
            labels.unsqueeze(1).expand(-1, rows),
            torch.full((rows,), len(logits)),
            torch.full((rows,), len(labels)),
        )

    return ReadSequence(
        title=same(name),
        inputs=inputs,
        labels=tuple(f"{number * step:.2f} s" for number in range(len(inputs))),
        answer=log_chance,
        asked=Words(
            f"the log-probability of ‘{answer.text}’, what it writes",
            f"log xác suất của ‘{answer.text}’, câu mà mạng viết",
        ),
        answers=tuple(written),
    )
