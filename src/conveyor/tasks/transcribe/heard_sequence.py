"""A recording as a recogniser hears it, for a look inside."""

import torch
from torch import Tensor

from conveyor.networks.ctc import BLANK, best_path, ctc_loss
from conveyor.pages.words import Words, same
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.transcribe.placed_labels import placed_by_attention
from conveyor.tasks.transcribe.recogniser import Recogniser
from conveyor.tasks.transcribe.transcribe_reading import BEAM


def heard_sequence(network: Recogniser, frames: Tensor, name: str) -> ReadSequence:
    """Return a recording as a network hears it. The answer is the log-probability of what it
    writes: over all ways of placing its labels, or by what its decoder looks at.

    Args:
        network: the network.
        frames: of the recording, [T, bands].
        name: what the recording is called.
    """
    with torch.no_grad():
        lengths = torch.tensor([len(frames)])
        inputs = network.stacked(frames.unsqueeze(1), lengths)
    answer = network.hear([frames], beam=BEAM)[0]
    labels = torch.tensor(answer.labels, dtype=torch.long)
    step = network.step_seconds
    names = network.speller.labels
    if answer.looked is not None:
        written = [""] * len(inputs)
        for place in placed_by_attention(answer.looked, answer.labels):
            written[place.step] = f"{written[place.step]} {names[place.label - 1]}".strip()
    else:
        (chances,) = network.log_probabilities([frames])
        written = ["" if each == BLANK else names[each - 1] for each in best_path(chances)]

    def log_chance(output: Tensor) -> Tensor:
        rows = output.shape[1]
        steps = torch.full((rows,), len(output))
        said, counts = labels.unsqueeze(1).expand(-1, rows), torch.full((rows,), len(labels))
        if network.writer is not None:
            nats: Tensor = network.writer(output, steps, said, counts)[0]
            return -nats
        return -ctc_loss(network.ctc_logits(output), said, steps, counts)

    return ReadSequence(
        title=same(name),
        inputs=inputs,
        labels=tuple(f"{number * step:.2f} s" for number in range(len(inputs))),
        answer=log_chance,
        asked=Words(
            f"the log-probability of ‘{answer.text}’, the output",
            f"log xác suất của ‘{answer.text}’, câu mà mạng viết",
        ),
        answers=tuple(written),
    )
