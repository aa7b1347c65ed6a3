"""A conditional random field that is given one step after the other."""

import torch
from torch import Tensor

from conveyor.networks.crf import CRF


class CRFStream:
    """The best tags of a sequence that grows, as ``CRF`` gives them to what is there so far: each
    step of the algorithms of Viterbi and of forward scores is done once.

    Args:
        crf: the field.
    """

    def __init__(self, crf: CRF) -> None:
        self._scores = crf.allowed_scores()
        self._best = self._forward = torch.empty(0)
        self._pointers: list[Tensor] = []
        self.steps = 0

    def add(self, emissions: Tensor) -> None:
        """Take one more step.

        Args:
            emissions: the score of each tag, [K].
        """
        start, between, _ = self._scores
        if self.steps:
            values, before = (self._best[:, None] + between).max(0)
            self._best = values + emissions
            self._forward = emissions + (self._forward[:, None] + between).logsumexp(0)
            self._pointers.append(before)
        else:
            self._best = self._forward = start + emissions
        self.steps += 1

    @property
    def tag(self) -> int:
        """The last of the best tags."""
        return int((self._best + self._scores.end).argmax())

    @property
    def tags(self) -> list[int]:
        """The best tags of all steps so far."""
        if not self.steps:
            return []
        tags = [self.tag]
        for before in reversed(self._pointers):
            tags.append(int(before[tags[-1]]))
        return tags[::-1]

    @property
    def chances(self) -> Tensor:
        """The probability of each tag at the last step, [K], when nothing after it is known."""
        return (self._forward + self._scores.end).softmax(-1)
