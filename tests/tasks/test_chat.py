"""The task of replying: what it must learn, how replies are found, drawn and ranked, and what it
says of bad data."""

import itertools
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import conveyor
from conveyor.compiler.show import program_of
from conveyor.data.padded import padded
from conveyor.data.token_vocabulary import PAD, UNK
from conveyor.data.turns import TURN
from conveyor.errors import ConveyorError, DataError, RunError, SettingError
from conveyor.networks.search import Hypothesis
from conveyor.tasks.chat.chat_reading import ChatReading
from conveyor.tasks.chat.chat_settings import ChatSettings
from conveyor.tasks.chat.chatting import Chatting
from conveyor.tasks.chat.replier import Replier, reply_score, unasked
from conveyor.tasks.chat.reply_counts import ReplyCounts, counted_text
from conveyor.tasks.chat.reply_mixture import ReplyMixture, Weights, likeliest_weights
from conveyor.tasks.chat.true_among import by_chance, drawn_trials, found_among
from conveyor.tasks.chat.variety import commonest_share, distinct
from conveyor.tasks.drawn_parts import VALIDATION
from conveyor.tasks.pairs.nearest_source import TfIdf, cosine
from conveyor.tasks.run import Run
from tests.heard import Heard
from tests.talks import talks, write_talks
from tests.warm_python import run_script

QUICK: dict[str, Any] = {"hidden": 8, "embedding": 6, "epochs": 1}


def prepared(source: Any, **values: Any) -> tuple[Chatting, Heard]:
    """Return the task on a source, and what was said."""
    heard = Heard()
    return Chatting.prepare(source, ChatSettings.of(values), heard), heard


def untrained(task: Chatting, scale: float = 3) -> Replier:
    """Return a network of a task that has learned nothing, but is sure of it."""
    torch.manual_seed(0)
    network = task.network(program_of("lstm"), task.settings.network).eval()
    for weight in network.parameters():
        weight.data.mul_(scale)
    return network


@pytest.fixture(scope="module")
def task() -> Chatting:
    """The task on forty dialogues."""
    return prepared(talks(), hidden=8, embedding=6, dropout=0.0)[0]


