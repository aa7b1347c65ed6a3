"""What a run has learned from, as hashes: later data that holds the same is told, and a fit that is
resumed knows its own."""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor

from conveyor.errors import RunError, counted
from conveyor.tasks.task import Say

# What the record of a run is called in errors.
FITTED_ON = "what the run was fitted on"


def _digest(key: str, size: int) -> bytes:
    return hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=size).digest()


def short_hash(key: str) -> bytes:
    """Return six bytes that tell examples apart."""
    return _digest(key, 6)


def long_hash(key: str) -> int:
    """Return 64 bits that tell texts apart, as a signed number: of a million texts two have the
    same with a chance of 3e-8."""
    return int.from_bytes(_digest(key, 8), "little", signed=True)


def packed_hashes(keys: Iterable[str]) -> str:
    """Return the hashes of examples as text, which ``known_hashes`` reads."""
    return base64.b64encode(b"".join(map(short_hash, sorted(set(keys))))).decode()


def known_hashes(fitted: Mapping[str, Any]) -> set[bytes]:
    """Return the hashes of what was learned from.

    Raises:
        RunError: the run's record is corrupt.
    """
    return hashes_in(fitted, "known")


def hashes_in(fitted: Mapping[str, Any], name: str) -> set[bytes]:
    """Return the hashes that ``packed_hashes`` has put into the record of a run.

    Args:
        fitted: the record.
        name: of the hashes in it; there are none where there is no such name.

    Raises:
        RunError: the run's record is corrupt.
    """
    try:
        packed = base64.b64decode(str(fitted.get(name, "")), validate=True)
    except ValueError as error:
        raise RunError(f"{FITTED_ON} is corrupt: {error}.") from error
    return {packed[place : place + 6] for place in range(0, len(packed), 6)}


def leaks_among(keys: Iterable[str], known: set[bytes]) -> int:
    """Return how many examples were learned from, each counted as often as it is there.

    Args:
        keys: of the examples.
        known: the hashes of what trained and validated, see ``short_hash``.
    """
    return sum(short_hash(key) in known for key in keys)


def told_leaks(
    keys: Sequence[str], fitted: Mapping[str, Any], say: Say, one: str, many: str = ""
) -> int:
    """Return how many examples were learned from, which the user is told.

    Args:
        keys: of the examples.
        fitted: the record of the run.
        say: called with a line for the user.
        one: what an example is.
        many: its plural, if it is not the noun with an s.

    Raises:
        RunError: the run's record is corrupt.
    """
    leaks = leaks_among(keys, known_hashes(fitted))
    if leaks:
        verb, easier = "was", "is easier than a new one"
        if leaks > 1:
            verb, easier = "were", "are easier than new ones"
        say(
            f"warning: {counted(leaks, one, many)} of these {len(keys):,} {verb} learned from, and "
            f"{easier}"
        )
    return leaks


def tell_not_kept(methods: Sequence[str], say: Say) -> None:
    """Tell why methods stand beside a run's own scores and not beside those of other data.

    Args:
        methods: their names.
        say: called with a line for the user.
    """
    one = len(methods) == 1
    names = " and ".join(filter(None, (", ".join(methods[:-1]), methods[-1])))
    say(
        f"{names} {'is' if one else 'are'} not scored here: what "
        f"{'it has' if one else 'they have'} learned is not kept with a run. The run's own report "
        f"has {'it' if one else 'them'}"
    )


def hash_of_parts(parts: Iterable[Iterable[tuple[Tensor, Tensor]]]) -> "hashlib._Hash":
    """Return the hash of examples, by which a fit that is resumed knows its data.

    Args:
        parts: of the data, each with what its examples read and what they answer.
    """
    digest = hashlib.sha256()
    for examples in parts:
        for read, answer in examples:
            digest.update(read.numpy().tobytes() + b"|" + answer.numpy().tobytes())
        digest.update(b"#")
    return digest
