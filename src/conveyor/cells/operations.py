"""The operations that equations, and their gradients, are made of.

One row per operation: how many arguments it takes and which axes its result has. The cell
language asks while an equation is written, the compiler's checker asks after every pass: both
get the same answer from here.

An axis is a letter: H hidden units, I input features, any other letter a width that a cell
declares. A value of axes ``()`` is one number per example, ``("H",)`` a vector, ``("H", "I")`` a
matrix. Batch and time are never written: an equation is about one example at one step.

A memory has places, of which each example has its own number: its axes are ``("L", "D")``, a vector
for each place. What is computed of it has axes ``("L", "H")`` or, a number for each place,
``("L",)``.
"""

from collections.abc import Callable
from dataclasses import dataclass

Axes = tuple[str, ...]


class AxesError(ValueError):
    """The arguments of an operation do not fit together. The text says why."""


def spell(axes: Axes) -> str:
    """Axes for people: ``[H, I]``, or ``one number``."""
    return f"[{', '.join(axes)}]" if axes else "one number"


def _elementwise(*arguments: Axes) -> Axes:
    """A number meets all, a vector meets each place, and a number for each place its vector."""
    widest = max(arguments, key=len)
    for axes in arguments:
        fits = axes == widest or (len(widest) == 2 and axes in (widest[:1], widest[1:]))
        if axes and not fits:
            raise AxesError(f"the widths {spell(widest)} and {spell(axes)} cannot agree")
    return widest


def _product(matrix: Axes, vector: Axes) -> Axes:
    """A vector, or one for each place."""
    if len(matrix) != 2 or len(vector) not in (1, 2):
        raise AxesError(
            f"a matrix product needs a matrix and a vector, got {spell(matrix)} and {spell(vector)}"
        )
    if matrix[1] != vector[-1]:
        raise AxesError(
            f"the matrix {spell(matrix)} takes a vector [{matrix[1]}], got {spell(vector)}"
        )
    return (*vector[:-1], matrix[0])


def _transposed_product(matrix: Axes, vector: Axes) -> Axes:
    if len(matrix) != 2:
        raise AxesError(f"a transposed product needs a matrix, got {spell(matrix)}")
    return _product((matrix[1], matrix[0]), vector)


def _outer(left: Axes, right: Axes) -> Axes:
    if len(left) != 1 or len(right) != 1:
        raise AxesError(f"an outer product needs two vectors, got {spell(left)} and {spell(right)}")
    return left + right


def _total(vector: Axes) -> Axes:
    """A number, or one for each place."""
    if len(vector) not in (1, 2):
        raise AxesError(f"a sum over units needs a vector, got {spell(vector)}")
    return vector[:-1]


def _weighted_sum(weights: Axes, vectors: Axes) -> Axes:
    if len(weights) != 1 or len(vectors) != 2 or weights[0] != vectors[0]:
        raise AxesError(
            "a weighted sum over places needs a number and a vector for each place, got "
            f"{spell(weights)} and {spell(vectors)}"
        )
    return vectors[1:]


def _total_of_places(vectors: Axes) -> Axes:
    if len(vectors) != 2:
        raise AxesError(f"a sum over places needs a vector for each, got {spell(vectors)}")
    return vectors[1:]


def _outer_of_places(left: Axes, right: Axes) -> Axes:
    if len(left) != 2 or len(right) != 2 or left[0] != right[0]:
        raise AxesError(
            f"an outer product over places needs vectors for each, got {spell(left)} and "
            f"{spell(right)}"
        )
    return left[1], right[1]


def _present(value: Axes) -> Axes:
    if len(value) not in (1, 2):
        raise AxesError(f"only what has places can lack them, got {spell(value)}")
    return value


def _over_units(op: str) -> Callable[..., Axes]:
    """Return the rule of an operation on all units of vectors of one width."""

    def axes(vector: Axes, *others: Axes) -> Axes:
        if len(vector) != 1:
            raise AxesError(f"{op} is over the units of a vector, got {spell(vector)}")
        for other in others:
            if other != vector:
                raise AxesError(f"the widths {spell(vector)} and {spell(other)} cannot agree")
        return vector

    return axes


@dataclass(frozen=True)
class Rule:
    """What one operation asks of its arguments.

    ``axes`` maps the arguments' axes to the result's, or raises AxesError. ``attribute`` is
    what the operation carries besides its arguments: a number, an axis or nothing.
    ``transcendental`` marks what a processor has no single instruction for; costs count it.
    ``reduces`` marks what makes one number of all units. ``more`` allows more arguments than
    ``arity``.
    """

    arity: int
    axes: Callable[..., Axes]
    attribute: str | None = None
    transcendental: bool = False
    reduces: bool = False
    more: bool = False

    @property
    def unit_by_unit(self) -> bool:
        """Whether it does the same with each unit by itself."""
        return self.axes is _elementwise


