"""The language in which a cell's equations are written.

A cell is one Python function. Its parameters say what each letter is; its body is the paper's
equations; it returns the new states::

    @cell(source="Elman 1990")
    def rnn(x: Input, h: State, W: Matrix, U: Matrix, b: Bias):
        h = tanh(W @ x + U @ h + b)
        return h

``W.f`` is the matrix of gate f; ``W`` alone is a matrix without a gate. Rows of a matrix, and
vectors, have as many units as the hidden state (axis H) unless annotated otherwise, as in
``Annotated[State, "P"]``; the columns of a matrix follow from what it multiplies.

A ``Memory`` is what an example looks at at every step, as the encoded words of a sentence: a
vector for each of its places. ``U @ memory`` multiplies every one of them, a vector meets each of
them in a sum or a product, and ``a @ memory`` is their weighted sum::

    e = total(v * tanh(W @ s + U @ memory))  # a number for each place
    c = softmax(e) @ memory

The words are here; ``conveyor.cells.definition`` runs the function on them.
"""

import math
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import count
from numbers import Real
from pathlib import Path
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Literal, NoReturn, TypeAlias

from conveyor.cells.blocks import Blocks
from conveyor.cells.excerpt import Place, excerpt, place_of_frame
from conveyor.cells.operations import EPSILON, RULES, WORDS, Axes, AxesError, result_axes, spell
from conveyor.errors import CellError

Kind = Literal["input", "state", "memory", "matrix", "bias", "vector", "constant"]
Number = int | float

# Errors show the user's line, not those of these files.
_OURS = (__file__, str(Path(__file__).with_name("definition.py")))

# Values are numbered as they are written, so that a program lists them in the user's order.
_ORDER = count()


@dataclass(eq=False)
class Node:
    """What a value is: an operation on other nodes, or a leaf, which has a name and a kind. The
    number of a step has a name too. ``place`` is its axis of places, if it has one.

    A value keeps it under one private name, so that any gate may be called as one likes.
    """

    op: str
    arguments: tuple["Node", ...] = ()
    attribute: float | str | None = None
    axes: Axes = ()
    name: str = ""
    kind: Kind | None = None
    order: int = field(default_factory=lambda: next(_ORDER))
    blocks: Blocks | None = None
    place: str = ""

    def __str__(self) -> str:
        if self.kind:
            return f"{self.kind} {self.name} {spell(self.axes)}"
        if self.name:
            return f"step {self.name} {spell(self.axes)}"
        if self.op == "constant":
            return f"{self.attribute:g}"
        return f"{self.op}(...) {spell(self.axes)}"


@dataclass(frozen=True)
class Last:
    """How many of its last values a state keeps, in its declaration: ``Annotated[State, Last(3)]``.

    Args:
        steps: a whole number from 2.
    """

    steps: int


@dataclass
class Body:
    """A cell's body while it runs: its code, and its frame from its first operation on."""

    code: CodeType
    frame: FrameType | None = None


_BODY: ContextVar[Body | None] = ContextVar("body", default=None)


@contextmanager
def running(body: Body) -> Iterator[None]:
    """Watch the body run inside the block."""
    token = _BODY.set(body)
    try:
        yield
    finally:
        _BODY.reset(token)


def _user_frame() -> FrameType | None:
    """The innermost frame that is not of this file: an equation. A body's own frame is kept
    when it is met, so that its local names can be read when it is over."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename in _OURS:
        frame = frame.f_back
    body = _BODY.get()
    outer = frame
    while body is not None and body.frame is None and outer is not None:
        if outer.f_code is body.code:
            body.frame = outer
        outer = outer.f_back
    return frame


def raise_error(what: str, remedy: str, place: Place | None = None) -> NoReturn:
    """Raise the error that shows the user's line, with what is wrong and how to fix it."""
    if place is None:
        frame = _user_frame()
        place = place_of_frame(frame) if frame else None
    raise CellError("\n".join([what, *([excerpt(place)] if place else []), f"  {remedy}"]))


