"""Decoders that look at a memory at every step: a training step with all steps of the targets in
one call of machine code, beside one with the steps one by one, and beside a decoder without input
feeding, whose attention is outside its layer; and what writes about pictures, alone.

scripts/bench decoders

All sides in one process, in turn; medians of the time that the process computed
(``time.process_time``), one thread. A training step is that of ``fit translate`` on random symbols:
loss, gradients, clipping and Adam.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import conveyor
from benchmarks.measure import table
from benchmarks.memories import medians
from benchmarks.runs import machine, store
from conveyor.networks import (
    Attention,
    BahdanauDecoder,
    Encoder,
    EncoderDecoder,
    LuongDecoder,
    PictureDecoder,
    WordEmbedding,
)


class Setting(NamedTuple):
    """Sizes as ``benchmarks.translate`` and ``fit pronounce`` have them: symbols, units, numbers
    that stand for a symbol, dropout, and steps of sources and targets."""

    symbols: int
    hidden: int
    embedding: int
    dropout: float
    sources: int
    targets: int


SETTINGS = {
    "multi30k": Setting(4000, 256, 192, 0.3, 15, 16),
    "tatoeba": Setting(1200, 192, 192, 0.5, 9, 10),
    "pronounce": Setting(75, 192, 64, 0.2, 8, 9),
}
BATCHES = (32, 64)
CELL = "lstm"


def model_of(setting: Setting, style: str) -> EncoderDecoder:
    """Return a network as ``Translator`` makes it."""
    torch.manual_seed(0)
    symbols, hidden, width, dropout, _, _ = setting

    def embedding() -> WordEmbedding:
        return WordEmbedding(symbols, width, unknown=0, dropout=dropout)

    both = conveyor.Recurrent(CELL, width, hidden // 2, bidirectional=True)
    words = embedding()
    reads = width + {"plain": 0, "feeding": width, "bahdanau": hidden}[style]
    layer = conveyor.Recurrent(CELL, reads, hidden)
    attention = Attention(hidden, hidden, "concat" if style == "bahdanau" else "general")
    decoder: BahdanauDecoder | LuongDecoder
    if style == "bahdanau":
        decoder = BahdanauDecoder(layer, words, attention, features=width, dropout=dropout)
    else:
        decoder = LuongDecoder(
            layer,
            words,
            attention,
            features=width,
            input_feeding=style == "feeding",
            dropout=dropout,
        )
    decoder.head.weight = words.weight
    return EncoderDecoder(Encoder(both, embedding()), decoder)


def training_step(model: EncoderDecoder, setting: Setting, batch: int) -> Callable[[], Any]:
    """Return what does a training step."""
    optimizer = torch.optim.Adam(model.parameters())

    def drawn(steps: int, least: int) -> tuple[Tensor, Tensor]:
        lengths = torch.randint(least, steps + 1, (batch,))
        lengths[0] = steps
        return torch.randint(3, setting.symbols, (steps, batch)), lengths

    sources, source_lengths = drawn(setting.sources, setting.sources // 2)
    # Batches are of targets of similar length.
    targets, target_lengths = drawn(setting.targets + 1, setting.targets - 1)

    def step() -> None:
        optimizer.zero_grad()
        loss = model.loss(
            sources,
            targets,
            source_lengths=source_lengths,
            target_lengths=target_lengths,
            label_smoothing=0.1,
        )
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def one_by_one(decoder: nn.Module, step: Callable[[], Any]) -> Callable[[], Any]:
    """Return what does a training step with the steps of its decoder one by one."""

    def run() -> None:
        # Who watches the attention sees each step.
        attention: Any = decoder.attention
        watching = attention.register_forward_pre_hook(lambda *_: None)
        step()
        watching.remove()

    return run


def measure(name: str, batch: int) -> dict[str, Any]:
    """Milliseconds of a training step, by how it is done."""
    setting, sides = SETTINGS[name], {}

    sides["without feeding"] = training_step(model_of(setting, "plain"), setting, batch)
    for style in ("feeding", "bahdanau"):
        model = model_of(setting, style)
        step = training_step(model, setting, batch)
        sides[style] = step
        sides[f"{style}, one by one"] = one_by_one(model.decoder, step)
    return {"setting": name, "B": batch, **setting._asdict(), "milliseconds": medians(sides)}


def measure_pictures(places: int, batch: int = 32) -> dict[str, Any]:
    """Milliseconds of loss and gradients of a decoder in the sizes of ``fit caption``: 128 units,
    places of 72 numbers, 48 that are compared, words of 64, dropout 0.2; 1,500 words, 12 steps."""
    torch.manual_seed(0)
    symbols, hidden, width, features, steps = 1500, 128, 64, 72, 12
    decoder = PictureDecoder(
        conveyor.Recurrent(CELL, width + features, hidden),
        WordEmbedding(symbols, width, unknown=0, dropout=0.2),
        Attention(hidden, features, "concat", width=48),
        dropout=0.2,
    )
    memory = torch.randn(places, batch, features, requires_grad=True)
    words = torch.randint(3, symbols, (steps + 1, batch))

    def step() -> None:
        logits = decoder.look(words[:-1], decoder.begin(memory)).logits
        torch.autograd.backward(cross_entropy(logits.flatten(0, 1), words[1:].flatten()))

    sides = {"pictures": step, "pictures, one by one": one_by_one(decoder, step)}
    return {"places": places, "B": batch, "milliseconds": medians(sides)}


def main() -> None:
    """Measure, print and store."""
    torch.set_num_threads(1)
    rows = [measure(name, batch) for name in SETTINGS for batch in BATCHES]

    def of(side: str) -> Callable[[dict[str, Any]], str]:
        return lambda row: f"{row['milliseconds'][side]:.1f}"

    columns: dict[str, Callable[[dict[str, Any]], str]] = {
        "setting, B": lambda row: f"{row['setting']}, {row['B']}",
    }
    columns |= {side: of(side) for side in rows[0]["milliseconds"]}
    table(rows, columns)
    pictures = [measure_pictures(places) for places in (64, 196)]
    columns = {"places": lambda row: str(row["places"])}
    columns |= {side: of(side) for side in pictures[0]["milliseconds"]}
    table(pictures, columns)
    about = {"machine": machine(), "cell": CELL}
    store("decoders", {**about, "rows": rows, "pictures": pictures})


if __name__ == "__main__":
    main()
