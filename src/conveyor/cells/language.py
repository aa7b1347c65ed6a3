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

The function runs once, on symbols, when it is defined: a wrong cell is refused there.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import get_annotations, signature
from itertools import count
from types import FrameType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NoReturn,
    TypeAlias,
    cast,
    get_args,
    get_origin,
    overload,
)

from conveyor.cells.excerpt import Place, excerpt, place_of_frame, place_of_traceback
from conveyor.cells.operations import Axes, AxesError, result_axes, spell
from conveyor.errors import CellError, did_you_mean

Kind = Literal["input", "state", "matrix", "bias", "vector"]
Number = int | float

# Values are numbered as they are written, so that a program lists them in the user's order.
_ORDER = count()


def _where_the_user_stands() -> Place | None:
    """The innermost line that is not of this file: an equation."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return place_of_frame(frame) if frame else None


def _refuse(what: str, mend: str, place: Place | None = None) -> NoReturn:
    place = place or _where_the_user_stands()
    raise CellError("\n".join([what, *([excerpt(place)] if place else []), f"  {mend}"]))


class Value:
    """A quantity of one example at one step: a number or a vector. Equations combine values."""

    def __init__(
        self, op: str, arguments: tuple["Value", ...] = (), attribute: float | str | None = None
    ) -> None:
        self.op = op
        self.arguments = arguments
        self.attribute = attribute
        self.order = next(_ORDER)
        try:
            self.axes: Axes = result_axes(op, tuple(a.axes for a in arguments), attribute)
        except AxesError as error:
            _refuse(
                f"{error}: {' and '.join(_describe(a) for a in arguments)}.",
                "Make both sides equally wide: multiply by a matrix, as in U.f @ h, "
                "or give a name its width, as in h: Annotated[State, 'P'].",
            )

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

    def __neg__(self) -> "Value":
        return Value("neg", (self,))

    def __pow__(self, power: int) -> "Value":
        if power != 2:
            _refuse(f"only the power 2 is known, got {power!r}.", "Write the product out.")
        return Value("mul", (self, self))

    def __matmul__(self, other: object) -> "Value":
        _refuse(
            f"{_describe(self)} is used as a weight: only a Matrix stands left of @.",
            "Declare a matrix, as in W: Matrix, and write W @ x; for unit by unit write *.",
        )

    def __bool__(self) -> bool:  # noqa: PLE0304  (it always refuses)
        _refuse(
            f"a Python if, and, or, while or comparison asks for the value of {_describe(self)}, "
            "but an equation has no value yet when it is written.",
            "Choose with arithmetic: gate * a + (1 - gate) * b, maximum(a, b), minimum(a, b).",
        )

    def _compared(self, other: object) -> NoReturn:
        self.__bool__()
        raise AssertionError  # __bool__ always refuses

    __lt__ = __le__ = __gt__ = __ge__ = _compared

    def __float__(self) -> float:
        _refuse(
            f"a function that is not of the cell language asks for the number {_describe(self)}.",
            f"Use the language's own: {', '.join(FUNCTIONS)}.",
        )

    def __getattr__(self, gate: str) -> NoReturn:
        if gate.startswith("__"):
            raise AttributeError(gate)
        _refuse(
            f"{_describe(self)} has no gates, so no .{gate}.",
            "Only what is declared as Matrix, Bias or Vector has gates, as in W.f.",
        )

    def __iter__(self) -> NoReturn:
        _refuse(f"{_describe(self)} cannot be taken apart.", "Write the equation on whole vectors.")

    def __getitem__(self, index: object) -> NoReturn:
        self.__iter__()


class Leaf(Value):
    """A letter that comes from outside: an input, a state of the step before, a parameter."""

    def __init__(self, name: str, kind: Kind, axes: Axes) -> None:
        self.op = "leaf"
        self.arguments = ()
        self.attribute = None
        self.order = next(_ORDER)
        self.axes = axes
        self.name = name
        self.kind: Kind = kind


if TYPE_CHECKING:
    # An equation may give a letter its new value, as c = f * c + i * g does.
    Input: TypeAlias = Value
    State: TypeAlias = Value
else:

    class Input(Leaf):
        """What the cell reads at this step. Axis I unless annotated."""

    class State(Leaf):
        """What the cell keeps from step to step: in the body, the value of the step before."""


class _Family(Leaf):
    """A parameter, and by its gates as many more: ``b`` and ``b.f``, ``b.i``, ..."""

    def __init__(self, name: str, kind: Kind, axes: Axes) -> None:
        super().__init__(name, kind, axes)
        self.gates: dict[str, _Family] = {}

    def _gate(self, gate: str) -> "_Family":
        if gate.startswith("__") or "." in self.name:
            raise AttributeError(gate)
        if gate not in self.gates:
            self.gates[gate] = type(self)(f"{self.name}.{gate}", self.kind, self.axes)
        return self.gates[gate]


class Bias(_Family):
    """Vectors that are added: left out by ``bias=False``. They start at 0."""

    def __getattr__(self, gate: str) -> "Bias":  # type: ignore[override]
        found = self._gate(gate)
        assert isinstance(found, Bias)
        return found


class Vector(_Family):
    """Vectors that are multiplied unit by unit, as peepholes are. They start at 0."""

    def __getattr__(self, gate: str) -> "Vector":  # type: ignore[override]
        found = self._gate(gate)
        assert isinstance(found, Vector)
        return found


class Matrix(_Family):
    """Weight matrices. Their columns follow from what they first multiply."""

    def __getattr__(self, gate: str) -> "Matrix":  # type: ignore[override]
        found = self._gate(gate)
        assert isinstance(found, Matrix)
        return found

    def __matmul__(self, other: object) -> Value:
        if isinstance(other, Matrix):
            _refuse(
                f"{_describe(self)} multiplies {_describe(other)}, a matrix.",
                "Multiply a vector: W @ x.",
            )
        if not isinstance(other, Value):
            _refuse(f"{_describe(self)} multiplies {other!r}.", "Multiply a vector: W @ x.")
        if len(self.axes) == 1 and len(other.axes) == 1:
            self.axes = (self.axes[0], other.axes[0])
        return Value("matmul", (self, other))


def _leaves(value: Value) -> Iterator[Value]:
    """The leaves that a value is made of; one may come several times."""
    waiting, seen = [value], set()
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, Leaf):
            yield current
        waiting.extend(current.arguments)


def _describe(value: Value) -> str:
    if isinstance(value, Leaf):
        return f"{value.kind} {value.name} {spell(value.axes)}"
    if value.op == "constant":
        return f"{value.attribute:g}"
    return f"{value.op}(...) {spell(value.axes)}"


def _value(thing: object) -> Value:
    if isinstance(thing, Value):
        return thing
    if isinstance(thing, int | float) and not isinstance(thing, bool):
        return Value("constant", (), float(thing))
    _refuse(f"{thing!r} stands in an equation.", "Equations hold values and plain numbers.")


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


def total(value: Value) -> Value:
    """Sum over the units of one example: one number."""
    return Value("total", (_value(value),))


def mean(value: Value) -> Value:
    """Mean over the units of one example: one number."""
    summed = total(value)
    return summed / Value("width", (), value.axes[0])


FUNCTIONS = ("exp", "log", "maximum", "mean", "minimum", "relu", "sigmoid", "sqrt", "tanh", "total")


@dataclass(frozen=True, eq=False)
class Cell:
    """A cell as it was defined: its letters and the values that its body computed.

    ``start`` are start values of parameters that do not start at the usual ones. ``keep`` names
    the biases that set how long the cell remembers, with +1 where a larger bias remembers
    longer and -1 where it takes in more; chrono initialisation uses it.
    """

    name: str
    doc: str
    source: str
    start: Mapping[str, float]
    keep: Mapping[str, int]
    leaves: tuple[Leaf, ...]
    new_states: Mapping[str, Value]
    outputs: tuple[str, ...]
    locals: Mapping[str, Value]
    place: Place = field(repr=False)

    def __repr__(self) -> str:
        return f"<cell {self.name}>"


_KINDS: dict[object, tuple[Kind, str]] = {
    Input: ("input", "I"),
    State: ("state", "H"),
    Matrix: ("matrix", "H"),
    Bias: ("bias", "H"),
    Vector: ("vector", "H"),
}

Equations = Callable[..., Any]


def _declare(name: str, annotation: object, place: Place) -> Leaf:
    width = None
    if get_origin(annotation) is Annotated:
        annotation, width = get_args(annotation)[:2]
    if not isinstance(annotation, type) or annotation not in _KINDS:
        _refuse(
            f"the letter {name} is declared as {annotation!r}.",
            f"Declare it as Input, State, Matrix, Bias or Vector, as in {name}: Matrix.",
            place,
        )
    kind, usual = _KINDS[annotation]
    axis = usual if width is None else width
    if not (isinstance(axis, str) and axis.isidentifier()):
        _refuse(f"{name} has the width {axis!r}.", "A width is a letter: 'H' or 'P'.", place)
    return cast(Leaf, annotation(name, kind, (axis,)))


@dataclass
class _Return:
    """What the body's local names stood for when it returned, and where it did."""

    locals: dict[str, object]
    place: Place


