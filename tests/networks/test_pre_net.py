"""What a decoder reads of the frame before."""

import pytest
import torch

from conveyor.errors import SettingError
from conveyor.networks import PreNet


def test_it_is_two_maps_with_relu() -> None:
    torch.manual_seed(0)
    net = PreNet(3, 4, dropout=0.5).eval()
    x = torch.randn(2, 5, 3)
    first = torch.relu(x @ net.first.weight.T + net.first.bias)
    expected = torch.relu(first @ net.second.weight.T + net.second.bias)
    torch.testing.assert_close(net(x), expected)


def test_a_generator_drops_when_sound_is_generated_too() -> None:
    net = PreNet(3, 400, dropout=0.25).eval()
    with torch.no_grad():
        net.second.weight.zero_()
        net.second.bias.fill_(3.0)
    x = torch.randn(50, 3)

    def dropped(seed: int) -> torch.Tensor:
        answer: torch.Tensor = net(x, torch.Generator().manual_seed(seed))
        return answer

    values = dropped(0)
    assert torch.equal(values, dropped(0))
    assert not torch.equal(values, dropped(1))
    assert set(values.flatten().tolist()) == {0.0, 4.0}
    assert float((values == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert float((net.train()(x) == 0).float().mean()) == pytest.approx(0.25, abs=0.02)


def test_arguments_out_of_range() -> None:
    for dropout in (1.5, 1.0, -0.1):  # what is kept is divided by its share, which 1 leaves none of
        with pytest.raises(SettingError, match="dropout"):
            PreNet(3, 4, dropout=dropout)
    with pytest.raises(SettingError, match="features"):
        PreNet(3, 0)
