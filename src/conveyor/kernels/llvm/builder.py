"""Words for writing LLVM's intermediate representation: vectors, loops, memory.

Indices are 64-bit integers and count numbers, not bytes. Variables live in memory on the stack,
from where LLVM takes them into registers.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import torch
from llvmlite import ir

from conveyor.kernels.llvm.machine import Machine

INT = ir.IntType(64)
INT32 = ir.IntType(32)
BIT = ir.IntType(1)
POINTER = ir.PointerType()
VOID = ir.VoidType()

Index: TypeAlias = ir.Value | int
Vector: TypeAlias = ir.Value
Branch = AbstractContextManager[None]


class Variable(NamedTuple):
    """What a loop changes."""

    place: ir.Value
    kind: ir.Type


class _Callee:
    """An address as llvmlite wants to see what is called."""

    def __init__(self, address: ir.Value, kind: ir.FunctionType) -> None:
        self.function_type = kind
        self.type = address.type
        self._address = address

    def get_reference(self) -> str:
        reference: str = self._address.get_reference()
        return reference


@lru_cache(maxsize=1024)
def _whole_number(value: int) -> ir.Value:
    return ir.Constant(INT, value)


def integer(value: Index) -> ir.Value:
    """A 64-bit whole number, constant if it was given as an ``int``."""
    return _whole_number(value) if isinstance(value, int) else value


class Module:
    """A module of functions on numbers of one type, for one machine."""

    def __init__(self, name: str, machine: Machine, dtype: torch.dtype) -> None:
        self.machine = machine
        self.lanes = machine.lanes(dtype)
        self.double = dtype == torch.float64
        self.number: ir.Type = ir.DoubleType() if self.double else ir.FloatType()
        self.vector = ir.VectorType(self.number, self.lanes)
        # As many bits as a number has, for tricks with exponents.
        self.bits: ir.Type = INT if self.double else INT32
        self.bit_vector = ir.VectorType(self.bits, self.lanes)
        self.ir = ir.Module(name)
        self.ir.triple = machine.triple
        self._constants: dict[tuple[str, str], ir.Value] = {}

    def constant(self, kind: ir.Type, *lanes: float) -> ir.Value:
        """A constant vector. The same one is made once: writing it takes longer than all else of
        most instructions that read it."""
        key = str(kind), repr(lanes)  # as text, which tells 0.0 from -0.0
        if key not in self._constants:
            self._constants[key] = ir.Constant(kind, list(lanes))
        return self._constants[key]

    def intrinsic(self, name: str, result: ir.Type, arguments: Sequence[ir.Type]) -> ir.Function:
        """A function that LLVM has, by its full name."""
        if name in self.ir.globals:
            found: ir.Function = self.ir.globals[name]
            return found
        return ir.Function(self.ir, ir.FunctionType(result, arguments), name)

    def __str__(self) -> str:
        return str(self.ir)


class Code:
    """A function that is being written, from its first line to ``finish``."""

    def __init__(
        self,
        module: Module,
        name: str,
        arguments: Sequence[tuple[str, ir.Type]],
        *,
        private: bool = False,
    ) -> None:
        kind = ir.FunctionType(VOID, [kind for _, kind in arguments])
        self.module = module
        self.function = ir.Function(module.ir, kind, name)
        self.function.attributes.add("nounwind")
        if private:
            self.function.linkage = "internal"
        names = [name for name, _ in arguments]
        self.arguments: dict[str, ir.Value] = dict(zip(names, self.function.args, strict=True))
        self._entry = self.function.append_basic_block("entry")
        self._body = self.function.append_basic_block("body")
        self.build = ir.IRBuilder(self._body)

    def finish(self) -> None:
        """The function ends here."""
        self.build.ret_void()
        ir.IRBuilder(self._entry).branch(self._body)

    # Numbers of steps, places in memory -------------------------------------------------------

    def add(self, *terms: Index) -> ir.Value:
        total = integer(terms[0])
        for term in terms[1:]:
            total = self.build.add(total, integer(term))
        return total

    def sub(self, left: Index, right: Index) -> ir.Value:
        return self.build.sub(integer(left), integer(right))

    def mul(self, *factors: Index) -> ir.Value:
        product = integer(factors[0])
        for factor in factors[1:]:
            product = self.build.mul(product, integer(factor))
        return product

    def div(self, left: Index, right: Index) -> ir.Value:
        """Whole division of what is not negative."""
        return self.build.udiv(integer(left), integer(right))

    def up(self, count: Index, size: Index) -> ir.Value:
        """How many groups of a size hold so many."""
        return self.div(self.add(count, self.sub(size, 1)), size)

    def compare(self, sign: str, left: Index, right: Index) -> ir.Value:
        return self.build.icmp_signed(sign, integer(left), integer(right))

    def pick(self, condition: ir.Value, yes: Index, no: Index) -> ir.Value:
        return self.build.select(condition, integer(yes), integer(no))

    def least(self, left: Index, right: Index) -> ir.Value:
        return self.pick(self.compare("<", left, right), left, right)

    def most(self, left: Index, right: Index) -> ir.Value:
        return self.pick(self.compare(">", left, right), left, right)

    def at(self, base: ir.Value, index: Index, kind: ir.Type | None = None) -> ir.Value:
        """The address of the number at an index."""
        number = self.module.number if kind is None else kind
        return self.build.gep(base, [integer(index)], source_etype=number)

    def read_integer(self, base: ir.Value, index: Index = 0) -> ir.Value:
        return self.build.load(self.at(base, index, INT), typ=INT, align=8)

    def read_pointer(self, base: ir.Value, index: Index = 0) -> ir.Value:
        return self.build.load(self.at(base, index, INT), typ=POINTER, align=8)

    # Numbers and vectors ----------------------------------------------------------------------

    def number(self, value: float) -> ir.Value:
        """A vector that holds one number in every lane."""
        return self.module.constant(self.module.vector, *[value] * self.module.lanes)

    def whole(self, value: int) -> ir.Value:
        """A vector of whole numbers, one in every lane."""
        return self.module.constant(self.module.bit_vector, *[value] * self.module.lanes)

    def splat(self, value: ir.Value) -> ir.Value:
        """One number to every lane."""
        kind = ir.VectorType(value.type, self.module.lanes)
        undefined = ir.Constant(kind, ir.Undefined)
        one = self.build.insert_element(undefined, value, ir.Constant(INT32, 0))
        places = ir.VectorType(INT32, self.module.lanes)
        first = self.module.constant(places, *[0] * self.module.lanes)
        return self.build.shuffle_vector(one, undefined, first)

    def load(self, address: ir.Value) -> ir.Value:
        """A vector; it may begin at any number."""
        size = 8 if self.module.double else 4
        return self.build.load(address, typ=self.module.vector, align=size)

    def load_number(self, address: ir.Value) -> ir.Value:
        size = 8 if self.module.double else 4
        return self.build.load(address, typ=self.module.number, align=size)

    def store(self, value: ir.Value, address: ir.Value) -> None:
        """A vector or a number."""
        self.build.store(value, address, align=8 if self.module.double else 4)

    def mask(self, count: ir.Value) -> ir.Value:
        """True in the first ``count`` lanes."""
        lanes = ir.VectorType(INT32, self.module.lanes)
        places = self.module.constant(lanes, *range(self.module.lanes))
        count = self.build.trunc(self.least(count, self.module.lanes), INT32)
        return self.build.icmp_signed("<", places, self.splat(count))

    def _named(self, operation: str) -> str:
        return f"llvm.{operation}.v{self.module.lanes}f{64 if self.module.double else 32}"

    def call(self, operation: str, *vectors: ir.Value) -> ir.Value:
        """One of LLVM's functions on vectors: fma, sqrt, fabs, maximum, ..."""
        vector = self.module.vector
        function = self.module.intrinsic(self._named(operation), vector, [vector] * len(vectors))
        return self.build.call(function, list(vectors))

    def call_address(
        self, address: ir.Value, kind: ir.FunctionType, arguments: Sequence[ir.Value]
    ) -> ir.Value:
        """The function at an address."""
        return self.build.call(_Callee(address, kind), list(arguments))

    def fma(self, left: ir.Value, right: ir.Value, third: ir.Value) -> ir.Value:
        """left * right + third, rounded once where the machine has that."""
        return self.call("fmuladd", left, right, third)

    def load_masked(self, address: ir.Value, mask: ir.Value) -> ir.Value:
        """A vector of which only some lanes may be read; zero in the others."""
        vector, lanes = self.module.vector, self.module.lanes
        name = f"{self._named('masked.load')}.p0"
        kinds = [POINTER, ir.VectorType(BIT, lanes), vector]
        function = self.module.intrinsic(name, vector, kinds)
        return self.build.call(function, [address, mask, self.number(0.0)])

    def store_masked(self, value: ir.Value, address: ir.Value, mask: ir.Value) -> None:
        """Some lanes of a vector."""
        name = f"{self._named('masked.store')}.p0"
        kinds = [self.module.vector, POINTER, ir.VectorType(BIT, self.module.lanes)]
        function = self.module.intrinsic(name, VOID, kinds)
        self.build.call(function, [value, address, mask])

    def joined_lanes(
        self, value: ir.Value, join: Callable[[ir.Value, ir.Value], ir.Value]
    ) -> ir.Value:
        """All lanes joined, as to their sum, in every lane; halves first, so always in the same
        order."""
        lanes = self.module.lanes
        step = lanes // 2
        while step:
            order = [(lane + step) % lanes for lane in range(lanes)]
            places = self.module.constant(ir.VectorType(INT32, lanes), *order)
            value = join(value, self.build.shuffle_vector(value, value, places))
            step //= 2
        # Lane 0 has added in its own order; the others in theirs. One of them for all.
        return self.splat(self.first_lane(value))

    def first_lane(self, value: ir.Value) -> ir.Value:
        """The number in the first lane."""
        return self.build.extract_element(value, ir.Constant(INT32, 0))

    def lane_numbers(self) -> ir.Value:
        """0, 1, 2, ... as numbers."""
        numbers = [float(lane) for lane in range(self.module.lanes)]
        return self.module.constant(self.module.vector, *numbers)

    # Order ------------------------------------------------------------------------------------

    def space(self, kind: ir.Type, count: int = 1, align: int = 64) -> ir.Value:
        """Memory of this call, made once however often the line is reached."""
        place = ir.IRBuilder(self._entry).alloca(kind, count)
        place.align = align
        place.type = POINTER  # llvmlite's own would name what it points to, as LLVM no longer does
        return place

    def variable(self, value: ir.Value) -> Variable:
        """A variable and its first value; ``get`` and ``set`` use it."""
        variable = Variable(self.space(value.type), value.type)
        self.set(variable, value)
        return variable

    def get(self, variable: Variable) -> ir.Value:
        return self.build.load(variable.place, typ=variable.kind)

    def set(self, variable: Variable, value: ir.Value) -> None:
        self.build.store(value, variable.place)

    @contextmanager
    def loop(self, start: Index, stop: Index, name: str = "i") -> Iterator[ir.Value]:
        """for i in range(start, stop): what is written inside."""
        first, last = integer(start), integer(stop)
        head = self.build.append_basic_block(f"{name}.head")
        body = self.build.append_basic_block(f"{name}.body")
        after = self.build.append_basic_block(f"{name}.after")
        before = self.build.block
        self.build.branch(head)
        self.build.position_at_end(head)
        index = self.build.phi(INT, name)
        index.add_incoming(first, before)
        self.build.cbranch(self.build.icmp_signed("<", index, last), body, after)
        self.build.position_at_end(body)
        yield index
        index.add_incoming(self.build.add(index, integer(1)), self.build.block)
        self.build.branch(head)
        self.build.position_at_end(after)

    @contextmanager
    def when(self, condition: ir.Value) -> Iterator[None]:
        """if condition: what is written inside."""
        with self.build.if_then(condition):
            yield

    @contextmanager
    def choose(self, condition: ir.Value) -> Iterator[tuple[Branch, Branch]]:
        """with choose(condition) as (yes, no): with yes: ...; with no: ..."""
        with self.build.if_else(condition) as branches:
            yield branches