class Value:
    """A quantity of one example at one step: a number or a vector. Equations combine values."""

    # NumPy must not take a value for an array: it would write one equation per element.
    __array_ufunc__ = None
    __hash__ = object.__hash__
    _node: Node

    def __init__(
        self, op: str, arguments: tuple["Value", ...] = (), attribute: float | str | None = None
    ) -> None:
        _user_frame()
        nodes = tuple(argument._node for argument in arguments)
        if op in ("add", "sub"):
            _check_letter_at_places(nodes)
        if RULES[op].unit_by_unit:
            nodes = tuple(_at_places(node, nodes) for node in nodes)
        try:
            for node in nodes if op != "matmul" else ():
                if node.kind == "matrix":
                    raise AxesError(
                        f"a matrix {spell(node.axes)} cannot be used unit by unit; "
                        "multiply it: W @ x"
                    )
            axes = result_axes(op, tuple(node.axes for node in nodes), attribute)
        except AxesError as error:
            remedy = (
                "Make both sides equally wide: multiply by a matrix, as in U.f @ h, "
                "or give a name its width, as in h: Annotated[State, 'P']."
            )
            if op in WORDS and len(nodes[0].axes) != 1:
                remedy = f"Give it a vector, as in {op}(W @ x)."
            raise_error(f"{error}: {' and '.join(map(str, nodes))}.", remedy)
        self._node = Node(op, nodes, attribute, axes)
        places = {node.place for node in nodes} | ({attribute} if op == "places" else set())
        if axes and axes[0] in places:
            self._node.place = axes[0]

    def __repr__(self) -> str:
        return f"<{self._node}>"

    def __add__(self, other: "Value | Number") -> "Value":
        return Value("add", (self, _value(other)))

    def __radd__(self, other: Number) -> "Value":
        return Value("add", (_value(other), self))

    def __sub__(self, other: "Value | Number") -> "Value":
        return Value("sub", (self, _value(other)))

    def __rsub__(self, other: Number) -> "Value":
        return Value("sub", (_value(other), self))

    def __mul__(self, other: "Value | Number") -> "Value":
        return Value("mul", (self, _value(other)))

    def __rmul__(self, other: Number) -> "Value":
        return Value("mul", (_value(other), self))

    def __truediv__(self, other: "Value | Number") -> "Value":
        return Value("div", (self, _value(other)))

    def __rtruediv__(self, other: Number) -> "Value":
        return Value("div", (_value(other), self))

    def __mod__(self, other: "Value | Number") -> "Value":
        return mod(self, other)

    def __rmod__(self, other: Number) -> "Value":
        return mod(other, self)

    def __neg__(self) -> "Value":
        return Value("neg", (self,))

    def __pow__(self, power: "Value | Number") -> "Value":
        if isinstance(power, Value) or power != 2:
            raise_error(
                f"only the power 2 is known, got {_spelled(power)}.", "Write the product out."
            )
        return Value("mul", (self, self))

    def __matmul__(self, other: object) -> "Value":
        if isinstance(other, Value) and len(other._node.axes) == 2 > len(self._node.axes) > 0:
            return Value("weighted_sum", (self, other))
        if isinstance(other, Value) and other._node.axes == (self._node.place,):
            raise_error(
                f"{self._node} stands left of {other._node}.",
                "The numbers of the places stand left, what they weigh right, as in a @ memory.",
            )
        raise_error(
            f"{self._node} is used as a weight: only a Matrix stands left of @.",
            "Declare a matrix, as in W: Matrix, and write W @ x; for unit by unit write *.",
        )

    def __bool__(self) -> bool:  # noqa: PLE0304  (it always raises)
        raise_error(
            f"a Python if, and, or, while or comparison asks for the value of {self._node}, "
            "but an equation has no value yet when it is written.",
            "Choose with arithmetic: gate * a + (1 - gate) * b, maximum(a, b), minimum(a, b); "
            "greater(a, b) and equal(a, b) are 1 or 0.",
        )

    def _compared(self, other: object) -> NoReturn:
        self.__bool__()
        raise AssertionError  # __bool__ always raises

    __lt__ = __le__ = __gt__ = __ge__ = _compared
    __eq__ = __ne__ = _compared

    def __float__(self) -> float:
        raise_error(
            f"a function that is not of the cell language asks for the number {self._node}.",
            f"Use the language's own: {', '.join(FUNCTIONS)}.",
        )

    def __getattr__(self, gate: str) -> NoReturn:
        if gate.startswith("_"):
            raise AttributeError(gate)
        raise_error(
            f"{self._node} has no gates, so no .{gate}.",
            "Only what is declared as Matrix, Bias, Vector or Constant has gates, as in W.f.",
        )

    def __iter__(self) -> NoReturn:
        raise_error(f"{self._node} cannot be taken apart.", "Write the equation on whole vectors.")

    def __getitem__(self, index: object) -> "Value":
        raise_error(
            f"{self._node} cannot be taken apart.",
            "Write the equation on whole vectors. Only a state has last values, as in h[2]: read "
            "them before it is assigned.",
        )


