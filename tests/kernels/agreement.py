"""Machine code against the judge: one problem, run by two kernels, everything compared by name.

The judge is the reference target in float64. How much rounding matters is measured on the problem
itself: by the judge in float32, and by the judge on numbers moved by a rounding of float32, with
functions that are off by as much as ours may be. Twice, because one of them may be lucky. Float64
rounds 2**29 times finer.
"""

import ctypes
import math
import mmap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from conveyor.compiler.plan import Plan, plan
from conveyor.compiler.program import Program
from conveyor.kernels import reference
from conveyor.kernels.kernel import InitialState, Kernel, Unrolled
from conveyor.kernels.llvm.llvm_kernel import LlvmKernel
from conveyor.kernels.pieces import Parameters
from conveyor.kernels.reference import ReferenceKernel
from conveyor.kernels.steps import Steps
from tests.kernels.programs import leaves, of_a_layer, rows_of
from tests.layers.named import Named, draw, gradients, leaf, loss_of

FINER = 2.0**-29  # float64 has 53 digits, float32 has 24
# One lucky rounding of the judge's float32 must not fail a right kernel: less than this in
# proportion is no error. Two units of the last place of float32.
FLOOR = 2.0**-22
# Among tensors of a few numbers, errors of two right kernels differ by luck. Seen over all cells
# and sizes: up to 7 times, where
# one number is what is left of others that cancel.
FACTOR = 16.0


@dataclass(frozen=True)
class Problem:
    """Numbers to run a program on, float64. ``inputs`` are rows."""

    program: Program
    inputs: Named
    start: Named
    parameters: Named
    steps: Steps
    zero_start: bool = field(default=False)

    def sources(self) -> Named:
        """All that a gradient can be of, by name: constants have none."""
        learned = {leaf.name for leaf in self.program.parameters}
        return {
            **{f"input {name}": each for name, each in self.inputs.items()},
            **({} if self.zero_start else {f"start {n}": each for n, each in self.start.items()}),
            **{f"parameter {n}": each for n, each in self.parameters.items() if n in learned},
        }

    def at(self, sources: Mapping[str, Tensor]) -> "Problem":
        """The same problem on other numbers; constants stay, in the type of the others."""
        dtype = next(iter(sources.values())).dtype

        def named(kind: str, like: Named) -> Named:
            return {
                name: sources.get(f"{kind} {name}", each.to(dtype)) for name, each in like.items()
            }

        return replace(
            self,
            inputs=named("input", self.inputs),
            start=named("start", self.start),
            parameters=named("parameter", self.parameters),
        )

    def run(self, kernel: Kernel, observe: bool = False) -> Unrolled:
        """The problem's numbers through a kernel."""
        start = InitialState.of(of_a_layer(self.start))
        return kernel.sequence(
            self.inputs,
            InitialState(start.widths) if self.zero_start else start,
            Parameters.of(self.parameters),
            steps=self.steps,
            observe=observe,
        )


def problem(
    program: Program, widths: Mapping[str, int], steps: Steps, *, zero_start: bool = False
) -> Problem:
    """A problem of this size; the same size always has the same numbers."""
    inputs, start, parameters = leaves(program, widths, steps.steps, steps.batch)
    rows = {name: each[: steps.rows] for name, each in rows_of(inputs).items()}
    return Problem(
        program, _rounded(rows), _rounded(start), _rounded(parameters), steps, zero_start
    )


def _rounded(values: Named) -> Named:
    """Numbers that float32 has too: what is compared is what kernels make of them."""
    return {name: each.float().double() for name, each in values.items()}


def named_results(unrolled: Unrolled) -> Named:
    """Outputs, final states and what was observed, by name."""
    return {
        **{f"output {name}": each for name, each in unrolled.outputs.items()},
        **{f"final {name}": each.squeeze(0) for name, each in unrolled.final.items()},
        **{f"local {name}": each for name, each in unrolled.observed.items()},
    }


def everything(
    kernel: Kernel, given: Problem, dtype: torch.dtype = torch.float64, *, observe: bool = False
) -> Named:
    """Results and the gradient of every source, by name."""
    sources = {name: leaf(each.to(dtype)) for name, each in given.sources().items()}
    own = given.at(sources)
    if own.zero_start:
        own = replace(own, start={name: each.to(dtype) for name, each in own.start.items()})
    results = named_results(own.run(kernel, observe))
    # A result may depend on nothing that has a gradient: a state that stays zero.
    loss = loss_of(results)
    found = gradients(loss, sources) if loss.requires_grad else {}
    return {**{name: each.detach() for name, each in results.items()}, **found}


