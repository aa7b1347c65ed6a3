"""What a cell costs: parameters, operations and kept bytes, as formulas and as numbers."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import NamedTuple

from conveyor.cells.blocks import Blocks
from conveyor.cells.operations import RULES, Axes
from conveyor.compiler.plan import Plan, produced
from conveyor.compiler.program import Operation, Program
from conveyor.errors import SettingError, did_you_mean


class Monomial(NamedTuple):
    """A product of widths, divided by others: H·H/N."""

    factors: Axes
    divisors: Axes = ()

    @property
    def axes(self) -> Axes:
        """All letters in it."""
        return self.factors + self.divisors

    def at(self, sizes: Mapping[str, int]) -> Fraction:
        """Return its value for given widths."""
        above, below = (prod(sizes[axis] for axis in axes) for axes in self)
        return Fraction(above, below)

    def spelled(self, number: Fraction) -> str:
        """Return so many times it as a text, as in 3·H²/(2·N)."""
        above, below = (
            [*[str(times)] * (times != 1), *_powers(axes)]
            for times, axes in zip(number.as_integer_ratio(), self, strict=True)
        )
        divisor = "·".join(below)
        text = "·".join(above) or "1"
        return f"{text}/{divisor if len(below) == 1 else f'({divisor})'}" if below else text


def _powers(axes: Axes) -> list[str]:
    superscripts = {1: "", 2: "²", 3: "³"}
    counts = Counter(axes)
    return [axis + superscripts.get(n, f"^{n}") for axis, n in counts.items()]


@dataclass(frozen=True)
class Formula:
    """A sum of products of widths, as in 4·H·I + 4·H²: how often each product occurs."""

    terms: tuple[tuple[Monomial, Fraction], ...]

    @staticmethod
    def of(counted: Iterable[tuple[Axes | Monomial, int | Fraction]]) -> "Formula":
        """Add up; ``[(("H", "I"), 4)]`` is 4·H·I."""
        counts: dict[Monomial, Fraction] = {}
        for axes, number in counted:
            factors, divisors = axes if isinstance(axes, Monomial) else (axes, ())
            key = Monomial(tuple(sorted(factors)), tuple(sorted(divisors)))
            counts[key] = counts.get(key, Fraction(0)) + number
        terms = sorted(
            counts.items(), key=lambda term: (-len(term[0].factors), len(term[0].divisors), term[0])
        )
        return Formula(tuple((product, number) for product, number in terms if number))

    def at(self, sizes: Mapping[str, int]) -> int:
        """The number for given widths.

        Raises:
            SettingError: a width is not given, or one of them cannot be shared out to so many
                blocks.
        """
        for product, _ in self.terms:
            for axis in product.axes:
                if axis not in sizes:
                    raise SettingError(
                        f"the size of axis {axis} is not given. {did_you_mean(axis, sizes)} "
                        f"Give it, as in show(cell, 'cost', {axis}=64), or --size {axis}=64."
                    )
        total = sum((number * product.at(sizes) for product, number in self.terms), Fraction(0))
        if total.denominator != 1:
            shown = ", ".join(f"{axis} = {size}" for axis, size in sizes.items())
            raise SettingError(
                f"{shown}: {self} is no whole number. The widths of a matrix made of blocks must "
                "be multiples of their number."
            )
        return total.numerator

    def __str__(self) -> str:
        return " + ".join(product.spelled(number) for product, number in self.terms) or "0"


def _stored(program: Program) -> Iterable[tuple[Axes | Monomial, int | Fraction]]:
    """Return the numbers that each parameter is stored as, to be added up."""
    blocks = dict(program.blocks)
    for leaf in program.parameters:
        if leaf.name in blocks:
            yield from _in_blocks(leaf.axes, blocks[leaf.name])
        else:
            yield leaf.axes, 1


def _in_blocks(axes: Axes, blocks: Blocks) -> Iterable[tuple[Monomial, Fraction]]:
    """Return the numbers in the blocks of a matrix: N blocks on the diagonal are N·(H/N)², and of
    all blocks on and above it there are N·(N + 1)/2."""
    if isinstance(blocks.number, str):
        each, divided = Fraction(1), Monomial(axes, (blocks.number,))
    else:
        each, divided = Fraction(1, blocks.number), Monomial(axes)
    if not blocks.upper:
        yield divided, each
    else:
        yield Monomial(axes), Fraction(1, 2)
        yield divided, each / 2


@dataclass(frozen=True)
class Cost:
    """Costs of one example at one time step, but for the parameters, which are shared, and for what
    is done ``once`` for a sequence: multiply-adds with the places of its memory. Of a cell that
    looks at a memory, autograd has the backward pass, and nothing is counted of it here.

    ``multiply_adds`` counts one multiplication with one addition of matrix products as one;
    ``pointwise`` counts operations unit by unit; ``transcendental`` those of them that need an
    exponential or a logarithm; ``kept`` the numbers that the backward pass reads.
    """

    parameters: Formula
    multiply_adds: Formula
    pointwise: Formula
    transcendental: Formula
    backward_multiply_adds: Formula
    backward_pointwise: Formula
    kept: Formula
    once: Formula


# The axes of a product's numbers, of its operation and its arguments' axes.
_NUMBERS: Mapping[str, Callable[[Operation, Mapping[str, Axes]], Axes]] = {
    "matmul": lambda o, axes: axes[o.arguments[0]] + axes[o.arguments[1]][:-1],
    "matmul_t": lambda o, axes: axes[o.arguments[0]] + axes[o.arguments[1]][:-1],
    "outer": lambda o, axes: o.axes,
    "weighted_sum": lambda o, axes: axes[o.arguments[1]],
}


def _products(operations: Iterable[Operation], axes: Mapping[str, Axes]) -> Formula:
    return Formula.of((_NUMBERS[o.op](o, axes), 1) for o in operations if o.op in _NUMBERS)


def _pointwise(
    operations: Iterable[Operation], axes: Mapping[str, Axes], transcendental: bool = False
) -> Formula:
    without = (*_NUMBERS, *("constant", "width", "places", "spread", "to_places", "to_units"))
    return Formula.of(
        (axes[o.arguments[0]] if RULES[o.op].reduces else o.axes, 1)  # a sum adds every unit
        for o in operations
        if o.op not in without and (RULES[o.op].transcendental or not transcendental)
    )


def cost(plan: Plan) -> Cost:
    """The cost of a planned cell."""
    forward, backward = plan.program, plan.gradient
    once = produced(plan.forward.once)
    each_step = [o for o in forward.operations if o.name not in once]
    backwards = () if forward.memories else backward.operations
    return Cost(
        parameters=Formula.of(_stored(forward)),
        multiply_adds=_products(each_step, forward.axes),
        pointwise=_pointwise(each_step, forward.axes),
        transcendental=_pointwise(each_step, forward.axes, transcendental=True),
        backward_multiply_adds=_products(backwards, backward.axes),
        backward_pointwise=_pointwise(backwards, backward.axes),
        kept=Formula.of((backward.axes[name], 1) for name in plan.kept),
        once=_products([o for o in forward.operations if o.name in once], forward.axes),
    )