@pytest.fixture(scope="module")
def network(task: Chatting) -> Replier:
    """An untrained network of it."""
    return untrained(task)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of one epoch."""
    folder = tmp_path_factory.mktemp("chat")
    source = write_talks(folder / "talks.txt")
    return conveyor.fit("chat", source, out=folder / "run", say=Heard(), **QUICK)


# Data ------------------------------------------------------------------------------------------


def test_no_dialogue_is_in_two_parts_and_those_that_begin_alike_are_in_one() -> None:
    several = [[*each[:3], f"{each[3]} {end}"] for each in talks(30) for end in "ab"]
    task, heard = prepared(several)
    openings = []
    for examples in task.prepared.parts:
        # Numbers of dialogues stand in their first turn, which is in every context of three turns.
        openings.append({re.findall(r"number (\d+)", said)[0] for said, _ in examples.shown})
    assert sum(map(len, openings)) == len(set().union(*openings)) == 30
    assert "are in the same part" not in heard.text  # none stands twice


def test_the_vocabulary_counts_each_turn_once_and_knows_what_stands_twice() -> None:
    dialogues = [["a a once", "b b", "c c"], ["d d", "e e"], ["f f", "g g"]]
    task, _ = prepared(dialogues, split=(0.4, 0.3, 0.3))
    reader = task.prepared.reader
    assert reader.shared
    assert TURN in reader.source
    # "once" stands in two contexts, and was said once.
    assert "once" not in reader.source
    train = {token for said, reply in task.train.shown for token in f"{said} {reply}".split()}
    for token in train - {TURN, "once"}:
        assert token in reader.source


def test_of_a_long_context_the_end_is_read() -> None:
    task, heard = prepared(talks(), longest=5)
    reader = task.prepared.reader
    assert reader.source_tokens("one two three four five <turn> six ?") == [
        "four", "five", TURN, "six", "?",
    ]  # fmt: skip
    assert max(map(len, task.train.sources)) == 5
    assert "longer than 5 tokens" in heard.text


@pytest.mark.parametrize(
    ("source", "values", "message"),
    [
        ([["a", "b"]], {}, "set of 1 reply is empty"),
        ([["a"], ["b"]], {}, "no dialogue has two turns"),
        (talks(9), {"turns": 0}, "turns is 0"),
        (talks(9), {"unit": "letter"}, "unit is 'letter'"),
        (talks(9), {"turn": "t"}, "Name their column, too: dialogue='NAME'"),
        (talks(9), {"part": "p", "test": "x.txt"}, "both say what is tested"),
    ],
)
def test_what_cannot_be_used_is_refused(source: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConveyorError, match=re.escape(message)):
        prepared(source, **values)


# What must not change an answer ----------------------------------------------------------------


def padded_more(sources: list[Tensor], more: int) -> tuple[Tensor, Tensor]:
    """Return sources side by side, with more padding after all."""
    inputs, lengths = padded(sources)
    return torch.cat([inputs, inputs.new_zeros(more, inputs.shape[1])]), lengths


def test_padding_changes_no_bit(task: Chatting, network: Replier) -> None:
    sources, symbols = task.train.sources[:4], task.train.targets[0][:2, None].expand(-1, 4)
    few = network(padded_more(sources, 1)[0], symbols, padded_more(sources, 1)[1])
    many = network(padded_more(sources, 50)[0], symbols, padded_more(sources, 50)[1])
    assert torch.equal(few, many)


def test_a_blind_reply_depends_on_nothing_that_was_said(task: Chatting) -> None:
    network = untrained(task)
    network.sizes = type(network.sizes)(**{**vars(network.sizes), "blind": 1.0})
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():  # without biases a state stays 0 however long nothing is read
        for parameter in network.parameters():
            if parameter.dim() == 1:
                parameter.copy_(torch.randn(parameter.shape, generator=draw))
    batch = task.train.__getitems__([0, 1, 2])
    blind = network.train().loss(batch).value.item()
    targets = [task.train.targets[number] for number in range(3)]
    tokens = sum(len(target) - 1 for target in targets)
    expected = -network.eval().alone(targets).sum().item() / tokens
    assert blind == pytest.approx(expected, rel=1e-5)
    # In evaluation everything is read.
    given = -network.log_probabilities(task.train)[:3].sum().item() / tokens
    assert network.loss(batch).value.item() == pytest.approx(given, rel=1e-5)
    assert abs(given - expected) > 1e-3
    (nothing,) = padded([torch.tensor([PAD])])[0].T
    logits = network(nothing[:, None], targets[0][:-1, None])[:, 0].double().log_softmax(-1)
    chances = logits.gather(1, targets[0][1:, None]).sum().item()
    assert network.alone(targets)[0].item() == pytest.approx(chances, rel=1e-5)


# Replies ---------------------------------------------------------------------------------------


def test_the_score_of_a_reply_by_hand() -> None:
    assert reply_score(-6.0, -8.0, 4, 0.5) == (-6 + 0.5 * 8) / 4
    assert reply_score(-6.0, -8.0, 1, 1.0) == 2.0
    # "I don't know" is likelier after everything, and loses.
    generic, fitting = reply_score(-4.0, -4.5, 4, 0.5), reply_score(-6.0, -14.0, 4, 0.5)
    assert -4.0 > -6.0
    assert fitting > generic


def test_replies_are_ranked_by_what_is_written_of_them(task: Chatting, network: Replier) -> None:
    source = task.train.sources[0]
    how = ChatReading(drawn=12, n_best=12, temperature=1.0, top_p=1.0, generic=0.5)
    replies = network.replies(source, how)
    assert len({each.tokens for each in replies}) == len(replies)
    targets = [network.reader.encode_target(each.tokens) for each in replies]
    alone = network.alone(targets).tolist()
    scores = []
    for each, target, by_itself in zip(replies, targets, alone, strict=True):
        logits = network(source[:, None], target[:-1, None])[:, 0].double().log_softmax(-1)
        given = logits.gather(1, target[1:, None]).sum().item()
        if each.finished:
            assert each.log_probability == pytest.approx(given, abs=1e-3)
            scores.append((each.log_probability - 0.5 * by_itself) / (len(target) - 1))
    assert scores == sorted(scores, reverse=True)
    ended = [each.finished for each in replies]
    assert ended == sorted(ended, reverse=True)


def test_top_p_draws_from_the_likeliest_that_hold_p(task: Chatting, network: Replier) -> None:
    """The first tokens of many draws are those of the smallest set that holds half."""
    source = task.train.sources[0]
    begin = torch.tensor([[network.reader.begin]])
    logits = network(source[:, None], begin)[0, 0].detach().double()
    logits[list(network.never)] = -torch.inf
    chances = logits.softmax(-1)
    order = chances.argsort(descending=True, stable=True).tolist()
    held, nucleus = 0.0, set()
    for token in order:
        nucleus.add(token)
        held += chances[token].item()
        if held >= 0.5:
            break
    firsts = set()
    for seed in range(20):
        how = ChatReading(drawn=16, top_p=0.5, temperature=1.0, seed=seed)
        firsts |= {each.tokens[:1] for each in network._drawn(source, how)}
    numbers = {first[0] if first else network.reader.end for first in firsts}
    assert numbers <= nucleus
    assert len(numbers) > 1
    greedy = network.replies(source, ChatReading(drawn=4, top_p=1e-9, n_best=4))
    assert len(greedy) == 1  # all four are the likeliest


def test_a_reply_depends_on_what_was_said_and_the_seed_alone(
    task: Chatting, network: Replier
) -> None:
    how = ChatReading(temperature=1.5)
    first = [network.replies(source, how)[0].tokens for source in task.train.sources[:5]]
    again = [network.replies(source, how)[0].tokens for source in task.train.sources[4::-1]]
    assert first == again[::-1]
    others = {
        network.replies(task.train.sources[0], ChatReading(temperature=1.5, seed=seed))[0].tokens
        for seed in range(5)
    }
    assert len(others) > 1


def test_what_is_unknown_or_parts_turns_is_never_written(task: Chatting) -> None:
    network = untrained(task)
    turn = int(network.reader.target.numbers([TURN])[0])
    with torch.no_grad():
        for token in (UNK, turn, PAD):
            network.model.decoder.head.bias[token] = 100  # type: ignore[union-attr, operator]
        network.model.decoder.head.bias[network.reader.end] = -100  # type: ignore[union-attr, operator]
    for beam in (None, 2):
        (best,) = network.replies(task.train.sources[0], ChatReading(beam=beam))
        assert not {TURN, "<unk>", "<pad>"} & set(best.tokens)
        assert not best.finished
        # No reply is longer than the longest of the training set.
        assert len(best.tokens) == max(len(target) - 1 for target in task.train.targets)


def test_a_beam_is_ranked_as_draws_are(task: Chatting, network: Replier) -> None:
    source = task.train.sources[0]
    plain = network.replies(source, ChatReading(beam=4, n_best=4, generic=0.0))
    lengths = [len(each.tokens) + each.finished for each in plain]
    per_token = [each.log_probability / length for each, length in zip(plain, lengths, strict=True)]
    ended = [value for value, each in zip(per_token, plain, strict=True) if each.finished]
    assert ended == sorted(ended, reverse=True)
    with pytest.raises(SettingError, match="n_best is 5; expected 4 or less, the beam"):
        ChatReading(beam=4, n_best=5)
    with pytest.raises(SettingError, match="n_best is 9; expected 8 or less, the drawn"):
        ChatReading(n_best=9)


def test_empty_replies_come_last(network: Replier) -> None:
    found = [
        Hypothesis((), -0.1, 0.0, True),
        Hypothesis((3, 4), -9.0, 0.0, True),
        Hypothesis((3,), -0.1, 0.0, False),
        Hypothesis((3, 4), -9.0, 0.0, True),
    ]
    assert [each.tokens for each in network._ranked(found, 0.0)] == [(3, 4), (3,), ()]


# Scores ----------------------------------------------------------------------------------------


def test_distinct_n_by_hand() -> None:
    answers = ["I see .", "I see it", "Yes"]
    assert distinct(answers, 1) == 5 / 7  # i, see, ., it, yes
    assert distinct(answers, 2) == 3 / 4  # i see (twice), see ., see it
    assert distinct(["", "a"], 2) == 0.0
    assert commonest_share(["a", "b", "a", "c"]) == 0.5


def test_the_true_reply_among_others_by_hand() -> None:
    scores = {
        (0, 0): 2.0,
        (0, 1): 1.0,
        (0, 2): 2.0,
        (1, 1): 5.0,
        (1, 0): 4.0,
        (2, 2): 0.0,
        (2, 1): 1.0,
    }
    found = found_among([(0, 1, 2), (1, 0), (2, 1)], lambda asked, one: scores[asked, one])
    assert found.tolist() == [0.5, 1.0, 0.0]  # two share the first
    assert by_chance([(0, 1, 2), (1, 0)]) == pytest.approx((1 / 3 + 1 / 2) / 2)


def test_candidates_are_different_and_wrong() -> None:
    pairs = [(f"said {number % 5}", f"reply {number % 17}") for number in range(60)]
    trials = drawn_trials(pairs)
    assert trials == drawn_trials(pairs)
    assert trials != drawn_trials(pairs, seed=1)
    assert len(trials) == 60
    for trial in trials:
        said = pairs[trial[0]][0]
        right = {reply for other, reply in pairs if other == said}
        texts = [pairs[number][1] for number in trial]
        assert len(set(texts)) == len(texts) <= 10
        assert not right & set(texts[1:])
    assert len(drawn_trials(pairs, most=7)) == 7
    # Where nothing else was replied, nothing can be confused.
    assert drawn_trials([("a", "b"), ("c", "b")]) == [(0,), (1,)]


def test_tf_idf_is_that_of_scikit_learn() -> None:
    """TfidfTransformer's defaults: idf = ln((1 + N) / (1 + n)) + 1, and vectors of length 1."""
    weigh = TfIdf([["a", "b"], ["a", "c", "c"], ["a"]])
    rare, common = math.log(4 / 2) + 1, math.log(4 / 4) + 1
    norm = math.hypot(common, 2 * rare)
    weights = weigh.weights(["c", "a", "c", "never"])
    assert weights == pytest.approx({"c": 2 * rare / norm, "a": common / norm})
    assert cosine(weights, weigh.weights(["a"])) == pytest.approx(common / norm)
    assert cosine(weights, weigh.weights([])) == 0.0


