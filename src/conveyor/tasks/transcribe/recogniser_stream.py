"""What is said, while it is being said: a recogniser that hears sound piece by piece."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from conveyor.data.audio_file import arriving_resampler
from conveyor.errors import SettingError, named
from conveyor.networks.ctc import BLANK

# Steps that are read at once: a long piece is read in parts, so that the state is all that is kept.
_AT_ONCE = 256


class RecogniserStream:
    """Hears a recording piece by piece, and writes the best path: however the sound is cut, the
    text is that of the whole recording.

        >>> stream = run.stream()
        >>> for piece in pieces:  # NumPy arrays of samples from -1 to 1
        ...     print(stream.push(piece), end="")
        >>> print(stream.finish())

    Args:
        network: a ``Recogniser`` in evaluation mode.
        rate: samples a second of what will be pushed; None for the network's own.

    Attributes:
        text: what was said so far.

    Raises:
        SettingError: the network reads from both ends, or looks at all that it heard, so that it
            must know the end first.
    """

    def __init__(self, network: Any, rate: int | None = None) -> None:
        if network.writer is not None:
            raise SettingError(
                "the network looks at the whole recording while it writes, and cannot write before "
                f"its end. Fit it without {named('attention')} and with "
                f"{named('bidirectional', False)}."
            )
        if network.recurrent.bidirectional:
            raise SettingError(
                "the network reads from the end, too, and cannot write before it. Fit it with "
                f"{named('bidirectional', False)}."
            )
        self._network = network
        self.restart(rate)

    def restart(self, rate: int | None = None) -> None:
        """Begin a new recording.

        Args:
            rate: samples a second of what will be pushed; None for the network's own.
        """
        network = self._network
        own = network.frames.rate
        self._resample = None if rate in (None, own) else arriving_resampler(rate or own, own)
        self._frames = network.frames.stream()
        self._waiting = torch.zeros(0, network.frames.bands)
        self._state: Any = None
        self._last = BLANK
        self.labels: list[int] = []
        self.text = ""

    def push(self, samples: Any) -> str:
        """Return what these further samples add to the text.

        Args:
            samples: from -1 to 1, of one channel, [N].
        """
        values = np.ascontiguousarray(samples, dtype=np.float32)
        if self._resample is not None:
            values = self._resample(values, last=False)
        return self._hear(self._frames.push(torch.from_numpy(values)), ended=False)

    def finish(self) -> str:
        """Return what is added to the text at the end of the sound."""
        parts = []
        if self._resample is not None:
            values = self._resample(np.zeros(0, dtype=np.float32), last=True)
            parts.append(self._frames.push(torch.from_numpy(values)))
        parts.append(self._frames.finish())
        return self._hear(torch.cat(parts), ended=True)

    @torch.no_grad()
    def _hear(self, frames: Tensor, *, ended: bool) -> str:
        network = self._network
        stack, width = network.sizes.stack, network.width
        self._waiting = torch.cat([self._waiting, network.normalised(frames)])
        count = len(self._waiting)
        steps = max((count - width) // stack + 1, 0)
        if ended:
            steps = -(-count // stack)
            missing = max((steps - 1) * stack + width - count, 0)
            self._waiting = torch.cat([self._waiting, torch.zeros(missing, frames.shape[1])])
        if not steps:
            return ""
        inputs = self._waiting[: (steps - 1) * stack + width].unfold(0, width, stack)
        inputs = inputs.transpose(1, 2).flatten(1).unsqueeze(1)
        self._waiting = self._waiting[steps * stack :].clone()
        for first in range(0, steps, _AT_ONCE):
            part = inputs[first : first + _AT_ONCE]
            output, self._state = network.encoder.read(part, self._state)
            for symbol in network.ctc_logits(output)[:, 0].argmax(-1).tolist():
                if symbol not in (self._last, BLANK):
                    self.labels.append(symbol)
                self._last = symbol
        before, self.text = self.text, network.speller.decode(self.labels)
        return self.text[len(before) :]
