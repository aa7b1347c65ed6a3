"""The task ``tag``: what it must learn, what must not change its answers, and what it says of bad
data."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import conveyor
from conveyor.compiler.show import program_of
from conveyor.data.conllu import read_conllu
from conveyor.errors import DataError, SettingError
from conveyor.inside.inspect_run import inspect_run
from conveyor.tasks.run import Run
from conveyor.tasks.span_scores import span_scores
from conveyor.tasks.tag.prepared_tags import MOST_TOGETHER
from conveyor.tasks.tag.tag_settings import TagSettings
from conveyor.tasks.tag.tagger import Tagger
from conveyor.tasks.tag.tagging import FEATURE_CRF, MOST_FREQUENT, Tagging
from tests.heard import Heard
from tests.tagged import tagged, write_conllu, write_slots

QUICK: dict[str, Any] = {"hidden": 6, "words": 6, "characters": 2, "syllables": 3, "epochs": 1}


def prepared(source: Any, **values: Any) -> tuple[Tagging, Heard]:
    """Return the task on a source, and what was said."""
    heard = Heard()
    return Tagging.prepare(source, TagSettings.of({**QUICK, **values}), heard), heard


def untrained(task: Tagging, cell: str = "lstm") -> Tagger:
    """Return a network of a task that has learned nothing, and whose numbers are not all alike."""
    torch.manual_seed(0)
    network = task.network(program_of(cell), task.settings.network).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network


def slots(folder: Path, **values: Any) -> tuple[Tagging, Heard]:
    """Return the task on sentences with tags of spans and intents."""
    source = write_slots(folder / "train")
    files = {"labels": str(folder / "train/seq.out"), "intent": str(folder / "train/label")}
    return prepared(str(source), **files, **values)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of one epoch on sentences in CoNLL-U, read in one direction."""
    folder = tmp_path_factory.mktemp("tags")
    source = write_conllu(folder / "train.conllu")
    return conveyor.fit(
        "tag", source, out=folder / "run", say=Heard(), **QUICK, bidirectional=False
    )


# What it must learn ----------------------------------------------------------------------------


def learn(task: Tagging, steps: int) -> Tagger:
    """Return a network that was trained on the whole training set for some steps."""
    network = task.network(program_of("lstm"), task.settings.network)
    adam = torch.optim.Adam(network.parameters(), 0.03)
    batch = task.train.__getitems__(range(len(task.train)))
    for _ in range(steps):
        adam.zero_grad()
        network.train().loss(batch).value.backward()  # type: ignore[no-untyped-call]
        adam.step()
    return network.eval()


@pytest.mark.parametrize("crf", [True, False])
def test_a_word_is_tagged_by_its_neighbours(crf: bool) -> None:
    torch.manual_seed(0)
    task, _ = prepared(tagged(80), crf=crf, dropout=0.0, word_dropout=0.0, hidden=8)
    network = learn(task, 40)
    assert task.score(network) == 1.0
    said = network.answer([["Lan", "đang", "sách", "sách", "."]])[0].tags
    assert said == ("NAME", "ADV", "VERB", "NOUN", ".") or said[2:4] == ("VERB", "NOUN")
    baselines = task.baselines()
    assert baselines[FEATURE_CRF] == 1.0
    assert baselines[MOST_FREQUENT] < 1.0


def test_spans_and_intents_are_learned_together(tmp_path: Path) -> None:
    torch.manual_seed(0)
    task, _ = slots(tmp_path, dropout=0.0, word_dropout=0.0, hidden=8)
    network = learn(task, 40)
    assert task.metric.key == "span_f1"
    assert task.score(network) == 1.0
    (answer,) = network.answer([["we", "drive", "to", "Oslo", "on", "Monday"]])
    assert answer.intent == "road"
    assert answer.tags == ("O", "O", "O", "B-city", "O", "B-day")


def test_answers_obey_the_scheme_and_softmax_need_not(tmp_path: Path) -> None:
    task, _ = slots(tmp_path)
    network = untrained(task)
    with torch.no_grad():
        network.head.bias[task.prepared.tags.index("I-city")] += 20.0
    tags = network.answer(task.asked.words)
    assert all(answer.tags[0] != "I-city" for answer in tags)
    assert "I-city" in tags[0].tags
    network.crf = None
    assert network.answer(task.asked.words)[0].tags[0] == "I-city"