def test_kneser_ney_of_replies_is_a_distribution_of_each_token(task: Chatting) -> None:
    """Each reply begins anew: what stands before it in the text must not count."""
    reader, targets = task.prepared.reader, task.train.targets
    counts = ReplyCounts(counted_text(targets, reader.begin), reader)
    together = counts.log_probabilities(targets[:5])
    alone = np.array([counts.log_probabilities([target])[0] for target in targets[:5]])
    assert together == pytest.approx(alone)
    # Over all replies of one token P adds up to at most 1.
    symbols = [torch.tensor([reader.begin, token, reader.end]) for token in range(reader.begin)]
    assert 0 < np.exp(counts.log_probabilities(symbols)).sum() < 1


# Mixtures --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mixed(task: Chatting) -> Replier:
    """An untrained network, mixed with weights that each count."""
    network = untrained(task)
    network.mix(task.train, task.prepared.parts[VALIDATION])
    assert network.mixture is not None
    network.mixture.weights = Weights(0.7, 0.0, 0.3)
    return network


def test_the_weights_of_a_mixture_are_the_likeliest_of_all() -> None:
    """By going over all weights in steps of a hundredth."""
    chances = (
        torch.rand(3, 50, generator=torch.Generator().manual_seed(1), dtype=torch.float64) ** 3
    )
    weights = likeliest_weights(chances)
    assert sum(weights) == pytest.approx(1)

    def likelihood(one: tuple[float, ...]) -> float:
        return float((torch.tensor(one, dtype=torch.float64) @ chances).log().sum())

    every = [(a / 100, b / 100, (100 - a - b) / 100) for a in range(101) for b in range(101 - a)]
    assert likelihood(weights) >= max(map(likelihood, every)) - 1e-9
    # What is never likely is worth nothing; nothing seen says nothing.
    assert likeliest_weights(torch.tensor([[0.5, 0.2], [0.0, 0.0]]))[1] == pytest.approx(0)
    assert likeliest_weights(torch.ones(2, 0)) == (0.5, 0.5)