@contextmanager
def _watched(equations: Equations, found: _Return) -> Iterator[None]:
    """Fill ``found`` when ``equations`` returns."""

    def watch(frame: FrameType, event: str, argument: object) -> None:
        if event == "return" and frame.f_code is equations.__code__:
            found.locals = dict(frame.f_locals)
            found.place = place_of_frame(frame)

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(before)


def _run(equations: Equations, leaves: list[Leaf], found: _Return) -> object:
    """Run the body once. Whatever goes wrong in it becomes a CellError with the user's line."""
    try:
        with _watched(equations, found):
            return equations(*leaves)
    except CellError:
        raise
    except Exception as error:  # noqa: BLE001  (whatever a user's line raises)
        traceback = error.__traceback__
        place = None
        while traceback is not None:
            if traceback.tb_frame.f_code is equations.__code__:
                place = place_of_traceback(traceback)
            traceback = traceback.tb_next
        if isinstance(error, NameError) and error.name:
            letters = [leaf.name for leaf in leaves] + list(equations.__code__.co_varnames)
            known = [name for name in [*letters, *FUNCTIONS] if name != error.name]
            _refuse(f"{error.name} is not defined.", did_you_mean(error.name, known), place)
        _refuse(
            f"{type(error).__name__}: {error}.",
            "Equations are made of + - * / @ and the functions "
            f"{', '.join(FUNCTIONS)}, of numbers and of declared letters.",
            place,
        )