# What must not change an answer ----------------------------------------------------------------


@pytest.mark.parametrize("crf", [True, False])
def test_neither_padding_nor_the_batch_changes_an_answer(crf: bool) -> None:
    task, _ = prepared(tagged(40), crf=crf)
    network = untrained(task)
    words = task.train.words
    together = network.answer(words, sure=True)
    alone = [network.answer([each], sure=True)[0] for each in words]
    assert [a.tags for a in alone] == [a.tags for a in together]
    for first, second in zip(alone, together, strict=True):
        assert first.probabilities == pytest.approx(second.probabilities, abs=1e-6)
    assert [a.tags for a in network.answer(words[::-1])] == [a.tags for a in together][::-1]
    batch = task.train.__getitems__(range(5))
    with torch.no_grad():
        loss = network.loss(batch).value
        longer = batch._replace(
            places=torch.cat([batch.places, torch.full((50, 5), 3)]),
            tags=torch.cat([batch.tags, torch.full((50, 5), 2)]),
        )
        torch.testing.assert_close(network.loss(longer).value, loss, atol=1e-6, rtol=0)


def test_the_loss_is_a_mean_over_words_plus_that_of_intents(tmp_path: Path) -> None:
    task, _ = slots(tmp_path)
    network = untrained(task)
    batch = task.train.__getitems__(range(6))
    loss = network.loss(batch)
    assert loss.count == sum(task.train.lengths[:6])
    assert network.crf is not None
    assert network.intent is not None
    scores = network(batch.spelled, batch.places, batch.lengths)
    of_tags = network.crf.loss(scores, batch.tags, lengths=batch.lengths)
    before, network.intent = network.intent, None
    torch.testing.assert_close(network.loss(batch).value, of_tags)
    network.intent = before
    assert bool(loss.value > of_tags)


@pytest.mark.parametrize("crf", [True, False])
def test_the_epoch_is_kept_by_what_the_task_is_scored_on(crf: bool, tmp_path: Path) -> None:
    """The counts of the validation set are those of the answers, padding left out."""
    for source, score in (
        (write_conllu(tmp_path / "a.conllu"), "accuracy"),
        (write_slots(tmp_path / "slots"), "span F1"),
    ):
        more = {"labels": str(tmp_path / "slots/seq.out")} if source.name == "seq.in" else {}
        task, _ = prepared(str(source), crf=crf, **more)
        network = untrained(task)
        assert network.decided_by == score
        found = network.loss(task.train.__getitems__(range(len(task.train)))).found
        assert found is not None
        gold, said, right = found.tolist()
        answers = [answer.tags for answer in network.answer(task.train.words)]
        wanted = [sentence.tags for sentence in task.train.sentences]
        if score == "accuracy":
            assert gold == said == sum(task.train.lengths)
            assert right == sum(
                a == b
                for x, y in zip(answers, wanted, strict=True)
                for a, b in zip(x, y, strict=True)
            )
        else:
            scores = span_scores(wanted, answers).whole
            assert (gold, said, right) == (scores.gold, scores.predicted, scores.right)
        network.train()
        assert network.loss(task.train[0]).found is None


def test_a_word_is_known_in_any_form_of_unicode() -> None:
    task, _ = prepared([(["Huê\u0301", f"a{n}"], ["X", "Y"]) for n in range(12)])
    reader = task.prepared.reader
    assert reader.knows("Huế")
    network = untrained(task)
    first, second = network.answer([["Huế"], ["Hue\u0302\u0301"]], sure=True)
    assert first.probabilities == second.probabilities


def test_parts_of_words_can_be_left_out() -> None:
    task, _ = prepared(tagged(20), syllables=0, characters=0)
    assert untrained(task).words.features == 6
    task, _ = prepared(tagged(20), words=0, syllables=None)
    assert untrained(task).words.features == 50 + 4  # words of several syllables are there
    one_syllable = [([w.replace(" ", "") for w in words], tags) for words, tags in tagged(20)]
    task, _ = prepared(one_syllable, syllables=None)
    assert untrained(task).words.features == 6 + 4
    with pytest.raises(SettingError, match="leave nothing of a word to read"):
        TagSettings.of({"words": 0, "characters": 0, "syllables": 0})