def test_a_word_that_was_said_is_the_likelier_the_rarer_it_is(task: Chatting) -> None:
    """Against counting replies one by one."""
    reader, targets = task.prepared.reader, task.train.targets
    mixture = ReplyMixture.of(targets, reader)
    common, rare = reader.source.numbers(["a", "cat"]).tolist()
    turn = reader.source.numbers([TURN]).tolist()[0]
    said = mixture.said(torch.tensor([common, turn, rare, UNK, common]))
    assert said is not None

    def weight(symbol: int) -> float:
        holding = sum(int((target == symbol).any()) for target in targets)
        return math.log((1 + len(targets)) / (1 + holding))

    total = 2 * weight(common) + weight(rare)
    expected = torch.zeros(reader.symbols, dtype=torch.float64)
    expected[common], expected[rare] = 2 * weight(common) / total, weight(rare) / total
    torch.testing.assert_close(said, expected)
    assert mixture.said(torch.tensor([UNK, turn, PAD])) is None


def test_what_a_mixture_writes_is_a_distribution_that_scores_agree_with(
    task: Chatting, mixed: Replier
) -> None:
    """Step by step it gives what is scored at once, and each part adds what its weight says."""
    examples = task.prepared.parts[VALIDATION]
    reader = task.prepared.reader
    for number in range(3):
        source, target = examples.sources[number], examples.targets[number]
        state = mixed.begin_writing(source[:, None])
        total = 0.0
        for before, after in itertools.pairwise(target.tolist()):
            with torch.no_grad():
                logs, state = mixed.step(state, torch.tensor([before]))
            assert logs.shape == (1, reader.symbols)
            assert float(logs.exp().sum()) == pytest.approx(1, abs=1e-5)
            total += float(logs[0, after])
        one = examples.__class__([source], [target], [("", "")], [""])
        assert float(mixed.log_probabilities(one)) == pytest.approx(total, abs=1e-4)
        chances = mixed.chances(one)[0]
        by_hand = (0.7 * chances.network + 0.3 * chances.said).log().sum()
        assert total == pytest.approx(float(by_hand), abs=1e-4)
        counts = ReplyCounts(counted_text(task.train.targets, reader.begin), reader)
        assert chances.counts.log().sum() == pytest.approx(counts.log_probabilities([target])[0])