class Leaf(Value):
    """A letter that comes from outside: an input, a state of the step before, a parameter."""

    # A state's values of two steps before, of three, ...
    _past: "tuple[Leaf, ...]" = ()

    def __init__(self, name: str, kind: Kind, axes: Axes) -> None:
        self._node = Node("leaf", axes=axes, name=name, kind=kind)
        self._node.place = axes[0] if kind == "memory" else ""


if TYPE_CHECKING:
    # An equation may give a letter its new value, as c = f * c + i * g does.
    Input: TypeAlias = Value
    Memory: TypeAlias = Value
    State: TypeAlias = Value
    Step: TypeAlias = Value
else:

    class Input(Leaf):
        """What the cell reads at this step. Axis I unless annotated."""

    class Memory(Leaf):
        """What the cell looks at at every step: a vector for each of its places. Axes L, the
        places, of which each example has its own number, and D unless annotated, as in
        ``Annotated[Memory, "L", "H"]``."""

    class State(Leaf):
        """What the cell keeps from step to step: in the body, the value of the step before. Where
        more are declared, as in ``Annotated[State, Last(3)]``, ``h[2]`` is that of two steps before
        and ``h[3]`` that of three."""

        def __getitem__(self, steps: object) -> Value:
            last = 1 + len(self._past)
            if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= last:
                name = self._node.name
                raise_error(
                    f"{name}[{_spelled(steps)}] is read; the last {last} of {name} are declared."
                    if last > 1
                    else f"{name}[{_spelled(steps)}] is read; only the last {name} is declared.",
                    f"Declare as many as are read, as in {name}: Annotated[State, Last(2)]; "
                    f"{name}[1] is {name} of the step before.",
                )
            return self if steps == 1 else self._past[steps - 2]

    class Step(Leaf):
        """The number of the step, 0 at the first: one number of each example."""


class Family(Leaf):
    """A parameter, and by its gates as many more: ``b`` and ``b.f``, ``b.i``, ..."""

    # Whether a matrix's columns are declared, and do not follow from what it multiplies.
    _declared = False

    def __init__(self, name: str, kind: Kind, axes: Axes) -> None:
        super().__init__(name, kind, axes)
        self._gates: dict[str, Family] = {}

    def _gate(self, gate: str) -> "Family":
        node = self._node
        if gate.startswith("_"):
            raise AttributeError(gate)
        if "." in node.name:
            raise_error(
                f"{node} is a gate and has no gates, so no .{gate}.",
                "A gate has one name, as in W.f.",
            )
        if gate not in self._gates:
            assert node.kind is not None
            axes = node.axes if self._declared else node.axes[:1]
            self._gates[gate] = type(self)(f"{node.name}.{gate}", node.kind, axes)
            self._gates[gate]._node.blocks = node.blocks
        return self._gates[gate]


class Bias(Family):
    """Vectors that are added: left out by ``bias=False``. They start at 0."""

    def __getattr__(self, gate: str) -> "Bias":  # type: ignore[override]
        found = self._gate(gate)
        assert isinstance(found, Bias)
        return found


