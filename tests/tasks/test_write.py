"""The task ``write``: what it must learn, what must not change its answers, and what it says of bad
data."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import conveyor
from conveyor.cli.app import app
from conveyor.data.handwriting import read_handwriting
from conveyor.data.pen_movements import movements_of, points_of, thinned
from conveyor.errors import DataError, SettingError
from conveyor.pages.stroke_picture import stroke_picture
from conveyor.tasks.write.pen_baselines import LINEAR, ONE_GAUSSIAN, WITHOUT_MEMORY, pen_baselines
from conveyor.tasks.write.write_settings import WriteSettings
from conveyor.tasks.write.writer import Writer
from conveyor.tasks.write.writing import Writing
from tests.handwritten import strokes_of, write_handwriting
from tests.heard import Heard

QUICK: dict[str, Any] = {
    "hidden": 24, "layers": 2, "window": 3, "components": 4, "batch": 16, "epochs": 30,
    "learning_rate": 0.02,
}  # fmt: skip


def prepared(source: Any, **values: Any) -> tuple[Writing, Heard]:
    """Return the task on a source, and what was said."""
    heard = Heard()
    return Writing.prepare(source, WriteSettings.of({**QUICK, **values}), heard), heard


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> conveyor.Run:
    """A run that has learned three letters."""
    folder = tmp_path_factory.mktemp("write")
    source = write_handwriting(folder / "hand.jsonl", 100)
    return conveyor.fit("write", source, out=folder / "run", say=lambda line: None, **QUICK)


def model_of(run: conveyor.Run) -> Writer:
    assert isinstance(run.model, Writer)
    return run.model


def test_it_learns_letters_and_beats_what_remembers_nothing(run: conveyor.Run) -> None:
    (scores,) = run.metrics["scores"]
    nats = {name: row["nats"] for name, row in scores["rows"].items()}
    assert set(nats) == {"lstm_peephole", ONE_GAUSSIAN, LINEAR, WITHOUT_MEMORY}
    assert nats["lstm_peephole"] < nats[WITHOUT_MEMORY] < nats[ONE_GAUSSIAN]
    assert scores["wins"]


def test_it_writes_the_text_that_it_is_given(run: conveyor.Run) -> None:
    """The longer the text, the wider and the more strokes."""
    model = model_of(run)

    def sizes(text: str) -> tuple[float, float]:
        written = [model.write(text, seed=seed, bias=2.0) for seed in range(5)]
        assert all(each.finished for each in written)
        points = [model.points(each.movements) for each in written]
        return (
            float(np.mean([np.ptp(each[:, 0]) for each in points])),
            float(np.mean([each[:, 2].sum() for each in points])),
        )

    (narrow, one), (wide, two), (widest, three) = map(sizes, ("o", "oo", "ooo"))
    assert narrow + 3 < wide < widest - 3
    assert one < two < three


def test_the_window_walks_along_the_text(run: conveyor.Run) -> None:
    model = model_of(run)
    movements = model.write("lol", bias=3.0).movements
    weights = model.window_of(movements, model.alphabet.encode("lol"))
    places = weights.argmax(1)
    assert (places.diff() >= 0).all()
    assert places[0] == 0
    assert places[-1] >= 2


def test_a_seed_writes_the_same_and_a_bias_less_varied(run: conveyor.Run) -> None:
    model = model_of(run)
    one, same = (model.write("lo", seed=3).movements for _ in range(2))
    assert torch.equal(one, same)
    assert not torch.equal(one, model.write("lo", seed=4).movements)

    def spread(bias: float) -> float:
        heights = [
            np.ptp(model.points(model.write("l", seed=seed, bias=bias).movements)[:, 1])
            for seed in range(8)
        ]
        return float(np.std(heights))

    assert spread(5.0) < spread(0.0)


def test_steps_are_the_sequence_and_padding_changes_no_bit(run: conveyor.Run) -> None:
    model, task = model_of(run), prepared(run.folder.parent / "hand.jsonl")[0]
    examples = task.parts[2]
    alone = [model.nats(replace_with(examples, [n]))[0] for n in range(len(examples))]
    for one, together in zip(alone, model.nats(examples), strict=True):
        torch.testing.assert_close(one, together, rtol=1e-5, atol=1e-5)
    batch = examples.__getitems__([0, 1])
    far = batch._replace(
        movements=torch.cat([batch.movements, torch.full((3, 2, 3), 7.0)]),
        characters=torch.cat([batch.characters, batch.characters[:1]]),
    )
    with torch.no_grad():
        assert torch.equal(model.losses(batch), model.losses(far)[:-3])
        # What is drawn step by step is drawn of what a call on the sequence says.
        movements, characters = examples.movements[0], examples.characters[0]
        states: list[Any] = [None] * len(model.layers)
        memory, before = model.memory(characters), torch.zeros(3)
        steps = []
        for movement in movements:
            steps.append(model._step(before, memory, states)[0])
            before = movement
        shifted = torch.cat([torch.zeros(1, 3), movements[:-1]]).unsqueeze(1)
        whole = model(
            shifted,
            torch.tensor([len(movements)]),
            characters.unsqueeze(1),
            torch.tensor([len(characters)]),
        )
        torch.testing.assert_close(torch.stack(steps), whole[:, 0], rtol=1e-4, atol=1e-4)


def replace_with(examples: Any, numbers: list[int]) -> Any:
    names = ("movements", "characters", "texts", "places")
    return replace(examples, **{n: [getattr(examples, n)[k] for k in numbers] for n in names})


def test_a_run_is_saved_whole(run: conveyor.Run, tmp_path: Path) -> None:
    loaded = conveyor.load(run.folder)
    mine, theirs = model_of(run), model_of(loaded)
    assert torch.equal(mine.write("lo").movements, theirs.write("lo").movements)
    points = read_handwriting(write_handwriting(tmp_path / "new.jsonl")).strokes[0]
    assert torch.equal(mine.movements(points), theirs.movements(points))
    np.testing.assert_allclose(
        theirs.points(theirs.movements(points)), points - [*points[0, :2], 0], atol=1e-5
    )


def test_a_style_is_gone_on_from(run: conveyor.Run, tmp_path: Path) -> None:
    """Large letters are gone on from by large ones, which the network never saw: so what it goes on
    from counts."""
    model = model_of(run)
    source = write_handwriting(tmp_path / "new.jsonl")
    first = next(iter(run.generate(text="lo", prime=str(source), prime_row=2)))
    assert first != next(iter(run.generate(text="lo", prime=str(source), prime_row=3)))
    assert first != next(iter(run.generate(text="lo")))
    points = read_handwriting(source).strokes[1]
    prime = model.movements(points), read_handwriting(source).texts[1]
    written = model.write("lo", prime=prime)
    assert stroke_picture(model.points(written.movements), "lo") == first
    with pytest.raises(DataError, match="there are 40 texts"):
        next(iter(run.generate(text="lo", prime=str(source), prime_row=41)))


def test_the_command_writes_a_picture(run: conveyor.Run, tmp_path: Path) -> None:
    out = tmp_path / "lo.svg"
    words = ["generate", str(run.folder), "--text", "lo", "--bias", "3", "--out", str(out)]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 0, ended.output
    picture = ElementTree.fromstring(out.read_text(encoding="utf-8"))
    assert picture.get("aria-label") == "lo"
    strokes = model_of(run).write("lo", bias=3.0).movements[:, 2]
    drawn = len(picture.findall(".//{http://www.w3.org/2000/svg}path"))
    assert drawn in (
        int(strokes.sum()),
        int(strokes.sum()) + 1,
    )  # the last is cut off, lifted or not
    shown = CliRunner().invoke(app, words[:-2])
    assert shown.output == out.read_text(encoding="utf-8")
    for wrong, error in (
        (["--text", "lox"], r"the run has never seen 'x' written\. It can write ilo"),
        ([], r"there is nothing to write: the text is empty"),
        (["--text", "l", "--bias", "-1"], "bias is -1"),
        (["--prompt", "l"], "prompt"),
    ):
        ended = CliRunner().invoke(app, ["generate", str(run.folder), *wrong])
        assert ended.exit_code != 0
        assert re.search(error, f"{ended.exception} {ended.output}"), ended.output


def test_other_handwriting_is_scored_in_the_units_of_the_run(
    run: conveyor.Run, tmp_path: Path
) -> None:
    """Of the run's own data its test set is scored; of others all that it can read, as the run
    knows letters and units: their texts are others, and twice as large."""
    heard, data = Heard(), run.folder.parent / "hand.jsonl"
    again = run.evaluate(data, say=heard)
    assert again.scores[0].as_json() == run.metrics["scores"][0]
    assert "its test set is scored" in heard.text
    lines = [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines()]
    other = tmp_path / "other.jsonl"
    larger = [
        {"text": each["text"], "strokes": [[[2 * x, 2 * y] for x, y in s] for s in each["strokes"]]}
        for each in lines[:4]
    ]
    records = [*lines[:2], *larger, {"text": "lox", "strokes": lines[0]["strokes"]}]
    other.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    heard = Heard()
    results = run.evaluate(other, say=heard)
    assert "1 text left out for characters" in heard.text
    assert "2 texts of these 6 were learned from" in heard.text
    model = model_of(run)
    read = read_handwriting(other)
    want = torch.cat(model.nats(model.examples(read, range(6)))).double().mean()
    assert results.scores[0].value("lstm_peephole") == pytest.approx(float(want))
    (own,) = model.nats(model.examples(read, [0]))
    (double,) = model.nats(model.examples(read, [2]))
    assert double.mean() > own.mean()  # the hand is another


def test_a_dot_that_is_the_first_stroke_is_lifted_from() -> None:
    points = np.array([[1.0, 2, 1], [4, 2, 0], [4, 5, 1]])
    moved = movements_of(points, (1.0, 1.0), 1.0)
    assert moved.tolist() == [[0, 0, 1], [3, 0, 0], [0, 3, 1]]
    assert points_of(moved, (1.0, 1.0))[:, 2].tolist() == [0, 1, 0, 1]


def test_without_texts_it_scribbles(tmp_path: Path) -> None:
    source = write_handwriting(tmp_path / "hand.jsonl")
    run = conveyor.fit(
        "write",
        source,
        say=lambda line: None,
        **{**QUICK, "epochs": 1, "texts": False, "layers": 1},
    )
    model = model_of(run)
    written = model.write("", longest=9)
    assert written.movements.shape == (9, 3)
    assert not written.finished
    with pytest.raises(SettingError, match=r"fitted without texts and can write none"):
        model.write("lo")
    with pytest.raises(SettingError, match="fitted without texts"):
        model.window_of(written.movements, torch.zeros(1, dtype=torch.long))
    assert "means nothing" in run.report().read_text(encoding="utf-8")


def test_the_report_shows_what_is_written_and_where_the_window_looks(run: conveyor.Run) -> None:
    page = run.report().read_text(encoding="utf-8")
    for part in ("Samples", "Mạng viết ra gì", "Alignment", "bias 3"):
        assert part in page
    pictures = re.findall(r"<svg class=\"strokes\".*?</svg>", page, re.DOTALL)
    assert len(pictures) > 20
    for picture in pictures:
        ElementTree.fromstring(picture)


def test_a_look_inside_has_a_letter_at_each_movement(run: conveyor.Run) -> None:
    sequence = run.read(run.folder.parent / "hand.jsonl", row=3)
    text = sequence.title.en
    assert "".join(dict.fromkeys(sequence.labels)) == "".join(dict.fromkeys(text))
    model = model_of(run)
    layer = model.recurrent
    with torch.no_grad():
        output = layer(sequence.inputs)[0]
        log_density = sequence.answer(output.expand(-1, 2, -1))
    points = read_handwriting(run.folder.parent / "hand.jsonl").strokes[2]
    examples = prepared(run.folder.parent / "hand.jsonl")[0].parts[0]
    one = replace(
        replace_with(examples, [0]),
        movements=[model.movements(points)],
        characters=[model.alphabet.encode(text)],
    )
    torch.testing.assert_close(log_density[1], -model.nats(one)[0].sum())
    with pytest.raises(DataError, match="a run keeps no strokes"):
        run.read()


def test_points_are_thinned_and_keep_the_ends_of_strokes() -> None:
    points = np.array([[n, 0, n in (4, 5, 9)] for n in range(10)], dtype=float)
    assert thinned(points, 1).tolist() == points.tolist()
    assert thinned(points, 3)[:, 0].tolist() == [0, 3, 4, 5, 6, 9]
    assert thinned(points, 100)[:, 0].tolist() == [0, 4, 5, 6, 9]
    assert thinned(points, 3)[:, 2].sum() == 3


def test_movements_are_points_and_back() -> None:
    points = np.array([[3.0, 1, 0], [4, 3, 1], [8, 0, 0], [9, 0, 1]])
    moved = movements_of(points, (2.0, 3.0), 6.0)
    expected = torch.tensor([[3, 2 / 3, 1], [12, -1, 0], [3, 0, 1]])
    torch.testing.assert_close(moved, expected)
    np.testing.assert_allclose(
        points_of(moved, (2.0, 3.0)), [[0, 0, 0], [6, 2, 1], [30, -1, 0], [36, -1, 1]]
    )


def test_baselines_know_what_can_be_known() -> None:
    """Movements that are half of the one before and noise: a line predicts them, a Gaussian does
    not; both are as good as their formulas say."""
    generator = torch.Generator().manual_seed(0)

    def parts(count: int) -> list[torch.Tensor]:
        rows = []
        for _ in range(count):
            noise, now, steps = torch.randn(200, 2, generator=generator), torch.zeros(2), []
            for each in noise:
                now = 0.9 * now + each
                steps.append(now)
            rows.append(torch.cat([torch.stack(steps), torch.zeros(200, 1)], 1))
        return rows

    nats = pen_baselines(parts(20), parts(10), narrowest=0.1)
    entropy = 1 + np.log(2 * np.pi)  # of two directions with deviation 1
    assert nats[LINEAR] == pytest.approx(entropy, abs=0.05)
    assert nats[ONE_GAUSSIAN] == pytest.approx(entropy - np.log(1 - 0.81), abs=0.2)
    assert nats[WITHOUT_MEMORY] < nats[ONE_GAUSSIAN]


@pytest.mark.parametrize(
    ("texts", "error"),
    [
        (["l", "o"], "has 2 texts; expected 3 or more"),
        (["l", "l", "o"], "every text of the validation or the test set has a character"),
    ],
)
def test_data_that_cannot_be_split(tmp_path: Path, texts: list[str], error: str) -> None:
    file = tmp_path / "few.jsonl"
    file.write_text(
        "\n".join(json.dumps({"text": text, "strokes": strokes_of(text)}) for text in texts)
    )
    with pytest.raises(DataError, match=error):
        prepared(file)


def test_letters_that_no_training_text_has_are_told(tmp_path: Path) -> None:
    file = tmp_path / "few.jsonl"
    words = ["l"] * 8 + ["l", "o"] + ["l", "i"]
    file.write_text(
        "\n".join(json.dumps({"text": text, "strokes": strokes_of(text)}) for text in words)
    )
    task, heard = prepared(file, split=(0.7, 0.15, 0.15))
    assert len(task.parts[2]) == 1
    assert "1 text left out of validation or test for characters that no training" in heard.text
    assert "as 'i' in" in heard.text


def test_a_text_needs_a_layer_that_looks_at_it() -> None:
    with pytest.raises(SettingError, match="layers=1: the layer that looks at the text"):
        WriteSettings.of({"layers": 1})
