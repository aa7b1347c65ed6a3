"""The tasks on pairs: what they must learn, what must not change their answers, and what they say
of bad data."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from torch import Tensor

import conveyor
from conveyor.compiler.show import program_of
from conveyor.data.padded import padded
from conveyor.data.token_vocabulary import UNK
from conveyor.data.tokens import Tokenizer
from conveyor.data.written_tokens import written
from conveyor.errors import ConveyorError, DataError, RunError, SettingError
from conveyor.networks.search import Hypothesis
from conveyor.tasks.pairs.pair_reading import PairReading
from conveyor.tasks.pairs.pair_settings import ATTENTIONS, PairTraining
from conveyor.tasks.pairs.pair_task import PairTask
from conveyor.tasks.pairs.translator import Copying, Translator
from conveyor.tasks.pronounce.pronounce_settings import PronounceSettings
from conveyor.tasks.pronounce.pronouncing import Pronouncing
from conveyor.tasks.run import Run
from conveyor.tasks.translate.translate_settings import TranslateSettings
from conveyor.tasks.translate.translation import Translation
from tests.heard import Heard
from tests.pairs import pairs, write_dictionary, write_pairs

QUICK: dict[str, Any] = {"hidden": 6, "embedding": 4, "epochs": 1}


def prepared(source: Any, **values: Any) -> tuple[Translation, Heard]:
    """Return the task on a source, and what was said."""
    heard = Heard()
    return Translation.prepare(source, TranslateSettings.of(values), heard), heard


def untrained(task: PairTask, cell: str = "lstm") -> Translator:
    """Return a network of a task that has learned nothing, but looks sharply."""
    torch.manual_seed(0)
    network = task.network(program_of(cell), task.settings.network).eval()
    for weight in network.parameters():
        weight.data.mul_(3)
    return network


def learn(task: PairTask, steps: int, rate: float = 0.02) -> Translator:
    """Return a network that was trained on the whole training set for some steps."""
    torch.manual_seed(0)
    network: Any = task.network(program_of("gru"), task.settings.network)
    adam = torch.optim.Adam(network.parameters(), rate)
    batch = task.train.__getitems__(range(len(task.train)))
    for _ in range(steps):
        adam.zero_grad()
        network.train().loss(batch).value.backward()
        adam.step()
    return network.eval()  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on pairs of one epoch."""
    folder = tmp_path_factory.mktemp("pairs")
    source = write_pairs(folder / "pairs.tsv")
    return conveyor.fit("translate", source, out=folder / "run", say=Heard(), **QUICK)


# What it must learn ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"attention": "bahdanau"},
        {"feed": True, "attention": "dot"},
        {"attention": "concat", "bidirectional": False, "tie": False},
    ],
)
def test_three_pairs_are_learned_by_heart(options: dict[str, Any]) -> None:
    few = [("a b c", "x y"), ("c b", "y y z z"), ("b a a c", "z")]
    others = [("a", "x"), ("b", "y")]
    task, _ = prepared(
        few + others, hidden=16, embedding=12, dropout=0.0, smoothing=0.0, unknown=0.0,
        split=(0.6, 0.2, 0.2), split_seed=0, **options,
    )  # fmt: skip
    network = learn(task, 150)
    train = task.train
    texts = [best[0].text for best in network.write(train.sources, beam=5)]
    assert texts == [target for _, target in train.shown]
    # Each is nearly certain, and the search says what teacher forcing says.
    assert network.log_probabilities(train).exp().min() > 0.9


def test_the_loss_is_the_mean_over_true_target_tokens() -> None:
    task, _ = prepared(pairs(20), dropout=0.0, smoothing=0.0, hidden=6, embedding=4)
    network = untrained(task)
    batch = task.train.__getitems__([0, 1, 2, 3])
    loss = network.loss(batch)
    count = sum(len(task.train.targets[number]) - 1 for number in range(4))
    assert loss.count == count
    one_by_one = -network.log_probabilities(task.train)[:4].sum() / count
    assert loss.value.item() == pytest.approx(float(one_by_one), rel=1e-5)


