"""Words of equations written out in the operations that are differentiated and run.

``softmax``, ``normalise`` and ``mod`` are operations of a program, so that a cell is printed, saved
and compared as it was written. Derivative rules, plans and targets know nothing of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from conveyor.cells.operations import WORDS
from conveyor.compiler.check import check
from conveyor.compiler.program import Operation, Program
from conveyor.compiler.rewrite import Builder


@dataclass
class _Lowering:
    """The operations written so far. ``spreads`` are the names of mean and standard deviation, by
    what they are of."""

    builder: Builder
    spreads: dict[tuple[object, ...], tuple[str, str]] = field(default_factory=dict)

    def mean(self, vector: str) -> str:
        """Write the mean over the units of a vector."""
        width = self.builder.axes[vector][0]
        total = self.builder.add("total", vector)
        return self.builder.add("div", total, self.builder.add("width", attribute=width))

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
    (value,) = operation.arguments
    powers = builder.add("exp", builder.add("sub", value, builder.add("largest", value)))
    lowering.quotient(operation, powers, builder.add("total", powers))


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


_WRITTEN_OUT: dict[str, Callable[[_Lowering, Operation], None]] = {
    "softmax": _softmax,
    "normalise": _normalise,
    "mod": _mod,
}
assert tuple(_WRITTEN_OUT) == WORDS


def lowered(program: Program) -> Program:
    """Return the program with its words written out, all names kept; a program without words as it
    is."""
    if not any(operation.op in WORDS for operation in program.operations):
        return program
    # All names from the start, so that new ones cannot meet old ones.
    lowering = _Lowering(Builder(program.axes))
    for operation in program.operations:
        if operation.op in WORDS:
            _WRITTEN_OUT[operation.op](lowering, operation)
        else:
            lowering.builder.append(operation)
    return check(replace(program, operations=tuple(lowering.builder.operations)))
