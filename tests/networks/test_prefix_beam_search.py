"""Prefix beam search beside trying all paths."""

import math

import pytest
import torch
from torch import Tensor

from conveyor.errors import SettingError
from conveyor.networks.ctc import best_path, collapse
from conveyor.networks.prefix_beam_search import prefix_beam_search
from tests.networks.test_ctc import _by_trying

LANGUAGE = {0: [0.7, 0.3], 1: [0.1, 0.9], 2: [0.5, 0.5]}


def _scores(seed: int, steps: int = 5, symbols: int = 3) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    values = torch.randn(steps, symbols, dtype=torch.float64, generator=draw)
    return (2 * values).log_softmax(-1)


def _language(prefix: tuple[int, ...]) -> list[float]:
    return [math.log(chance) for chance in LANGUAGE[prefix[-1] if prefix else 0]]


@pytest.mark.parametrize("seed", range(10))
def test_with_all_prefixes_kept_it_is_exhaustive(seed: int) -> None:
    scores = _scores(seed)
    every = _by_trying(scores)
    ranked = sorted(every, key=lambda labels: -every[labels])
    found = prefix_beam_search(scores, beam=len(every), n_best=8)
    assert [each.labels for each in found] == ranked[:8]
    for each in found:
        assert each.log_probability == pytest.approx(math.log(every[each.labels]), abs=1e-9)
        assert each.score == each.log_probability


@pytest.mark.parametrize("seed", range(10))
def test_with_a_language_model_it_is_exhaustive_too(seed: int) -> None:
    scores, weight, bonus = _scores(seed), 0.8, 0.4
    every = _by_trying(scores)

    def score(labels: tuple[int, ...]) -> float:
        said = sum(_language(labels[:n])[label - 1] for n, label in enumerate(labels))
        return math.log(every[labels]) + weight * said + bonus * len(labels)

    best = max(every, key=score)
    (found,) = prefix_beam_search(
        scores, beam=len(every), language=_language, weight=weight, bonus=bonus
    )
    assert found.labels == best
    assert found.score == pytest.approx(score(best), abs=1e-9)
    assert found.log_probability == pytest.approx(math.log(every[best]), abs=1e-9)


def test_where_the_best_path_fails() -> None:
    scores = torch.tensor([[0.6, 0.4]] * 2, dtype=torch.float64).log()
    assert collapse(best_path(scores)) == []
    (found,) = prefix_beam_search(scores, beam=4)
    assert found.labels == (1,)
    assert math.exp(found.log_probability) == pytest.approx(0.64)


def test_a_second_label_needs_a_blank_between() -> None:
    scores = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.1, 0.9]], dtype=torch.float64).log()
    assert prefix_beam_search(scores, beam=8)[0].labels == (1, 1)
    scores = torch.tensor([[0.1, 0.9], [0.2, 0.8], [0.1, 0.9]], dtype=torch.float64).log()
    assert prefix_beam_search(scores, beam=8)[0].labels == (1,)


def test_certainty_and_impossibility_are_no_trouble() -> None:
    scores = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64).log()
    found = prefix_beam_search(scores, beam=4, n_best=4)
    assert [each.labels for each in found] == [(1, 2)]
    assert found[0].log_probability == 0


def test_a_language_model_is_asked_once_for_a_prefix() -> None:
    asked: list[tuple[int, ...]] = []

    def language(prefix: tuple[int, ...]) -> list[float]:
        asked.append(prefix)
        return _language(prefix)

    prefix_beam_search(_scores(1, steps=8), beam=6, language=language)
    assert len(asked) == len(set(asked)) > 6


def test_equal_scores_are_ordered_the_same_way() -> None:
    scores = torch.full((3, 4), 0.25, dtype=torch.float64).log()
    found = [each.labels for each in prefix_beam_search(scores, beam=40, n_best=40)]
    again = [each.labels for each in prefix_beam_search(scores, beam=40, n_best=40)]
    assert found == again
    of_one = [labels for labels in found if len(labels) == 1]
    assert of_one == [(1,), (2,), (3,)]


def test_no_step_is_the_empty_transcript() -> None:
    assert prefix_beam_search(torch.zeros(0, 3), beam=2)[0].labels == ()
    assert prefix_beam_search(torch.zeros(3, 1), beam=2)[0].labels == ()


def test_it_takes_more_prefixes_to_be_sure() -> None:
    """A small beam may miss the best, a larger one finds what is at least as likely."""
    worse = 0
    for seed in range(30):
        scores = _scores(seed, steps=6)
        chances = [prefix_beam_search(scores, beam=beam)[0].log_probability for beam in (1, 4, 200)]
        assert chances[2] >= max(chances[:2]) - 1e-9
        worse += chances[0] < chances[2] - 1e-9
    assert worse


@pytest.mark.parametrize(("beam", "n_best"), [(0, 1), (4, 5), (4, 0)])
def test_numbers_out_of_range_are_refused(beam: int, n_best: int) -> None:
    with pytest.raises(SettingError, match="n_best ≤ beam"):
        prefix_beam_search(torch.zeros(2, 2), beam=beam, n_best=n_best)