def test_only_in_training_the_loss_is_smoothed() -> None:
    """ε of each target goes to all V symbols: (1 − ε)·nll + ε·mean(−log p)."""
    task, _ = prepared(pairs(20), dropout=0.0, unknown=0.0, smoothing=0.3, hidden=6, embedding=4)
    network = untrained(task)
    batch = task.train.__getitems__([0])
    logits = network(batch.sources, batch.targets[:-1]).log_softmax(-1)[:, 0]
    plain = -logits.gather(1, batch.targets[1:]).mean()
    assert network.loss(batch).value.item() == pytest.approx(plain.item(), rel=1e-5)
    smoothed = 0.7 * plain - 0.3 * logits.mean()
    assert network.train().loss(batch).value.item() == pytest.approx(smoothed.item(), rel=1e-5)


def test_a_token_seen_once_is_unknown_now_and_then_and_the_edges_never() -> None:
    task, _ = prepared([("a a b", "x y"), *pairs(10)], unknown=1 - 1e-9, hidden=6, embedding=4)
    network = untrained(task).train()
    reader = network.reader
    symbols = torch.tensor([[reader.begin], [reader.end], [2], [reader.target.rare_from]])
    read = network._some_unknown(symbols, reader.target).squeeze(1).tolist()
    rare = UNK if reader.target.rare_from < len(reader.target) else reader.target.rare_from
    assert read == [reader.begin, reader.end, 2, rare]


# What must not change an answer ----------------------------------------------------------------


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("cell", ["lstm", "gru", "mgu"])
def test_log_p_of_the_beam_is_that_of_teacher_forcing(attention: str, cell: str) -> None:
    task, _ = prepared(pairs(30), attention=attention, hidden=6, embedding=4)
    network = untrained(task, cell)
    examples = task.train
    sources = examples.sources[:6]
    best = network.hypotheses(sources, beam=4, n_best=2)
    reader = network.reader
    for source, hypotheses in zip(sources, best, strict=True):
        for hypothesis in hypotheses:
            symbols = [reader.begin, *hypothesis.tokens]
            target = torch.tensor(symbols + [reader.end] * hypothesis.finished)
            logits = network(source.unsqueeze(1), target[:-1].unsqueeze(1)).double()
            chances = logits.log_softmax(-1)[:, 0].gather(1, target[1:, None])
            assert hypothesis.log_probability == pytest.approx(chances.sum().item(), abs=1e-4)


def padded_more(sources: list[Tensor], more: int) -> tuple[Tensor, Tensor]:
    """Return sources side by side, with more padding after all."""
    inputs, lengths = padded(sources)
    return torch.cat([inputs, inputs.new_zeros(more, inputs.shape[1])]), lengths


def test_padding_changes_no_bit() -> None:
    task, _ = prepared(pairs(30), hidden=6, embedding=4)
    network = untrained(task)
    sources, symbols = task.train.sources[:4], task.train.targets[0][:2, None].expand(-1, 4)
    few = network(padded_more(sources, 1)[0], symbols, padded_more(sources, 1)[1])
    many = network(padded_more(sources, 50)[0], symbols, padded_more(sources, 50)[1])
    assert torch.equal(few, many)


def test_an_answer_does_not_depend_on_the_others() -> None:
    task, _ = prepared(pairs(30), hidden=6, embedding=4)
    network = untrained(task)
    together = network.write(task.train.sources[:8], beam=3)
    for source, best in zip(task.train.sources[:8], together, strict=True):
        (alone,) = network.write([source], beam=3)
        assert alone[0].tokens == best[0].tokens
        assert alone[0].log_probability == pytest.approx(best[0].log_probability, abs=1e-4)


