"""What files hold, as a hash."""

import hashlib
from pathlib import Path

from conveyor.data.video_file import frame_files


def contents_hash(path: Path) -> str:
    """Return the BLAKE2b hash of all bytes of a file, or of the names and bytes of the frames that
    a folder holds; empty where there is none.

    Args:
        path: a file, or a folder of frames.
    """
    if path.is_dir():
        digest = hashlib.blake2b(digest_size=16)
        for frame in frame_files(path):
            digest.update(f"{frame.name}\0{contents_hash(frame)}\n".encode(errors="surrogatepass"))
        return digest.hexdigest()
    if not path.exists():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
