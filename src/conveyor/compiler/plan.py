"""The plan of a cell: when each operation of the time loop is done, and what is kept.

What depends on the inputs alone is done before the loop for all time steps at once, and so is what
depends on a state that is a value one step late (``delays``); what nothing in the loop needs is
done after it. What depends on memories alone is done once for each sequence; what goes over the
places of a memory at a step stays in the loop, where it is of one step at a time. Matrix products
of one operand are joined into one.
Inside the loop remain stages: products, then the pointwise work that can be fused into them.
The same is done for the gradient, whose loop runs from the last step to the first: products
that give gradients of weights or of inputs leave its loop.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from conveyor.compiler.apart import Apart, apart
from conveyor.compiler.check import check, check_cell
from conveyor.compiler.delays import delayed_states, dependent, with_delays
from conveyor.compiler.gradient import gradient
from conveyor.compiler.lower import lowered
from conveyor.compiler.observe import observed, tapped, with_tap_inputs
from conveyor.compiler.program import Operation, Program
from conveyor.compiler.rewrite import Builder, numbered
from conveyor.compiler.simplify import drop_unused, simplify

ProductKind = Literal["matmul", "matmul_t", "outer"]


@dataclass(frozen=True)
class Product:
    """Matrix products joined into one.

    ``matmul``    results stacked = (matrices stacked) @ operand
    ``matmul_t``  the one result = (matrices stacked)ᵀ @ (vectors stacked)
    ``outer``     results stacked = (vectors stacked) ⊗ operand
    """

    kind: ProductKind
    results: tuple[str, ...]
    matrices: tuple[str, ...]
    vectors: tuple[str, ...]


@dataclass(frozen=True)
class Pointwise:
    """Operations unit by unit, and sums over units, in order."""

    operations: tuple[Operation, ...]


Stage = Product | Pointwise


def produced(stages: Iterable[Stage]) -> set[str]:
    """Return the names of what stages compute."""
    return {
        name
        for stage in stages
        for name in (
            stage.results
            if isinstance(stage, Product)
            else [operation.name for operation in stage.operations]
        )
    }


@dataclass(frozen=True)
class Pass:
    """One way through the sequence. ``once`` is of each sequence, the rest of each step."""

    before: tuple[Stage, ...]
    loop: tuple[Stage, ...]
    after: tuple[Stage, ...]
    once: tuple[Stage, ...] = ()


@dataclass(frozen=True)
class Plan:
    """How a program is run over a sequence. ``kept`` are the values that the backward pass
    reads at every step: what the forward step computed, its inputs and its old states.
    ``delayed`` are the states, without primes, that no loop carries. Of a cell that looks at a
    memory there is no backward pass: the reference target leaves that to autograd, and other
    targets run its loop ``apart``, of which ``loop`` is the plan: one with both passes, that does
    nothing once (``is_loop``)."""

    program: Program
    gradient: Program
    forward: Pass
    backward: Pass
    kept: tuple[str, ...]
    delayed: tuple[str, ...] = ()
    is_loop: bool = False

    @cached_property
    def tapped(self) -> "Plan":
        """The plan of the same cell that also gives the gradient by every local name."""
        return plan(tapped(self.program))

    @cached_property
    def observed(self) -> "Plan":
        """The plan of the same cell whose every local name is an output."""
        return self._of(observed(self.program))

    @cached_property
    def with_tap_inputs(self) -> "Plan":
        """The plan of the same cell with an input added to every tapped value."""
        return self._of(with_tap_inputs(self.program))

    def _of(self, program: Program) -> "Plan":
        return _planned(simplify(program), is_loop=True) if self.is_loop else plan(program)

    @cached_property
    def apart(self) -> Apart | str:
        """Of a cell that looks at a memory, the loop apart from what is done once; or a sentence
        that says why no walk over places can do it."""
        return apart(self.program, _once(self.program))

    @cached_property
    def loop(self) -> "Plan":
        """The plan of the loop apart."""
        assert isinstance(self.apart, Apart)
        return _planned(self.apart.program, is_loop=True)

    @cached_property
    def at_places(self) -> tuple["Plan", ...]:
        """The plans of what is done once at each place by itself; they have no states."""
        assert isinstance(self.apart, Apart)
        return tuple([_planned(program, is_loop=True) for program in self.apart.at_places])


def _terms(by_name: Mapping[str, Operation], inner: set[str], name: str) -> list[str]:
    """The terms of a sum: a + (b + c) gives a, b, c, where b + c is an inner sum."""
    found: list[str] = []
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current == name or current in inner:
            waiting += reversed(by_name[current].arguments)
        else:
            found.append(current)
    return found


def order_sums(program: Program, early: Iterable[frozenset[str]]) -> Program:
    """(a + b) + c → (a + c) + b where c can be done earlier than b.

    ``early`` are sets of names, the earliest first; terms of a set are added up before those
    of the next. Sums are rounded in another order; their value is the same.
    """
    uses = Counter(a for o in program.operations for a in o.arguments)
    uses.update(result.value for result in program.results)
    by_name = {o.name: o for o in program.operations}
    sums = [o for o in program.operations if o.op == "add"]
    # Sums without a name that one other sum alone reads: their terms are that one's.
    inner = {
        a
        for o in sums
        for a in o.arguments
        if a.startswith("%") and uses[a] == 1 and a in by_name and by_name[a].op == "add"
    }
    groups = list(early)

    def rank(term: str) -> int:
        return next((n for n, names in enumerate(groups) if term in names), len(groups))

    builder = Builder({leaf.name: leaf.axes for leaf in program.leaves})
    for operation in program.operations:
        builder.axes.setdefault(operation.name, operation.axes)
    for operation in program.operations:
        if operation.op != "add":
            builder.append(operation)
        elif operation.name not in inner:
            first, *rest = sorted(_terms(by_name, inner, operation.name), key=rank)
            for term in rest[:-1]:
                first = builder.add("add", first, term)
            builder.append(replace(operation, arguments=(first, rest[-1])))
    return check(numbered(drop_unused(replace(program, operations=tuple(builder.operations)))))


def _summed_products(
    operations: tuple[Operation, ...], outside: set[str]
) -> tuple[dict[str, Product], set[str]]:
    """Sums whose every term is a transposed product, by the name of the sum; and the names of
    their parts, which nothing else needs."""
    by_name = {o.name: o for o in operations}
    uses = Counter(a for o in operations for a in o.arguments)
    terms: dict[str, list[Operation]] = {}
    absorbed: set[str] = set()
    for operation in operations:
        if operation.op == "matmul_t":
            terms[operation.name] = [operation]
        elif operation.op == "add" and all(
            a in terms and uses[a] == 1 and a in by_name and a not in outside
            for a in operation.arguments
        ):
            terms[operation.name] = [t for a in operation.arguments for t in terms.pop(a)]
            absorbed.update(operation.arguments)
    sums = {
        name: Product(
            "matmul_t",
            (name,),
            tuple(o.arguments[0] for o in products),
            tuple(o.arguments[1] for o in products),
        )
        for name, products in terms.items()
    }
    return sums, absorbed


def stages(operations: tuple[Operation, ...], outside: set[str]) -> tuple[Stage, ...]:
    """Group operations into stages: by turns what is pointwise and ready, then the products
    that are ready, joined. ``outside`` are names that are needed besides these operations."""
    sums, absorbed = _summed_products(operations, outside)
    # The turn in which what reads a name can be done: what is pointwise, and products.
    for_pointwise: dict[str, int] = {}
    for_products: dict[str, int] = {}
    # In each turn, in the order of the operations.
    pointwise: dict[int, list[Operation]] = {}
    summed: dict[int, list[Product]] = {}
    joined: dict[int, dict[tuple[str, str], list[Operation]]] = {}
    for operation in operations:
        name = operation.name
        if name in absorbed:
            continue
        product = name in sums or operation.op in ("matmul", "outer")
        needs = sums[name].vectors if name in sums else operation.arguments
        ready = for_products if product else for_pointwise
        now = max((ready[need] for need in needs if need in ready), default=0)
        # What is pointwise is ready for the products of its turn, a product for the next turn;
        # but a sum of products is ready for other products of its own turn.
        for_pointwise[name] = now + 1 if product else now
        for_products[name] = now + 1 if product and name not in sums else now
        if name in sums:
            summed.setdefault(now, []).append(sums[name])
        elif product:
            groups = joined.setdefault(now, {})
            groups.setdefault((operation.op, operation.arguments[1]), []).append(operation)
        else:
            pointwise.setdefault(now, []).append(operation)
    made: list[Stage] = []
    for now in range(max(for_pointwise.values(), default=0) + 1):
        if now in pointwise:
            made.append(Pointwise(tuple(pointwise[now])))
        made += summed.get(now, [])
        for (kind, operand), group in joined.get(now, {}).items():
            results = tuple(o.name for o in group)
            lefts = tuple(o.arguments[0] for o in group)
            if kind == "matmul":
                made.append(Product("matmul", results, lefts, (operand,)))
            else:
                made.append(Product("outer", results, (), (*lefts, operand)))
    return tuple(made)


def _phases(
    program: Program,
    needed_in_loop: set[str],
    early: frozenset[str],
    delays: Mapping[Literal["before", "after"], Mapping[str, str]],
    *,
    once: frozenset[str],
    over_places: set[str],
) -> Pass:
    """Split a program. ``early`` can be done before the loop; ``needed_in_loop`` must be done
    in it, with all that leads there, and so must what is ``over_places``; the rest comes after,
    but for what is done ``once``. ``delays`` are what is read one step late, by its names then, in
    the part where it is made."""
    needed = needed_in_loop | over_places
    for operation in reversed(program.operations):
        if operation.name in needed:
            needed.update(operation.arguments)
    parts: dict[str, list[Operation]] = {"before": [], "loop": [], "after": [], "once": []}
    constants = {o.name: o for o in program.operations if o.op in ("constant", "width")}
    for operation in program.operations:
        if operation.name in constants:
            continue
        if operation.name in once:
            parts["once"].append(operation)
            continue
        early_enough = operation.name in early
        part = "before" if early_enough else "loop" if operation.name in needed else "after"
        parts[part].append(operation)
    for late_in, delayed in delays.items():
        parts[late_in] = list(with_delays(parts[late_in], delayed, program))
    made = {}
    for part, operations in parts.items():
        used = {a for o in operations for a in o.arguments}
        own = tuple(o for name, o in constants.items() if name in used)
        others = {a for p, os in parts.items() if p != part for o in os for a in o.arguments}
        outside = others | {result.value for result in program.results}
        made[part] = stages((*own, *operations), outside)
    return Pass(**made)


def _over_places(program: Program, places: frozenset[str]) -> set[str]:
    """Return what has places, or is computed over them or of how many there are, and so is too
    large to be there for all steps at once, or is of a sequence."""
    axes = program.axes
    numbers = {o.name for o in program.operations if o.op == "width" and o.attribute in places}
    return {
        o.name
        for o in program.operations
        if any(places.intersection(axes[name]) for name in (o.name, *o.arguments))
        or numbers.intersection(o.arguments)
    }


def _once(program: Program) -> frozenset[str]:
    """Return the operations that a sequence computes once: what depends on memories, or on how many
    places they have, and on no input or state; with all that leads there."""
    if not program.memories:
        return frozenset()
    changing = dependent(program, [leaf.name for leaf in program.leaves_of("input", "state")])
    memories = [leaf.name for leaf in program.memories]
    once = set(dependent(program, [*memories, *_over_places(program, program.places)]) - changing)
    for operation in reversed(program.operations):
        if operation.name in once:
            once.update(operation.arguments)
    return frozenset(once.intersection([o.name for o in program.operations]))


def _without_unread(program: Program) -> Program:
    """Return a program without what is done for a local name alone: a walk has no place to leave
    its sums in. Who wants to see local names asks for another plan, ``Plan.observed``."""
    read = tuple([result for result in program.results if result.role != "local"])
    return drop_unused(replace(program, results=read))


def plan(program: Program) -> Plan:
    """The plan of a cell's program.

    Raises:
        ProgramError: the program is no cell.
    """
    return _planned(simplify(lowered(check_cell(program))))


def _planned(simple: Program, *, is_loop: bool = False) -> Plan:
    """The plan of a program that is simplified, its words written out."""
    delayed = delayed_states(simple)
    in_loop = [leaf.name for leaf in simple.states if leaf.name.removesuffix("'") not in delayed]

    memories = [leaf.name for leaf in simple.memories]

    def independent(program: Program) -> frozenset[str]:
        # The places of a memory depend on the sequence as the memory does.
        numbers = [o.name for o in program.operations if o.attribute in program.places]
        of_places = _over_places(program, simple.places)
        return frozenset(program.axes) - dependent(
            program, [*in_loop, *memories, *numbers, *of_places]
        )

    forward = order_sums(simple, [independent(simple)])
    new = forward.values_of("state")
    new_states = {value for name, value in new.items() if name not in delayed}
    late = {f"{name}'": new[name] for name in delayed}
    once = frozenset[str]() if is_loop else _once(forward)
    forward_pass = _phases(
        _without_unread(forward) if is_loop else forward,
        new_states,
        independent(forward),
        {"before": _used(late, forward)},
        once=once,
        over_places=_over_places(forward, simple.places),
    )

    if forward.memories and not is_loop:
        return Plan(forward, gradient(forward), forward_pass, Pass((), (), ()), (), delayed)
    backward = gradient(forward)
    products = frozenset(o.name for o in backward.operations if o.op == "matmul_t")
    backward = order_sums(backward, [products])
    gradients = backward.values_of("gradient")
    carried = {gradients[name] for name in in_loop}
    late = {f"∂{name}@next": gradients[f"{name}'"] for name in reversed(delayed)}
    backward_pass = _phases(
        backward,
        carried,
        frozenset(),
        {"after": _used(late, backward)},
        once=frozenset(),
        over_places=_over_places(backward, simple.places),
    )
    read = {a for o in backward.operations for a in o.arguments}
    kept = tuple(
        leaf.name for leaf in backward.leaves_of("input", "state", "kept") if leaf.name in read
    )
    return Plan(forward, backward, forward_pass, backward_pass, kept, delayed, is_loop)


def _used(late: Mapping[str, str], program: Program) -> dict[str, str]:
    """Return those of delayed values that something reads, or that are a result."""
    read = {a for o in program.operations for a in o.arguments}
    read.update(result.value for result in program.results)
    return {name: value for name, value in late.items() if name in read}