def test_what_is_not_known_is_never_written_and_no_answer_is_longer_than_it_may_be() -> None:
    long = [("a", "x " * 20), *pairs(20)]
    task, _ = prepared(long, hidden=6, embedding=4)
    # One source of one token has a target of 20 tokens and its end: 2·1 + 19.
    assert task.prepared.room == (19 if "a" in task.prepared.keys[0] else 10)
    network = untrained(task)
    with torch.no_grad():
        network.model.decoder.head.bias[UNK] = 100  # type: ignore[union-attr, operator]
        network.model.decoder.head.bias[network.reader.end] = -100  # type: ignore[union-attr, operator]
    for beam in (1, 3):
        for source, (best,) in zip(
            task.train.sources[:5], network.write(task.train.sources[:5], beam=beam), strict=True
        ):
            assert "<unk>" not in best.tokens
            assert not best.finished
            assert len(best.tokens) == 2 * len(source) + task.prepared.room
    assert network.write([torch.tensor([], dtype=torch.long)], beam=3)[0][0].text == ""


def test_tied_weights_are_one_and_stay_one(run: Run, tmp_path: Path) -> None:
    network: Any = run.model
    head, embedding = network.model.decoder.head, network.model.decoder.embedding
    assert head.weight is embedding.weight
    stored = (run.folder / "model.safetensors").read_bytes()
    assert stored.count(b"model.decoder.embedding.weight") + stored.count(b"head.weight") == 1
    pieces, _ = prepared(pairs(60), unit="subword", vocabulary=40, hidden=6, embedding=4)
    three = untrained(pieces)
    assert three.model.encoder.embedding is three.model.decoder.embedding
    assert three.model.decoder.head.weight is three.model.decoder.embedding.weight  # type: ignore[union-attr]
    apart, _ = prepared(pairs(20), tie=False, hidden=6, embedding=4)
    assert len(dict(untrained(apart).named_parameters())) > len(dict(network.named_parameters()))


def test_the_learning_rate_rises_and_falls_along_lines() -> None:
    training = PairTraining(warmup=4)
    factors = [training.rate_factor(done, 100) for done in (0, 1, 3, 4, 52, 100)]
    assert factors == pytest.approx([0.2, 0.4, 0.8, 1.0, 0.5, 0.0])
    assert training.rate_factor(0, 10) == 0.5  # a tenth of all steps at most
    assert training.with_epochs(100).epochs == 40
    assert training.with_epochs(10**6).epochs == 6


# Text ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["Wait, is it 3.5 (or 4)?", 'He said: "Yes, sir".', "Tôi yêu Huế!", "It's John's car; don't."],
)
def test_words_are_written_as_people_write_them(text: str) -> None:
    assert written(Tokenizer().tokens(text), "word") == text
    assert written(Tokenizer("char").tokens(text), "char") == text


# Data ------------------------------------------------------------------------------------------


def test_what_is_odd_about_pairs_is_told() -> None:
    odd = [("", "leer"), ("same words", "same words"), ("a", "b " * 10), ("", "")]
    _, heard = prepared([*pairs(20), *odd])
    assert "list: 1 pair with an empty side is left out, the first item 21" in heard.text
    assert "list: 1 pair with equal sides, the first item 22" in heard.text
    assert "list: 1 pair with a side more than 9 times as long, the first item 23" in heard.text
    assert re.search(r"\d+ pairs to train, \d to validate, \d to test; ", heard.text)


def test_no_source_is_in_two_parts_and_all_its_targets_are_references() -> None:
    several = [(source, f"{target} {end}") for source, target in pairs(30) for end in "ab"]
    task, _ = prepared(several)
    train, validation, test = map(set, task.prepared.keys)
    assert len(train | validation | test) == len(train) + len(validation) + len(test)
    assert all(len(right) == 2 for right in task.prepared.asked.references)
    assert len(task.prepared.asked) * 2 == len(task.prepared.parts[2])