def distance(got: Tensor, want: Tensor) -> float:
    """The L2 norm of the difference, in proportion to what is wanted. NaN is equal to NaN, and
    an infinite number to itself."""
    assert got.shape == want.shape, f"{list(got.shape)} is not {list(want.shape)}"
    got, want = got.double(), want.double()
    special = ~want.isfinite()
    if not torch.equal(got[special].nan_to_num(7), want[special].nan_to_num(7)):
        return math.inf
    difference = (got - want).masked_fill(special, 0).norm()
    size = want.masked_fill(special, 0).norm()
    # Of nothing but zeros, every number is all of the difference.
    found = float(difference / size) if size > 0 else float(difference)
    return found if math.isfinite(found) else math.inf


def compare(got: Named, want: Named, errors: Mapping[str, float], dtype: torch.dtype) -> None:
    """The same names, and by each name what is wanted up to rounding.

    Args:
        want: by the judge in float64.
        errors: what rounding to float32 does to each.
    """
    assert set(got) == set(want), set(got) ^ set(want)
    unit = 1.0 if dtype == torch.float32 else FINER
    wrong = []
    for name, each in want.items():
        assert got[name].dtype == dtype, f"{name} is of {got[name].dtype}"
        bound = FACTOR * (errors[name] + FLOOR) * unit
        error = distance(got[name], each)
        if not error <= bound:
            wrong.append(f"{name}: off by {error:.2g}, may be {bound:.2g}")
    assert not wrong, "; ".join(wrong)


def moved(given: Problem, by: float, seed: int = 0) -> Problem:
    """A problem with every number changed by up to that part of it."""
    return given.at(
        {
            name: each * (1 + by * draw(*each.shape, seed=1000 * seed + number))
            for number, (name, each) in enumerate(given.sources().items())
        }
    )


