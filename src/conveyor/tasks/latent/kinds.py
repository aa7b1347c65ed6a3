"""The kinds of sequences, and which of them a source holds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conveyor.errors import DataError, RunError
from conveyor.tasks.latent.kind import Kind, LatentData
from conveyor.tasks.latent.latent_settings import LatentDataSettings
from conveyor.tasks.latent.music_kind import MusicKind, read_pieces

_KINDS: dict[str, type[Kind]] = {kind.name: kind for kind in (MusicKind,)}


def kind_of(name: Any, description: Mapping[str, Any], where: str) -> Kind:
    """Return the kind of a description, read from a file that may hold anything.

    Raises:
        RunError: it is none.
    """
    if not isinstance(name, str) or name not in _KINDS or not isinstance(description, Mapping):
        raise RunError(f"{where} is corrupt: it describes no kind of sequences.")
    return _KINDS[name].described(description, where)


def read_sequences(source: Any, settings: LatentDataSettings) -> LatentData:
    """Read sequences: music, pictures, strokes of a pen, or columns of a table.

    Args:
        source: a file or a folder.
        settings: how it is read.

    Raises:
        DataError: it cannot be used.
    """
    path = Path(source)
    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    if plain.suffix.lower() == ".json":
        return read_pieces(path)
    raise DataError(f"{path}: expected music (.json)")
