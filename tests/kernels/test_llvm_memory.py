"""Machine code reads and writes its own memory and nothing beside it."""

import sys
from typing import Annotated

import pytest
import torch

import conveyor
from conveyor.cells import Input, Matrix, Memory, State, Value, cell, softmax, tanh, total
from conveyor.compiler.plan import plan
from conveyor.compiler.show import program_of
from conveyor.errors import ShapeError
from conveyor.kernels import memory
from conveyor.kernels.kernel import InitialState
from conveyor.kernels.kernel import Memory as LookedAt
from conveyor.kernels.llvm.llvm_kernel import LlvmKernel
from conveyor.kernels.pieces import Parameters, Piece, is_plain
from conveyor.kernels.steps import Steps
from tests.kernels.agreement import (
    Fences,
    everything,
    fenced,
    problem,
)
from tests.kernels.llvm_cases import DTYPES, FENCED, ROOT, every_kind, kernels, small
from tests.kernels.programs import PROGRAMS
from tests.kinds import LONG
from tests.layers.named import assert_equal
from tests.warm_python import run_script


@every_kind
def test_nothing_is_written_beside_its_place(name: str) -> None:
    """All that a kernel is given or makes lies between sentinels and holds NaN at first. Numbers
    may begin anywhere: torch's slices do."""
    program, more = PROGRAMS[name]
    for dtype, kernel in kernels(program).items():
        # In the short run half of the sizes for each type.
        first = DTYPES.index(dtype)
        for shift, (steps, widths) in enumerate(FENCED if LONG else FENCED[first::2]):
            fences = Fences(shift)
            given = problem(program, {**widths, **more}, steps)
            got = fenced(kernel, given, dtype, fences)
            fences.check()
            assert len(fences) > len(given.sources()) + 2  # what the kernel made is among them
            for key, each in got.items():
                assert each.isfinite().all(), key
        # Where a tensor lies changes nothing.
        assert_equal(got, fenced(kernel, given, dtype, Fences(0)))


def test_fences_see_a_write() -> None:
    """In front and behind, next to the tensor and a vector away."""
    for place in (-1, -16, 6, 21):
        fences = Fences()
        values = fences.make((2, 3), torch.float32)
        assert values.isnan().all()
        fences.check()
        first = values.untyped_storage()
        at = (values.data_ptr() - first.data_ptr()) // 4 + place
        torch.empty(0, dtype=torch.float32).set_(first)[at] = 1.0
        with pytest.raises(AssertionError, match="were written"):
            fences.check()


READS_SCRIPT = """
import sys, torch
torch.set_num_threads(1)
from conveyor.compiler.plan import plan
from conveyor.kernels.llvm.llvm_kernel import LlvmKernel
from tests.kernels.agreement import Pages, fenced, problem
from tests.kernels.programs import PROGRAMS
from tests.kernels.llvm_cases import DTYPES, FENCED
from tests.kinds import LONG
if sys.argv[1] == "beyond":
    values = Pages().make((3,), torch.float32)
    print(torch.as_strided(values, (1,), (1,), values.storage_offset()).item(), flush=True)
    import ctypes
    ctypes.string_at(values.data_ptr() + 12, 1)
for name in sys.argv[1:]:
    program, more = PROGRAMS[name]
    for dtype in DTYPES:
        kernel = LlvmKernel(plan(program), dtype)
        # In the short run half of the sizes for each type.
        for steps, widths in FENCED if LONG else FENCED[DTYPES.index(dtype)::2]:
            print(name, dtype, steps, widths, flush=True)
            pages = Pages()
            given = problem(program, {**widths, **more}, steps)
            got = fenced(kernel, given, dtype, pages)
            assert all(each.isfinite().all() for each in got.values())
            assert len(pages) > len(given.sources()) + 2
print("all read", flush=True)
"""

no_pages = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="pages are protected through Linux's libc"
)


@no_pages
def test_nothing_is_read_beyond_its_end() -> None:
    """Every tensor ends where memory begins that nobody may read, and begins where such memory
    ends if it is whole pages: a read beyond ends the process."""
    names = list(PROGRAMS) if LONG else ["lstm_projected", "normalised", "gru"]
    ran = run_script(READS_SCRIPT, *names, folder=ROOT)
    assert ran.code == 0, f"{ran.code} after {ran.out[-200:]} {ran.err[-2000:]}"
    assert ran.out.endswith("all read\n")


@no_pages
def test_a_read_beyond_its_end_is_seen() -> None:
    ran = run_script(READS_SCRIPT, "beyond", folder=ROOT)
    assert ran.code < 0  # ended by a signal
    assert ran.out == "nan\n"