def test_what_the_data_decided_is_what_is_fitted(tmp_path: Path) -> None:
    asked = {**QUICK, "words": 0, "syllables": None}
    run = conveyor.fit("tag", tagged(20), out=tmp_path / "run", say=lambda line: None, **asked)
    assert run.words.features == 50 + 4


# A tag after every word ------------------------------------------------------------------------


@pytest.mark.parametrize("crf", [True, False])
def test_the_tag_after_a_word_is_the_last_of_the_sentence_so_far(crf: bool) -> None:
    task, _ = prepared(tagged(30), crf=crf, bidirectional=False)
    network = untrained(task, "gru")
    stream = network.stream()
    for words in (["Lan", "đang", "sách", "xa", "."], ["sách", "sách", "Huế"]):
        for count in range(1, len(words) + 1):
            tag = stream.read(words[count - 1])
            (whole,) = network.answer([words[:count]], sure=True)
            assert tag.tag == whole.tags[-1]
            assert tag.probability == pytest.approx(whole.probabilities[-1], abs=1e-5)
            assert stream.tags == whole.tags
        stream.restart()
        assert stream.tags == ()


def test_who_reads_from_the_end_has_no_tag_before_it() -> None:
    task, _ = prepared(tagged(20))
    with pytest.raises(SettingError, match="bidirectional=False"):
        untrained(task).stream()


# A run -----------------------------------------------------------------------------------------


def test_a_run_is_loaded_as_it_was(run: Run) -> None:
    words = [words for words, _ in tagged(10, seed=3)]
    again = conveyor.load(run.folder)
    assert again.predict(words) == run.predict(words)
    assert set(run.metrics["scores"][0]["rows"]) == {"lstm with CRF", FEATURE_CRF, MOST_FREQUENT}
    low, high = run.metrics["accuracy_interval"]
    assert low <= run.metrics["scores"][0]["rows"]["lstm with CRF"]["accuracy"] <= high
    table = (run.folder / "test.csv").read_text()
    assert table.startswith("sentence,place,word,tag,predicted,probability\n")
    settings = (run.folder / "settings.toml").read_text()
    assert 'scheme = "plain"' in settings
    page = (run.folder / "report.html").read_text()
    for part in ("Worst mistakes", "Confusion matrix", "Transition scores"):
        assert part in page


def test_predictions_in_the_form_of_the_file(run: Run, tmp_path: Path) -> None:
    path = write_conllu(tmp_path / "new.conllu", 5, seed=7)
    words = [s.words for s in read_conllu(path).sentences]
    said = run.predict(words)
    (tmp_path / "out.conllu").write_text(run.predict(path, scores=True))
    filled = read_conllu(tmp_path / "out.conllu")
    assert [s.tags for s in filled.sentences] == said
    assert "Probability=0." in (tmp_path / "out.conllu").read_text()
    xpos = run.predict(path, tags="xpos")
    assert [line.split("\t")[4] for line in xpos.splitlines() if line][:3] == said[0][:3]
    lines = tmp_path / "new.txt"
    lines.write_text("Hà_Nội gặp cá .\n\nLan\n")
    first, second, third = run.predict(lines).split("\n")[:3]
    assert first.split() == run.predict([["Hà Nội", "gặp", "cá", "."]])[0]
    assert second == ""
    assert third.split() == run.predict(["Lan"])[0]
    scored = run.predict([["Lan", "."]], scores=True)[0]
    assert len(scored.probabilities) == 2


def test_lines_are_answered_one_by_one(run: Run) -> None:
    asked: list[str] = []

    def lines() -> Any:
        for line in ("Lan gặp cá .", "", "Hà Nội\tgặp"):
            asked.append(line)
            yield line

    answers = run.answers(lines())
    assert len(next(answers).split()) == 4
    assert len(asked) == 1
    assert next(answers) == ""
    assert next(answers).split() == run.predict([["Hà Nội", "gặp"]])[0]
    assert isinstance(run.model, Tagger)
    example = Tagging.question(run.model, {"sample": ["Hà Nội", "gặp"]}).example
    assert example == "Hà_Nội gặp"
    assert next(run.answers([example])).split() == run.predict([["Hà Nội", "gặp"]])[0]
    scored = next(run.answers(["Lan ."], scores=True)).split()
    assert all(re.fullmatch(r"[A-Z]+=[01]\.\d{4}", each) for each in scored)