class Vector(Family):
    """Vectors that are multiplied unit by unit, as peepholes are. They start at 0."""

    def __getattr__(self, gate: str) -> "Vector":  # type: ignore[override]
        found = self._gate(gate)
        assert isinstance(found, Vector)
        return found


class Constant(Family):
    """Vectors that are not learned, as the periods or time constants of units. They are what
    ``start`` says, or what the layer is given."""

    def __getattr__(self, gate: str) -> "Constant":  # type: ignore[override]
        constant = self._gate(gate)
        assert isinstance(constant, Constant)
        return constant


class Matrix(Family):
    """Weight matrices. Their columns follow from what they first multiply, unless they are declared
    too, as in ``Annotated[Matrix, "H", "J"]``."""

    def __getattr__(self, gate: str) -> "Matrix":  # type: ignore[override]
        found = self._gate(gate)
        assert isinstance(found, Matrix)
        return found

    def __matmul__(self, other: object) -> Value:
        node = self._node
        if isinstance(other, Matrix):
            raise_error(f"{node} multiplies {other._node}, a matrix.", "Multiply a vector: W @ x.")
        if not isinstance(other, Value):
            raise_error(f"{node} multiplies {other!r}.", "Multiply a vector: W @ x.")
        if len(node.axes) == 1 and other._node.axes:
            node.axes = (node.axes[0], other._node.axes[-1])
        return Value("matmul", (self, other))


def _check_letter_at_places(nodes: tuple[Node, ...]) -> None:
    """Refuse a learned vector that is added to a number for each place. A vector for each place
    would come of it, where one number was meant, and only a later line would be refused.

    Raises:
        CellError: it is.
    """
    numbers = next((each for each in nodes if each.place and each.axes == (each.place,)), None)
    letter = next((each for each in nodes if each.kind in ("bias", "vector") and each.axes), None)
    if numbers is None or letter is None or _counts_places(numbers):
        return
    raise_error(
        f"{numbers} is a number for each place, and {letter.name} is {spell(letter.axes)}, a "
        "vector: their sum would be a vector for each place.",
        f"Add {letter.name} to the vectors before their total is taken, as in total(v * tanh(W @ s "
        f"+ U @ memory + {letter.name})).",
    )


def _counts_places(node: Node) -> bool:
    """Return whether a value is made of the numbers of places, which learned vectors may meet: how
    far from each of them a place is."""
    return node.op == "places" or any(map(_counts_places, node.arguments))


def _at_places(node: Node, nodes: tuple[Node, ...]) -> Node:
    """Return a vector that meets a number for each place as a vector for each place."""
    numbers = next((each for each in nodes if each.axes == (each.place,)), None)
    if numbers is None or len(node.axes) != 1 or node.place:
        return node
    place = numbers.place
    return Node("to_places", (node,), place, (place, *node.axes), place=place)


def _spelled(thing: object) -> str:
    return str(thing._node) if isinstance(thing, Value) else repr(thing)


def _number(thing: object) -> float:
    return float(thing) if isinstance(thing, Real) else math.nan


def _value(thing: object) -> Value:
    if isinstance(thing, Value):
        return thing
    number = math.nan if thing is True or thing is False else _number(thing)
    if not math.isfinite(number):
        raise_error(f"{thing!r} stands in an equation.", "Equations hold values and plain numbers.")
    return Value("constant", (), number)


def sigmoid(value: Value) -> Value:
    """1 / (1 + exp(-value)), unit by unit; the textbooks' σ, of range 0 to 1."""
    return Value("sigmoid", (_value(value),))


def tanh(value: Value) -> Value:
    """Hyperbolic tangent, unit by unit; range -1 to 1."""
    return Value("tanh", (_value(value),))


def relu(value: Value) -> Value:
    """max(value, 0), unit by unit; its derivative at 0 is 0."""
    return Value("relu", (_value(value),))


def exp(value: Value) -> Value:
    """e to the power of value, unit by unit."""
    return Value("exp", (_value(value),))