class _Off(torch.autograd.Function):
    """A result that is off by a part of it, up or down; its derivative is a function of it."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, function: str) -> Tensor:
        result: Tensor = getattr(torch, function)(value)
        sign = draw(*result.shape, seed=5).sign()
        result = result * (1 + 2.0**-22 * sign)
        ctx.function = function
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        slopes = {"tanh": 1 - y * y, "sigmoid": y * (1 - y), "exp": y}
        return gradient * slopes[ctx.function], None


def _off(function: str) -> Callable[[Tensor], Tensor]:
    def apply(value: Tensor) -> Tensor:
        found: Tensor = _Off.apply(value, function)  # type: ignore[no-untyped-call]
        return found

    return apply


def roughly(judge: Kernel, given: Problem, *, observe: bool = False, seed: int = 0) -> Named:
    """What the judge makes of numbers that were rounded to float32, with functions that are two
    units of the last place off: 1 - tanh² near 1 makes much of that."""
    functions = {name: _off(name) for name in ("tanh", "sigmoid", "exp")}
    with patch.dict(reference._FUNCTIONS, functions):
        return everything(judge, moved(given, 2.0**-24, seed), observe=observe)


@dataclass(frozen=True)
class Judged:
    """A problem with what is right, and how much rounding to float32 changes of it."""

    problem: Problem
    want: Named
    errors: Mapping[str, float]

    @staticmethod
    def of(given: Problem, plan_of_it: Plan | None = None, *, observe: bool = False) -> "Judged":
        """Ask the judge."""
        judge = ReferenceKernel(plan_of_it or plan(given.program))
        want = everything(judge, given, observe=observe)
        others = (
            everything(judge, given, torch.float32, observe=observe),
            roughly(judge, given, observe=observe),
        )
        errors = {name: max(distance(o[name], each) for o in others) for name, each in want.items()}
        return Judged(given, want, errors)

    def check(self, kernel: Kernel, dtype: torch.dtype) -> Named:
        """Raise AssertionError unless the kernel computes what the judge does, and return what it
        computes."""
        observe = any(name.startswith("local ") for name in self.want)
        got = everything(kernel, self.problem, dtype, observe=observe)
        try:
            compare(got, self.want, self.errors, dtype)
        except AssertionError:
            compare(got, self.want, self._more_errors(observe), dtype)
        return got

    def _more_errors(self, observe: bool) -> dict[str, float]:
        """As ``errors``, of more ways to round: where a cell divides by what may be nearly 0, one
        way says little of others."""
        judge = ReferenceKernel(plan(self.problem.program))
        others = [roughly(judge, self.problem, observe=observe, seed=seed) for seed in range(1, 9)]
        return {
            name: max(self.errors[name], *[distance(other[name], each) for other in others])
            for name, each in self.want.items()
        }


def check(program: Program, given: Problem, dtype: torch.dtype) -> None:
    """A fresh kernel of a program against the judge of the problem's, in values and gradients,
    and without gradients against itself with them."""
    kernel = LlvmKernel(plan(program), dtype)
    check_inference(kernel, given, Judged.of(given).check(kernel, dtype), dtype)


def check_inference(kernel: Kernel, given: Problem, want: Named, dtype: torch.dtype) -> None:
    """The way forward that keeps nothing has the bits of the one that does, which gave ``want``."""
    own = given.at({name: each.to(dtype) for name, each in given.sources().items()})
    own = replace(own, start={name: each.to(dtype) for name, each in own.start.items()})
    with torch.no_grad():
        got = named_results(own.run(kernel))
    for name, each in got.items():
        assert torch.equal(each.nan_to_num(7), want[name].nan_to_num(7)), name


def counts_of(steps: int, batch: int, seed: int) -> tuple[int, ...]:
    """How many sequences take part in each step: random lengths from 1, one of them ``steps``."""
    lengths = (draw(batch, seed=seed).abs() * steps).long() + 1
    lengths[0] = steps
    return tuple(int((lengths > step).sum()) for step in range(steps))


# Fences ------------------------------------------------------------------------------------------

# Twice as much as the widest store, and some: 4 kB on either side of every tensor.
GUARD = 4096
SENTINEL = 0xA5


class Fences:
    """Hands out memory between sentinels, NaN inside, and looks at the sentinels later."""

    def __init__(self, shift: int = 0) -> None:
        # ``shift`` numbers off the start of a cache line: nothing may count on more than torch
        # promises for views.
        self._shift = shift
        self._blocks: list[tuple[Tensor, int, int]] = []

    def make(self, shape: Any, dtype: torch.dtype, fill: float | None = None) -> Tensor:
        """A tensor between sentinels."""
        count = math.prod(shape)
        size = count * dtype.itemsize
        block = torch.full((size + 2 * GUARD + 128,), SENTINEL, dtype=torch.uint8)
        first = GUARD + (-(block.data_ptr() + GUARD)) % 64 + self._shift * dtype.itemsize
        inside = block[first : first + size]
        inside.fill_(0xFF)  # as float32 or float64, NaN
        self._blocks.append((block, first, size))
        found = inside.view(dtype).view(tuple(shape))
        return found if fill is None else found.fill_(fill)

    def of(self, values: Tensor) -> Tensor:
        """A copy of a tensor between sentinels."""
        with torch.no_grad():
            return self.make(values.shape, values.dtype).copy_(values)

    def check(self) -> None:
        """Raise AssertionError if something was written beside a tensor."""
        for number, (block, first, size) in enumerate(self._blocks):
            for side, where in (("before", block[:first]), ("behind", block[first + size :])):
                changed = (where != SENTINEL).nonzero()
                assert not len(changed), (
                    f"tensor {number} of {size} bytes: {len(changed)} bytes {side} it were "
                    f"written, the first at {int(changed[0])} of {len(where)}"
                )

    def __len__(self) -> int:
        return len(self._blocks)


class Pages:
    """Hands out memory that ends where a page begins that nobody may read: a byte too far ends
    the process. To be used in a process of its own."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._kept: list[mmap.mmap] = []

    def make(self, shape: Any, dtype: torch.dtype, fill: float | None = None) -> Tensor:
        """A tensor with forbidden pages before and behind."""
        page = mmap.PAGESIZE
        count = math.prod(shape)
        size = count * dtype.itemsize
        pages = -(-size // page)
        memory = mmap.mmap(-1, (pages + 2) * page)
        memory[page : (pages + 1) * page] = b"\xff" * (pages * page)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        for where in (start, start + (pages + 1) * page):
            assert self._libc.mprotect(ctypes.c_void_p(where), page, 0) == 0
        self._kept.append(memory)
        found = torch.frombuffer(
            memory, dtype=dtype, count=count, offset=(pages + 1) * page - size
        ).view(tuple(shape))
        return found if fill is None else found.fill_(fill)

    def of(self, values: Tensor) -> Tensor:
        """A copy of a tensor, with forbidden pages before and behind."""
        with torch.no_grad():
            return self.make(values.shape, values.dtype).copy_(values)

    def __len__(self) -> int:
        return len(self._kept)


@contextmanager
def memory_from(source: Fences | Pages) -> Iterator[None]:
    """Whatever a kernel allocates comes from there, inside the block. The functions are torch's
    own, so that it does not matter where a kernel calls them."""
    empty, zeros_like, empty_like = torch.empty, torch.zeros_like, torch.empty_like
    methods = {name: getattr(Tensor, name) for name in ("new_empty", "new_zeros")}

    def shape_of(size: tuple[Any, ...]) -> tuple[int, ...]:
        return tuple(size[0]) if size and not isinstance(size[0], int) else tuple(size)

    def is_empty(shape: tuple[int, ...]) -> bool:
        return math.prod(shape) == 0

    def own_empty(*size: Any, dtype: torch.dtype | None = None, **kwargs: Any) -> Tensor:
        shape = shape_of(size)
        if kwargs or is_empty(shape):
            return empty(*size, dtype=dtype, **kwargs)
        return source.make(shape, dtype or torch.get_default_dtype())

    def own_zeros_like(values: Tensor, **kwargs: Any) -> Tensor:
        if kwargs or is_empty(tuple(values.shape)):
            return zeros_like(values, **kwargs)
        return source.make(values.shape, values.dtype, 0.0)

    def own_empty_like(values: Tensor, **kwargs: Any) -> Tensor:
        if kwargs or is_empty(tuple(values.shape)):
            return empty_like(values, **kwargs)
        return source.make(values.shape, values.dtype)

    def own_new(self: Tensor, *size: Any, fill: float | None, **kwargs: Any) -> Tensor:
        shape = shape_of(size)
        if kwargs or is_empty(shape):
            method = methods["new_empty" if fill is None else "new_zeros"]
            found: Tensor = method(self, *size, **kwargs)
            return found
        return source.make(shape, self.dtype, fill)

    def own_new_empty(self: Tensor, *size: Any, **kwargs: Any) -> Tensor:
        return own_new(self, *size, fill=None, **kwargs)

    def own_new_zeros(self: Tensor, *size: Any, **kwargs: Any) -> Tensor:
        return own_new(self, *size, fill=0.0, **kwargs)

    torch.empty, torch.zeros_like = own_empty, own_zeros_like  # type: ignore[assignment]
    torch.empty_like = own_empty_like  # type: ignore[assignment]
    Tensor.new_empty, Tensor.new_zeros = own_new_empty, own_new_zeros  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.empty, torch.zeros_like, torch.empty_like = empty, zeros_like, empty_like
        del Tensor.new_empty, Tensor.new_zeros  # TensorBase's show again


def fenced(kernel: Kernel, given: Problem, dtype: torch.dtype, source: Fences | Pages) -> Named:
    """As ``everything``, on memory from a source: what the kernel is given, and what it makes.
    What it is given is looked at afterwards."""
    sources = {name: source.of(each.to(dtype)) for name, each in given.sources().items()}
    before = {name: each.clone() for name, each in sources.items()}
    own = given.at({name: each.requires_grad_() for name, each in sources.items()})
    if own.zero_start:
        own = replace(own, start={name: each.to(dtype) for name, each in own.start.items()})
    with memory_from(source):
        results = named_results(own.run(kernel))
    upstream = {name: source.of(draw(*each.shape, dtype=dtype)) for name, each in results.items()}
    copies = {name: each.clone() for name, each in upstream.items()}
    with memory_from(source):
        found = torch.autograd.grad(
            list(results.values()), list(sources.values()), list(upstream.values())
        )
    for kind, held, kept in (("source", sources, before), ("upstream", upstream, copies)):
        for name, each in held.items():
            assert torch.equal(each, kept[name]), f"{kind} {name} was written"
    pairs = zip(sources, found, strict=True)
    return {
        **{name: each.detach().clone() for name, each in results.items()},
        **{f"gradient of {name}": each.clone() for name, each in pairs},
    }