def test_a_run_is_scored_on_its_test_part_or_on_all_of_other_data(run: Run, tmp_path: Path) -> None:
    heard = Heard()
    own = run.evaluate(write_conllu(tmp_path / "a.conllu"), say=heard)
    assert "its test set is scored" in heard.text
    assert own.count.en == "4 sentences"
    other = run.evaluate(write_conllu(tmp_path / "b.conllu", 12, seed=0), say=heard)
    assert other.count.en == "12 sentences"
    assert "of these 12 were learned from" in heard.text
    assert list(other.scores[0].rows) == ["lstm with CRF", FEATURE_CRF, MOST_FREQUENT]
    run.evaluate(tmp_path / "b.conllu", tags="xpos", say=heard)
    assert "words with 4 tags that the run does not know (A, N, P, V) cannot" in heard.text


def test_inspect_reads_a_sentence(run: Run, tmp_path: Path) -> None:
    read = run.read(text="Lan gặp Hà_Nội .")
    assert read.labels == ("Lan", "gặp", "Hà Nội", ".")
    assert read.answers == tuple(run.predict([list(read.labels)])[0])
    # What is asked is the logarithm of the probability that predict tells.
    chances = run.predict([list(read.labels)], scores=True)[0].probabilities
    with torch.no_grad():
        output, _ = run.model.recurrent(read.inputs)
        asked = float(read.answer(output).exp())
    assert asked == pytest.approx(min(chances), abs=1e-5)
    assert run.read(write_conllu(tmp_path / "a.conllu"), row=2).labels[-1] == "."
    with pytest.raises(DataError, match="there are 40 sentences"):
        run.read(tmp_path / "a.conllu", row=41)
    for text in (" ", "\t"):
        with pytest.raises(DataError, match="holds no word"):
            run.read(text=text)
    assert inspect_run(run, text="Lan gặp cá .", say=Heard()).contributions is not None


def test_a_run_on_slots(tmp_path: Path) -> None:
    source = write_slots(tmp_path / "train")
    other = write_slots(tmp_path / "dev", 8, seed=5)
    run = conveyor.fit(
        "tag",
        str(source),
        labels=str(tmp_path / "train/seq.out"),
        intent=str(tmp_path / "train/label"),
        validation=str(other),
        out=tmp_path / "run",
        say=Heard(),
        **QUICK,
    )
    rows = run.metrics["scores"][0]["rows"]
    assert set(rows["lstm with CRF"]) >= {"span_f1", "accuracy", "intent_accuracy"}
    assert rows[MOST_FREQUENT]["intent_accuracy"] is not None
    assert rows[FEATURE_CRF]["intent_accuracy"] is None
    with pytest.raises(DataError, match="Name that of these data: labels"):
        run.evaluate(other)
    files = {"labels": str(tmp_path / "dev/seq.out")}
    scored = run.evaluate(other, **files, intent=str(tmp_path / "dev/label"), say=Heard())
    assert scored.count.en == "8 sentences"
    assert run.evaluate(other, **files, say=Heard()).scores[0].rows["lstm with CRF"][-1] is None
    tags, _, intent = next(run.answers(["we fly to Rome today"])).partition("\t")
    assert len(tags.split()) == 5
    assert intent in ("flight", "road")
    assert "conlleval" in (run.folder / "report.html").read_text()
    assert set(json.loads((run.folder / "metrics.json").read_text())["spans"]) == {"city", "day"}


# Parts and what is odd -------------------------------------------------------------------------


def test_leaks_are_told_and_taken_out_if_asked(tmp_path: Path) -> None:
    train = write_conllu(tmp_path / "a.conllu", 30)
    test = write_conllu(tmp_path / "b.conllu", 6)  # the same draws: all of them are in the first
    task, heard = prepared(train, test=str(test))
    assert "warning: 6 sentences of the test set" in heard.text
    assert len(task.asked) == 6
    task, heard = prepared(train, test=str(test), dedupe=True)
    assert "left out, as asked" in heard.text
    assert sum(len(part) for part in task.prepared.parts) == 30