def test_files_of_lines_have_their_parts_beside_them(tmp_path: Path) -> None:
    for name, number in (("train", 0), ("val", 1), ("test", 2)):
        for end, side in (("en", 0), ("de", 1)):
            lines = "\n".join(pair[side] for pair in pairs(12, seed=number)) + "\n"
            (tmp_path / f"{name}.{end}.gz").write_bytes(gzip.compress(lines.encode()))
    files = [str(tmp_path / f"{name}.en.gz") for name in ("train", "val", "test")]
    task, heard = prepared(
        files[0], targets=str(tmp_path / "train.de.gz"), validation=files[1], test=files[2]
    )
    assert [len(part) for part in task.prepared.parts] == [12, 12, 12]
    assert f"test: {files[2]} becomes {tmp_path / 'test.de.gz'}" in heard.text
    assert task.prepared.asked.references[0] == [pairs(12, seed=2)[0][1]]


@pytest.mark.parametrize(
    ("source", "values", "message"),
    [
        ([("a", "b")], {}, "set of 1 pair is empty. Give more of them"),
        ([("", "b"), ("a", "")], {}, "there is no pair with two sides"),
        (pairs(9), {"unit": "letter"}, "unit is 'letter'"),
        (pairs(9), {"attention": "dot", "hidden": 5}, "Give an even number"),
        (pairs(9), {"attention": "bahdanau", "feed": True}, "Leave out feed=True"),
        (pairs(9), {"targets": "x.de", "to": "de"}, "is of a table, and targets of lines"),
        (pairs(9), {"part": "part", "test": "x.csv"}, "both say what is tested"),
        (pairs(9), {"split": (1.0, 0.0, 0.0)}, "split is 1/0/0"),
    ],
)
def test_what_cannot_be_used_is_refused(source: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConveyorError, match=re.escape(message)):
        prepared(source, **values)


# A run -----------------------------------------------------------------------------------------


def test_a_run_writes_what_is_asked(run: Run, tmp_path: Path) -> None:
    texts = ["red dog", "", "an unknown word"]
    answers = run.predict(texts, say=Heard())
    assert [type(each) for each in answers] == [str, str, str]
    assert answers[1] == ""
    frame = run.predict(texts, scores=True, explain=True, n_best=2, beam=3, say=Heard())
    assert frame.columns == [
        "source", "written", "log_probability", "attention",
        "written_2", "log_probability_2", "attention_2",
    ]  # fmt: skip
    assert frame["written"].to_list()[1] == ""
    words = frame["attention"].to_list()[0].split()
    assert all(re.fullmatch(r".+<(red|dog)|[01]\.\d\d", word) for word in words)
    lines = tmp_path / "new.txt"
    lines.write_text("red dog\n\nred cat\n")
    assert len(run.predict(lines, say=Heard())) == 3
    table = pl.DataFrame({"en": ["red dog"], "written": ["taken"]})
    assert run.predict(table, say=Heard()).columns == ["en", "written", "written (2)"]
    with pytest.raises(DataError, match="there is nothing to write from"):
        run.predict()
    with pytest.raises(SettingError, match="n_best is 9; expected 5 or less, the beam"):
        run.predict(texts, n_best=9)


def test_lines_are_answered_one_by_one(run: Run) -> None:
    lines = iter(["red dog", "", "old cat"])
    answers = run.answers(lines)
    first = next(answers)
    assert next(lines) == ""  # nothing was read ahead
    assert first == run.predict(["red dog"], say=Heard())[0]
    assert run.predict(["red dog"], beam=1, say=Heard()) == list(run.answers(["red dog"], beam=1))
    (scored,) = run.answers(["red dog"], scores=True)
    assert float(scored.split("\t")[1]) < 0


