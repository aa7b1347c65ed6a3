"""Services that are sent pictures, videos and recordings, and that speak."""

import base64
import io
import json
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

import conveyor
from conveyor.errors import RunError
from conveyor.tasks.run import Run
from tests.captioned import drawn, moved, write_captioned, write_moving
from tests.heard import Heard
from tests.serving.asking import JSON, Asking, asked, serving, shown
from tests.spoken import RATE, spoken, write_spoken
from tests.sung import write_sung
from tests.training.browser import Page

CAPTIONS: dict[str, Any] = {
    "hidden": 16, "embedding": 8, "channels": 24, "shift": 0, "epochs": 1, "blind_steps": 0,
    "say": lambda _: None,
}  # fmt: skip
SOUND: dict[str, Any] = {"epochs": 1, "bands": 16, "hidden": 16, "say": lambda _: None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def pictures(folder: Path) -> Run:
    table = write_captioned(folder / "pictures", 30)
    return conveyor.fit("caption", table, size=16, out=folder / "captions", **CAPTIONS)


@pytest.fixture(scope="module")
def videos(folder: Path) -> Run:
    table = write_moving(folder / "videos", 30)
    return conveyor.fit("caption", table, size=8, out=folder / "moving", **CAPTIONS)


@pytest.fixture(scope="module", params=["none", "location"])
def recogniser(folder: Path, request: pytest.FixtureRequest) -> Run:
    table = write_spoken(folder / "spoken", 24)
    values, out = {**SOUND, "attention": request.param}, folder / f"heard-{request.param}"
    return conveyor.fit("transcribe", table, layers=1, out=out, **values)


@pytest.fixture(scope="module")
def voice(folder: Path) -> Run:
    table = write_sung(folder / "sung")
    sizes: dict[str, Any] = {"letter_size": 8, "speaker_size": 4, "window": 2, "prenet": 8}
    return conveyor.fit("speak", table, out=folder / "voice", **SOUND, **sizes)


@pytest.fixture(scope="module")
def seeing(pictures: Run) -> Iterator[Asking]:
    with serving(pictures, most_bytes=50_000) as asking:
        yield asking


def png(pixels: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def gif(pixels: Any) -> bytes:
    file = io.BytesIO()
    images = [Image.fromarray(frame) for frame in pixels]
    images[0].save(file, "GIF", save_all=True, append_images=images[1:], duration=60)
    return file.getvalue()


def wav() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, spoken("do mi"), RATE, format="WAV")
    return file.getvalue()


def sent(asking: Asking, name: str, body: bytes, kind: str = "image/png") -> tuple[int, Any]:
    status, text = asking("POST", f"/predict?{name}", body, Content_Type=kind)
    return status, json.loads(text)


# By requests -----------------------------------------------------------------------------------


def test_a_picture_is_answered_as_predict_answers_it(seeing: Asking, pictures: Run) -> None:
    body = png(drawn("red", "left"))
    status, answer = sent(seeing, "name=red.png&beam=2&scores=true&n_best=2", body)
    assert status == 200
    (row,) = answer["rows"]
    path = pictures.folder.parent / "red.png"
    path.write_bytes(body)
    expected = pictures.predict(path, beam=2, scores=True, n_best=2, say=Heard())
    assert row.pop("picture") == "red.png"
    assert row == {name: expected[name][0] for name in expected.columns if name != "picture"}
    assert answer["shown"].count("<figure>") >= 1  # where it looked
    assert "data:image/png" in answer["shown"]
    assert "<h2>red.png</h2>" in answer["shown"]
    assert "file.png" not in json.dumps(answer)  # what it is called here
    assert "/tmp" not in json.dumps(answer)


def test_a_video_is_answered_with_its_frames(videos: Run) -> None:
    with serving(videos) as asking:
        body = gif(moved("red", "left"))
        status, answer = sent(asking, "name=a.gif", body, "image/gif")
        assert status == 200
        assert answer["rows"][0]["picture"] == "a.gif"
        assert answer["shown"].count('class="frame"') == 6
        assert "/tmp" not in answer["shown"]
        assert "1 video" in answer["notes"][0]
        array = io.BytesIO()
        np.save(array, moved("red", "left"))
        status, other = sent(asking, "name=a.npy", array.getvalue(), "application/octet-stream")
        assert status == 200
        assert other["rows"][0]["written"]


def test_a_recording_is_written_down(recogniser: Run, folder: Path) -> None:
    path = folder / "new.wav"
    path.write_bytes(wav())
    expected = recogniser.predict(path, say=Heard())
    with serving(recogniser) as asking:
        status, answer = sent(asking, "name=new.wav", wav(), "audio/wav")
        assert status == 200
        assert answer["rows"][0]["written"] == expected["written"][0]
        assert "/" not in str(answer["rows"][0]).replace("new.wav", "")
        assert answer["shown"] == ""


def test_a_text_is_spoken(voice: Run) -> None:
    with serving(voice) as asking:
        body = json.dumps({"text": "ae", "seed": 1})
        status, text = raw(asking, "/speak", body)
        assert status == 200
        with wave.open(io.BytesIO(text)) as file:
            sound = voice.speak("ae", seed=1)
            assert file.getframerate() == sound.rate
            assert file.getnframes() == len(sound.samples)
        for wrong, said in (
            ({"text": 1}, "expected what is spoken"),
            ({}, "expected what is spoken"),
            ({"text": " "}, "nothing to speak"),
            ({"text": "ae", "speaker": "eve"}, "eve"),
            ({"text": "ae", "out": "/tmp/a.wav"}, "unknown key 'out'"),
        ):
            status, answer = asking.json("/speak", wrong)
            assert status == 422
            assert said in answer["error"]


def raw(asking: Asking, path: str, body: str) -> tuple[int, bytes]:
    """Ask for bytes."""
    import http.client  # noqa: PLC0415

    connection = http.client.HTTPConnection("127.0.0.1", asking.port, timeout=60)
    connection.request("POST", path, body.encode(), {"Content-Type": JSON})
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer


@pytest.mark.parametrize(
    ("address", "body", "kind", "status", "said"),
    [
        ("", b"x", "image/png", 422, "name is ''; expected ?name=… that ends with .png"),
        ("name=a.txt", b"x", "image/png", 422, "expected ?name="),
        ("name=a.png", b"", "image/png", 422, "a.png: the file is empty"),
        ("name=a.png", b"x", "image/png", 422, "a.png: this is no picture"),
        ("name=../../b.png", b"x", "image/png", 422, "b.png: this is no picture"),
        ("name=a.png", b"x" * 60_000, "image/png", 413, "larger than 50,000 bytes"),
        ("name=a.png", b"x", "text/plain", 415, "content type is text/plain"),
        ("name=a.png", b"x", "multipart/form-data", 415, "content type is multipart"),
        ("name=a.png&beam=x", b"x", "image/png", 422, "beam is 'x'; expected a number"),
        ("name=a.png&scores=1", b"x", "image/png", 422, "expected true or false"),
        ("name=a.png&beams=2", b"x", "image/png", 422, "Did you mean 'beam'"),
        ("name=a.png&features=/etc/passwd", b"x", "image/png", 422, "unknown key 'features'"),
        ("name=a.png&beam=1&n_best=2", png(drawn("red", "left")), "image/png", 422, "n_best is 2"),
    ],
)  # fmt: skip
def test_a_file_that_is_none(
    seeing: Asking, address: str, body: bytes, kind: str, *, status: int, said: str
) -> None:
    got, answer = sent(seeing, address, body, kind)
    assert got == status
    assert said in answer["error"]
    assert "/tmp" not in answer["error"]
    assert "--" not in answer["error"]  # no options of a command line


def test_without_a_kind_nothing_is_read(seeing: Asking) -> None:
    """A page of another site may send bytes without a kind, and is not answered."""
    assert seeing("POST", "/predict?name=a.png", png(drawn("red", "left")))[0] == 415


def test_a_list_that_is_called_a_film_is_not_followed(videos: Run, tmp_path: Path) -> None:
    """FFmpeg knows lists of files of this machine and elsewhere."""
    hidden = tmp_path / "secret.ts"
    hidden.write_bytes(b"G" * 188)
    lists = (
        f"#EXTM3U\n#EXTINF:1,\nfile://{hidden}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {hidden}\n",
    )
    with serving(videos) as asking:
        for text in lists:
            status, answer = sent(asking, "name=a.mp4", text.encode(), "video/mp4")
            assert status == 422
            assert answer["error"].startswith("a.mp4: the video is broken")


def test_files_may_be_larger_than_texts(pictures: Run) -> None:
    with serving(pictures) as asking:
        body = png(np.random.default_rng(0).integers(0, 255, (800, 800, 3), dtype=np.uint8))
        assert len(body) > 1_500_000
        assert sent(asking, "name=a.png", body)[0] == 200


def test_a_run_on_numbers_is_not_served(folder: Path) -> None:
    table = write_captioned(folder / "numbers", 30)
    np.savez(folder / "n.npz", features=np.random.default_rng(0).random((30, 4)))
    run = conveyor.fit(
        "caption", table, features=str(folder / "n.npz"), out=folder / "of_numbers", **CAPTIONS
    )
    with pytest.raises(RunError, match="numbers that another network has made"):
        run.question()


def test_a_page_shows_what_was_predicted(pictures: Run, videos: Run, folder: Path) -> None:
    """What a service shows, ``predict --chart`` writes."""
    for run, source in ((pictures, "pictures/000.png"), (videos, "videos/000.npy")):
        page = folder / "shown.html"
        run.predict(folder / source, chart=page, say=Heard())
        text = page.read_text(encoding="utf-8")
        assert Path(source).name in text
        assert "data:image/png" in text


# On the page -----------------------------------------------------------------------------------


def chosen(page: Page, name: str, body: bytes, kind: str) -> None:
    """Choose a file on the page, and wait for what comes."""
    page.ask(f"""{{
        const bytes = Uint8Array.from(atob("{base64.b64encode(body).decode()}"),
                                      (each) => each.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], {json.dumps(name)}, {{ type: "{kind}" }}));
        const box = document.getElementById("asked");
        box.files = data.files;
        box.dispatchEvent(new Event("change"));
    }}""")
    page.ask("""new Promise((done) => {
        const look = () => document.querySelector("button[type=submit]").disabled
            ? setTimeout(look, 20) : done();
        look();
    })""")  # fmt: skip


@pytest.mark.parametrize("width", [390, 1280])
def test_a_picture_is_tried_on_the_page(width: int, chromium: Page, pictures: Run) -> None:
    with serving(pictures) as asking:
        shown(chromium, asking, width=width, touch=width < 600)
        chosen(chromium, "<b>a.png", png(drawn("red", "left")), "image/png")
        assert chromium.ask("document.querySelector('#preview img').naturalWidth") == 16
        cells = chromium.ask("[...document.querySelectorAll('#rows td')].map((c) => c.textContent)")
        assert cells[0] == "<b>a.png"
        assert chromium.ask("document.querySelectorAll('#shown figure img').length") >= 1
        assert chromium.ask("document.querySelectorAll('#shown h2 b').length") == 0
        assert chromium.ask("document.documentElement.scrollWidth - innerWidth") <= 0
        assert chromium.complaints == []
        chosen(chromium, "b.png", b"no picture", "image/png")
        error = chromium.ask("document.getElementById('error').textContent")
        assert "b.png: this is no picture" in error
        # What was said of another picture does not stay.
        assert chromium.ask("document.querySelectorAll('#shown figure, #rows td').length") == 0


@pytest.mark.parametrize("width", [390, 1280])
def test_a_video_is_tried_on_the_page(width: int, chromium: Page, videos: Run) -> None:
    with serving(videos) as asking:
        shown(chromium, asking, width=width, touch=width < 600)
        chosen(chromium, "a.gif", gif(moved("red", "left")), "image/gif")
        assert chromium.ask("document.querySelectorAll('#shown .frame').length") == 6
        assert chromium.ask("document.documentElement.scrollWidth - innerWidth") <= 0
        assert chromium.complaints == []


def test_a_recording_is_tried_on_the_page(chromium: Page, recogniser: Run) -> None:
    with serving(recogniser) as asking:
        shown(chromium, asking)
        chosen(chromium, "a.wav", wav(), "audio/wav")
        assert chromium.ask("document.querySelector('#preview audio').controls")
        assert chromium.ask("document.querySelectorAll('#rows tbody tr').length") == 1
        assert chromium.ask("document.getElementById('error').textContent") == ""
        assert chromium.complaints == []


def test_a_text_is_spoken_on_the_page(chromium: Page, voice: Run) -> None:
    with serving(voice) as asking:
        shown(chromium, asking)
        asked(chromium, "ae")
        length = chromium.ask("""new Promise((done) => {
            const sound = document.getElementById("sound");
            if (sound.readyState > 0) done(sound.duration);
            sound.addEventListener("loadedmetadata", () => done(sound.duration));
        })""")  # fmt: skip
        assert length == pytest.approx(voice.speak("ae").seconds, abs=0.05)
        assert not chromium.ask("document.getElementById('sound').hidden")
        assert chromium.complaints == []


def test_the_speaker_is_chosen_on_the_page(chromium: Page, voice: Run) -> None:
    with serving(voice) as asking:
        shown(chromium, asking)
        names = "[...document.querySelectorAll('select option')].map((choice) => choice.value)"
        assert tuple(chromium.ask(names)) == voice.model.names
        chromium.ask("""{
            const fetched = window.fetch;
            window.fetch = (...request) => {
                window.sent = JSON.parse(request[1].body);
                return fetched(...request);
            };
            document.querySelector("select").value = "bob";
        }""")
        asked(chromium, "ae")
        assert chromium.ask("window.sent.speaker") == "bob"
        assert chromium.ask("document.getElementById('error').textContent") == ""
        assert chromium.complaints == []
