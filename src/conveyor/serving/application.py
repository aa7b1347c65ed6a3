"""The web application of a run: a page to try it, and answers to requests in JSON."""

import html
import json
import tempfile
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import polars as pl
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from conveyor.data.audio_file import wave_bytes
from conveyor.errors import ConveyorError, did_you_mean
from conveyor.pages.frame import heading
from conveyor.pages.words import Language, Words
from conveyor.serving.bounded_work import BoundedWork, BusyError, LateError
from conveyor.serving.request_body import (
    Asked,
    BadRequestError,
    file_asked,
    json_of,
    read_body,
    table_asked,
    texts_asked,
    turns_asked,
)
from conveyor.serving.served_page import chosen_options, option_names, served_page
from conveyor.tasks.run import Run
from conveyor.version import VERSION

# Text is sent on in pieces that were written in this many seconds: it is seen to be written, and
# other requests get a turn between them.
_TURN = 0.1

# Bytes of a request, at most, unless somebody says how many; and of one that holds a file.
MOST_BYTES, MOST_FILE_BYTES = 1_000_000, 20_000_000

# Names of this machine, by which a page of its own may ask. Others are pages of other sites, whose
# name was made to point here.
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class Service:
    """Answers requests by a run.

    Args:
        run: the run.
        most_bytes: of a request, at most; None for a million, or twenty where it is a file.
        seconds: that a request may take to arrive, and its answer to be found, at most.
        only_here: whether requests must name this machine as their host.
        language: that the page begins in.

    Raises:
        RunError: the run answers nothing.
    """

    def __init__(
        self,
        run: Run,
        *,
        most_bytes: int | None,
        seconds: float,
        only_here: bool,
        language: Language = "en",
    ) -> None:
        self.run, self.question = run, run.question()
        usual = MOST_FILE_BYTES if self.question.kind == "file" else MOST_BYTES
        self.most_bytes = usual if most_bytes is None else most_bytes
        self.seconds, self.only_here = seconds, only_here
        self.work = BoundedWork(seconds)
        self._options = option_names(run, self.question)
        self._page = served_page(run, self.question, language)

    def application(self) -> Starlette:
        """Return the application."""
        answer = {
            "generate": self._generate,
            "reply": self._reply,
            "predict": self._predict,
            "speak": self._speak,
        }[self._path]
        return Starlette(
            routes=[
                Route("/", self._answered(self._show), methods=["GET"]),
                Route("/run", self._answered(self._about), methods=["GET"]),
                Route(f"/{self._path}", self._answered(answer), methods=["POST"]),
            ],
            exception_handlers={HTTPException: self._no_such_page},
        )

    @property
    def _path(self) -> str:
        """Where requests are answered."""
        paths = {"prompt": "generate", "conversation": "reply", "speech": "speak"}
        return paths.get(self.question.kind, "predict")

    def _answered(self, answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
        """Return a handler that says in words what went wrong."""

        async def handler(request: Request) -> Response:
            try:
                self._check_host(request)
                response: Response = await answer(request)
                return response
            except BadRequestError as error:
                return _error(error.status, str(error))
            except ConveyorError as error:
                return _error(422, str(error))
            except BusyError:
                return _error(503, "too many requests wait. Ask later.")
            except LateError:
                return _error(
                    503, f"there was no answer in {self.seconds:g} seconds. Ask for less at a time."
                )
            except Exception:  # noqa: BLE001  # a fault of ours must not end the service
                traceback.print_exc()
                return _error(500, "the service failed; its log says why.")

        return handler

    def _check_host(self, request: Request) -> None:
        host = request.headers.get("host", "")
        name = host[: host.rfind("]") + 1] if host.startswith("[") else host.partition(":")[0]
        if self.only_here and name.lower() not in _LOOPBACK:
            raise BadRequestError(
                403, f"the host is {name or 'not given'}; expected {' or '.join(_LOOPBACK[:2])}."
            )

    def _check_options(self, options: dict[str, Any]) -> None:
        """Check that nothing is asked for but options of the task: no file is written."""
        for name in options.keys() - self._options:
            raise BadRequestError(422, f"unknown key {name!r}. {did_you_mean(name, self._options)}")

    async def _no_such_page(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        asked = f"{request.method} {request.url.path}"
        paths = f"GET /, GET /run and POST /{self._path}"
        return _error(status, f"there is no {asked}; there are {paths}.")

    async def _show(self, request: Request) -> Response:
        return HTMLResponse(self._page, headers={"X-Frame-Options": "DENY"})

    async def _about(self, request: Request) -> Response:
        return JSONResponse(
            {
                "task": self.run.task,
                "model": self.run.model.title,
                "asks": self.question.kind,
                "conveyor": VERSION,
            }
        )

    async def _body(self, request: Request) -> bytes:
        return await read_body(request, self.most_bytes, self.seconds)

    async def _predict(self, request: Request) -> Response:
        body = await self._body(request)
        if self.question.kind == "file":
            kinds = chosen_options(self.run, self.question)
            sent = file_asked(request, body, self.question.endings, kinds)
            return JSONResponse(await self.work.run(lambda: _seen_or_heard(self.run, sent)))
        if self.question.kind == "lines":
            asked = texts_asked(json_of(request, body))
        else:
            asked = table_asked(request, body)
        self._check_options(asked.options)
        rows, notes = await self.work.run(lambda: _rows(self.run, asked))
        if "text/csv" in request.headers.get("accept", "") and self.question.kind == "table":
            return Response(rows.write_csv(), media_type="text/csv")
        text = f'{{"rows": {rows.write_json()}, "notes": {json.dumps(notes)}}}'
        return Response(text, media_type="application/json")

    async def _reply(self, request: Request) -> Response:
        asked = turns_asked(json_of(request, await self._body(request)))
        self._check_options(asked.options)
        return JSONResponse(await self.work.run(lambda: _replies(self.run, asked)))

    async def _speak(self, request: Request) -> Response:
        options = json_of(request, await self._body(request))
        self._check_options(options)
        text = options.pop("text", None)
        if not isinstance(text, str):
            raise BadRequestError(422, f"text is {json.dumps(text)}; expected what is spoken.")
        sound = await self.work.run(lambda: self.run.speak(text, **options))
        return Response(wave_bytes(sound.samples, sound.rate), media_type="audio/wav")

    async def _generate(self, request: Request) -> Response:
        options = json_of(request, await self._body(request))
        self._check_options(options)
        known = _known_prompt(options)
        end = time.monotonic() + self.seconds
        pieces = await self.work.run(lambda: self.run.generate(**known))
        # The first piece is waited for, so that errors have a status of their own.
        first = await self.work.run(lambda: _next_text(pieces))
        if "text/plain" in request.headers.get("accept", ""):
            return StreamingResponse(self._pieces(first, pieces, end), media_type="text/plain")
        parts = [piece async for piece in self._pieces(first, pieces, end)]
        return JSONResponse({"text": "".join(parts)})

    async def _pieces(self, first: str, pieces: Iterator[str], end: float) -> AsyncIterator[str]:
        """Yield a text in parts, until it ends or its time is over."""
        part = first
        while part:
            yield part
            if time.monotonic() > end:
                return
            try:
                part = await self.work.run(lambda: _next_text(pieces))
            except (BusyError, LateError):
                return


def _known_prompt(options: dict[str, Any]) -> dict[str, Any]:
    for name, kind, expected in (("prompt", str, "a text"), ("length", int, "a whole number")):
        value = options.get(name, kind())
        if not isinstance(value, kind) or isinstance(value, bool):
            raise BadRequestError(422, f"{name} is {json.dumps(value)}; expected {expected}.")
    return options


def _next_text(pieces: Iterator[str]) -> str:
    """Return what is written in a turn; nothing at the end of the text."""
    end, parts = time.monotonic() + _TURN, []
    for piece in pieces:
        parts.append(piece)
        if piece and time.monotonic() > end:
            break
    return "".join(parts)


def _rows(run: Run, asked: Asked) -> tuple[Any, list[str]]:
    """Return what a run answers, as a polars data frame, and its notes on the data."""
    notes: list[str] = []
    if isinstance(asked.source, bytes):
        # Our reader of tables reads files, and its errors name them.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.csv"
            path.write_bytes(asked.source)
            try:
                return run.predict(path, say=notes.append, **asked.options), notes
            except ConveyorError as error:
                raise BadRequestError(422, str(error).replace(f"{folder}/", "")) from error
    answer = run.predict(asked.source, say=notes.append, **asked.options)
    if isinstance(answer, list):
        rows = zip(asked.source, answer, strict=True)
        answer = pl.DataFrame([{"text": text, **_named(each)} for text, each in rows])
    return answer, notes


def _seen_or_heard(run: Run, asked: Asked) -> dict[str, Any]:
    """Return what a run answers to a file, its notes on it, and what a page shows of it."""
    file, notes = asked.source, list[str]()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{file.ending}"
        path.write_bytes(file.content)

        def named(text: str) -> str:
            return text.replace(str(path), file.name).replace(path.name, file.name)

        try:
            prediction = run.prediction(path, say=notes.append, **asked.options)
            sections = [] if prediction.sections is None else list(prediction.sections())
        except ConveyorError as error:
            raise BadRequestError(422, named(str(error))) from error
        rows = [
            {name: named(each) if isinstance(each, str) else each for name, each in row.items()}
            for row in prediction.answer.to_dicts()
        ]
    return {
        "rows": rows,
        "notes": [named(note) for note in notes],
        "shown": "".join(
            heading(Words(*map(named, one.title)))
            + one.body.replace(html.escape(str(path)), html.escape(file.name))
            for one in sections
        ),
    }


def _replies(run: Run, asked: Asked) -> dict[str, Any]:
    """Return what a run replies to turns."""
    talk = run.chat(**asked.options)
    talk.turns = asked.source[:-1]
    reply = talk.say(asked.source[-1])
    answers = []
    for answer in talk.answers:
        row: dict[str, Any] = {"written": answer.text}
        if asked.options.get("scores"):
            row["log_probability"] = answer.log_probability
        if asked.options.get("explain"):
            row["attention"] = talk.looked(answer)
        answers.append(row)
    return {"reply": reply, "rows": answers, "unknown": talk.unknown(asked.source[-1])}


def _named(answer: Any) -> dict[str, Any]:
    """Return an answer by name: that of a record by its fields, without those that are None."""
    if not is_dataclass(answer) or isinstance(answer, type):
        return {"answer": answer}
    return {name: value for name, value in asdict(answer).items() if value is not None}


def _error(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status_code=status)
