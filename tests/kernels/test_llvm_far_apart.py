"""Machine code is loaded where free memory lies in pieces that are far apart, as in a process that
uses a GPU."""

import platform
import subprocess
import sys

import pytest

# All free memory above a reservation of 16 GB is taken but for one page. So a section of one page
# comes to lie there, and a longer one below the reservation, unless they are asked for together.
SCRIPT = """
import ctypes
import torch
import conveyor
from conveyor.kernels.llvm.machine import host

host()
x, layer = torch.randn(2, 1, 3), conveyor.Recurrent("lstm_peephole", 3, 5)
with conveyor.use_target("reference"):
    expected = layer(x)[0]

library = ctypes.CDLL(None)
library.mmap.restype = ctypes.c_void_p
library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
PAGE, NO_ACCESS, PRIVATE, ANONYMOUS, NO_RESERVE = 4096, 0, 0x2, 0x20, 0x4000


def reserve(size):
    place = library.mmap(None, size, NO_ACCESS, PRIVATE | ANONYMOUS | NO_RESERVE, -1, 0)
    assert place != ctypes.c_void_p(-1).value
    return place


below = reserve(16 << 30)
above = 0
while (place := reserve(2 * PAGE)) > below:
    above = place
assert above
library.munmap(above, PAGE)
torch.testing.assert_close(layer(x)[0], expected)
print("computed")
"""


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64",
    reason="which memory is given where is known of Linux on x86-64",
)
def test_code_reaches_its_constants_where_memory_lies_far_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONVEYOR_CACHE_DIR", "")
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=300
    )
    assert (ran.returncode, ran.stdout) == (0, "computed\n"), ran.stderr
