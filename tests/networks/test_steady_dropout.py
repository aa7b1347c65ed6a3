"""Dropout of the same features at all steps, and of all places of a word."""

import torch

from conveyor.networks.steady_dropout import locked_dropout, word_dropout


def test_a_feature_is_dropped_at_all_steps_of_a_sequence() -> None:
    torch.manual_seed(0)
    values = locked_dropout(torch.ones(7, 30, 40), 0.25)
    assert torch.equal(values, values[:1].expand(7, 30, 40))
    assert set(values.flatten().tolist()) == {0.0, torch.ones(()).div(0.75).item()}
    assert not torch.equal(values[:, 0], values[:, 1])  # each sequence its own
    assert abs(float((values[0] == 0).float().mean()) - 0.25) < 0.05
    assert torch.equal(locked_dropout(torch.ones(2, 3, 4), 0.0), torch.ones(2, 3, 4))


def test_a_word_is_dropped_at_all_its_places() -> None:
    torch.manual_seed(0)
    words = torch.randint(50, (30, 20))
    values = word_dropout(torch.ones(30, 20, 8), words, 50, 0.25)
    kept = [sorted(set(values[words == word].flatten().tolist())) for word in range(50)]
    assert all(len(each) == 1 for each in kept)  # one row of the mask for each word, all features
    dropped = sum(each == [0.0] for each in kept)
    assert 5 <= dropped <= 20
    assert {each[0] for each in kept} == {0.0, torch.ones(()).div(0.75).item()}
    assert torch.equal(word_dropout(torch.ones(30, 20, 8), words, 50, 0.0), torch.ones(30, 20, 8))
