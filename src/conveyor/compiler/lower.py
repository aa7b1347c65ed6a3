"""Words of equations written out in the operations that are differentiated and run.

``softmax``, ``normalise`` and ``mod`` are operations of a program, so that a cell is printed, saved
and compared as it was written. Derivative rules, plans and targets know nothing of them. Nor do
they know what equations leave unsaid of a memory: that a vector meets each of its places
(``to_places``), a number for each place all units of its vector (``to_units``), and that a sum over
places is of those that the example has (``present``). All other values at places that are padding
reach nothing, so that their gradients are 0.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from conveyor.cells.operations import RULES, WORDS
from conveyor.compiler.check import check
from conveyor.compiler.program import Operation, Program
from conveyor.compiler.rewrite import Builder

# What stands for a number at a place that is padding where the greatest is looked for: below any
# score, and its exponential is 0. It is finite, as all numbers of programs are.
_NOTHING = -1e30


@dataclass
class _Lowering:
    """The operations written so far. ``places`` are the axes that are places, ``numbers`` the names
    of numbers that are written down, ``spreads`` the names of mean and standard deviation, by what
    they are of. ``presents`` are values of places that are 0 at padding."""

    builder: Builder
    places: frozenset[str]
    numbers: frozenset[str]
    presents: set[str] = field(default_factory=set)
    spreads: dict[tuple[object, ...], tuple[str, str]] = field(default_factory=dict)

    def present(self, value: str, instead: float) -> str:
        """Write a number instead of a value at places that are padding; a value that has no places
        as it is, and so one that is 0 there already, if 0 is to be."""
        axes = self.builder.axes[value]
        if not axes or axes[0] not in self.places or (not instead and value in self.presents):
            return value
        return self.builder.add("present", value, attribute=instead)

    def total(self, value: str) -> str:
        """Write the sum over the units of a vector, or over places."""
        of_places = self.builder.axes[value][1:] == ()
        return self.builder.add("total", self.present(value, 0.0) if of_places else value)

    def mean(self, vector: str) -> str:
        """Write the mean over the units of a vector, or over places."""
        width = self.builder.axes[vector][-1]
        return self.builder.add(
            "div", self.total(vector), self.builder.add("width", attribute=width)
        )

    def aligned(self, operation: Operation) -> Operation:
        """Return an operation that goes unit by unit with arguments of its own axes, which are
        written before it."""
        axes, builder = operation.axes, self.builder
        if len(axes) < 2 or not RULES[operation.op].unit_by_unit:
            return operation
        place, unit = axes

        def of_all(argument: str) -> str:
            match builder.axes[argument]:
                case () if argument not in self.numbers:
                    each = builder.add("spread", argument, attribute=unit)
                    return builder.add("to_places", each, attribute=place)
                case (axis,) if axis == unit:
                    return builder.add("to_places", argument, attribute=place)
                case (axis,):
                    return builder.add("to_units", argument, attribute=unit)
            return argument

        return replace(operation, arguments=tuple(map(of_all, operation.arguments)))

    def mean_of_all(self, vectors: tuple[str, ...], mean: Callable[[str], str]) -> str:
        """Write the mean of what ``mean`` writes of each vector; they are equally wide."""
        first, *more = [mean(vector) for vector in vectors]
        for other in more:
            first = self.builder.add("add", first, other)
        if not more:
            return first
        return self.builder.add("div", first, self.builder.constant(float(len(vectors))))

    def spread(self, vectors: tuple[str, ...], epsilon: float) -> tuple[str, str]:
        """Write the mean and the standard deviation of all units of vectors, once."""
        key = (*vectors, epsilon)
        if key not in self.spreads:
            builder = self.builder
            centre = self.mean_of_all(vectors, self.mean)

            def square(vector: str) -> str:
                centred = builder.add("sub", vector, centre)
                return self.mean(builder.add("mul", centred, centred))

            variance = self.mean_of_all(vectors, square)
            above_zero = builder.add("add", variance, builder.constant(epsilon))
            self.spreads[key] = centre, builder.add("sqrt", above_zero)
        return self.spreads[key]

    def quotient(self, operation: Operation, left: str, right: str) -> None:
        """Write the last line of an operation, a quotient of its name."""
        self.builder.append(replace(operation, op="div", arguments=(left, right), attribute=None))


def _softmax(lowering: _Lowering, operation: Operation) -> None:
    """softmax(a) → e / total(e) with e = exp(a - largest(a)): no exponential is above 1.

    Softmax is the same whatever is subtracted, so ``largest`` needs no gradient.
    """
    builder = lowering.builder
    value = lowering.present(operation.arguments[0], _NOTHING)
    powers = builder.add("exp", builder.add("sub", value, builder.add("largest", value)))
    if value != operation.arguments[0]:
        lowering.presents |= {powers, operation.name}
    lowering.quotient(operation, powers, lowering.total(powers))


def _normalise(lowering: _Lowering, operation: Operation) -> None:
    """normalise(a) → (a - m) / sqrt(v + epsilon), with m the mean of all units of the vectors that
    it is over, and v the mean of the squares of their differences from m."""
    value, *over = operation.arguments
    assert isinstance(operation.attribute, int | float)  # see RULES
    vectors = tuple(over) or (value,)
    centre, deviation = lowering.spread(vectors, float(operation.attribute))
    centred = lowering.builder.add("sub", value, centre)
    lowering.quotient(operation, centred, deviation)


def _mod(lowering: _Lowering, operation: Operation) -> None:
    """mod(a, b) → a - b * floor(a / b): exact of whole numbers that a float holds."""
    builder = lowering.builder
    left, right = operation.arguments
    times = builder.add("floor", builder.add("div", left, right))
    product = builder.add("mul", right, times)
    builder.append(replace(operation, op="sub", arguments=(left, product)))


def _total(lowering: _Lowering, operation: Operation) -> None:
    """total(a) → total(present(a)) of a number for each place."""
    (value,) = operation.arguments
    if len(lowering.builder.axes[value]) == 1:
        value = lowering.present(value, 0.0)
    lowering.builder.append(replace(operation, arguments=(value,)))


def _weighted_sum(lowering: _Lowering, operation: Operation) -> None:
    """a @ m → present(a) @ m."""
    weights, vectors = operation.arguments
    of_places = lowering.present(weights, 0.0)
    lowering.builder.append(replace(operation, arguments=(of_places, vectors)))


_WRITTEN_OUT: dict[str, Callable[[_Lowering, Operation], None]] = {
    "softmax": _softmax,
    "normalise": _normalise,
    "mod": _mod,
}
assert tuple(_WRITTEN_OUT) == WORDS
# What is written out where there are places.
_OVER_PLACES = {"total": _total, "weighted_sum": _weighted_sum}


def lowered(program: Program) -> Program:
    """Return the program with its words written out, all names kept; a program without words and
    without a memory as it is."""
    words: Mapping[str, Callable[[_Lowering, Operation], None]] = _WRITTEN_OUT
    used = {operation.op for operation in program.operations}
    if program.memories and "present" not in used:  # which no equation says
        words = {**_WRITTEN_OUT, **_OVER_PLACES}
    elif not used.intersection(WORDS):
        return program
    # All names from the start, so that new ones cannot meet old ones.
    numbers = frozenset(o.name for o in program.operations if o.op == "constant")
    lowering = _Lowering(Builder(program.axes), program.places, numbers)
    for operation in program.operations:
        if operation.op in words:
            words[operation.op](lowering, operation)
        else:
            lowering.builder.append(lowering.aligned(operation))
    return check(replace(program, operations=tuple(lowering.builder.operations)))