def _new_states(
    name: str, states: list[Leaf], returned: object, found: _Return
) -> tuple[dict[str, Value], tuple[Value, ...]]:
    """Split what the body returned into the new states and what comes out besides them."""
    values = returned if isinstance(returned, tuple) else (returned,)
    wanted = ", ".join(state.name for state in states)
    place, mend = found.place, f"End the body with: return {wanted}"
    if len(values) < len(states) or not all(isinstance(value, Value) for value in values):
        missing = [state.name for state in states][len(values) if returned is not None else 0 :]
        what = f"state {missing[0]} is not returned" if missing else "something else is returned"
        _refuse(f"{name}: {what}; the states are {wanted}.", mend, place)
    names = {id(value): local for local, value in found.locals.items()}
    for state, value in zip(states, values, strict=False):
        other = names.get(id(value))
        if other != state.name and other in {s.name for s in states}:
            _refuse(f"{name}: {other} is returned where {state.name} belongs.", mend, place)
        if value.axes != state.axes:
            _refuse(
                f"{name}: state {state.name} is {spell(state.axes)}, "
                f"its new value is {spell(value.axes)}: the widths cannot agree.",
                f"Declare the width, as in {state.name}: Annotated[State, 'P'], or project it.",
                place,
            )
    new = {state.name: value for state, value in zip(states, values, strict=False)}
    return new, values[len(states) :]


@overload
def cell(equations: Equations, /) -> Cell: ...
@overload
def cell(
    *,
    source: str = "",
    start: Mapping[str, float] | None = None,
    keep: Mapping[str, int] | None = None,
) -> Callable[[Equations], Cell]: ...
def cell(
    equations: Equations | None = None,
    /,
    *,
    source: str = "",
    start: Mapping[str, float] | None = None,
    keep: Mapping[str, int] | None = None,
) -> Cell | Callable[[Equations], Cell]:
    """Make a cell of a function whose body is the cell's equations.

    Args:
        source: the paper, for documentation.
        start: start values of single parameters, as in ``{"b.f": 1.0}``.
        keep: see ``Cell``.

    The function returns the new states in the order of their declaration, then, if it has
    more to say than its first state, the values that are the layer's output.

    Raises:
        CellError: with the line, a caret, what was expected, what was got and how to mend it.
    """

    def define(equations: Equations) -> Cell:
        name = equations.__name__
        code = equations.__code__
        place = Place(code.co_filename, code.co_firstlineno, None, None)
        try:
            annotations = get_annotations(equations, eval_str=True)
        except NameError as error:
            _refuse(f"{name}: {error}.", "Import it from conveyor.cells.", place)
        leaves = [
            _declare(letter, annotations.get(letter, "nothing"), place)
            for letter in signature(equations).parameters
        ]
        states = [leaf for leaf in leaves if leaf.kind == "state"]
        if not states or not any(leaf.kind == "input" for leaf in leaves):
            _refuse(
                f"{name} has no {'State' if not states else 'Input'}.",
                "A cell needs both, as in x: Input, h: State.",
                place,
            )
        found = _Return({}, place)
        returned = _run(equations, leaves, found)
        new, extra = _new_states(name, states, returned, found)
        local = {
            n: v
            for n, v in found.locals.items()
            if isinstance(v, Value) and not isinstance(v, Leaf)
        }
        outputs = []
        for number, value in enumerate(extra):
            named = [n for n, v in local.items() if v is value]
            outputs.append(named[0] if named else f"output{number}")
            local[outputs[-1]] = value
        parameters: list[Leaf] = []
        for leaf in leaves:
            used = [leaf, *leaf.gates.values()] if isinstance(leaf, _Family) else [leaf]
            parameters += used
        needed = {id(leaf) for value in [*new.values(), *local.values()] for leaf in _leaves(value)}
        for leaf in leaves:
            if isinstance(leaf, _Family) and leaf.gates and id(leaf) in needed:
                _refuse(
                    f"{name}: {leaf.name} is used alone and with gates.",
                    f"Give it a gate everywhere, as in {leaf.name}.{next(iter(leaf.gates))}.",
                    place,
                )
        for key in [*(start or {}), *(keep or {})]:
            if key not in {leaf.name for leaf in parameters}:
                known = [leaf.name for leaf in parameters]
                _refuse(f"{name}: start or keep names {key}.", did_you_mean(key, known), place)
        return Cell(
            name,
            (equations.__doc__ or "").strip(),
            source,
            dict(start or {}),
            dict(keep or {}),
            tuple(parameters),
            new,
            tuple(outputs),
            local,
            place,
        )

    return define(equations) if equations is not None else define
