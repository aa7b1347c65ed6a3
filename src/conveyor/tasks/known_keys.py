"""What a run has learned from, as hashes: later data that holds the same is told."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from conveyor.errors import RunError


def short_hash(key: str) -> bytes:
    """Return six bytes that tell examples apart."""
    return hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=6).digest()


def packed_hashes(keys: Iterable[str]) -> str:
    """Return the hashes of examples as text, which ``known_hashes`` reads."""
    return base64.b64encode(b"".join(map(short_hash, sorted(set(keys))))).decode()


def known_hashes(fitted: Mapping[str, Any]) -> set[bytes]:
    """Return the hashes of what was learned from.

    Raises:
        RunError: the run's record is corrupt.
    """
    try:
        packed = base64.b64decode(str(fitted.get("known", "")), validate=True)
    except ValueError as error:
        raise RunError(f"what the run was fitted on is corrupt: {error}.") from error
    return {packed[place : place + 6] for place in range(0, len(packed), 6)}