RULES: dict[str, Rule] = {
    "constant": Rule(0, lambda: (), attribute="number"),
    "width": Rule(0, lambda: (), attribute="axis"),  # how many units or places the axis has
    "add": Rule(2, _elementwise),
    "sub": Rule(2, _elementwise),
    "mul": Rule(2, _elementwise),
    "div": Rule(2, _elementwise),
    "neg": Rule(1, _elementwise),
    "maximum": Rule(2, _elementwise),
    "minimum": Rule(2, _elementwise),
    "greater": Rule(2, _elementwise),  # 1 where the first is greater, else 0; no gradient
    "equal": Rule(2, _elementwise),  # 1 where both are equal, else 0; no gradient
    "floor": Rule(1, _elementwise),  # the greatest whole number that is not above; no gradient
    "relu": Rule(1, _elementwise),
    "sigmoid": Rule(1, _elementwise, transcendental=True),
    "tanh": Rule(1, _elementwise, transcendental=True),
    "exp": Rule(1, _elementwise, transcendental=True),
    "log": Rule(1, _elementwise, transcendental=True),
    "sqrt": Rule(1, _elementwise),
    "total": Rule(1, _total, reduces=True),  # sum over the units
    "largest": Rule(1, _total, reduces=True),  # the greatest of the units; no gradient
    "spread": Rule(1, lambda number: (), attribute="axis"),  # one number to every unit
    "matmul": Rule(2, _product),
    "matmul_t": Rule(2, _transposed_product),  # with the matrix transposed
    "outer": Rule(2, _outer),  # left times right transposed: a matrix's gradient
    "places": Rule(0, lambda: (), attribute="axis"),  # the number of each place, from 0
    "weighted_sum": Rule(2, _weighted_sum),  # over places
    # A vector for every place, and a number for each place to every unit. Equations leave them
    # out; ``compiler.lower`` writes them.
    "to_places": Rule(1, lambda vector: (), attribute="axis"),
    "to_units": Rule(1, lambda numbers: (), attribute="axis"),
    "present": Rule(1, _present, attribute="number"),  # that number at places that are padding
    "total_of_places": Rule(1, _total_of_places),  # sum over the places
    "outer_of_places": Rule(2, _outer_of_places),  # the sum of the places' outer products
    # exp(units), divided by their sum
    "softmax": Rule(1, _over_units("softmax"), transcendental=True),
    # The units less their mean, divided by their standard deviation, see ``language.normalise``:
    # that of the other arguments together, if there are any. It carries what is added to the
    # variance.
    "normalise": Rule(1, _over_units("normalise"), attribute="number", more=True),
    "mod": Rule(2, _elementwise),  # what is left of the first, divided by the second
}

# Words of equations that are not computed as they are: ``compiler.lower`` writes them out in the
# others, and only then are they differentiated, planned and run.
WORDS = ("softmax", "normalise", "mod")

# What makes one number of all units.
REDUCTIONS = tuple(op for op, rule in RULES.items() if rule.reduces)

# What ``normalise`` adds to the variance unless it is said; that of torch.nn.LayerNorm.
EPSILON = 1e-5


def result_axes(op: str, arguments: tuple[Axes, ...], attribute: float | str | None = None) -> Axes:
    """The axes of ``op`` applied to arguments of these axes.

    Raises:
        AxesError: the operation is unknown, or its arguments do not fit together.
    """
    if op not in RULES:
        raise AxesError(f"there is no operation {op!r}")
    rule = RULES[op]
    if len(arguments) < rule.arity or (len(arguments) > rule.arity and not rule.more):
        raise AxesError(f"{op} takes {rule.arity} arguments, got {len(arguments)}")
    if op == "places":
        return (str(attribute),)
    if op in _WIDENING:
        if len(arguments[0]) != _WIDENING[op]:
            needs = "one number" if op == "spread" else "a vector"
            raise AxesError(f"{op} needs {needs}, got {spell(arguments[0])}")
        wider = (*arguments[0], str(attribute))
        return wider[::-1] if op == "to_places" else wider
    return rule.axes(*arguments)


# Operations that give their argument one more axis, and how many it has.
_WIDENING = {"spread": 0, "to_places": 1, "to_units": 1}
