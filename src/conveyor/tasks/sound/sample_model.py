"""The network of samples: a recurrent network that reads sound, sample by sample, and predicts
which of 256 levels comes next."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.data.mu_law import LEVELS
from conveyor.data.records import to_record
from conveyor.errors import RunError, SettingError
from conveyor.layers.state import main_output
from conveyor.networks.embedding import Embedding
from conveyor.networks.network import Loss, Network, Sizes
from conveyor.networks.output_heads import ClassHead, class_losses, mean_of

# What is read before the first sample of a recording; it is never predicted.
BEGIN = LEVELS

# Samples of a recording that are looked at at once: their logits take 64 MB.
_AT_ONCE = 1 << 16


@dataclass(frozen=True, kw_only=True)
class SampleModelSizes(Sizes):
    """The sizes of a network of samples; see ``SampleModel``."""

    embedding: int = 0


class SampleModel(Network):
    """Levels of samples in, the distribution of the next level out.

    A vector for each level is read, so that the network learns for itself what levels have in
    common; a recurrent network of any cell goes from sample to sample, as in WaveRNN (Kalchbrenner
    et al. 2018, Efficient neural audio synthesis, section 2), of whose two softmaxes of 8 bits this
    is one, on a µ-law scale.

    Args:
        cell: see ``conveyor.Recurrent``.
        rate: samples a second.
        hidden, layers, dropout: of the recurrent network.
        projection: units of axis P, for cells that have it; 0 for those that have not.
        embedding: numbers that stand for a level.

    Raises:
        SettingError: a size is out of its range.
    """

    def __init__(
        self,
        cell: str | Cell | Program,
        rate: int,
        *,
        hidden: int,
        layers: int = 1,
        dropout: float = 0.0,
        projection: int = 0,
        embedding: int = 32,
    ) -> None:
        super().__init__()
        if embedding < 1 or rate < 1:
            raise SettingError(
                f"embedding is {embedding}, rate is {rate}; expected 1 or more of both."
            )
        self.rate = rate
        self.embedding = Embedding(LEVELS + 1, embedding)
        sizes = Sizes(hidden=hidden, layers=layers, dropout=dropout, projection=projection)
        self.recurrent = sizes.recurrent(cell, embedding)
        self.head = ClassHead(self.recurrent.output_size, LEVELS)

    def forward(self, read: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Return the logits [T, B, 256] of the level after each, and the state.

        Args:
            read: levels, ``BEGIN`` before the first of a recording, [T, B].
            state: after what was read before; None begins.
        """
        outputs, state = self.recurrent(self.embedding(read), state)
        return self.head(main_output(outputs)), state

    def loss(self, batch: Sequence[Tensor], state: Any = None) -> Loss:
        """Return the nats per sample of a chunk, and the state to carry.

        Args:
            batch: what is read and what comes next, both [T, B].
            state: after the chunk before.
        """
        read, following = batch
        logits, state = self(read, state)
        counted = following != BEGIN
        # A beginning is no level, and its loss does not count.
        losses = class_losses(logits.float(), following.clamp(max=LEVELS - 1))
        carried = type(state)(*(tensor.detach() for tensor in state))
        return Loss(mean_of(losses, counted), int(counted.sum()), carried)

    def description(self) -> dict[str, Any]:
        """Return the sizes and the rate."""
        sizes = SampleModelSizes.of(self.recurrent, embedding=self.embedding.embedding_dim)
        return {"network": sizes, "rate": self.rate}

    @classmethod
    def described(
        cls, program: Program, description: Mapping[str, Any], where: str
    ) -> "SampleModel":
        """Return the network of a description; see ``Network.described``."""
        sizes = to_record(SampleModelSizes, dict(description["network"]), where)
        rate = description["rate"]
        if not isinstance(rate, int) or isinstance(rate, bool):
            raise RunError(f"{where}: the rate is no whole number.")
        return cls(program, rate, **asdict(sizes))

    @torch.no_grad()
    def nats(self, levels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the nats of each sample of a recording, [N].

        Args:
            levels: of a whole recording, [N].
        """
        self.eval()
        following = torch.from_numpy(levels.astype(np.int64)).to(self.head.weight.device)
        read = torch.cat([following.new_tensor([BEGIN]), following[:-1]])
        parts, state = [], None
        for begin in range(0, len(levels), _AT_ONCE):
            stretch = slice(begin, begin + _AT_ONCE)
            logits, state = self(read[stretch, None], state)
            parts.append(class_losses(logits[:, 0].float(), following[stretch]).double())
        return torch.cat(parts).cpu().numpy()

    @torch.no_grad()
    def sampled(
        self,
        count: int,
        *,
        temperature: float = 1.0,
        seed: int = 0,
        heard: NDArray[np.uint8] | None = None,
    ) -> NDArray[np.uint8]:
        """Return levels, [count], each drawn from what the network predicts after those before.

        A step goes through the layer's stream, in NumPy and without tensors: some microseconds.

        Args:
            count: how many.
            temperature: logits are divided by it; below 1 safer, above 1 more varied.
            seed: the same seed draws the same.
            heard: levels that come before, [N]; None begins a recording.

        Raises:
            SettingError: a number is out of its range.
            TargetError: the network is not on a CPU.
        """
        if count < 0 or not (temperature > 0 and math.isfinite(temperature)):
            raise SettingError(
                f"count is {count}, temperature is {temperature}; expected 0 or more, and a number "
                "above 0."
            )
        stream = self.eval().recurrent.stream()
        vectors = self.embedding.weight.float().numpy()
        weight, bias = self.head.weight.float().numpy(), self.head.bias.float().numpy()
        draw = np.random.default_rng(seed)
        into, output = stream.input[0], stream.output[0]
        level = BEGIN
        for known in [] if heard is None else heard:
            into[:] = vectors[level]
            stream.advance()
            level = int(known)
        drawn = np.empty(count, np.uint8)
        for place, chance in enumerate(draw.random(count)):
            into[:] = vectors[level]
            stream.advance()
            logits = (weight @ output + bias).astype(np.float64)
            with np.errstate(over="ignore"):  # the likeliest alone is left when it is very cold
                sums = np.exp((logits - logits.max()) / temperature).cumsum()
            level = min(int(sums.searchsorted(chance * sums[-1], side="right")), LEVELS - 1)
            drawn[place] = level
        return drawn
