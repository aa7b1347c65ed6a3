"""How much of a state is carried over to the next step: a derivative, unit by unit."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from conveyor.compiler.check import check
from conveyor.compiler.program import Operation, Program, Result
from conveyor.compiler.rewrite import Builder, numbered
from conveyor.errors import ProgramError

# Before the name of the state whose share is carried over.
CARRIED = "carried_over_of_"

# Of each operation: its derivative, of the names of its arguments, of what it is, and of the
# arguments' derivatives, None where one is 0.
Rule = Callable[[Builder, Operation, Sequence[str | None]], str | None]


def _sum(builder: Builder, terms: Sequence[str | None]) -> str | None:
    total: str | None = None
    for term in terms:
        if term is not None:
            total = term if total is None else builder.add("add", total, term)
    return total


def _times(builder: Builder, d: str | None, factor: str) -> str | None:
    return None if d is None else builder.add("mul", d, factor)


def _add(builder: Builder, operation: Operation, d: Sequence[str | None]) -> str | None:
    return _sum(builder, d)


def _sub(builder: Builder, operation: Operation, d: Sequence[str | None]) -> str | None:
    left, right = d
    return _sum(builder, (left, None if right is None else builder.add("neg", right)))


def _neg(builder: Builder, operation: Operation, d: Sequence[str | None]) -> str | None:
    return None if d[0] is None else builder.add("neg", d[0])


def _mul(builder: Builder, operation: Operation, d: Sequence[str | None]) -> str | None:
    a, b = operation.arguments
    return _sum(builder, (_times(builder, d[0], b), _times(builder, d[1], a)))


def _div(builder: Builder, operation: Operation, d: Sequence[str | None]) -> str | None:
    _, b = operation.arguments
    fall = None if d[1] is None else builder.add("neg", builder.add("mul", d[1], operation.name))
    rise = _sum(builder, (d[0], fall))
    return None if rise is None else builder.add("div", rise, b)


def _greater_of(builder: Builder, operation: Operation, d: Sequence[str | None]) -> str | None:
    a, b = operation.arguments
    first, second = (a, b) if operation.op == "maximum" else (b, a)
    half = builder.add("mul", builder.constant(0.5), builder.add("equal", a, b))
    share = builder.add("add", builder.add("greater", first, second), half)
    rest = builder.add("sub", builder.constant(1.0), share)
    return _sum(builder, (_times(builder, d[0], share), _times(builder, d[1], rest)))


def _sigmoid(builder: Builder, operation: Operation, d: Sequence[str | None]) -> str | None:
    if d[0] is None:
        return None
    closed = builder.add("sub", builder.constant(1.0), operation.name)
    return _times(builder, d[0], builder.add("mul", operation.name, closed))


def _tanh(builder: Builder, operation: Operation, d: Sequence[str | None]) -> str | None:
    if d[0] is None:
        return None
    square = builder.add("mul", operation.name, operation.name)
    return _times(builder, d[0], builder.add("sub", builder.constant(1.0), square))


def _relu(builder: Builder, operation: Operation, d: Sequence[str | None]) -> str | None:
    if d[0] is None:
        return None
    return _times(
        builder, d[0], builder.add("greater", operation.arguments[0], builder.constant(0.0))
    )


def _exp(builder: Builder, operation: Operation, d: Sequence[str | None]) -> str | None:
    return _times(builder, d[0], operation.name)


def _log(builder: Builder, operation: Operation, d: Sequence[str | None]) -> str | None:
    return None if d[0] is None else builder.add("div", d[0], operation.arguments[0])


def _sqrt(builder: Builder, operation: Operation, d: Sequence[str | None]) -> str | None:
    if d[0] is None:
        return None
    double = builder.add("mul", builder.constant(2.0), operation.name)
    return builder.add("div", d[0], double)


# What is not here has no derivative unit by unit: products, sums over units, steps.
_RULES: dict[str, Rule] = {
    "add": _add,
    "sub": _sub,
    "neg": _neg,
    "mul": _mul,
    "div": _div,
    "maximum": _greater_of,
    "minimum": _greater_of,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "relu": _relu,
    "exp": _exp,
    "log": _log,
    "sqrt": _sqrt,
}


def with_carried(program: Program, state: str) -> Program:
    """Return the program with one more local name, ``carried_over_of_c`` for a state c.

    It is the derivative of the new value by the old one, unit by unit, where products of matrices
    and sums over units stay as they are. Of an LSTM's c it is the forget gate.

    Args:
        program: of a step, its words written out.
        state: its name without prime.

    Raises:
        ProgramError: there is no such state, or it is a number and no vector.
    """
    leaf = next((each for each in program.states if each.name == f"{state}'"), None)
    if leaf is None or not leaf.axes:
        raise ProgramError(f"{program.name} has no state {state!r} of several units.")
    builder = Builder({each.name: each.axes for each in program.leaves})
    for operation in program.operations:  # so that new names cannot meet old ones
        builder.axes[operation.name] = operation.axes
    one = builder.add("spread", builder.constant(1.0), attribute=leaf.axes[0])
    derivatives: dict[str, str | None] = {leaf.name: one}
    for operation in program.operations:
        builder.append(operation)
        of_arguments = [derivatives.get(name) for name in operation.arguments]
        rule = _RULES.get(operation.op)
        if rule is not None and any(each is not None for each in of_arguments):
            derivatives[operation.name] = rule(builder, operation, of_arguments)
    carried = derivatives.get(program.values_of("state")[state])
    if carried is None:
        carried = builder.add("spread", builder.constant(0.0), attribute=leaf.axes[0])
    results = (*program.results, Result("local", f"{CARRIED}{state}", carried))
    changed = replace(program, operations=tuple(builder.operations), results=results)
    return check(numbered(changed))