def test_memory_that_torch_reuses() -> None:
    """A call's own memory is not kept by what it returns."""
    given = small(steps=Steps(40, 5))
    kernel = LlvmKernel(plan(given.program), torch.float64)
    got = everything(kernel, given)
    for _ in range(5):
        junk = [torch.full((size,), float("nan")) for size in (100, 1000, 10000, 100000)]
        assert_equal(everything(kernel, given), got)
        del junk


@pytest.mark.parametrize("large", [0, 1 << 30])
def test_large_values_are_copied_to_the_same_numbers(
    large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies of large values ask for large pages; smaller ones are torch's."""
    monkeypatch.setattr(memory, "LARGE", large)
    rows = torch.randn(3, 5, 7, requires_grad=True)
    turned = rows.transpose(0, 1)
    expanded = torch.randn(()).expand(4, 3)
    for values in (turned, expanded, rows[..., 2:6], rows[::2]):
        copied = memory.contiguous(values)
        assert copied.is_contiguous()
        torch.testing.assert_close(copied, values.contiguous(), rtol=0, atol=0)
    assert memory.contiguous(rows) is rows
    wider = memory.padded(rows, 16)
    torch.testing.assert_close(wider, torch.nn.functional.pad(rows, (0, 9)), rtol=0, atol=0)
    torch.testing.assert_close(memory.narrowed(wider, 7), rows, rtol=0, atol=0)
    factors = torch.randn(5, 3, 7)
    (gradient,) = torch.autograd.grad((memory.contiguous(turned) * factors).sum(), rows)
    torch.testing.assert_close(gradient, factors.transpose(0, 1), rtol=0, atol=0)


def test_sizes_that_come_again_are_worked_out_once() -> None:
    """Of a layer as of a kernel: each call makes its parameters' names anew."""
    layer = conveyor.Recurrent("lstm", 3, 5)
    for number in range(20):
        layer(torch.zeros(1 + number % 2, 2, 3))[0].sum().backward()
    (kernel,) = layer.__dict__["_kernels"].values()
    assert len(kernel.launch_plans._plans) == 2 * 2  # two sizes, two ways


def test_a_bias_of_pieces_of_different_height_is_put_together_first() -> None:
    """The second of two pieces is read as far as the first goes."""
    whole, one = torch.randn(5), torch.randn(1)
    alike = {"b": (Piece(0, 0, 5), Piece(1, 0, 5))}
    assert is_plain(Parameters((whole, whole), alike))
    broadcast = Parameters((whole, one), {"b": (Piece(0, 0, 5), Piece(1, 0, 1))})
    assert not is_plain(broadcast)
    assert torch.equal(broadcast.by_name["b"], whole + one)


@cell
def looks(
    x: Input,
    h: State,
    keys: Annotated[Memory, "L", "H"],
    values: Annotated[Memory, "L", "H"],
    W: Matrix,
) -> Value:
    """Looks at two memories of the same places."""
    return tanh(W @ x + softmax(total(keys * h)) @ values)


@pytest.mark.parametrize(
    "counts",
    [
        torch.tensor([0, 2]),
        torch.tensor([-1, 2]),
        torch.tensor([4, 2]),
        torch.tensor([2**40, 2]),
        torch.tensor([3]),
        torch.tensor([3, 2, 1]),
        torch.tensor([3, 2], dtype=torch.int32),
        torch.tensor([3.0, 2.0]),
    ],
)
def test_places_that_a_memory_has_not_are_not_read(counts: torch.Tensor) -> None:
    kernel = LlvmKernel(plan(program_of(looks)), torch.float64)
    inputs, weights = {"x": torch.randn(4, 2, 5).double()}, {"W": torch.randn(6, 5).double()}
    read, other = torch.randn(2, 2, 3, 6).double()

    def run(keys: LookedAt, values: LookedAt) -> torch.Tensor:
        start = InitialState({"h": 6}, None, {"keys": keys, "values": values})
        steps = Steps.dense(4, 2)
        parameters = Parameters.of(weights)
        unrolled = kernel.sequence(inputs, start, parameters, steps=steps, observe=False)
        return unrolled.final["h"]

    true = torch.tensor([3, 2])
    # Counts that are the same numbers in another tensor are the same places.
    assert run(LookedAt(read, true), LookedAt(other, true.clone())).isfinite().all()
    with pytest.raises(ShapeError, match=r"looks: memory keys has 3 places; expected how many"):
        run(LookedAt(read, counts), LookedAt(other, counts))
    with pytest.raises(ShapeError, match=r"looks: memory values has other places than"):
        run(LookedAt(read, true), LookedAt(other, torch.tensor([3, 3])))
    with pytest.raises(ShapeError, match=r"looks: memory values has other places than"):
        run(LookedAt(read), LookedAt(torch.cat([other, other], 1)))
    with pytest.raises(ShapeError, match=r"looks: memory values has other places than"):
        run(LookedAt(read, true), LookedAt(torch.cat([other, other], 1), true))
