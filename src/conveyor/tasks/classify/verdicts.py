"""A verdict after every word: a classifier that reads one step at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from conveyor.errors import SettingError, named
from conveyor.networks.encoder import Encoder
from conveyor.networks.pooling import AttentionPooling
from conveyor.tasks.classify.series_reader import SeriesReader
from conveyor.tasks.classify.several import Several
from conveyor.tasks.classify.text_reader import TextReader


@dataclass(frozen=True)
class Verdict:
    """What a sequence is taken for so far.

    Attributes:
        label: the likeliest class; or all labels that hold, put together.
        probability: of the likeliest class.
        probabilities: of every class, in order.
        labels: the likeliest class, or all labels that hold, one by one.
    """

    label: str
    probability: float
    probabilities: tuple[float, ...]
    labels: tuple[str, ...] = ()


class _Pooled:
    """Pools outputs as they come; after each step the same as pooling all at once.

    Args:
        pooling: of the encoder.
    """

    def __init__(self, pooling: Any) -> None:
        self.pooling = pooling
        self.value: Tensor | None = None
        self._count, self._weight, self._largest = 0, torch.zeros(1), torch.tensor([-torch.inf])

    def add(self, output: Tensor) -> Tensor:
        """Return what the outputs [1, features] so far are pooled to, with one more of them."""
        self._count += 1
        before = output if self.value is None else self.value
        if isinstance(self.pooling, AttentionPooling):
            score = self.pooling.score(torch.tanh(self.pooling.hidden(output)))[:, 0]
            # Weights are kept as shares of the largest, so that none overflows.
            largest = torch.maximum(self._largest, score)
            kept, new = (self._largest - largest).exp() * self._weight, (score - largest).exp()
            self._largest, self._weight = largest, kept + new
            self.value = (before * kept + output * new) / self._weight
        elif self.pooling == "max":
            self.value = torch.maximum(before, output)
        elif self.pooling == "mean":
            self.value = before + (output - before) / self._count
        else:
            self.value = output
        return self.value


class Verdicts:
    """Reads a sequence step by step; the verdict after a step is the one on the sequence that ends
    there.

        >>> stream = run.stream()
        >>> for word in ["a", "moving", "film"]:
        ...     print(stream.read(word).label)

    Args:
        network: the classifier, in evaluation mode.
        reader: how it reads.
        classes: what there is to say, in order.
        several: how several labels are said; None if there is one class.

    Raises:
        SettingError: the network reads from both ends, so that it must know the end first.
    """

    def __init__(
        self,
        network: nn.Module,
        reader: TextReader | SeriesReader,
        classes: Sequence[str],
        several: Several | None = None,
    ) -> None:
        encoder, head = network.encoder, network.head
        assert isinstance(encoder, Encoder)
        assert isinstance(head, nn.Module)
        layer: Any = encoder.layer
        if layer.bidirectional:
            raise SettingError(
                "the network reads from the end, too, and cannot answer before it. Fit it with "
                f"{named('bidirectional', False)}."
            )
        self._encoder, self._head, self._reader, self._classes = encoder, head, reader, classes
        self._layer, self._several = layer, several
        self._state: Any = None
        self._pooled = _Pooled(encoder.pooling)
        self._last: np.ndarray[Any, Any] | None = None

    @torch.no_grad()
    def read(self, step: Any) -> Verdict:
        """Return the verdict after one more step.

        Args:
            step: a token of a text; or the numbers of a step of a series, one for each column, NaN
                where a value is missing.
        """
        assert self._encoder.embedding is not None
        values = self._encoder.embedding(self._encoded(step))
        output, self._state = self._layer.step(values, self._state)
        first = output if isinstance(output, Tensor) else output[0]
        logits: Tensor = self._head(self._pooled.add(first))[0]
        if self._several is None:
            chances = logits.double().softmax(-1)
            labels: tuple[str, ...] = (self._classes[int(chances.argmax())],)
            label = labels[0]
        else:
            chances = logits.double().sigmoid()
            holds = self._several.holds(chances).tolist()
            labels = tuple(name for name, each in zip(self._classes, holds, strict=True) if each)
            label = self._several.joint.join(labels)
        return Verdict(label, float(chances.max()), tuple(chances.tolist()), labels)

    def _encoded(self, step: Any) -> Tensor:
        """Return a step as the network reads it: [1], or [1, features]."""
        if isinstance(self._reader, TextReader):
            return self._reader.vocabulary.numbers([str(step)])
        values = np.asarray(step, dtype=np.float64)[None]
        seen = values if self._last is None else np.concatenate([self._last, values])
        encoded = self._reader.encode(seen)[-1:]
        # What a later missing value repeats.
        known = ~np.isnan(values)
        before = np.full_like(values, np.nan) if self._last is None else self._last
        self._last = np.where(known, values, before)
        return encoded