def test_where_nothing_was_said_the_network_is_alone(mixed: Replier, task: Chatting) -> None:
    targets = task.train.targets[:4]
    network = torch.stack([each.sum() for each in mixed.token_log_probabilities(unasked(targets))])
    torch.testing.assert_close(mixed.alone(targets), network)
    assert mixed.begin_writing(torch.tensor([[UNK]])).share.tolist() == [1]


def test_the_validation_part_chooses_the_weights(mixed: Replier, task: Chatting) -> None:
    """What writes knows nothing of counts; any other weights make the part less likely."""
    examples = task.prepared.parts[VALIDATION]
    network = untrained(task)
    network.mix(task.train, examples)
    mixture = network.mixture
    assert mixture is not None
    assert mixture.weights.counts == 0
    assert mixture.with_counts.counts > 0.1
    every = network.chances(examples)

    def likelihood(weights: Weights) -> float:
        return sum(each.log_probability(weights) for each in every)

    for said in (0.0, 0.01, 0.1, 0.5, 1 - 1e-9):
        assert likelihood(mixture.weights) >= likelihood(Weights(1 - said, 0.0, said)) - 1e-6
        assert likelihood(mixture.with_counts) >= likelihood(Weights(1 - said, 0.0, said)) - 1e-6
        counts = Weights(0.0, 1 - said, said)
        assert likelihood(mixture.with_counts) >= likelihood(counts) - 1e-6


