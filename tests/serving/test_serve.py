"""A run as a service: what it answers, what it does not, and the page to try it."""

import asyncio
import csv
import io
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import conveyor
from conveyor.cli.app import app
from conveyor.errors import RunError, SettingError, speaking_of_options
from conveyor.serving import bounded_work
from conveyor.serving.bounded_work import BoundedWork, BusyError, LateError
from conveyor.serving.server import Server, is_loopback
from conveyor.tasks.run import Run
from tests.reviews import reviews, write_table
from tests.serving.asking import JSON, Asking, asked, serving, shown
from tests.tagged import write_conllu
from tests.talks import write_talks
from tests.training.browser import Page
from tests.warm_python import Started

QUICK: dict[str, Any] = {"epochs": 1, "hidden": 4, "embedding": 4, "say": lambda _: None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def classifier(folder: Path) -> Run:
    table = write_table(folder / "reviews.csv", reviews(60), "review", "sentiment")
    return conveyor.fit("classify", table, out=folder / "reviews", **QUICK)


@pytest.fixture(scope="module")
def writer(folder: Path) -> Run:
    path = folder / "verses.txt"
    path.write_text("Trăm năm trong cõi người ta,\n" * 40, encoding="utf-8")
    return conveyor.fit("text", path, out=folder / "text", chunk=10, batch=2, **QUICK)


def test_what_is_said_of_words_stands_by_name(folder: Path) -> None:
    path = write_conllu(folder / "train.conllu")
    quick = {"hidden": 4, "words": 4, "characters": 0, "epochs": 1, "say": lambda _: None}
    run: Any = conveyor.fit("tag", path, out=folder / "tag", **quick)  # type: ignore[arg-type]
    with serving(run) as asking:
        status, answer = asking.json("/predict", {"lines": ["Lan gặp mèo"], "scores": True})
        assert status == 200
        (row,) = answer["rows"]
        assert list(row) == ["text", "words", "tags", "probabilities"]  # and no intent
        assert [len(row[name]) for name in ("words", "tags", "probabilities")] == [3, 3, 3]
        status, answer = asking.json("/predict", {"lines": ["Lan gặp mèo", "Lan"]})
        assert [len(row["answer"]) for row in answer["rows"]] == [3, 1]


@pytest.fixture(scope="module")
def series(folder: Path) -> Run:
    rows = [
        (
            f"s{number}",
            str(step),
            "" if step == 1 else f"{number % 2 * step}.{number}",
            "du"[number % 2],
        )
        for number in range(40)
        for step in range(4)
    ]
    table = write_table(folder / "series.csv", rows, "series", "time", "a", "state")
    return conveyor.fit(
        "classify", table, out=folder / "series", by=("series",), order="time", label="state",
        epochs=1, hidden=4, say=lambda _: None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def answering(classifier: Run) -> Iterator[Asking]:
    with serving(classifier, most_bytes=2_000) as asking:
        yield asking


def test_texts_are_answered_as_predict_answers_them(answering: Asking, classifier: Run) -> None:
    texts = ["a dull film", "", "lovely"]
    status, answer = answering.json("/predict", {"lines": texts, "scores": True})
    assert status == 200
    expected = classifier.predict(texts, scores=True, say=lambda _: None)
    assert answer["rows"] == json.loads(expected.write_json())
    assert "holds no text" in answer["notes"][0]
    status, answer = answering.json("/predict", {"lines": ["dull"]})
    assert (status, list(answer["rows"][0])) == (200, ["text", "answer"])


def test_what_a_run_is(answering: Asking) -> None:
    status, text = answering("GET", "/run")
    assert status == 200
    expected = {
        "task": "classify",
        "model": "lstm",
        "asks": "lines",
        "conveyor": conveyor.__version__,
    }
    assert json.loads(text) == expected


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ("{", 400, "no JSON"),
        ("[" * 100_000, 413, "larger than 2,000 bytes"),
        ("[" * 1_500, 400, "no JSON"),
        ("[1]", 400, "expected an object"),
        ("{}", 422, "lines is missing"),
        ('{"line": ["a"]}', 422, "Did you mean 'lines'"),
        ('{"lines": "a"}', 422, "expected a list of texts"),
        ('{"lines": [1]}', 422, "expected a list of texts"),
        ('{"lines": []}', 422, "an empty list"),
        ('{"lines": ["a"], "score": true}', 422, "Did you mean 'scores'"),
        ('{"lines": ["a"], "scores": 1}', 422, "scores is 1"),
        ('{"lines": ["a"], "chart": "/tmp/page.html"}', 422, "unknown key 'chart'"),
        ('{"lines": ["a"], "text": "review"}', 422, "unknown key 'text'"),
        ("\xff", 400, "no JSON"),
    ],
)
def test_a_request_that_is_none(answering: Asking, body: str, status: int, text: str) -> None:
    got, answer = answering("POST", "/predict", body.encode("latin-1"), Content_Type=JSON)
    assert got == status
    assert text in json.loads(answer)["error"]
    assert "--" not in json.loads(answer)["error"]  # no options of a command line