def test_scores_on_other_data_stand_beside_the_copy(run: Run, tmp_path: Path) -> None:
    other = write_pairs(tmp_path / "other.tsv", seed=5)
    heard = Heard()
    results = run.evaluate(other, say=heard)
    assert "copy of the source" in results.scores[0].rows
    assert 0 <= results.scores[0].value(results.scores[0].ours) <= 100
    same = run.evaluate(run.folder.parent / "pairs.tsv", say=heard)
    assert "this is the data of the run: its test set is scored" in heard.text
    rows = run.metrics["scores"][0]["rows"]
    assert same.scores[0].as_json()["rows"] == rows
    heard = Heard()
    run.evaluate(pairs(60)[:20], say=heard)
    assert "were learned from, and are easier than new ones" in heard.text


def test_metrics_hold_what_a_reader_should_know(run: Run) -> None:
    metrics = run.metrics
    assert set(metrics["scores"][0]["rows"]) == {
        "lstm", "nearest training source", "word dictionary", "copy of the source"
    }  # fmt: skip
    low, high = metrics["bleu_interval"]
    assert 0 <= low <= high <= 100
    for name in ("cut_off", "repeated", "unknown"):
        assert 0 <= metrics[name] <= 1
    report = (run.folder / "report.html").read_text(encoding="utf-8")
    for title in ("Examples", "Attention", "Scores by length"):
        assert title in report
    assert (run.folder / "test.csv").exists()


def test_what_the_encoder_reads_can_be_looked_at(run: Run) -> None:
    read = run.read(text="red dog sees")
    assert read.labels == ("red", "dog", "sees")
    output, _ = run.recurrent(read.inputs)
    value = read.answer(output)
    assert value.shape == (1,)
    # The same as the search says, where the decoder begins as it did.
    best = run.model.hypotheses([run.reader.encode("red dog sees")], beam=5)[0][0]  # type: ignore[operator]
    if best.finished:
        assert value.item() == pytest.approx(best.log_probability, abs=1e-4)
    assert read.answer(output.expand(-1, 3, -1)).shape == (3,)
    with pytest.raises(DataError, match="text holds no token"):
        run.read(text=" ")


def test_a_description_that_is_none_is_refused(run: Run) -> None:
    described = dict(run.model.description())
    for name, value in (("room", 0), ("reader", {**described["reader"], "longest": "x"})):
        with pytest.raises(RunError, match="expected 1 or more"):
            Translator.described(run.recurrent.program, {**described, name: value}, "model.json")


# Pronunciations --------------------------------------------------------------------------------


def test_letters_become_phonemes(tmp_path: Path) -> None:
    path = write_dictionary(tmp_path / "words.dict", 80)
    heard = Heard()
    settings = PronounceSettings.of({"hidden": 24, "embedding": 16, "dropout": 0.0})
    task = Pronouncing.prepare(path, settings, heard)
    assert "stress is left out; stress=True learns it, too" in heard.text
    assert task.baselines()["letter by letter"] < 0.3  # each letter has one sound
    network = learn(task, 120)
    texts = [best[0].text for best in network.write(task.train.sources, beam=1)]
    right = sum(text == said for text, (_, said) in zip(texts, task.train.shown, strict=True))
    assert right > 0.6 * len(texts)
    with_stress = Pronouncing.prepare(path, PronounceSettings.of({"stress": True}), heard)
    assert "AA1" in with_stress.prepared.reader.target
    assert "AA" in task.prepared.reader.target
    # All pronunciations of a word are in one part.
    several = [right for right in task.prepared.asked.references if len(right) > 1]
    train, _, test = map(set, task.prepared.keys)
    assert not train & test
    assert all(right[1].endswith(" B") for right in several)


def test_options_of_reading_fit_each_other() -> None:
    with pytest.raises(SettingError, match="n_best is 3; expected 2 or less"):
        PairReading(beam=2, n_best=3)


def test_lines_have_as_many_columns_whatever_they_hold(tmp_path: Path) -> None:
    run = conveyor.fit(
        "translate", write_pairs(tmp_path / "p.tsv"), out=tmp_path / "run",
        say=lambda line: None, **QUICK,
    )  # fmt: skip
    source = run.question().example
    lines = list(run.answers([source, "", "§§"], n_best=2, scores=True, beam=2))
    assert [line.count("\t") for line in lines] == [3, 3, 3]
    heard = Heard()
    frame = run.predict([source, "", "§§"], scores=True, say=heard)
    assert frame["log_probability"].to_list()[1] is None
    assert "1 row holds what the run has never seen" in heard.text
    assert "1 row holds no source" in heard.text


