"""The kinds of sequences, and which of them a source holds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conveyor.errors import DataError, RunError
from conveyor.tasks.latent.kind import Kind, LatentData
from conveyor.tasks.latent.latent_settings import LatentDataSettings
from conveyor.tasks.latent.music_kind import MusicKind, read_pieces
from conveyor.tasks.latent.picture_kind import PictureKind, read_pictures
from conveyor.tasks.latent.stroke_kind import StrokeKind, read_strokes
from conveyor.tasks.latent.table_kind import TableKind, read_columns

_KINDS: dict[str, type[Kind]] = {
    kind.name: kind for kind in (MusicKind, PictureKind, StrokeKind, TableKind)
}


def kind_of(name: Any, description: Mapping[str, Any], where: str) -> Kind:
    """Return the kind of a description, read from a file that may hold anything.

    Raises:
        RunError: it is none.
    """
    if not isinstance(name, str) or name not in _KINDS or not isinstance(description, Mapping):
        raise RunError(f"{where} is corrupt: it describes no kind of sequences.")
    return _KINDS[name].described(description, where)


def read_sequences(
    source: Any, settings: LatentDataSettings, fitted: Kind | None = None
) -> LatentData:
    """Read sequences: music, pictures, strokes of a pen, or rows of a table.

    Args:
        source: a file or a folder; or a data frame or an array, whose rows are steps.
        settings: how it is read.
        fitted: the kind that a network was fitted on. Data of that kind is read in its units, and
            may be as little as one sequence. None before a fit.

    Raises:
        DataError: it cannot be used.
    """
    if not isinstance(source, str | Path):
        return read_columns(source, settings, fitted)
    path = Path(source)
    if path.is_dir():
        return read_pictures(path, settings, fitted, colours=settings.colours)
    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    ending = plain.suffix.lower()
    if ending == ".json":
        return read_pieces(path, fitted)
    if ending in (".jsonl", ".ndjson", ".npz"):
        return read_strokes(path, settings, fitted)
    if ending in (".mid", ".midi"):
        raise DataError(
            f"{path}: MIDI files are not read. Write music as JSON: lists of pieces under train, "
            "valid and test, a piece a list of steps, a step a list of MIDI numbers."
        )
    return read_columns(source, settings, fitted)
