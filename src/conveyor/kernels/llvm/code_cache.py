"""Object code, kept: in memory as long as the process lives, on disk (``cache_folder``) for the
next one. Code that cannot be read from there is compiled anew."""

import contextlib
import hashlib
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path

from llvmlite import binding

from conveyor import cache_folder
from conveyor.kernels.llvm.machine import COMPILING, Loaded, Machine
from conveyor.version import VERSION

# A cell takes about 100 kB; so some thousand of them stay.
MOST_BYTES = 256 * 1024 * 1024
ENDING = ".conveyor-code"

_LOADED: dict[str, Loaded] = {}


@cache
def _generator() -> str:
    """Return a hash of this code generator, the layouts and the compiler that plans, so that code
    of older ones is never used: it would read its arguments wrongly."""
    digest = hashlib.sha256()
    package = Path(__file__).parents[2]
    for part in ("kernels/llvm", "kernels/layout", "compiler"):
        for path in sorted((package / part).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def key(machine: Machine, *parts: str) -> str:
    """The name of the code of these parts, for a machine."""
    llvm = ".".join(map(str, binding.llvm_version_info))
    text = "\0".join([VERSION, llvm, _generator(), repr(machine), *parts])
    return hashlib.sha256(text.encode()).hexdigest()


def _is_object(code: bytes) -> bool:
    """Whether the code begins as an object file and, where that can be seen, ends as one: LLVM
    ends the process on what is none."""
    if code[:5] == b"\x7fELF\x02":
        try:
            (sections,) = struct.unpack_from("<Q", code, 40)
            size, count = struct.unpack_from("<HH", code, 58)
        except struct.error:
            return False
        return bool(sections + size * count == len(code))  # LLVM writes their table last
    return code[:4] == b"\xcf\xfa\xed\xfe" or code[:2] in (b"\x64\x86", b"\x64\xaa")


def _read(path: Path) -> bytes | None:
    code = cache_folder.read(path, MOST_BYTES)
    return code if code is not None and _is_object(code) else None


def loaded(name: str, names: list[str], make: Callable[[], bytes]) -> Loaded:
    """The functions ``names`` of the code called ``name``, from memory, disk or ``make``."""
    found = _LOADED.get(name)
    if found is not None:
        return found
    with COMPILING:  # of two threads that want the same, one compiles
        if name in _LOADED:
            return _LOADED[name]
        path = cache_folder.path_of(f"{name}{ENDING}")
        code = None if path is None else _read(path)
        made = None
        if code is not None:
            with contextlib.suppress(ValueError, RuntimeError):
                made = Loaded(code, names)
        if made is None:
            code = make()
            made = Loaded(code, names)
            if path is not None:
                cache_folder.write(path, code, MOST_BYTES)
        _LOADED[name] = made
        return made