def test_tags_of_other_parts_have_a_place_and_are_told(tmp_path: Path) -> None:
    train = write_conllu(tmp_path / "a.conllu")
    test = tmp_path / "b.conllu"
    test.write_text(write_conllu(test, 6, seed=9).read_text().replace("\tNOUN\t", "\tN\t"))
    task, heard = prepared(train, test=str(test))
    assert task.prepared.tags[-1] == "N"
    assert re.search(
        r"warning: 1 tag \(N\) of the test set is not in the training set: \d+ words of \d+ "
        r"cannot be got right\. Do the parts have different sets of tags\?",
        heard.text,
    )


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ("I-x O B-y", "warning: .*: 1 tag I- that continues no span of the type, the first in"),
        ("I-x O I-x", "the tags are of the scheme IOB1; they are read as IOB2"),
        ("S-x O S-x", "the tags are of the scheme IOBES; they are read as IOB2"),
    ],
)
def test_other_schemes_are_read_as_iob2_and_told(tags: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    first = "".join(f"w{n} {tag}\n" for n, tag in enumerate(tags.split()))
    rest = "".join(
        f"\nv{n} {'O' if 'B-' in tags else tags.split(maxsplit=1)[0]}\nz O\n" for n in range(12)
    )
    path.write_text(first + rest)
    task, heard = prepared(path)
    assert re.search(said, heard.text)
    assert task.prepared.iob2
    assert "B-x" in task.prepared.tags


def test_what_cannot_be_learned_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="all tags are 'A'; there is nothing to tell apart"):
        prepared([(["a", str(n)], ["A", "A"]) for n in range(10)])
    with pytest.raises(DataError, match="the validation set of 2 sentences is empty"):
        prepared(tagged(2))
    path = tmp_path / "a.txt"
    path.write_text("a B-x\nb C\n\n" * 9)
    with pytest.raises(DataError, match=r"a\.txt, line 2: 'C' is no tag of the scheme IOB2"):
        prepared(path, scheme="iob2")
    with pytest.raises(SettingError, match="labels is a file of tags, and tags a column"):
        TagSettings.of({"labels": "a", "tags": "b"})
    with pytest.raises(SettingError, match="intent is of sentences in lines"):
        TagSettings.of({"intent": "a"})


def test_few_sentences_get_more_epochs() -> None:
    task, _ = prepared(tagged(40), epochs=None)
    assert task.settings.training.epochs == 60
    training = TagSettings().training.with_epochs(1400)
    assert training.epochs == 12


# What a hostile reader found -------------------------------------------------------------------


def test_so_many_tags_are_not_chosen_together(tmp_path: Path) -> None:
    several = [([f"w{n}", "x"], [f"T{n}", "X"]) for n in range(MOST_TOGETHER + 60)]
    with pytest.raises(DataError, match=r"different tags.*every pair.*crf=False"):
        prepared(several)
    task, _ = prepared(several, crf=False)
    assert list(task.baselines()) == ["most frequent tag of a word"]


@pytest.mark.parametrize("tags", ["form", "id", "1", "2", "11"])
def test_words_are_no_tags(tags: str, tmp_path: Path) -> None:
    path = write_conllu(tmp_path / "t.conllu")
    with pytest.raises(DataError, match=r"no such column to learn.*3 to 10"):
        prepared(path, tags=tags)


def test_a_file_that_holds_its_tags_is_given_alone(tmp_path: Path) -> None:
    path = write_conllu(tmp_path / "t.conllu")
    with pytest.raises(DataError, match="is CoNLL-U, which holds the words and their tags"):
        prepared(path, labels=str(path))


def test_intents_that_are_all_alike_are_refused(tmp_path: Path) -> None:
    folder = write_slots(tmp_path).parent
    (folder / "label").write_text("a\n" * len((folder / "label").read_text().splitlines()))
    with pytest.raises(DataError, match=r"all intents are 'a'.*Leave out intent"):
        prepared(folder / "seq.in", labels=str(folder / "seq.out"), intent=str(folder / "label"))


def test_a_run_without_intents_says_none(tmp_path: Path) -> None:
    task, _ = prepared(tagged(20))
    (answer,) = untrained(task).answer([["Lan"]], sure=True)
    assert (answer.intent, answer.intent_probability) == (None, None)