# Copies of what is unknown ---------------------------------------------------------------------


def test_an_unknown_word_becomes_what_was_looked_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: the weights say which word, the dictionary what it becomes."""
    network = untrained(prepared(pairs(20))[0])
    reader = network.reader
    known = reader.target.numbers([reader.target.known[0]]).tolist()[0]
    weights = torch.tensor([[0.1, 0.6, 0.3], [0.5, 0.2, 0.3], [0.1, 0.2, 0.7], [0.3, 0.3, 0.4]])
    found = Hypothesis((UNK, known, UNK), -1.0, -1.0, True, weights)
    asked: dict[str, Any] = {}

    def hypotheses(sources: Any, **options: Any) -> list[list[Hypothesis]]:
        asked.update(options)
        return [[found], []]

    monkeypatch.setattr(network, "hypotheses", hypotheses)
    copying = Copying(["met Zoe Rostov", ""], {"Rostov": "Rostow"})
    (best,), (nothing,) = network.write([], beam=2, copying=copying)
    assert best.tokens == ("Zoe", reader.target.known[0], "Rostow")
    assert best.text == reader.text_of(best.tokens)
    assert (best.copied, best.attention) == (2, None)
    assert nothing.copied == 0
    assert asked == {"beam": 2, "n_best": 1, "attention": True, "unknown": True}
    (one,), _ = network.write([], beam=2, attention=True, copying=copying)
    assert one.attention is weights
    (one,), _ = network.write([], beam=2)
    assert one.tokens[0] == "<unk>"  # if a search ever found one
    assert asked == {"beam": 2, "n_best": 1, "attention": False, "unknown": False}


def test_what_is_unknown_is_written_only_as_a_copy() -> None:
    """A network that would write nothing but unknown tokens."""
    network = untrained(prepared(pairs(20), vocabulary=6)[0])
    head: Any = network.model.decoder.head
    head.bias.data[UNK] = 50
    head.bias.data[network.reader.end] = 50
    source = network.reader.encode("old red dog")
    for copying in (None, Copying(["old red dog"], {"dog": "Hund"})):
        best = max(
            network.write([source], beam=4, n_best=4, copying=copying)[0],
            key=lambda each: each.copied,
        )
        assert "<unk>" not in best.tokens
        assert bool(best.copied) == (copying is not None)
        if copying is not None:
            assert set(best.tokens) & {"old", "red", "Hund"}


def test_copies_are_written_scored_and_told(tmp_path: Path) -> None:
    source = write_pairs(tmp_path / "pairs.tsv")
    run = conveyor.fit(
        "translate", source, out=tmp_path / "run", say=Heard(), vocabulary=4, **QUICK
    )
    head: Any = run.model.model.decoder.head  # type: ignore[union-attr]
    head.bias.data[UNK] = 50
    text = pairs(60)[0][0]
    plain, copied = run.predict([text]), run.predict([text], copy=True)
    assert plain != copied
    assert "<unk>" not in copied[0]
    assert list(run.answers([text], copy=True)) == copied
    results = run.evaluate(source, say=Heard(), copy=True)
    assert results.details["copied"] > 0
    assert (
        f"Unknown words in the output: {results.details['copied']:,}"
        in results.scores[0].verdict.en
    )
    assert "copied" not in run.evaluate(source, say=Heard()).details
    later = run.evaluate(write_pairs(tmp_path / "later.tsv", 9), say=Heard(), copy=True)
    assert later.details["copied"] > 0
    kept = json.loads((tmp_path / "run" / "model.json").read_text(encoding="utf-8"))["fitted_on"]
    assert len(kept["dictionary"]) > 4