def test_padding_changes_no_word_that_was_said(task: Chatting, mixed: Replier) -> None:
    sources = sorted(task.train.sources[:6], key=len)
    inputs, lengths = padded(sources)
    together = mixed.begin_writing(inputs, lengths)
    for row, source in enumerate(sources):
        alone = mixed.begin_writing(source[:, None])
        assert torch.equal(together.said[:, row], alone.said[:, 0])


def test_a_mixture_is_saved_and_can_be_left_out(run: Run, task: Chatting, tmp_path: Path) -> None:
    mixture = run.model.mixture
    assert isinstance(mixture, ReplyMixture)
    weights = run.metrics["weights"]
    assert mixture.weights == pytest.approx(tuple(weights["written"].values()))
    assert mixture.with_counts == pytest.approx(tuple(weights["with_counts"].values()))
    source = write_talks(tmp_path / "talks.txt")
    plain = conveyor.fit("chat", source, out=tmp_path / "run", say=Heard(), mixture=False, **QUICK)
    assert not any(name.startswith("mixture") for name in plain.model.state_dict())
    rows = plain.metrics["scores"][0]["rows"]
    assert "network alone" not in rows
    assert rows["lstm"]["perplexity"] == pytest.approx(
        run.metrics["scores"][0]["rows"]["network alone"]["perplexity"]
    )


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"weights": [1, 0], "counted": 9}, "weights is [1, 0]; expected three shares of 1"),
        ({"weights": [1, 1, 0], "counted": 9}, "expected three shares of 1"),
        ({"weights": [2, -1, 0], "counted": 9}, "expected three shares of 1"),
        ({"weights": [1, 0, 0], "counted": 9}, "with_counts is None; expected three shares of 1"),
        ({"weights": [1, 0, 0], "counted": 0}, "mixture counts 0 symbols"),
        ("all", "mixture counts None symbols"),
    ],
)
def test_a_mixture_of_a_wrong_file_is_refused(task: Chatting, described: Any, message: str) -> None:
    with pytest.raises(RunError, match=re.escape(message)):
        ReplyMixture.described(described, "model.json", task.prepared.reader)


# Scores ----------------------------------------------------------------------------------------


def test_what_is_scored_is_what_is_said(run: Run) -> None:
    metrics = run.metrics
    rows = metrics["scores"][0]["rows"]
    assert list(rows) == [
        "lstm",
        "network alone",
        "with counts",
        "retrieval",
        "Kneser-Ney",
        "most frequent reply",
    ]
    assert rows["most frequent reply"]["commonest"] == 1.0
    by = metrics["found_by"]
    assert rows["lstm"]["found"] == by["log P(T|S) - log P(T)"]
    assert rows["with counts"]["found"] == by["log P(T|S) - log P(T), with counts"]
    assert rows["network alone"]["found"] == by["log P(T|S) - log P(T), network alone"]
    low, high = metrics["found_interval"]
    assert low <= rows["lstm"]["found"] <= high
    page = run.report().read_text(encoding="utf-8")
    assert "Finding the true reply among 10" in page
    assert "Câu đáp thật trong 10 câu" in page
    assert "Do not expect a conversation" in page


