"""The gradient of a program is a program: one line per operation.

The gradient program computes one step of backpropagation through time. Its leaves are the
program's own leaves, the values that the forward step kept, and what arrives from above:
``∂h@out``, the gradient of the output at this step, and ``∂h@next``, the gradient that step
t + 1 hands to the state h. Its results are the gradients of the inputs, of the states of the step
before, and this step's share of every parameter's gradient.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from conveyor.cells.operations import Axes
from conveyor.compiler.check import check
from conveyor.compiler.lower import lowered
from conveyor.compiler.observe import MARK
from conveyor.compiler.program import Leaf, Operation, Program, Result
from conveyor.compiler.rewrite import Builder, numbered, renamed
from conveyor.compiler.simplify import simplify
from conveyor.errors import ProgramError

# d is the gradient of the result; the operation gives its own name and its arguments. One
# gradient per argument. Rules that can use the result do, so that nothing is computed twice.
DerivativeRule = Callable[[Builder, Operation, str], tuple[str, ...]]


def _add(b: Builder, o: Operation, d: str) -> tuple[str, ...]:
    return d, d


def _sub(b: Builder, o: Operation, d: str) -> tuple[str, ...]:
    return d, b.add("neg", d)


def _mul(b: Builder, o: Operation, d: str) -> tuple[str, ...]:
    left, right = o.arguments
    return b.add("mul", d, right), b.add("mul", d, left)


def _div(b: Builder, o: Operation, d: str) -> tuple[str, ...]:
    _, right = o.arguments
    of_left = b.add("div", d, right)
    return of_left, b.add("neg", b.add("mul", of_left, o.name))


def _neg(b: Builder, o: Operation, d: str) -> tuple[str, ...]:
    return (b.add("neg", d),)


def _choice(b: Builder, d: str, chosen: str, other: str) -> tuple[str, ...]:
    """d to the argument whose ``greater`` is chosen, half each where both are equal, as torch."""
    difference = b.add("sub", chosen, other)
    share = b.add("mul", b.constant(0.5), b.add("add", b.constant(1.0), difference))
    return b.add("mul", d, share), b.add("mul", d, b.add("sub", b.constant(1.0), share))


def _maximum(b: Builder, o: Operation, d: str) -> tuple[str, ...]:
    left, right = o.arguments
    return _choice(b, d, b.add("greater", left, right), b.add("greater", right, left))


def _minimum(b: Builder, o: Operation, d: str) -> tuple[str, ...]:
    left, right = o.arguments
    return _choice(b, d, b.add("greater", right, left), b.add("greater", left, right))


def _relu(b: Builder, o: Operation, d: str) -> tuple[str, ...]:
    return (b.add("mul", d, b.add("greater", o.name, b.constant(0.0))),)


def _sigmoid(b: Builder, o: Operation, d: str) -> tuple[str, ...]:
    slope = b.add("mul", o.name, b.add("sub", b.constant(1.0), o.name))
    return (b.add("mul", d, slope),)


def _tanh(b: Builder, o: Operation, d: str) -> tuple[str, ...]:
    slope = b.add("sub", b.constant(1.0), b.add("mul", o.name, o.name))
    return (b.add("mul", d, slope),)


def _exp(b: Builder, o: Operation, d: str) -> tuple[str, ...]:
    return (b.add("mul", d, o.name),)


def _log(b: Builder, o: Operation, d: str) -> tuple[str, ...]:
    return (b.add("div", d, o.arguments[0]),)


def _sqrt(b: Builder, o: Operation, d: str) -> tuple[str, ...]:
    return (b.add("div", b.add("mul", b.constant(0.5), d), o.name),)


def _total(b: Builder, o: Operation, d: str) -> tuple[str, ...]:
    axes = b.axes[o.arguments[0]]
    return (b.add("spread" if len(axes) == 1 else "to_units", d, attribute=axes[-1]),)


def _spread(b: Builder, o: Operation, d: str) -> tuple[str, ...]:
    return (b.add("total", d),)


def _matmul(b: Builder, o: Operation, d: str) -> tuple[str, ...]:
    matrix, vector = o.arguments
    outer = "outer" if len(b.axes[vector]) == 1 else "outer_of_places"
    return b.add(outer, d, vector), b.add("matmul_t", matrix, d)


def _weighted_sum(b: Builder, o: Operation, d: str) -> tuple[str, ...]:
    weights, vectors = o.arguments
    place, unit = b.axes[vectors]
    of_each = b.add("to_places", d, attribute=place)
    of_weights = b.add("total", b.add("mul", of_each, vectors))
    return of_weights, b.add("mul", of_each, b.add("to_units", weights, attribute=unit))


def _to_places(b: Builder, o: Operation, d: str) -> tuple[str, ...]:
    return (b.add("total_of_places", d),)


def _to_units(b: Builder, o: Operation, d: str) -> tuple[str, ...]:
    return (b.add("total", d),)


def _present(b: Builder, o: Operation, d: str) -> tuple[str, ...]:
    return (b.add("present", d, attribute=0.0),)


DERIVATIVES: dict[str, DerivativeRule] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "neg": _neg,
    "maximum": _maximum,
    "minimum": _minimum,
    "relu": _relu,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "exp": _exp,
    "log": _log,
    "sqrt": _sqrt,
    "total": _total,
    "spread": _spread,
    "matmul": _matmul,
    "weighted_sum": _weighted_sum,
    "to_places": _to_places,
    "to_units": _to_units,
    "present": _present,
}

# These do not change when their arguments do, or have none; ``largest`` is only written where
# nothing depends on which number it is, see ``lower``.
FLAT = ("constant", "width", "places", "greater", "equal", "floor", "largest")

# With a constant, as in 1 - z, these cost less to compute again than to keep.
CHEAP = ("add", "sub", "mul", "div", "neg")


def _computed_again(program: Program) -> frozenset[str]:
    """The operations that the gradient repeats instead of keeping their results. A vector for each
    place of a memory, at every step, is more than is worth keeping."""
    constants = {o.name for o in program.operations if o.op == "constant"}
    return frozenset(
        o.name
        for o in program.operations
        if o.op in FLAT
        or (o.op in CHEAP and constants.intersection(o.arguments))
        or len(o.axes) > 1
    )


def _upstream(program: Program) -> list[tuple[Leaf, str]]:
    """The gradients that arrive from above, each with the value that it is a gradient of. Where
    values are tapped, none arrives at what is observed of them."""
    marks, tapped = {"output": "out", "state": "next"}, bool(program.values_of("tap"))
    results = sorted(
        (r for r in program.results if r.role in marks and not (tapped and r.of.endswith(MARK))),
        key=lambda r: r.role != "output",
    )
    return [
        (Leaf(f"∂{r.of}@{marks[r.role]}", "upstream", program.axes[r.value]), r.value)
        for r in results
    ]


@dataclass
class _Backwards:
    """Walks a program from its end to its start. ``arrived`` are the shares of each value's
    gradient so far; ``finished`` the sums."""

    builder: Builder
    arrived: dict[str, list[str]]
    finished: dict[str, str]

    def gather(self, name: str) -> str | None:
        """Add up what arrived at a name; None where nothing did."""
        terms = self.arrived.get(name)
        if not terms:
            return None
        summed = terms[0]
        for term in terms[1:]:
            summed = self.builder.add("add", summed, term)
        self.finished[name] = summed
        return summed

    def arrive(self, name: str, share: str) -> None:
        """Add a share to a name's gradient; numbers and vectors meet by sum and spread."""
        have, want = self.builder.axes[share], self.builder.axes[name]
        if have and not want:
            share = self.builder.add("total", share)
        elif want and not have:
            share = self.builder.add("spread", share, attribute=want[0])
        self.arrived.setdefault(name, []).append(share)

    def known(self, name: str) -> str | None:
        """Return the sum of what arrived at a name; None where nothing did."""
        return self.finished.get(name) or self.gather(name)

    def zero(self, axes: Axes) -> str:
        """The gradient of what nothing depends on."""
        zeros = [
            self.builder.add("spread", self.builder.constant(0.0), attribute=axis) for axis in axes
        ]
        return zeros[0] if len(zeros) == 1 else self.builder.add("outer", *zeros)


