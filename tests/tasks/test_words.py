"""Vectors of words: what they must learn, the parts of the loss by hand and by differences, and
what is said of bad text."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

import conveyor
from conveyor.data import text_blocks
from conveyor.data.word_vectors import read_word_vectors
from conveyor.errors import ConveyorError, DataError, RunError, SettingError
from conveyor.inside.inspect_run import inspect_run
from conveyor.tasks.run import VECTORS
from conveyor.tasks.words import word_learning
from conveyor.tasks.words.held_pairs import HeldPairs
from conveyor.tasks.words.nearest_words import NearestWords
from conveyor.tasks.words.pmi_vectors import neighbour_counts, pmi_vectors, positive_pmi
from conveyor.tasks.words.prepared_words import Stretches, prepared_words
from conveyor.tasks.words.window_model import NOISE, WindowModel
from conveyor.tasks.words.windows import Blocks, blocks_of, drawn, kept_shares, noise_shares
from conveyor.tasks.words.word_learning import WordLearning, vectors_text
from conveyor.tasks.words.word_list import WordList
from conveyor.tasks.words.words_reading import WordsReading
from conveyor.tasks.words.words_report import frequent_words, principal
from conveyor.tasks.words.words_settings import WordsData, WordsSettings, WordsTraining
from conveyor.training.fitter import clip_sparse
from tests.heard import Heard
from tests.reviews import write_reviews
from tests.serving.asking import serving
from tests.word_texts import WORLDS, world_text, write_worlds

# torch's own optimisers make sparse tensors without saying whether they are checked.
pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks")

MODELS = ("skip-gram", "cbow")
QUICK: dict[str, Any] = {"dim": 6, "epochs": 1, "min_count": 1}


def words_of(text: str, least: int = 1) -> WordList:
    """Return the words of a text."""
    return WordList.of([text], "word", lower=True, least=least, most=None)


def model_of(model: str, words: WordList, **sizes: Any) -> WindowModel:
    """Return a model in float64 whose vectors are random."""
    torch.manual_seed(0)
    network = WindowModel(words, model=model, **sizes).double()
    for weight in network.parameters():
        torch.nn.init.normal_(weight)
    return network


def fitted(source: Path, **settings: Any) -> Any:
    """Return a run, quickly fitted unless settings say otherwise."""
    return conveyor.fit("words", source, say=Heard(), **{**QUICK, **settings})


# What is learned.


@pytest.mark.parametrize("model", MODELS)
def test_two_worlds_that_never_meet_come_apart(tmp_path: Path, model: str) -> None:
    source = write_worlds(tmp_path / "worlds.txt", paragraphs=120)
    run = fitted(
        source,
        min_count=5,
        model=model,
        dim=10,
        window=3,
        subsample=0,
        batch=1,
        epochs=40,
        patience=40,
    )
    table, numbers = run.model.table(), run.model.words.numbers
    animals, metals = ([table[numbers[word]] for word in world] for world in WORLDS)
    for world in (animals, metals):
        assert min(float(cosine_similarity(world[0], other, 0)) for other in world) > 0.9
    assert max(float(cosine_similarity(a, m, 0)) for a in animals for m in metals) < 0.3
    # All four of a world, and none of the other, are told from noise.
    assert run.metrics["scores"][0]["rows"][model]["auc"] > 0.7
    near = next(iter(run.answers(["ant"], n_best=3)))
    assert {each.split("=")[0] for each in near.split("\t")} == {"bee", "cow", "dog"}


# The parts of the loss.


def by_hand(network: WindowModel, blocks: Blocks, noise: Tensor) -> float:
    """Return the loss by the formula, pair by pair."""
    v, u = network.vectors.weight.detach(), network.contexts.weight.detach()
    k = network.sizes.negative
    total, pairs = 0.0, 0
    for row in range(len(blocks.numbers)):
        for place, centre in enumerate(blocks.centres[row].tolist()):
            around = blocks.numbers[row][blocks.near[row, place]].tolist()
            if network.sizes.model == "cbow":
                asked = [(v[around].mean(0), centre)] if around else []
            else:
                asked = [(v[centre], context) for context in around]
            for vector, true in asked:
                total -= math.log(1 / (1 + math.exp(-float(vector @ u[true]))))
                refused = [-math.log(1 / (1 + math.exp(float(vector @ u[n])))) for n in noise[row]]
                total += k * sum(refused) / len(refused)
                pairs += 1
    return total / pairs


def blocks_and_noise(words: WordList, text: str) -> tuple[Blocks, Tensor]:
    numbers, _ = words.encode(text)
    draw = torch.Generator().manual_seed(3)
    blocks = blocks_of(numbers, torch.ones(len(words)), window=3, length=5, draw=draw)
    return blocks, torch.randint(0, len(words), (len(blocks.numbers), 4), generator=draw)


TEXT = "a b c a d e b a c f\n\nb c a g h"


@pytest.mark.parametrize("model", MODELS)
def test_the_loss_is_the_formula(model: str) -> None:
    words = words_of(TEXT)
    network = model_of(model, words, dim=4, window=3, negative=5)
    blocks, noise = blocks_and_noise(words, TEXT)
    loss = network.loss_of(blocks, noise)
    assert loss.value.item() == pytest.approx(by_hand(network, blocks, noise), rel=1e-12)
    counted = blocks.near.any(-1).sum() if model == "cbow" else blocks.near.sum()
    assert loss.count == int(counted) > 0


@pytest.mark.parametrize("model", MODELS)
def test_the_gradient_is_that_of_differences(model: str) -> None:
    words = words_of(TEXT)
    network = model_of(model, words, dim=3, window=3, negative=2)
    blocks, noise = blocks_and_noise(words, TEXT)
    network.loss_of(blocks, noise).value.backward()  # type: ignore[no-untyped-call]
    step = 1e-6
    for weight in network.parameters():
        assert weight.grad is not None
        assert weight.grad.is_sparse
        gradient = weight.grad.to_dense()
        for index in np.ndindex(*weight.shape):
            with torch.no_grad():
                weight[index] += step
                above = network.loss_of(blocks, noise).value.item()
                weight[index] -= 2 * step
                below = network.loss_of(blocks, noise).value.item()
                weight[index] += step
            difference = (above - below) / (2 * step)
            assert float(gradient[index]) == pytest.approx(difference, abs=1e-7)


def test_a_skip_gram_step_by_hand() -> None:
    """∂loss/∂v_w = Σ_c (σ(u_c·v_w) − 1) u_c + k·mean_n σ(u_n·v_w) u_n, for one pair."""
    words = words_of("a b")
    network = model_of("skip-gram", words, dim=3, window=1, negative=3)
    near = torch.tensor([[[False, False, True]]])
    blocks = Blocks(torch.tensor([[0, 0, 1]]), near, 1)
    noise = torch.tensor([[0, 1]])
    network.loss_of(blocks, noise).value.backward()  # type: ignore[no-untyped-call]
    v, u = network.vectors.weight.detach()[0], network.contexts.weight.detach()
    sigma = torch.sigmoid(u @ v)
    expected = (sigma[1] - 1) * u[1] + 3 * (sigma[0] * u[0] + sigma[1] * u[1]) / 2
    gradient = network.vectors.weight.grad
    assert gradient is not None
    torch.testing.assert_close(gradient.to_dense()[0], expected)


def test_noise_is_drawn_by_counts_to_three_quarters() -> None:
    shares = noise_shares(torch.tensor([16, 81, 1]))
    assert shares.tolist() == pytest.approx([8 / 36, 27 / 36, 1 / 36])
    draws = drawn(shares.cumsum(0), (60_000,), torch.Generator().manual_seed(0))
    times = torch.bincount(draws, minlength=3) / 60_000
    assert times.tolist() == pytest.approx(shares.tolist(), abs=0.01)


def test_of_frequent_words_a_share_is_kept() -> None:
    """√(t/f), not word2vec's code's (√(f/t) + 1)·t/f."""
    counts = torch.tensor([900, 90, 10])
    assert kept_shares(counts, 0.01).tolist() == pytest.approx(
        [math.sqrt(0.01 / 0.9), math.sqrt(0.01 / 0.09), 1.0]
    )
    assert kept_shares(counts, 0).tolist() == [1, 1, 1]
    numbers, kept = torch.zeros(40_000, dtype=torch.long), torch.tensor([0.25])
    blocks = blocks_of(numbers, kept, window=1, draw=torch.Generator().manual_seed(0))
    # Each word but the last two has two neighbours in a window of one.
    assert float(blocks.near.sum()) / 2 / 40_000 == pytest.approx(0.25, abs=0.01)


def test_windows_are_drawn_from_one_to_c() -> None:
    numbers = torch.zeros(30_000, dtype=torch.long)
    draw = torch.Generator().manual_seed(0)
    blocks = blocks_of(numbers, torch.ones(1), window=4, draw=draw)
    sizes = Counter((blocks.near.sum(-1) // 2).flatten()[10:29_000].tolist())
    assert sorted(sizes) == [1, 2, 3, 4]
    for size in sizes:
        assert sizes[size] / sizes.total() == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("length", [1, 3, 5, 64])
def test_windows_by_brute_force(length: int) -> None:
    """With windows of one every neighbour is known, wherever blocks end."""
    numbers = torch.tensor([0, 1, 2, 5, 3, 4, 0, 5, 1, 5])  # 5 is a boundary
    blocks = blocks_of(numbers, torch.ones(5), window=1, length=length)
    pairs = []
    for row, place, other in blocks.near.nonzero().tolist():
        pairs.append((int(blocks.centres[row, place]), int(blocks.numbers[row, other])))
    expected = [(0, 1), (1, 0), (1, 2), (2, 1), (3, 4), (4, 3), (4, 0), (0, 4)]
    assert sorted(pairs) == sorted(expected)


def test_windows_reach_over_what_is_dropped() -> None:
    numbers = torch.tensor([0, 1, 0])
    kept = torch.tensor([1.0, 0.0])
    blocks = blocks_of(numbers, kept, window=1, length=4)
    assert int(blocks.near.sum()) == 2


def test_noise_stands_for_k_words() -> None:
    words = words_of(world_text(8))
    network = model_of("skip-gram", words, dim=3, negative=1)
    blocks, _ = blocks_and_noise(words, world_text(1))
    noise = torch.zeros(len(blocks.numbers), NOISE, dtype=torch.long)
    one = network.loss_of(blocks, noise).value.item()
    once = network.loss_of(blocks, noise[:, :1]).value.item()
    assert one == pytest.approx(once)


def test_a_step_changes_only_the_vectors_of_its_words() -> None:
    many = tuple(f"w{number}" for number in range(200_000))
    words = WordList(words_of("a").tokenizer, many, tuple(range(200_000, 0, -1)))
    network = WindowModel(words, dim=4, subsample=0)
    before = network.table().clone()
    torch.nn.init.normal_(network.contexts.weight)
    optimizer = network.optimizer(0.1)
    network.train().loss(torch.tensor([3, 7, 150_000, 9])).value.backward()  # type: ignore[no-untyped-call]
    clip_sparse(list(network.parameters()), 1.0)
    optimizer.step()
    changed = (network.table() != before).any(1).nonzero().flatten().tolist()
    assert changed == [3, 7, 9, 150_000]


def test_sparse_gradients_are_clipped_together() -> None:
    network = model_of("skip-gram", words_of(TEXT), dim=3)
    blocks, noise = blocks_and_noise(network.words, TEXT)
    network.loss_of(blocks, noise).value.backward()  # type: ignore[no-untyped-call]
    dense = torch.cat(
        [p.grad.to_dense().flatten() for p in network.parameters() if p.grad is not None]
    )
    clip_sparse(list(network.parameters()), 0.01)
    clipped = torch.cat(
        [p.grad.to_dense().flatten() for p in network.parameters() if p.grad is not None]
    )
    torch.testing.assert_close(clipped, dense * 0.01 / (dense.norm() + 1e-6))


def test_scoring_draws_the_same_each_time_and_training_does_not() -> None:
    network = model_of("skip-gram", words_of(world_text()), dim=3)
    stretch, _ = network.words.encode(world_text(4))
    assert network.eval().loss(stretch).value == network.loss(stretch).value
    network.train()
    assert network.loss(stretch).value != network.loss(stretch).value


# What is counted.


def test_neighbours_are_counted_as_training_draws_them() -> None:
    """Place by place: a window of C reaches so far with probability (C − apart + 1)/C, and both
    places must be kept."""
    draw = torch.Generator().manual_seed(0)
    numbers = torch.randint(0, 5, (60,), generator=draw)  # 4 is a boundary
    kept = torch.tensor([1.0, 0.5, 0.25, 1.0])
    expected = torch.zeros(4, 4, dtype=torch.double)
    parts, part = [], 0
    for number in numbers.tolist():
        part += number == 4
        if number < 4:
            parts.append((number, part))
    for place, (one, of) in enumerate(parts):
        for other, (two, in_) in enumerate(parts):
            apart = abs(place - other)
            if 0 < apart <= 3 and of == in_:
                expected[one, two] += float(kept[one] * kept[two]) * (4 - apart) / 3
    torch.testing.assert_close(neighbour_counts(numbers, kept, 3).to_dense(), expected)


def test_a_decomposition_of_full_rank_is_the_information_itself() -> None:
    numbers = torch.randint(0, 6, (400,), generator=torch.Generator().manual_seed(1))
    kept, noise = torch.ones(6), noise_shares(torch.bincount(numbers))
    counts = neighbour_counts(numbers, kept, 2)
    dense = counts.to_dense()
    expected = (dense / dense.sum(1, keepdim=True) / noise).log().clamp(min=0)
    torch.testing.assert_close(positive_pmi(counts, noise).to_dense(), expected.float())
    vectors = pmi_vectors(numbers, kept, noise, window=2, dim=6)
    every = torch.arange(6)
    scores = vectors.scores(every.repeat_interleave(6), every.repeat(6)).view(6, 6)
    torch.testing.assert_close(scores, expected.float(), atol=1e-5, rtol=1e-4)
    again = pmi_vectors(numbers, kept, noise, window=2, dim=6)
    assert torch.equal(again.vectors, vectors.vectors)


def test_pairs_are_scored_by_how_often_the_true_one_is_higher() -> None:
    pairs = HeldPairs(torch.tensor([0, 0]), torch.tensor([1, 2]), torch.tensor([[2, 3], [2, 1]]))
    value = torch.tensor([0.0, 3.0, 2.0, 1.0])
    # 3 is above 2 and 1; 2 is as high as 2, and below 3.
    higher, nats = pairs.row(lambda _, contexts: value[contexts], shift=0.5)
    assert higher == pytest.approx(2.5 / 4)

    def surprise(score: float) -> float:
        return math.log(1 + math.exp(-score))

    first = surprise(2.5) + surprise(-1.5) + surprise(-0.5)
    second = surprise(1.5) + surprise(-1.5) + surprise(-2.5)
    assert nats == pytest.approx((first + second) / 2)


def test_samples_are_of_stretches_of_the_text() -> None:
    draw = torch.Generator().manual_seed(0)
    true, noise = torch.zeros(400, dtype=torch.long), torch.ones(400, 1, dtype=torch.long)
    # Of each stretch of 40 pairs all are told, or none is; 6 of 10 stretches are.
    told = (torch.arange(10) < 6).repeat_interleave(40)

    def scorer(words: Tensor, contexts: Tensor) -> Tensor:
        return torch.where(contexts == 0, told[words], 0.5)

    words = torch.arange(400)
    in_stretches = HeldPairs(words, true, noise, words // 40).samples(scorer)
    alone = HeldPairs(words, true, noise).samples(scorer)
    assert in_stretches.std() == pytest.approx(math.sqrt(0.6 * 0.4 / 10), rel=0.1)
    assert alone.std() == pytest.approx(math.sqrt(0.6 * 0.4 / 400), rel=0.1)
    numbers = torch.randint(0, 20, (3_000,), generator=draw)
    pairs = HeldPairs.of(numbers, torch.ones(20), torch.full((20,), 0.05), window=2, negative=1)
    assert pairs.stretches is not None
    assert pairs.stretches.unique().tolist() == list(range(500))  # type: ignore[no-untyped-call]


def test_what_may_be_chance_is_no_victory(tmp_path: Path) -> None:
    run = fitted(write_worlds(tmp_path / "w.txt"), epochs=1, learning_rate=1e-6)
    (scores,) = run.metrics["scores"]
    low, high = run.metrics["auc_interval"]
    assert low < scores["rows"]["skip-gram"]["auc"] < high
    assert "95 % interval: " in scores["verdict"]
    assert "The baseline wins: PMI + SVD" in scores["verdict"]  # far apart, for hardly learned
    task = WordLearning.prepare(tmp_path / "w.txt", WordsSettings.of(QUICK), Heard())
    like = {"another": lambda words, contexts: run.model.scores(words, contexts) + 1e-9}
    told, _ = word_learning._scores(run.model, task._pairs, like, None)
    assert told.verdict.en.startswith("skip-gram and another cannot be distinguished")
    results = run.evaluate(tmp_path / "w.txt", say=Heard())
    assert results.details["auc_interval"] == pytest.approx([low, high])


# Texts.


def test_words_are_numbered_by_how_frequent_they_are() -> None:
    words = words_of("b a b. A c, c!", least=2)
    assert words.words == ("a", "b", "c")
    assert words.counts == (2, 2, 2)
    numbers, unknown = words.encode("A b\nx c\n\nb")
    assert numbers.tolist() == [0, 1, 2, 3, 1]
    assert unknown == 1


def test_a_large_text_is_read_as_one_that_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_worlds(tmp_path / "worlds.txt", paragraphs=80)
    held = prepared_words(source, WordsData(min_count=1), Heard())
    monkeypatch.setattr(text_blocks, "LARGE", 100)
    monkeypatch.setattr(text_blocks, "BLOCK", 512)
    heard = Heard()
    large = prepared_words(source, WordsData(min_count=1), heard)
    assert "is large" in heard.text
    assert large.words == held.words
    for one, other in ((large.known, held.known), (large.asked, held.asked)):
        words = [number for number in one.numbers[0 : len(one.numbers)].tolist() if number < 8]
        assert words == [number for number in other.numbers[0 : 10**9].tolist() if number < 8]
        assert one.words == other.words


def test_stretches_are_all_words_once() -> None:
    stretches = Stretches(torch.arange(1_100), 512)
    assert torch.equal(
        torch.cat([stretches[n] for n in range(len(stretches))]), torch.arange(1_100)
    )


# The run.


def test_vectors_go_into_a_classifier(tmp_path: Path) -> None:
    """The whole circle: vectors of a text, read by another task."""
    text = tmp_path / "reviews.txt"
    reviews = write_reviews(tmp_path / "reviews.csv")
    text.write_text(reviews.read_text(encoding="utf-8") * 5, encoding="utf-8")
    run = fitted(text, out=tmp_path / "words")
    path = tmp_path / "words" / VECTORS
    read = read_word_vectors(path, run.model.words.words)
    assert read.features == 6
    assert set(read.of) == set(run.model.words.words)
    for word, vector in read.of.items():
        expected = run.model.table()[run.model.words.numbers[word]].numpy()
        np.testing.assert_allclose(vector, expected, rtol=1e-5)
    heard = Heard()
    other = conveyor.fit("classify", reviews, vectors=str(path), epochs=1, hidden=4, say=heard)
    assert other.task == "classify"
    assert "vector" in heard.text


def test_the_same_seed_gives_the_same_vectors(tmp_path: Path) -> None:
    source = write_worlds(tmp_path / "worlds.txt")
    one, other = (fitted(source) for _ in range(2))
    assert torch.equal(one.model.table(), other.model.table())
    loaded = conveyor.load(one.folder)
    assert torch.equal(loaded.model.table(), one.model.table())
    assert vectors_text(loaded.model) == vectors_text(one.model)
    assert loaded.model.program is None


def test_a_run_has_no_cell(tmp_path: Path) -> None:
    source = write_worlds(tmp_path / "worlds.txt")
    run = fitted(source, out=tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoints" / "cell.json").exists()
    assert "cell" not in (tmp_path / "run" / "settings.toml").read_text(encoding="utf-8")
    assert "inspect" not in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")[-3000:]
    with pytest.raises(RunError, match="without a recurrent cell"):
        inspect_run(run, say=Heard())
    with pytest.raises(SettingError, match="cell"):
        fitted(source, cell="lstm")


def test_the_text_of_the_run_is_scored_as_it_was(tmp_path: Path) -> None:
    source = write_worlds(tmp_path / "worlds.txt")
    run = fitted(source)
    again = run.evaluate(source, say=Heard()).scores[0].rows
    stored = run.metrics["scores"][0]["rows"]
    assert {name: row[0] for name, row in again.items()} == {
        name: row["auc"] for name, row in stored.items()
    }
    assert list(again) == ["skip-gram", "PMI + SVD", "word counts"]
    other = write_worlds(tmp_path / "other.txt", paragraphs=10)
    heard = Heard()
    rows = run.evaluate(other, say=heard).scores[0].rows
    assert list(rows) == ["skip-gram", "word counts"]
    assert "100.0 % of its words have a vector" in heard.text


def test_neighbours_and_sums() -> None:
    words = words_of("a b c d e")
    vectors = torch.tensor([[1.0, 0], [0.9, 0.1], [0, 1], [0.1, 0.9], [-1, -1]])
    nearest = NearestWords(words, vectors)
    assert nearest.answer("A", 2).neighbours == ["b", "d"]
    assert nearest.answer("a", 2).cosines[0] == pytest.approx(0.9 / math.hypot(0.9, 0.1))
    assert nearest.answer("b - a + c", 1).neighbours == ["d"]
    assert nearest.answer("a zebra", 2).line() == "not known: zebra"
    assert nearest.answer("", 2).line() == ""
    for same in ("b -a +c", "+b - a c", "+b -a c"):
        assert nearest.answer(same, 3) == nearest.answer("b - a + c", 3)
    opposite = 1 / math.hypot(0.9, 0.1) / math.sqrt(2)
    assert nearest.answer("-e", 1).cosines[0] == pytest.approx(opposite)
    assert nearest.answer("a - a", 2).line() == (
        "the sum is nothing: it has no direction, and no neighbours"
    )
    assert nearest.answer("a + b -b -a", 2).neighbours == []
    assert nearest.answer("a -", 2).line() == "no word stands behind the -"
    assert nearest.answer("a - + b", 2).line() == "no word stands behind the -"
    assert nearest.answer("a -zebra", 2).line() == "not known: zebra"
    assert len(nearest.answer("a", 64).neighbours) == 4
    assert [[w for w, _ in near] for near in nearest.of_numbers([0, 2], 1)] == [["b"], ["d"]]


def test_a_text_without_a_known_word_is_refused(tmp_path: Path) -> None:
    run = fitted(write_worlds(tmp_path / "w.txt"))
    other = tmp_path / "other.txt"
    other.write_text("un texte en autre langue " * 20, encoding="utf-8")
    with pytest.raises(DataError, match=r"0 words of it have a vector.*language that the run was"):
        run.evaluate(other, say=Heard())


def test_predictions_are_rows(tmp_path: Path) -> None:
    run = fitted(write_worlds(tmp_path / "w.txt"))
    heard = Heard()
    near = run.predict(["ant", "xyz"], n_best=2, say=heard)
    assert [len(each.neighbours) for each in near] == [2, 0]
    assert "xyz: no vector is known of xyz" in heard.text
    (nothing,) = run.predict(["ant - ant"], say=heard)
    assert nothing.note is not None
    assert "ant - ant: the sum is nothing" in heard.text
    file = tmp_path / "asked.txt"
    file.write_text("gold\nxyz\n", encoding="utf-8")
    frame = run.predict(file, say=Heard())
    assert frame.columns == ["asked", "neighbour", "cosine"]
    assert frame["asked"].to_list() == ["gold"] * 7 + ["xyz"]
    assert frame["neighbour"][7] is None
    assert run.question().example in {word for world in WORLDS for word in world}
    assert WordsReading().most == 10


def test_words_of_the_map_are_put_along_the_widest_directions() -> None:
    points = torch.tensor([[3.0, 0, 0], [-3, 0, 0], [0, 1, 0], [0, -1, 0]])
    expected = torch.tensor([[3.0, 0], [-3, 0], [0, 1], [0, -1]])
    torch.testing.assert_close(principal(points), expected, atol=1e-6, rtol=0)
    assert frequent_words(words_of(world_text()), 3)


def test_what_is_too_large_to_count_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word_learning, "MOST_DECOMPOSED", 6)
    monkeypatch.setattr(word_learning, "MOST_COUNTED", 500)
    source = write_worlds(tmp_path / "worlds.txt")
    task = WordLearning.prepare(source, WordsSettings.of(QUICK), Heard())
    counted = task.counted
    assert not counted.vectors[6:].any()
    assert counted.vectors[:6].any(1).all()
    results = task.results(task.network(None, task.settings.network))
    assert "The text is large" in results.scores[0].verdict.en


# What is said of bad text and settings.

BAD: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "empty": (b"", {}, "the file is empty"),
    "blank": (b"  \n\n", {}, "the file is empty"),
    "latin": ("caf\u00e9 ".encode("latin-1") * 50, {}, "not UTF-8"),
    "zero": (b"a b\0 c " * 50, {}, "NUL"),
    "short": (b"one two three four", {}, "0 words of the training set stand there 5 times"),
    "one word": (b"word " * 200, {}, "1 word of the training set stands there 5 times"),
    "one word often": (
        b"one " * 500,
        {"min_count": 1},
        "1 word of the training set stands there once or more; expected 2 or more. Give a text "
        "of more different words.",
    ),
    "rare": (b"one two " * 50, {"min_count": 1000}, "different words, or min_count=1"),
    "no test": (
        b"one two " * 90 + b"six ten " * 10,
        {"min_count": 20},
        "the validation set has 0 words|the test set has 0 words",
    ),
    "no neighbours": (b"one two " * 100, {}, "no two words with a vector are neighbours"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_texts_are_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    content, settings, expected = BAD[name]
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(ConveyorError, match=expected) as error:
        conveyor.fit("words", path, say=Heard(), **settings)
    assert str(path) in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        conveyor.fit("words", tmp_path / "none.txt", say=Heard())


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"unit": "char"}, "unit is 'char'"),
        ({"model": "glove"}, "model is 'glove'"),
        ({"window": 0}, "window is 0"),
        ({"split": "0.5/0.5"}, "split is"),
        ({"hidden": 64}, "hidden"),
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, Any], expected: str) -> None:
    with pytest.raises(SettingError, match=expected):
        WordsSettings.of(settings)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"devices": 2}, "by one process"),
        ({"precision": "bf16-mixed"}, "32-true or 64-true"),
    ],
)
def test_one_process_learns_in_full_precision(
    tmp_path: Path, settings: dict[str, Any], expected: str
) -> None:
    source = write_worlds(tmp_path / "worlds.txt")
    with pytest.raises(SettingError, match=expected):
        WordLearning.prepare(source, WordsSettings.of(settings), Heard())


def test_few_words_are_told(tmp_path: Path) -> None:
    heard = Heard()
    prepared_words(write_worlds(tmp_path / "worlds.txt"), WordsData(), heard)
    assert "are few to learn vectors from" in heard.text


def test_the_rate_falls_along_a_line() -> None:
    training = WordsTraining()
    assert [training.rate_factor(done, 100) for done in (0, 50, 100)] == [1, 0.5, 1e-3]


def test_sub_words_and_syllables_have_vectors(tmp_path: Path) -> None:
    path = tmp_path / "kieu.txt"
    path.write_text("Tr\u0103m n\u0103m trong c\u00f5i ng\u01b0\u1eddi-ta " * 100, encoding="utf-8")
    for unit, known in (("syllable", "ng\u01b0\u1eddi"), ("subword", "\u2581tr\u0103m")):
        extra: dict[str, Any] = {"vocabulary": 30} if unit == "subword" else {}
        run = fitted(path, unit=unit, **extra)
        assert known in run.model.words.words
        assert "not known" not in next(iter(run.answers(["trong"])))


def test_a_service_answers_with_neighbours(tmp_path: Path) -> None:
    run = fitted(write_worlds(tmp_path / "worlds.txt"))
    with serving(run) as asking:
        status, answer = asking.json("/predict", {"lines": ["ant", "xyz"]})
    assert status == 200
    first, second = answer["rows"]
    assert len(first["neighbours"]) == len(first["cosines"]) == 7
    assert second["unknown"] == ["xyz"]
    assert answer["notes"] == ["xyz: no vector is known of xyz"]