def test_pages_of_other_sites_cannot_ask(answering: Asking) -> None:
    body = '{"lines": ["a"]}'
    assert answering("POST", "/predict", body, Content_Type="text/plain")[0] == 415
    assert answering("POST", "/predict", body)[0] == 415
    status, text = answering("GET", "/run", Host="conveyor.example")
    assert status == 403
    assert "expected 127.0.0.1 or localhost" in text
    for host in ("localhost:1", "[::1]:8000", "127.0.0.1"):
        assert answering("GET", "/run", Host=host)[0] == 200


def test_other_addresses_are_named(answering: Asking) -> None:
    for method, path, status in (("GET", "/x", 404), ("GET", "/predict", 405), ("POST", "/", 405)):
        got, text = answering(method, path)
        assert got == status
        assert "POST /predict" in json.loads(text)["error"]


def test_a_text_is_written(writer: Run) -> None:
    with serving(writer) as asking:
        options = {"length": 30, "seed": 3}
        expected = "".join(writer.generate("Trăm", 30, seed=3))
        status, answer = asking.json("/generate", {"prompt": "Trăm", **options})
        assert (status, answer) == (200, {"text": expected})
        body = json.dumps({"prompt": "Trăm", **options})
        streamed = asking("POST", "/generate", body, Content_Type=JSON, Accept="text/plain")
        assert streamed == (200, expected)
        assert asking.json("/generate", {"length": 0}) == (200, {"text": ""})
        for wrong, text in (
            ({"prompt": "§"}, "holds '§'"),
            ({"prompt": 1}, "expected a text"),
            ({"length": -1}, "length is -1"),
            ({"length": True}, "expected a whole number"),
            ({"heat": 1}, "unknown key 'heat'"),
        ):
            status, answer = asking.json("/generate", wrong)
            assert status == 422
            assert text in answer["error"]


def test_a_text_ends_when_its_time_is_over(writer: Run) -> None:
    with serving(writer, seconds=1.0) as asking:
        begun = time.monotonic()
        status, answer = asking.json("/generate", {"length": 10**7})
        assert status == 200
        assert 0 < len(answer["text"]) < 10**7
        assert time.monotonic() - begun < 30


def test_a_table_is_answered_as_csv_and_as_json(series: Run, folder: Path) -> None:
    table = (folder / "series.csv").read_text().replace(",state", ",other")
    path = folder / "other.csv"
    path.write_text(table)
    expected = series.predict(path, say=lambda _: None)
    with serving(series) as asking:
        status, text = asking("POST", "/predict", table, Content_Type="text/csv", Accept="text/csv")
        assert (status, text) == (200, expected.write_csv())
        columns = {
            name: [row[name] or None for row in csv.DictReader(io.StringIO(table))]
            for name in ("series", "time", "a")
        }
        columns["time"] = [int(step or 0) for step in columns["time"]]
        columns["a"] = [None if a is None else float(a) for a in columns["a"]]
        status, answer = asking.json("/predict", {"columns": columns})
        assert status == 200
        assert answer["rows"] == json.loads(expected.write_json())
        for content, text in (
            ({"columns": {"a": [1], "time": [1, 2]}}, "different lengths: a 1, time 2"),
            ({"columns": [1]}, "expected lists by name"),
            ({}, "nothing to predict from"),
        ):
            status, answer = asking.json("/predict", content)
            assert status == 422
            assert text in answer["error"]
        status, text = asking("POST", "/predict", "x,y\n1,2\n", Content_Type="text/csv")
        assert status == 422
        error = json.loads(text)["error"]
        assert error.startswith("table.csv")  # and no folder of this machine
        assert asking("POST", "/predict", " ", Content_Type="text/csv")[0] == 422


def test_the_example_of_a_series_is_read(series: Run) -> None:
    question = series.question()
    assert question.kind == "table"
    assert question.example.splitlines()[0] == "series,time,a"
    assert question.example.splitlines()[2] == "1,2,"  # its second value is missing
    with serving(series) as asking:
        got = asking("POST", "/predict", question.example, Content_Type="text/csv")
        assert got[0] == 200, got[1]


