"""What changes log-mel frames in training."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

import conveyor
from conveyor.errors import SettingError
from conveyor.networks import FrameAugmentation


def _frames(steps: int = 60, batch: int = 3, bands: int = 40) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(steps, batch, bands, generator=draw) - 5


def test_nothing_changes_in_evaluation_and_at_strength_0() -> None:
    frames, lengths = _frames(), torch.tensor([60, 30, 0])
    for module in (FrameAugmentation().eval(), FrameAugmentation(0.0).train()):
        after, count = module(frames, lengths)
        assert after is frames
        assert count is lengths


def test_lengths_change_by_a_tenth_at_most() -> None:
    torch.manual_seed(0)
    module = FrameAugmentation().train()
    lengths = torch.full((400,), 100)
    after, count = module(torch.randn(100, 400, 8), lengths)
    assert int(count.min()) in (90, 91)
    assert int(count.max()) in (110, 111)
    assert len(after) == int(count.max())
    assert bool(after.isfinite().all())


def test_no_fewer_frames_are_left_than_labels_need() -> None:
    torch.manual_seed(0)
    lengths, least = torch.full((200,), 100), torch.full((200,), 100)
    _, count = FrameAugmentation(2.0).train()(torch.randn(100, 200, 8), lengths, least)
    assert int(count.min()) == 100
    _, count = FrameAugmentation(2.0).train()(torch.randn(100, 200, 8), lengths, least + 50)
    assert int(count.min()) == 100


def test_an_empty_sequence_stays_empty() -> None:
    torch.manual_seed(0)
    frames, count = FrameAugmentation().train()(_frames(), torch.tensor([60, 0, 1]))
    assert count[1:].tolist() == [0, 1]
    assert bool(frames.isfinite().all())


def test_what_stands_behind_the_end_does_not_count() -> None:
    lengths, module = torch.tensor([60, 30, 10]), FrameAugmentation().train()
    answers = []
    for filling in (0.0, 9.0):
        frames = _frames()
        frames[30:, 1], frames[10:, 2] = filling, filling
        torch.manual_seed(4)
        after, count = module(frames, lengths)
        counted = torch.arange(len(after))[:, None] < count
        answers.append(after * counted.unsqueeze(2))
    torch.testing.assert_close(answers[0], answers[1])


def test_the_same_seed_draws_the_same() -> None:
    module, lengths = FrameAugmentation().train(), torch.tensor([60, 60, 60])
    torch.manual_seed(1)
    first, _ = module(_frames(), lengths)
    torch.manual_seed(1)
    again, _ = module(_frames(), lengths)
    other, _ = module(_frames(), lengths)
    assert torch.equal(first, again)
    assert first.shape != other.shape or not torch.equal(first, other)


def test_bands_and_times_are_left_out() -> None:
    """What is left out is the mean of the sequence: of a loud tone little stays there."""
    torch.manual_seed(0)
    frames = torch.full((100, 200, 40), -20.0)
    frames[:, :, 0] = 5.0  # what the noise is measured by
    after, _ = FrameAugmentation().train()(frames, torch.full((200,), 100))
    same = (after[1:] == after[:-1]).all(0)
    assert 0 < float(same.float().mean()) < 0.5


def test_it_is_stored(tmp_path: Path) -> None:
    conveyor.save(FrameAugmentation(0.7), tmp_path)
    assert conveyor.load(tmp_path).strength == 0.7


def test_a_strength_out_of_range_is_refused() -> None:
    for strength in (-0.1, 2.1):
        with pytest.raises(SettingError, match="expected 0 to 2"):
            FrameAugmentation(strength)