def log(value: Value) -> Value:
    """Natural logarithm, unit by unit."""
    return Value("log", (_value(value),))


def sqrt(value: Value) -> Value:
    """Square root, unit by unit."""
    return Value("sqrt", (_value(value),))


def maximum(left: Value | Number, right: Value | Number) -> Value:
    """The greater of two, unit by unit; where both are equal, each gets half the gradient."""
    return Value("maximum", (_value(left), _value(right)))


def minimum(left: Value | Number, right: Value | Number) -> Value:
    """The smaller of two, unit by unit; where both are equal, each gets half the gradient."""
    return Value("minimum", (_value(left), _value(right)))


def greater(left: Value | Number, right: Value | Number) -> Value:
    """1 where the first is greater, else 0, unit by unit. It has no gradient."""
    return Value("greater", (_value(left), _value(right)))


def equal(left: Value | Number, right: Value | Number) -> Value:
    """1 where both are equal, else 0, unit by unit. It has no gradient."""
    return Value("equal", (_value(left), _value(right)))


def floor(value: Value) -> Value:
    """The greatest whole number that is not above the value, unit by unit. It has no gradient."""
    return Value("floor", (_value(value),))


def mod(left: Value | Number, right: Value | Number) -> Value:
    """What is left of the first when it is divided by the second, unit by unit, of the second's
    sign; also ``left % right``."""
    return Value("mod", (_value(left), _value(right)))


def total(value: Value) -> Value:
    """Sum over the units of one example: one number; of vectors for each place, a number for
    each."""
    return Value("total", (_value(value),))


def mean(value: Value) -> Value:
    """Mean over the units of one example: one number; of vectors for each place, a number for
    each."""
    summed = total(value)
    return summed / Value("width", (), value._node.axes[-1])


def softmax(value: Value) -> Value:
    """exp(value), divided by its sum over the units: numbers from 0 to 1 whose sum is 1. Of a
    number for each place, over the places that the example has."""
    return Value("softmax", (_value(value),))


def places(memory: Memory) -> Value:
    """The number of each place of a memory, 0 at the first."""
    node = memory._node if isinstance(memory, Value) else None
    if node is None or len(node.axes) != 2 or node.kind == "matrix":
        raise_error(
            f"{_spelled(memory)} has no places.", "Give a memory, or what is computed of it."
        )
    return Value("places", (), node.axes[0])


def normalise(
    value: Value, *, over: Iterable[Value] | None = None, epsilon: float = EPSILON
) -> Value:
    """The value less its mean over the units, divided by its standard deviation: layer
    normalisation without its learned scale and shift.

    Args:
        value: a vector.
        over: vectors of the same width whose mean and standard deviation are taken, of all of
            their units together; those of the value itself if it is left out. So the four gates of
            a layer-normalised LSTM are normalised together.
        epsilon: what is added to the variance, above 0.
    """
    small = _number(epsilon)
    if not (math.isfinite(small) and small > 0):
        raise_error(
            f"normalise adds {_spelled(epsilon)} to the variance.",
            "Give a number above 0, as in normalise(a, epsilon=1e-5).",
        )
    vectors = _vectors(over)
    node = _value(value)
    if len(vectors) == 1 and vectors[0] is node:
        vectors = ()
    return Value("normalise", (node, *vectors), small)


def _vectors(over: object) -> tuple[Value, ...]:
    """The vectors that ``normalise`` is over besides its value.

    Raises:
        CellError: there are none, or something else is there.
    """
    if over is None:
        return ()
    listed = tuple(over) if isinstance(over, Iterable) and not isinstance(over, Value) else ()
    if not listed or not all(isinstance(each, Value) for each in listed):
        raise_error(
            f"normalise is over {_spelled(over)}.",
            "Give the vectors whose mean and deviation are taken, as in normalise(a, over=(a, b)).",
        )
    return listed


FUNCTIONS = (
    *("equal", "exp", "floor", "greater", "log", "maximum", "mean", "minimum", "mod", "normalise"),
    *("places", "relu", "sigmoid", "softmax", "sqrt", "tanh", "total"),
)
