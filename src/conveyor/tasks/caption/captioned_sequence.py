"""A caption as its decoder reads it while it writes, for a look inside."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from conveyor.layers.recurrent import Recurrent
from conveyor.networks.network import projection_of
from conveyor.networks.s2vt import S2VT
from conveyor.pages.words import Words, same
from conveyor.tasks.caption.caption_examples import Seen
from conveyor.tasks.caption.caption_reading import BEAM
from conveyor.tasks.caption.captioner import Captioner
from conveyor.tasks.read_sequence import ReadSequence


@dataclass(frozen=True)
class _Read:
    """What the layer that writes reads, [T, 1, width], its state before the first step, and the
    logits that follow from its outputs, [T, B, width]."""

    inputs: Tensor
    state: Any
    logits: Callable[[Tensor], Tensor]


def captioned_sequence(network: Captioner, seen: Seen, name: str) -> ReadSequence:
    """Return the steps of the caption that a network writes of a picture or a video: at each it
    reads the word before and what it sees, which stay as they were; S2VT reads what its other layer
    gives. The answer is the log-probability of the caption.

    Args:
        network: the network.
        seen: of one picture or video.
        name: what it is called.
    """
    network.eval()
    hypothesis = network.hypotheses(seen, beam=BEAM)[0][0]
    written = network.captioned(hypothesis)
    symbols = torch.tensor([network.reader.begin, *hypothesis.tokens, network.reader.end])[:, None]
    with torch.no_grad():
        read = _read(network, seen, symbols[:-1])
        layer = _beginning_with(network.recurrent, read.state)

    def log_chance(output: Tensor) -> Tensor:
        rows = output.shape[1]
        wanted = symbols[1:].expand(-1, rows).unsqueeze(-1)
        chances = read.logits(output).log_softmax(-1).gather(-1, wanted)
        log_probability: Tensor = chances.squeeze(-1).sum(0)
        return log_probability

    return ReadSequence(
        title=same(name),
        inputs=read.inputs,
        labels=("▷", *written.tokens),
        answer=log_chance,
        asked=Words(
            f"the log-probability of ‘{written.text}’, the output",
            f"log xác suất của ‘{written.text}’, câu mà mạng viết",
        ),
        answers=(*written.tokens, "∎"),
        layer=layer,
    )


def _read(network: Captioner, seen: Seen, symbols: Tensor) -> _Read:
    """Return what is read while symbols [T, 1] are."""
    decoder = network.decoder
    begun = network.begin(network.annotations(seen))
    if isinstance(decoder, S2VT):
        inputs, _ = decoder.inputs(symbols, begun)
        return _Read(inputs, begun.words, decoder.head)
    vectors = decoder.embedding(symbols)
    contexts = decoder.look(symbols, begun).contexts

    def logits(output: Tensor) -> Tensor:
        rows = output.shape[1]
        return decoder.logits_of(
            vectors.expand(-1, rows, -1), output, contexts.expand(-1, rows, -1)
        )

    return _Read(torch.cat([vectors, contexts], -1), begun.recurrent, logits)


def _beginning_with(layer: Recurrent, state: object) -> Recurrent:
    """Return a layer whose own start is a state of one sequence.

    Args:
        layer: the layer.
        state: that it begins with here.
    """
    program = layer.program
    begun = Recurrent(
        program,
        layer.input_size,
        layer.hidden_size,
        layer.num_layers,
        learn_start=True,
        sizes=projection_of(program, layer.sizes.get("P", 0)),
    )
    begun.load_state_dict(layer.state_dict(), strict=False)
    states = state if isinstance(state, tuple) else (state,)
    names = [name for name, _ in begun.named_parameters() if name.startswith("start_")]
    with torch.no_grad():
        for name, each in zip(names, states, strict=True):
            begun.get_parameter(name).copy_(each[:, 0])
    return begun.eval()