def gradient(program: Program) -> Program:
    """The gradient of a cell's program, whose words are written out first, simplified.

    Raises:
        ProgramError: an operation has no derivative rule (gradients of gradients are made by
            the reference target, through autograd).
    """
    program = lowered(program)
    again = _computed_again(program)
    kept = [Leaf(o.name, "kept", o.axes) for o in program.operations if o.name not in again]
    upstream = _upstream(program)
    leaves = (*program.leaves, *kept, *(leaf for leaf, _ in upstream))
    builder = Builder({leaf.name: leaf.axes for leaf in leaves})
    for o in program.operations:
        if o.name in again:
            builder.add(o.op, *o.arguments, attribute=o.attribute, name=o.name)
    walk = _Backwards(builder, {}, {})
    for leaf, value in upstream:
        walk.arrive(value, leaf.name)

    flat = {o.name for o in program.operations if o.op in FLAT}
    flat |= {leaf.name for leaf in program.leaves_of("constant")}
    tapped = program.values_of("tap")
    ended = flat.difference(tapped.values())
    for operation in reversed(program.operations):
        d = None if operation.name in ended else walk.gather(operation.name)
        if d is None or operation.name in flat:
            continue
        if operation.op not in DERIVATIVES:
            raise ProgramError(f"program {program.name}: {operation.op} has no derivative rule.")
        shares = DERIVATIVES[operation.op](builder, operation, d)
        for argument, share in zip(operation.arguments, shares, strict=True):
            if argument not in ended:
                walk.arrive(argument, share)
    of_leaves = [
        Result("gradient", leaf.name, walk.gather(leaf.name) or walk.zero(leaf.axes))
        for leaf in program.leaves
        if leaf.kind != "constant"
    ]
    # On what nothing depends, no gradient arrives; nor at places that are padding.
    arrived = [(tap, walk.known(value)) for tap, value in tapped.items()]
    arrived = [
        (tap, builder.add("present", value, attribute=0.0))
        if value is not None and program.places.intersection(builder.axes[value])
        else (tap, value)
        for tap, value in arrived
    ]
    of_taps = [Result("gradient", tap, value) for tap, value in arrived if value is not None]
    results = (*of_leaves, *of_taps)
    # A gradient is called by the name of what it is the gradient of.
    names: dict[str, str] = {}
    for of, value in walk.finished.items():
        if value.startswith("%") and not of.startswith("%"):
            names.setdefault(value, f"∂{of}")
    made = Program(
        f"gradient of {program.name}",
        program.doc,
        program.source,
        leaves,
        tuple(builder.operations),
        results,
    )
    simple = simplify(renamed(made, names))
    used = {a for o in simple.operations for a in o.arguments} | {r.value for r in simple.results}
    trimmed = replace(simple, leaves=tuple(leaf for leaf in simple.leaves if leaf.name in used))
    return check(numbered(trimmed))