def test_a_run_that_answers_nothing_is_not_served() -> None:
    run = Run.__new__(Run)
    run.folder, run.task, run._fitted_on = Path("x"), "classic", None
    run.model = None  # type: ignore[assignment]
    with pytest.raises(RunError, match="answers nothing"):
        Server(run, port=0)


def test_a_port_that_is_taken(classifier: Run) -> None:
    with (
        serving(classifier) as asking,
        pytest.raises(SettingError, match=rf"port {asking.port} cannot be listened on.*port 0"),
    ):
        Server(classifier, port=asking.port)
    with pytest.raises(SettingError, match="host nowhere"):
        Server(classifier, host="nowhere.invalid", port=0)


def test_addresses_that_only_this_machine_reaches() -> None:
    inside = ("127.0.0.1", "localhost", "::1", "127.3.2.1")
    assert all(map(is_loopback, inside))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.2", "example.org")))


def test_work_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_work, "MOST_WAITING", 2)
    begun, go, done = threading.Event(), threading.Event(), []

    def slow() -> None:
        begun.set()
        go.wait(30)

    async def ask() -> None:
        work = BoundedWork(0.2)
        first = asyncio.ensure_future(work.run(slow))
        while not begun.is_set():
            await asyncio.sleep(0.01)
        second = asyncio.ensure_future(work.run(lambda: done.append(1)))
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await work.run(lambda: None)
        for late in (first, second):
            with pytest.raises(LateError):
                await late
        go.set()
        while True:  # the first has its place until it ends
            try:
                assert await work.run(lambda: 3) == 3
                break
            except BusyError:
                await asyncio.sleep(0.01)
        work.close()

    asyncio.run(ask())
    assert done == []  # what was late before it began is never begun


