"""What a request holds, read with bounds on its size and time, and its mistakes in words."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from starlette.requests import Request

from conveyor.data.records import shown
from conveyor.errors import did_you_mean, near_names


class BadRequestError(Exception):
    """A request that cannot be answered.

    Args:
        status: the status code of HTTP.
        text: what is wrong, and what is expected.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class SentFile:
    """A file that was sent.

    Attributes:
        name: as it is called where it comes from.
        ending: of the name, one of those that the run takes.
        content: its bytes.
    """

    name: str
    ending: str
    content: bytes


@dataclass(frozen=True)
class Asked:
    """What a request asks.

    Attributes:
        source: texts, a file, or a table, as bytes where it is CSV; None for neither.
        options: all else, by name.
    """

    source: Any
    options: dict[str, Any]


async def read_body(request: Request, most: int, seconds: float) -> bytes:
    """Return the body of a request.

    Args:
        request: the request.
        most: bytes that are read, at most.
        seconds: that they may take to arrive.

    Raises:
        BadRequestError: it is larger or slower.
    """
    parts, size = [], 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise BadRequestError(
                        413, f"the request is larger than {most:,} bytes. Ask in parts."
                    )
                parts.append(part)
    except TimeoutError as error:
        raise BadRequestError(
            408, f"the request did not arrive in {seconds:g} seconds. Send it again."
        ) from error
    return b"".join(parts)


def media_type(request: Request) -> str:
    """Return the kind of a request's body, in small letters and without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def json_of(request: Request, body: bytes) -> dict[str, Any]:
    """Return the object of JSON that a body holds; an empty one of an empty body.

    Raises:
        BadRequestError: it is of another kind, or no such object.
    """
    # Pages of other sites cannot send this kind without asking first, and are not answered.
    if media_type(request) != "application/json":
        raise BadRequestError(
            415,
            f"the content type is {media_type(request) or 'not given'}; expected application/json.",
        )
    try:
        value = json.loads(body) if body.strip() else {}
    except (UnicodeDecodeError, RecursionError, json.JSONDecodeError) as error:
        raise BadRequestError(400, f"the request is no JSON: {error}.") from error
    if not isinstance(value, dict):
        raise BadRequestError(
            400, f'the request is {shown(value)}; expected an object, {{"lines": ["..."]}} say.'
        )
    return value


def texts_asked(body: dict[str, Any]) -> Asked:
    """Return texts, and how they are to be answered.

    Raises:
        BadRequestError: there are none.
    """
    options = dict(body)
    lines = options.pop("lines", None)
    if lines is None:
        near = near_names(str(next(iter(options), "")), ["lines"])
        raise BadRequestError(
            422, f'lines is missing; expected {{"lines": ["..."]}}. {near}'.strip()
        )
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise BadRequestError(422, f"lines is {shown(lines)}; expected a list of texts.")
    if not lines:
        raise BadRequestError(422, "lines is an empty list; expected one text or more.")
    return Asked(lines, options)


def turns_asked(body: dict[str, Any]) -> Asked:
    """Return the turns of a conversation, and how they are to be replied to.

    Raises:
        BadRequestError: there are none, or nothing is said in the last.
    """
    options = dict(body)
    turns = options.pop("turns", None)
    if turns is None:
        near = near_names(str(next(iter(options), "")), ["turns"])
        raise BadRequestError(
            422, f'turns is missing; expected {{"turns": ["Hello!"]}}. {near}'.strip()
        )
    if not isinstance(turns, list) or not all(isinstance(turn, str) for turn in turns):
        raise BadRequestError(422, f"turns is {shown(turns)}; expected a list of texts.")
    if not turns or not turns[-1].strip():
        raise BadRequestError(422, "the last of turns is empty; expected what is to be replied to.")
    return Asked(turns, options)


def table_asked(request: Request, body: bytes) -> Asked:
    """Return a table, and how it is to be read: of CSV, or of JSON with columns by name.

    Raises:
        BadRequestError: it is neither.
    """
    if media_type(request) == "text/csv":
        if not body.strip():
            raise BadRequestError(422, "the table is empty. Send its lines, with the names first.")
        return Asked(body, {})
    options = json_of(request, body)
    columns = options.pop("columns", None)
    if columns is None:
        return Asked(None, options)
    if not isinstance(columns, dict) or not all(
        isinstance(each, list) for each in columns.values()
    ):
        raise BadRequestError(
            422,
            f"columns is {shown(columns)}; expected lists by name, "
            '{"columns": {"time": [...], "sales": [...]}} say.',
        )
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        raise BadRequestError(422, f"the columns have different lengths: {said}.")
    try:
        return Asked(pl.DataFrame(columns, strict=False), options)
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise BadRequestError(422, f"columns cannot be read: {error}.") from error


# Kinds that pages of other sites cannot send without asking first, and are not answered.
_FILES = ("image/", "audio/", "video/", "application/octet-stream")
# Characters of a file's name that are kept.
_NAME = 100


def file_asked(
    request: Request, body: bytes, endings: Sequence[str], kinds: Mapping[str, type[Any]]
) -> Asked:
    """Return a file, and how it is to be answered: its name and the options stand in the address,
    ``?name=a.png&beam=3``.

    Args:
        request: the request.
        body: the content of the file.
        endings: of the names of files that are taken.
        kinds: the options, and their types.

    Raises:
        BadRequestError: it is none.
    """
    kind = media_type(request)
    if not kind.startswith(_FILES):
        raise BadRequestError(
            415,
            f"the content type is {kind or 'not given'}; expected that of the file, image/png say, "
            "or application/octet-stream.",
        )
    given = dict(request.query_params)
    name = given.pop("name", "").replace("\\", "/").rpartition("/")[2][-_NAME:]
    ending = next((each for each in endings if name.lower().endswith(each)), None)
    if ending is None:
        raise BadRequestError(
            422, f"name is {shown(name)}; expected ?name=… that ends with {', '.join(endings)}."
        )
    if not body:
        raise BadRequestError(422, f"{name}: the file is empty.")
    options: dict[str, Any] = {}
    for option, text in given.items():
        if option not in kinds:
            raise BadRequestError(422, f"unknown key {option!r}. {did_you_mean(option, kinds)}")
        options[option] = _value_of(option, text, kinds[option])
    return Asked(SentFile(name, ending, body), options)


def _value_of(option: str, text: str, kind: type[Any]) -> Any:
    """Return the value of an option in an address.

    Raises:
        BadRequestError: it is of another type.
    """
    if kind is bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise BadRequestError(422, f"{option} is {shown(text)}; expected true or false.")
    try:
        return kind(text)
    except ValueError as error:
        raise BadRequestError(422, f"{option} is {shown(text)}; expected a number.") from error