def test_other_dialogues_are_scored(run: Run, tmp_path: Path) -> None:
    heard = Heard()
    results = run.evaluate(write_talks(tmp_path / "later.txt", 20, seed=5), say=heard)
    assert list(results.scores[0].rows) == ["lstm", "network alone", "with counts", "by chance"]
    again = run.evaluate(run.folder.parent / "talks.txt", say=heard)
    assert "its test set is scored" in heard.text
    replies, contexts = run.metrics["trials"], run.metrics["answered"]
    assert again.count.en == (
        f"{replies} replies to {contexts} contexts; found is of {replies} replies, perplexity of "
        f"{replies} replies, the others of {contexts} that it wrote"
    )
    found = again.scores[0].rows["lstm"][0]
    assert found == run.metrics["scores"][0]["rows"]["lstm"]["found"]


# A run -----------------------------------------------------------------------------------------


def test_a_conversation_remembers_its_last_turns(run: Run) -> None:
    talk = run.chat(seed=3)
    first = talk.say("Hello, do you have a red dog?")
    assert talk.turns == ["Hello, do you have a red dog?", *([first] if first else [])]
    second = talk.say(" Is it  big? ")
    said = [turn for turn in ("Hello, do you have a red dog?", first, "Is it big?") if turn]
    assert run.predict([" <turn> ".join(said)], seed=3, say=Heard()) == [second]
    turns = list(talk.turns)
    assert talk.say("  ") == ""
    with pytest.raises(DataError, match="None is no text; expected what is said"):
        talk.say(None)
    assert talk.turns == turns
    for _ in itertools.repeat(None, 3):
        talk.say("Is it big?")
    assert len(talk.read) == 3
    talk.reset()
    assert talk.turns == []
    assert talk.say("Hello, do you have a red dog?") == first
    assert talk.unknown("Hello, zebra zebra?") == ["zebra"]


def test_replies_are_written_to_lines_and_rows(run: Run) -> None:
    texts = ["do you have a dog?", "", "do you have a dog? <turn> Yes. __eou__ Is it big?"]
    answers = run.predict(texts, say=Heard())
    assert answers[1] == ""
    assert list(run.answers(texts)) == answers
    frame = run.predict(texts, scores=True, explain=True, n_best=2, say=Heard())
    assert frame.columns[:4] == ["source", "written", "log_probability", "attention"]
    with pytest.raises(SettingError, match="expected 8 or less, the drawn"):
        run.predict(texts, n_best=9, say=Heard())
    assert run.question().kind == "conversation"
    assert run.read(text="do you have a dog?").labels[0] == "do"


def test_only_a_run_of_dialogues_talks(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("abc " * 300, encoding="utf-8")
    other = conveyor.fit("text", text, out=tmp_path / "run", epochs=1, hidden=4, say=Heard())
    with pytest.raises(RunError, match="a run of the task text holds no conversation"):
        other.chat()


def test_a_run_is_loaded_with_the_turns_that_it_reads(run: Run) -> None:
    network: Any = conveyor.load(run.folder).model
    assert isinstance(network, Replier)
    assert network.turns == 3
    assert network.reader.from_end
    described = network.description()
    with pytest.raises(RunError, match="turns is 0; expected 1 or more"):
        Replier.described(program_of("lstm"), {**described, "turns": 0}, "here")


# Runs the command with lines that come through a pipe.
THROUGH_A_PIPE = """
import os, sys
from conveyor.cli import start

read, write = os.pipe()
os.write(write, sys.argv[1].encode())
os.close(write)
os.dup2(read, 0)
sys.stdin = os.fdopen(0, encoding="utf-8")
sys.argv = ["conveyor", "chat", sys.argv[2], "--seed", "1"]
start.main()
"""


def test_a_conversation_through_a_pipe(run: Run) -> None:
    lines = "do you have a dog?\n\n/reset\nIs it big?\n/helo\n/quit\nnever said\n"
    ended = run_script(THROUGH_A_PIPE, lines, str(run.folder), folder=run.folder)
    assert ended.code == 0, ended.err
    first, second = run.chat(seed=1).say("do you have a dog?"), run.chat(seed=1).say("Is it big?")
    assert ended.out.splitlines() == [first, "", second]
    assert "there is no command /helo. Did you mean '/help'?" in ended.err
