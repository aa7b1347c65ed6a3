"""How each operation that works unit by unit is done on vectors."""

import math
from collections.abc import Callable

from conveyor.kernels.llvm import vector_math
from conveyor.kernels.llvm.builder import Code, Vector


def _greater(code: Code, left: Vector, right: Vector) -> Vector:
    more = code.build.fcmp_ordered(">", left, right)
    return code.build.select(more, code.number(1.0), code.number(0.0))


def _equal(code: Code, left: Vector, right: Vector) -> Vector:
    same = code.build.fcmp_ordered("==", left, right)
    return code.build.select(same, code.number(1.0), code.number(0.0))


def _relu(code: Code, value: Vector) -> Vector:
    # Asked this way round, NaN stays NaN.
    return code.build.select(
        code.build.fcmp_ordered("<", value, code.number(0.0)), code.number(0.0), value
    )


def _extreme(sign: str) -> Callable[[Code, Vector, Vector], Vector]:
    def choose(code: Code, left: Vector, right: Vector) -> Vector:
        chosen = code.build.select(code.build.fcmp_ordered(sign, left, right), left, right)
        nan = code.build.fcmp_unordered("uno", left, left)
        return code.build.select(nan, left, chosen)

    return choose


# How each operation that works unit by unit is done on vectors.
FUNCTIONS: dict[str, Callable[..., Vector]] = {
    "add": lambda code, a, b: code.build.fadd(a, b),
    "sub": lambda code, a, b: code.build.fsub(a, b),
    "mul": lambda code, a, b: code.build.fmul(a, b),
    "div": lambda code, a, b: code.build.fdiv(a, b),
    "neg": lambda code, a: code.build.fneg(a),
    "maximum": _extreme(">"),
    "minimum": _extreme("<"),
    "greater": _greater,
    "equal": _equal,
    "floor": vector_math.floor,
    "relu": _relu,
    "sigmoid": vector_math.sigmoid,
    "tanh": vector_math.tanh,
    "exp": vector_math.exp,
    "log": vector_math.log,
    "sqrt": lambda code, a: code.call("sqrt", a),
    "spread": lambda code, a: a,  # a number is in every lane already
}

# How each operation that makes one number of all units joins two of them, and the number that
# changes none.
REDUCED: dict[str, tuple[Callable[[Code, Vector, Vector], Vector], float]] = {
    "total": (FUNCTIONS["add"], 0.0),
    "largest": (FUNCTIONS["maximum"], -math.inf),
}