def test_a_fault_of_ours_does_not_end_the_service(
    classifier: Run, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("planted")

    with serving(classifier) as asking:
        with monkeypatch.context() as patch:
            patch.setattr(Run, "predict", broken)
            status, answer = asking.json("/predict", {"lines": ["a"]})
        assert status == 500
        assert "planted" not in answer["error"]
        assert asking.json("/predict", {"lines": ["a"]})[0] == 200
    assert "planted" in capfd.readouterr().err


def test_the_command_says_where_and_stops_at_a_signal(classifier: Run) -> None:
    command = ("-m", "conveyor.cli.start", "serve", str(classifier.folder), "--port", "0")
    process = Started(*command, folder=classifier.folder)
    try:
        while "\n" not in process.out_so_far() and process.is_running():
            time.sleep(0.02)
        said = process.out_so_far()
        assert "on http://127.0.0.1:" in said, said
        process.send_signal(signal.SIGINT)
        ended = process.ended(60)
    finally:
        process.kill()
    assert (ended.code, ended.out, ended.err) == (0, f"{said}stopped\n", "")


def test_the_command_without_its_libraries(
    classifier: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("conveyor.serving.server")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    ran = CliRunner().invoke(app, ["serve", str(classifier.folder)])
    assert isinstance(ran.exception, SettingError)
    assert "pip install 'conveyor[serve]'" in str(ran.exception)


def test_a_text_is_tried_on_the_page(chromium: Page, answering: Asking, classifier: Run) -> None:
    shown(chromium, answering)
    assert chromium.ask("document.getElementById('asked').value") == classifier.question().example
    chromium.ask("document.querySelector('[data-option=scores]').click()")
    asked(chromium, "a dull film\n\n<b>lovely</b>")
    rows = chromium.ask("[...document.querySelectorAll('#rows tbody tr')].map("
                        "(row) => [...row.cells].map((cell) => cell.textContent))")  # fmt: skip
    assert [row[0] for row in rows] == ["a dull film", "<b>lovely</b>"]
    assert len(rows[0]) == 5
    # A bar is as wide as the probability.
    parts = chromium.ask("""[...document.querySelectorAll("#rows .share")].map(
        (cell) => parseFloat(cell.style.getPropertyValue("--part")))""")
    expected = classifier.predict(["a dull film"], scores=True, say=lambda _: None)
    assert parts[0] == pytest.approx(100 * expected["probability"][0])
    # Vietnamese, with its numerals.
    chromium.ask("document.querySelector('.languages [value=vi]').click()")
    assert chromium.ask("document.querySelector('button[type=submit]').innerText") == "Hỏi"
    assert "," in chromium.ask("document.querySelector('#rows .number').textContent")
    asked(chromium, "")
    assert "empty list" in chromium.ask("document.getElementById('error').textContent")
    assert [text for text in chromium.complaints if "422" not in text] == []


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_its_window(
    width: int, chromium: Page, answering: Asking, writer: Run, series: Run
) -> None:
    with serving(writer) as second, serving(series) as third:
        for asking in (answering, second, third):
            shown(chromium, asking, width=width, touch=width < 600)
            asked(chromium, None)
            wide = chromium.ask("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0
            assert chromium.ask("document.getElementById('error').textContent") == ""
            assert chromium.complaints == []


def test_a_text_is_written_on_the_page(chromium: Page, writer: Run) -> None:
    with serving(writer) as asking:
        shown(chromium, asking)
        chromium.ask("document.querySelector('[data-option=length]').value = 20")
        asked(chromium, "Trăm")
        written = chromium.ask("document.getElementById('written').textContent")
    assert written == "Trăm" + "".join(writer.generate("Trăm", 20))


def test_a_table_is_tried_on_the_page(chromium: Page, series: Run) -> None:
    with serving(series) as asking:
        shown(chromium, asking)
        asked(chromium, None)
        rows = chromium.ask("document.querySelectorAll('#rows tbody tr').length")
        names = chromium.ask("[...document.querySelectorAll('#rows th')].map((th) => th.innerText)")
        assert (rows, names) == (1, ["series", "predicted", "probability"])
        assert not chromium.ask("document.getElementById('save').hidden")


def test_what_the_page_says_when_the_service_is_gone(chromium: Page, classifier: Run) -> None:
    with serving(classifier) as asking:
        shown(chromium, asking)
    asked(chromium, "a film")
    assert "still running" in chromium.ask("document.getElementById('error').textContent")


@pytest.fixture(scope="module")
def talker(folder: Path) -> Run:
    source = write_talks(folder / "talks.txt")
    return conveyor.fit("chat", source, out=folder / "talker", **QUICK)


def test_turns_are_replied_to(talker: Run) -> None:
    talk = talker.chat(seed=2)
    first = talk.say("do you have a dog?")
    second = talk.say("Is it big?")
    # As conveyor serve does, whose own errors name options.
    with speaking_of_options(), serving(talker) as asking:
        status, answer = asking.json("/reply", {"turns": ["do you have a dog?"], "seed": 2})
        assert (status, answer["reply"]) == (200, first)
        assert answer["rows"] == [{"written": first}]
        # The turns before are sent along: nothing is kept here.
        before = [turn for turn in ("do you have a dog?", first) if turn]
        _, answer = asking.json("/reply", {"turns": [*before, "Is it big?"], "seed": 2})
        assert answer["reply"] == second
        _, answer = asking.json(
            "/reply", {"turns": ["a zebra?"], "scores": True, "explain": True, "n_best": 2}
        )
        assert answer["unknown"] == ["zebra"]
        assert list(answer["rows"][0]) == ["written", "log_probability", "attention"]
        for body, says in (
            ({"turns": []}, "the last of turns is empty"),
            ({"turns": ["a", " "]}, "the last of turns is empty"),
            ({"turns": "a"}, "expected a list of texts"),
            ({"turn": ["a"]}, "Did you mean 'turns'?"),
            ({"turns": ["a"], "n_best": 9}, "n_best is 9; expected 8 or less, the drawn"),
            ({"turns": ["a"], "top_p": 2}, "top_p is 2"),
            ({"turns": ["a"], "chart": "x.html"}, "unknown key 'chart'"),
        ):
            status, answer = asking.json("/reply", body)
            assert status == 422
            assert says in answer["error"]
        status, text = asking("POST", "/predict", "{}", Content_Type=JSON)
        assert (status, "POST /reply" in text) == (404, True)


@pytest.mark.parametrize("width", [390, 1280])
def test_a_conversation_is_held_on_the_page(width: int, chromium: Page, talker: Run) -> None:
    with serving(talker) as asking:
        shown(chromium, asking, width=width, touch=width < 600)
        asked(chromium, "do you have a <b>dog</b>?")
        asked(chromium, "Is it big?")
        turns = chromium.ask("[...document.querySelectorAll('#talk li')].map("
                             "(turn) => [turn.className, turn.textContent])")  # fmt: skip
        assert [who for who, _ in turns] == ["person", "run", "person", "run"]
        talk = talker.chat()
        said = [talk.say("do you have a <b>dog</b>?") or "…", talk.say("Is it big?") or "…"]
        assert [turns[1][1], turns[3][1]] == said
        assert turns[0][1] == "do you have a <b>dog</b>?"
        assert chromium.ask("document.getElementById('asked').value") == ""
        assert chromium.ask("document.documentElement.scrollWidth - innerWidth") <= 0
        asked(chromium, "")  # nothing is said
        assert chromium.ask("document.querySelectorAll('#talk li').length") == 4
        chromium.ask("document.getElementById('forget').click()")
        assert chromium.ask("document.querySelectorAll('#talk li').length") == 0
        assert chromium.complaints == []
