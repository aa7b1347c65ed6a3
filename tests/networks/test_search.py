"""Searches beside the enumeration of all sequences, on models whose answer depends on all that was
written."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from conveyor.errors import SettingError, ShapeError
from conveyor.networks import (
    Hypothesis,
    beam_search,
    draw_tokens,
    greedy_search,
    sample,
    sampling_distribution,
    select_batch,
)
from conveyor.networks.beam_search import first_sorted, length_normaliser

# Tokens 0 and 1 are written, and END ends; a sequence begins with BEGIN.
END, BEGIN = 2, 3
LONGEST = 4


class TreeState(NamedTuple):
    """Which model each row is of, and what it has read as a number: every way of writing is a
    number of its own."""

    model: Tensor  # [N]
    read: Tensor  # [1, N, 1]: the batch is the second axis


class Tree:
    """Random models: log-probabilities of three symbols after every sequence that was written."""

    def __init__(self, seed: int, models: int = 1, sharp: float = 1.5) -> None:
        source = torch.Generator().manual_seed(seed)
        logits = sharp * torch.randn(models, 4**5, 3, generator=source, dtype=torch.float64)
        self.table = logits.log_softmax(-1)

    def start(self) -> TreeState:
        models = len(self.table)
        return TreeState(torch.arange(models), torch.zeros(1, models, 1, dtype=torch.long))

    @property
    def begin(self) -> Tensor:
        return torch.full((len(self.table),), BEGIN)

    def step(self, state: TreeState, tokens: Tensor) -> tuple[Tensor, TreeState]:
        """Read tokens."""
        read = 4 * state.read + tokens.view(1, -1, 1)
        return self.table[state.model, read[0, :, 0] % 4**5], TreeState(state.model, read)

    def written(self, model: int) -> Iterator[tuple[tuple[int, ...], float]]:
        """Yield every sequence that ends within four tokens with its log-probability."""
        for length in range(1, LONGEST + 1):
            for tokens in product((0, 1), repeat=length - 1):
                read, total = BEGIN, 0.0
                for token in (*tokens, END):
                    total += float(self.table[model, read % 4**5, token])
                    read = 4 * read + token
                yield tokens, total

    def best(self, model: int, alpha: float, count: int = 1) -> list[tuple[tuple[int, ...], float]]:
        """Return the sequences with the greatest log P / lp."""
        scored = [
            (tokens, total / ((5 + len(tokens) + 1) / 6) ** alpha)
            for tokens, total in self.written(model)
        ]
        return sorted(scored, key=lambda each: -each[1])[:count]


def search(tree: Tree, **options: Any) -> list[list[Hypothesis]]:
    options = {"end": END, "longest": LONGEST, **options}
    return beam_search(tree.step, tree.start(), tree.begin, **options)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0])
def test_a_beam_that_holds_all_is_enumeration(alpha: float) -> None:
    models = 300
    tree = Tree(0, models)
    results = search(tree, beam=81, n_best=3, length_penalty=alpha)
    for model, hypotheses in enumerate(results):
        expected = tree.best(model, alpha, 3)
        assert [each.tokens for each in hypotheses] == [tokens for tokens, _ in expected]
        assert [each.score for each in hypotheses] == pytest.approx([x for _, x in expected])
        assert all(each.finished for each in hypotheses)


def test_a_beam_of_one_is_greedy() -> None:
    tree = Tree(1, 300)
    greedy = greedy_search(tree.step, tree.start(), tree.begin, end=END, longest=LONGEST)
    beams = [hypotheses[0] for hypotheses in search(tree, beam=1)]
    assert [each.tokens for each in beams] == [each.tokens for each in greedy]
    assert [each.finished for each in beams] == [each.finished for each in greedy]
    for one, other in zip(beams, greedy, strict=True):
        assert one.log_probability == pytest.approx(other.log_probability)
    assert {each.finished for each in greedy} == {True, False}


def test_a_search_that_would_stop_when_k_are_finished_may_miss_the_best() -> None:
    """The answers of a beam that is stopped by the bound are never worse than those of one that is
    stopped at the K-th end, and sometimes better. The latter is written here."""
    tree, better = Tree(2, 200), 0
    for model, hypotheses in enumerate(search(tree, beam=2, length_penalty=1.0)):
        live, ended = [(0.0, BEGIN, 0)], []
        for length in range(1, LONGEST + 1):
            found = sorted(
                (total + float(tree.table[model, read % 4**5, token]), read, token)
                for total, read, _ in live
                for token in range(3)
            )[::-1]
            ended += [each[0] / length_normaliser(length, 1) for each in found[:2] if each[2] == 2]
            live = [(t, 4 * read + token, 0) for t, read, token in found if token != END][:2]
            if len(ended) >= 2:
                break
        if ended:
            assert hypotheses[0].score >= max(ended) - 1e-9
            better += hypotheses[0].score > max(ended) + 1e-9
    assert better > 0


def test_by_hand() -> None:
    """First a with .6 and b with .4; after a: the end .5, a .25, b .25; after b: the end .9."""
    chances = {BEGIN: [0.6, 0.4, 1e-9], 0: [0.25, 0.25, 0.5], 1: [0.05, 0.05, 0.9]}

    def step(state: None, tokens: Tensor) -> tuple[Tensor, None]:
        return torch.tensor([chances[int(token)] for token in tokens]).log(), state

    begin = torch.tensor([BEGIN])
    (greedy,) = greedy_search(step, None, begin, end=END, longest=6)
    assert greedy.tokens == (0,)
    assert math.exp(greedy.log_probability) == pytest.approx(0.3)
    ((best,),) = beam_search(step, None, begin, end=END, longest=6, beam=2)
    assert best.tokens == (1,)
    assert math.exp(best.log_probability) == pytest.approx(0.36)


@pytest.mark.parametrize(
    ("alpha", "values"),
    [(0.6, [1, 1.3587, 1.7329, 2.3544]), (1.0, [1, 1.6667, 2.5, 4.1667])],
)
def test_what_lengths_are_divided_by(alpha: float, values: list[float]) -> None:
    found = [length_normaliser(length, alpha) for length in (1, 5, 10, 20)]
    assert found == pytest.approx(values, abs=1e-4)


@pytest.mark.parametrize(
    ("alpha", "tokens", "score"),
    [(0.0, (0,), -2.0), (0.6, (0,), -1.8233), (1.0, (1, 0, 0, 0), -1.56)],
)
def test_the_length_penalty(alpha: float, tokens: tuple[int, ...], score: float) -> None:
    """Of two ways, (log P, |Y|) are (-2, 2) and (-2.6, 5)."""
    nothing, sure = -math.inf, 0.0
    ways = {(): [-1.0, -1.3, nothing], (0,): [nothing, nothing, -1.0]}
    ways |= {(1,): [-1.3, nothing, nothing], (1, 0): [sure, nothing, nothing]}
    ways |= {(1, 0, 0): [sure, nothing, nothing], (1, 0, 0, 0): [nothing, nothing, sure]}

    def step(state: list[Any], read: Tensor) -> tuple[Tensor, list[Any]]:
        after = [
            past if token == BEGIN else (*past, token)
            for past, token in zip(state, read.tolist(), strict=True)
        ]
        return torch.tensor([ways[past] for past in after], dtype=torch.float64), after

    ((best,),) = beam_search(
        step,
        [()],
        torch.tensor([BEGIN]),
        end=END,
        longest=9,
        beam=3,
        length_penalty=alpha,
        select=lambda state, rows: [state[row] for row in rows.tolist()],
    )
    assert best.tokens == tokens
    assert best.score == pytest.approx(score, abs=1e-4)


def covering(rows: list[list[float]]) -> Callable[[Any, Tensor], tuple[Tensor, Any]]:
    """Return a model that writes 0 and ends after as many steps as there are rows of attention."""

    def step(state: Tensor, read: Tensor) -> tuple[Tensor, Tensor]:
        place = int(state[0, 0, -1]) + 1
        last = place == len(rows)
        chances = torch.tensor([[0.5, 0.0, 0.5]] if last else [[1.0, 0.0, 0.0]])
        weights = torch.tensor([[[*rows[place - 1], place]]], dtype=torch.float64)
        return chances.log().expand(len(read), -1), weights.expand(-1, len(read), -1)

    return step


def test_the_coverage_penalty_counts_true_places() -> None:
    """Attention (.6, .4), (.5, .5) covers the second place with .9: β ln .9. A third place is
    padding."""
    ((best,),) = beam_search(
        covering([[0.6, 0.4, 0.0], [0.5, 0.5, 0.0]]),
        torch.zeros(1, 1, 4, dtype=torch.float64),
        torch.tensor([BEGIN]),
        end=END,
        longest=2,
        beam=1,
        coverage_penalty=0.2,
        attention=lambda state: state[0, :, :3],
        source_lengths=torch.tensor([2]),
    )
    assert best.score - best.log_probability == pytest.approx(-0.0210721, abs=1e-7)
    assert best.attention is not None
    assert best.attention.tolist() == [[0.6, 0.4], [0.5, 0.5]]


def test_a_batch_is_one_by_one_and_ends_at_lengths_of_each() -> None:
    tree = Tree(3, 40)
    longest = torch.arange(40) % 4 + 1
    options: dict[str, Any] = {"beam": 3, "n_best": 2, "length_penalty": 0.6}
    together = search(tree, longest=longest, **options)
    for model, hypotheses in enumerate(together):
        alone = Tree(3, 40)
        alone.table = tree.table[model : model + 1]
        (expected,) = search(alone, longest=int(longest[model]), **options)
        assert [each.tokens for each in hypotheses] == [each.tokens for each in expected]
        scores = [each.score for each in expected]
        assert [each.score for each in hypotheses] == pytest.approx(scores)
        assert all(len(each.tokens) + each.finished <= longest[model] for each in hypotheses)


def test_equal_candidates_are_taken_in_order() -> None:
    """All tokens are equally likely at every step: of the parents the first, then of tokens."""

    def step(state: None, read: Tensor) -> tuple[Tensor, None]:
        return torch.full((len(read), 3), 1 / 3).log(), state

    (hypotheses,) = beam_search(
        step, None, torch.tensor([BEGIN]), end=END, longest=3, beam=3, n_best=3, shortest=2
    )
    assert [each.tokens for each in hypotheses] == [(0,), (0, 0)]
    (greedy,) = greedy_search(step, None, torch.tensor([BEGIN]), end=END, longest=3)
    assert greedy.tokens == (0, 0, 0)
    assert not greedy.finished


@pytest.mark.parametrize("count", [1, 4, 10])
def test_the_first_of_equal_values(count: int) -> None:
    source = torch.Generator().manual_seed(0)
    values = torch.randint(0, 4, (50, 10), generator=source).double()
    values[values == 0] = -torch.inf
    expected, places = values.sort(dim=1, descending=True, stable=True)
    ordered, where = first_sorted(values, count)
    torch.testing.assert_close(ordered, expected[:, :count])
    assert torch.equal(where, places[:, :count])


def test_what_may_not_be_written_is_not() -> None:
    tree = Tree(4, 60)
    for hypotheses in search(tree, beam=4, n_best=4, forbidden=[1], shortest=3):
        for each in hypotheses:
            assert 1 not in each.tokens
            assert len(each.tokens) >= 2
    greedy = greedy_search(
        tree.step, tree.start(), tree.begin, end=END, longest=4, forbidden=[1], shortest=3
    )
    assert all(set(each.tokens) == {0} and len(each.tokens) >= 2 for each in greedy)


def test_what_is_cut_off_takes_part_if_nothing_was_finished() -> None:
    tree = Tree(5, 30)
    for hypotheses in search(tree, beam=3, n_best=3, longest=2, shortest=3):
        assert len(hypotheses) == 3
        assert not any(each.finished for each in hypotheses)
        assert all(len(each.tokens) == 2 for each in hypotheses)
        scores = [each.score for each in hypotheses]
        assert scores == sorted(scores, reverse=True)


def test_scores_are_those_of_the_model() -> None:
    tree = Tree(6, 20)
    chances = [dict(tree.written(model)) for model in range(20)]
    for known, hypotheses in zip(chances, search(tree, beam=4, n_best=4), strict=True):
        for each in hypotheses:
            assert each.log_probability == pytest.approx(known[each.tokens])


# Drawing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"top_p": 0.7}, [0.5, 0.3, 0, 0]),
        ({"top_p": 0.1}, [0.5, 0, 0, 0]),
        ({}, [0.5, 0.3, 0.15, 0.05]),
        ({"top_k": 2}, [0.625, 0.375, 0, 0]),
        ({"top_k": 2, "top_p": 0.6}, [0.625, 0, 0, 0]),
        ({"top_k": 9}, [0.5, 0.3, 0.15, 0.05]),
        ({"temperature": 0.5}, [0.25 / 0.365, 0.09 / 0.365, 0.0225 / 0.365, 0.0025 / 0.365]),
        ({"temperature": 1e-300}, [1.0, 0, 0, 0]),
    ],
)
def test_what_is_drawn_from(options: Any, expected: list[float]) -> None:
    logits = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))
    torch.testing.assert_close(sampling_distribution(logits, **options), torch.tensor(expected))
    back = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(
        sampling_distribution(logits[back] - 7, **options), torch.tensor(expected)[back]
    )


def test_of_equal_ones_the_first_are_kept() -> None:
    equal = torch.zeros(40)
    assert sampling_distribution(equal, top_k=3).nonzero().flatten().tolist() == [0, 1, 2]


def test_what_is_drawn_follows_the_model() -> None:
    tree, count = Tree(7), 4000
    begin = torch.full((count,), BEGIN)
    state = TreeState(torch.zeros(count, dtype=torch.long), torch.zeros(1, count, 1).long())
    drawn = sample(
        tree.step,
        state,
        begin,
        end=END,
        longest=LONGEST,
        generator=torch.Generator().manual_seed(0),
    )
    chances = dict(tree.written(0))
    for tokens, log_probability in chances.items():
        share = sum(each.finished and each.tokens == tokens for each in drawn) / count
        assert share == pytest.approx(math.exp(log_probability), abs=0.03)
    for each in drawn:
        if each.finished:
            assert each.log_probability == pytest.approx(chances[each.tokens])
    repeated = [
        sample(
            tree.step,
            tree.start(),
            tree.begin,
            end=None,
            longest=30,
            generator=torch.Generator().manual_seed(5),
        )[0].tokens
        for _ in range(2)
    ]
    assert repeated[0] == repeated[1]
    assert len(repeated[0]) == 30


def test_drawing_from_the_likeliest_alone_is_greedy() -> None:
    tree = Tree(8, 30)
    drawn = sample(tree.step, tree.start(), tree.begin, end=END, longest=LONGEST, top_k=1)
    assert drawn == greedy_search(tree.step, tree.start(), tree.begin, end=END, longest=LONGEST)
    assert draw_tokens(torch.tensor([[0.0, 9.0], [9.0, 0.0]]), top_k=1).tolist() == [1, 0]


# States and errors ----------------------------------------------------------------------------


def test_states_of_some_of_a_batch() -> None:
    state = {"a": [torch.arange(6).view(1, 3, 2), None], "b": (torch.arange(3),)}
    selected = select_batch(state, torch.tensor([2, 0, 2]))
    assert selected["a"][0].tolist() == [[[4, 5], [0, 1], [4, 5]]]
    assert selected["a"][1] is None
    assert selected["b"][0].tolist() == [2, 0, 2]
    kind = TreeState(torch.arange(3), torch.zeros(1, 3, 1))
    assert isinstance(select_batch(kind, torch.tensor([1])), TreeState)
    with pytest.raises(SettingError, match="the state holds a str; expected tensors"):
        select_batch({"a": "b"}, torch.tensor([0]))


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"beam": 0}, SettingError, "beam is 0"),
        ({"n_best": 6}, SettingError, "n_best is 6; expected 5 or less"),
        ({"length_penalty": -1.0}, SettingError, "length_penalty is -1.0; expected a number from"),
        ({"coverage_penalty": 0.2}, SettingError, "without attention or source_lengths"),
        ({"longest": 0}, SettingError, "longest is 0; expected a whole number from 1"),
        ({"longest": torch.tensor([3, 3])}, ShapeError, r"longest is \[2\]; expected a number"),
        ({"shortest": -1}, SettingError, "shortest is -1"),
        ({"end": 3}, SettingError, "token 3 is forbidden or the end; step knows tokens 0 to 2"),
        ({"forbidden": [0, 1, 2]}, SettingError, "nothing may be written for sequence 0"),
        ({"source_lengths": torch.tensor([1, 2])}, ShapeError, r"source_lengths is \[2\]"),
    ],
)
def test_what_a_search_refuses(options: Any, kind: Any, text: str) -> None:
    with pytest.raises(kind, match=text):
        search(Tree(0), **options)


def answering(answer: Tensor, state: None, tokens: Tensor) -> tuple[Tensor, None]:
    """Read a token and give an answer whatever it is."""
    return answer, state


def test_what_a_model_may_not_give() -> None:
    begin = torch.tensor([0])
    for wrong in ([2.0, 0.0, 0.0], [-1.0, math.nan, -1.0]):
        given = torch.tensor([wrong])
        with pytest.raises(SettingError, match="no logarithm of a probability"):
            greedy_search(partial(answering, given), None, begin, end=END, longest=3)
    tree = Tree(0)
    with pytest.raises(SettingError, match="no token may be written at step 1"):
        greedy_search(tree.step, tree.start(), tree.begin, end=END, longest=3, forbidden=[0, 1, 2])
    with pytest.raises(ShapeError, match=r"begin is \[\] of torch.int64"):
        greedy_search(tree.step, tree.start(), torch.tensor(3), end=END, longest=3)
    with pytest.raises(SettingError, match="temperature is 0"):
        sampling_distribution(torch.zeros(3), temperature=0)
