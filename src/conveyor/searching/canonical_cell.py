"""Tell whether two graphs are the same cell, whatever their weights are called.

A value is written as a polynomial: a sum of products of atoms, which are states, parameters,
products with matrices, and functions of polynomials. Sums and products then stand in one order, and
``h + z * (n - h)`` is ``(1 - z) * h + z * n``. What a parameter that occurs nowhere else can take
up is left out:

- the sign and the scale of what a matrix gives: ``a - W x`` is ``a + W x``;
- a second bias, or a second matrix on the same vector: ``W x + V x`` is ``W x``;
- a matrix behind a matrix: ``U (W x + b)`` is ``W x + b``;
- which way round a gate is: ``z * h + (1 - z) * n`` is ``(1 - z) * h + z * n``, for
  ``sigmoid(-a)`` is ``1 - sigmoid(a)``; and the sign of a tanh.

Two graphs of one key are one cell; two of different keys may still be one, in a way that these laws
do not see. The diagonal of ``W x + a x`` is kept though a matrix could take it up: it is where the
matrix begins.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import permutations, product

from conveyor.cells.initial_value import Start
from conveyor.searching.cell_graph import CellGraph

# A product of sums that has more terms is kept as a product; that of two LSTM's states has 6.
_MOST_TERMS = 200

# Signs and directions of so many values are tried both ways round: 32 ways.
_MOST_FLIPS = 5

# States of so many at most are tried in all orders.
_MOST_STATES = 3

# What is left out at one place may let more be left out around it, so often. Terms that are alike
# but for their parameters could change places for ever.
_MOST_ROUNDS = 10

# The cells of the literature have 5 to 60 operations.
MOST_NODES = 80

BLIND, FORGETFUL, CONSTANT, LARGE = (
    "its output does not depend on its input",
    "it remembers nothing",
    "nothing of it is learned",
    "it has too many operations",
)

_PARAMETERS = ("product", "bias", "vector")


@dataclass(frozen=True)
class NotACell:
    """Why a graph is no cell that is worth trying."""

    reason: str


@dataclass(frozen=True, eq=False)
class _Atom:
    """A factor. ``name`` is of a parameter or the number of a state, ``start`` of a bias. ``key``
    orders atoms: it is the same whatever parameters are called."""

    kind: str
    name: str | int
    start: Start
    of: "tuple[_Polynomial, ...]"
    key: str


@dataclass(frozen=True, eq=False)
class _Polynomial:
    """A sum of terms, each a coefficient and the atoms that it multiplies."""

    terms: tuple[tuple[float, tuple[_Atom, ...]], ...]
    key: str


_Change = Callable[[_Atom], _Polynomial]


class _Algebra:
    """Makes atoms and polynomials, of equal ones only one: they can be compared by identity, and
    what is computed of one is computed once."""

    def __init__(self) -> None:
        self._atoms: dict[tuple[object, ...], _Atom] = {}
        self._polynomials: dict[tuple[object, ...], _Polynomial] = {}
        self.zero = self.sum([])

    def atom(self, kind: str, *of: _Polynomial, name: str | int = "", start: Start = 0.0) -> _Atom:
        """Return the atom."""
        identity = (kind, name, start, *map(id, of))
        if identity not in self._atoms:
            text = f"{kind}({start!r};{','.join(value.key for value in of)})"
            self._atoms[identity] = _Atom(kind, name, start, of, _short(text))
        return self._atoms[identity]

    def value(self, atom: _Atom) -> _Polynomial:
        """Return an atom as a polynomial."""
        return self.sum([(1.0, (atom,))])

    def sum(self, terms: Iterable[tuple[float, tuple[_Atom, ...]]]) -> _Polynomial:
        """Return the sum of terms, equal ones together, in their order."""
        sums: dict[tuple[_Atom, ...], float] = {}
        for coefficient, atoms in terms:
            ordered = tuple(sorted(atoms, key=_order))
            sums[ordered] = sums.get(ordered, 0.0) + coefficient
        there = sorted(
            ((number, atoms) for atoms, number in sums.items() if number != 0), key=_term_order
        )
        identity = tuple((number, *map(id, atoms)) for number, atoms in there)
        if identity not in self._polynomials:
            text = "+".join(
                f"{number:g}*{'*'.join(atom.key for atom in atoms)}" for number, atoms in there
            )
            self._polynomials[identity] = _Polynomial(tuple(there), _short(text))
        return self._polynomials[identity]

    def number(self, number: float) -> _Polynomial:
        """Return a number as a polynomial."""
        return self.sum([(number, ())])

    def times(self, number: float, value: _Polynomial) -> _Polynomial:
        """Return a polynomial times a number."""
        return self.sum((number * coefficient, atoms) for coefficient, atoms in value.terms)

    def multiplied(self, left: _Polynomial, right: _Polynomial) -> _Polynomial:
        """Return the product, multiplied out unless it has too many terms."""
        if len(left.terms) * len(right.terms) > _MOST_TERMS:
            first, second = sorted((left, right), key=lambda value: value.key)
            return self.value(self.atom("times", first, second))
        return self.sum(
            (a * b, (*atoms, *more)) for a, atoms in left.terms for b, more in right.terms
        )

    def rebuilt(
        self, value: _Polynomial, change: _Change, known: dict[int, _Polynomial]
    ) -> _Polynomial:
        """Return the polynomial with ``change`` of each atom in the atom's place; ``known`` keeps
        what has been rebuilt with it."""
        if id(value) not in known:
            terms: list[tuple[float, tuple[_Atom, ...]]] = []
            for coefficient, atoms in value.terms:
                term = self.number(coefficient)
                for atom in atoms:
                    term = self.multiplied(term, change(atom))
                terms += term.terms
            known[id(value)] = self.sum(terms)
        return known[id(value)]


def _short(text: str) -> str:
    """Return a key that is no longer than others, of nested values too."""
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _order(atom: _Atom) -> tuple[str, str]:
    # Names decide between atoms that are alike, so that equal products are one.
    return atom.key, str(atom.name)


def _term_order(term: tuple[float, tuple[_Atom, ...]]) -> tuple[object, ...]:
    number, atoms = term
    return [atom.key for atom in atoms], number, [str(atom.name) for atom in atoms]


def canonical_key(graph: CellGraph) -> str | NotACell:
    """Return the same text for graphs that are the same cell; or why a graph is no cell.

    Args:
        graph: what its step computes.
    """
    if len(graph.nodes) > MOST_NODES:
        return NotACell(LARGE)
    algebra = _Algebra()
    read = _read(graph, algebra)
    if isinstance(read, NotACell):
        return read
    roots, starts = read
    roots = _normal(roots, algebra)
    best = ""
    for flips in _flip_choices(roots):
        flipped = _normal(_flipped(roots, flips, algebra), algebra)
        for order in _orders(len(starts)):
            text = _text(flipped, starts, order)
            best = min(best or text, text)
    return best


def cell_digest(key: str) -> str:
    """Return a short digest of a key, the same on all machines."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


_Roots = tuple[_Polynomial, ...]


def _read(graph: CellGraph, algebra: _Algebra) -> tuple[_Roots, tuple[Start, ...]] | NotACell:
    """Return the polynomials of the output and of the new value of each state that it depends on,
    and what these states start at."""
    start = dict(graph.start)
    values = _polynomials(graph, algebra, start)
    new = dict(zip(graph.states, graph.new, strict=True))
    states: list[str] = []
    waiting = [values[graph.output]]
    kinds: set[str] = set()
    while waiting:
        for atom in _all_atoms([waiting.pop()]):
            kinds.add(atom.kind)
            if atom.kind == "state" and atom.name not in states:
                states.append(str(atom.name))
                waiting.append(values[new[str(atom.name)]])
    if not states:
        return NotACell(FORGETFUL)
    if "input" not in kinds:
        return NotACell(BLIND)
    if not kinds.intersection(_PARAMETERS):
        return NotACell(CONSTANT)
    # States are numbers from here on, so that their letters do not matter.
    numbers = {state: number for number, state in enumerate(states)}
    known: dict[int, _Polynomial] = {}

    def renamed(atom: _Atom) -> _Polynomial:
        if atom.kind == "state":
            return algebra.value(algebra.atom("state", name=numbers[str(atom.name)]))
        of = (algebra.rebuilt(value, renamed, known) for value in atom.of)
        return algebra.value(algebra.atom(atom.kind, *of, name=atom.name, start=atom.start))

    roots = [values[graph.output], *(values[new[state]] for state in states)]
    starts = tuple(start.get(state, 0.0) for state in states)
    return tuple(algebra.rebuilt(root, renamed, known) for root in roots), starts


def _polynomials(graph: CellGraph, algebra: _Algebra, start: dict[str, Start]) -> list[_Polynomial]:
    """Return the polynomial of each node."""
    values: list[_Polynomial] = []
    for node in graph.nodes:
        of = [values[argument] for argument in node.arguments]
        match node.op:
            case "constant":
                value = algebra.number(node.number)
            case "input" | "state" | "vector":
                value = algebra.value(algebra.atom(node.op, name=node.name))
            case "bias":
                atom = algebra.atom("bias", name=node.name, start=start.get(node.name, 0.0))
                value = algebra.value(atom)
            case "add":
                value = algebra.sum([*of[0].terms, *of[1].terms])
            case "sub":
                value = algebra.sum([*of[0].terms, *algebra.times(-1, of[1]).terms])
            case "neg":
                value = algebra.times(-1, of[0])
            case "mul":
                value = algebra.multiplied(*of)
            case "relu" if _is_positive(of[0]):
                value = of[0]
            case "product" | "tanh" | "relu" if of[0] is algebra.zero:
                value = algebra.zero
            case _:
                value = algebra.value(algebra.atom(node.op, *of, name=node.name))
        values.append(value)
    return values


def _is_positive(value: _Polynomial) -> bool:
    """Return whether relu changes nothing: one term of gates and of what is positive already."""
    return len(value.terms) == 1 and all(
        number > 0 and all(atom.kind in ("sigmoid", "relu", "exp") for atom in atoms)
        for number, atoms in value.terms
    )


def _all_atoms(roots: Iterable[_Polynomial]) -> Iterator[_Atom]:
    """Yield the atoms of polynomials and of all inside them, each once, in their order."""
    seen: set[int] = set()
    waiting = list(roots)
    while waiting:
        value = waiting.pop()
        for _, atoms in value.terms:
            for atom in atoms:
                if id(atom) not in seen:
                    seen.add(id(atom))
                    yield atom
                    waiting += atom.of


class _Occurrences:
    """Where the atoms and the parameters of polynomials occur."""

    def __init__(self, roots: Iterable[_Polynomial]) -> None:
        self.terms: Counter[int] = Counter()
        self.parameters: Counter[str | int] = Counter()
        seen: set[int] = set()
        waiting = list(roots)
        atoms_seen: set[int] = set()
        while waiting:
            value = waiting.pop()
            if id(value) in seen:
                continue
            seen.add(id(value))
            for _, atoms in value.terms:
                for atom in atoms:
                    self.terms[id(atom)] += 1
                    waiting += atom.of
                    if atom.kind in _PARAMETERS and id(atom) not in atoms_seen:
                        self.parameters[atom.name] += 1
                    atoms_seen.add(id(atom))

    def own_parameter(self, atom: _Atom) -> bool:
        """Return whether the atom has a parameter that no other has."""
        return atom.kind in _PARAMETERS and self.parameters[atom.name] == 1

    def private(self, atom: _Atom) -> bool:
        """Return whether the atom has a parameter that no other has, and stands in one term."""
        return self.own_parameter(atom) and self.terms[id(atom)] == 1

    def sign_is_free(self, atom: _Atom) -> bool:
        """Return whether parameters can take up the sign of an atom, in all its places at once."""
        if atom.kind == "tanh":
            return self.all_free(atom.of[0])
        return self.scale_is_free(atom)

    def scale_is_free(self, atom: _Atom) -> bool:
        """Return whether parameters can take up what an atom is multiplied by: its own parameter,
        unless it is a bias that starts at a number. A tanh has no scale but 1."""
        return self.own_parameter(atom) and (atom.kind != "bias" or atom.start == 0)

    def all_free(self, value: _Polynomial) -> bool:
        """Return whether parameters that stand nowhere else can take up the sign of a polynomial.
        A bias may start at a number, which then changes its sign too."""

        def free(atom: _Atom) -> bool:
            if atom.kind == "bias":
                return self.private(atom) and isinstance(atom.start, int | float)
            return self.terms[id(atom)] == 1 and self.sign_is_free(atom)

        return bool(value.terms) and all(any(map(free, atoms)) for _, atoms in value.terms)


def _flip_choices(roots: _Roots) -> Iterator[frozenset[_Atom]]:
    """Yield which gates are turned round and which values get the other sign, in all ways. An atom
    that stands in one term has its sign taken up already."""
    where = _Occurrences(roots)
    free = [
        atom
        for atom in _all_atoms(roots)
        if (atom.kind == "sigmoid" and where.all_free(atom.of[0]))
        or (where.terms[id(atom)] > 1 and where.sign_is_free(atom))
    ]
    atoms = sorted(free, key=_order)[:_MOST_FLIPS]
    for chosen in product((False, True), repeat=len(atoms)):
        yield frozenset(atom for atom, flip in zip(atoms, chosen, strict=True) if flip)


def _flipped(roots: _Roots, flips: frozenset[_Atom], algebra: _Algebra) -> _Roots:
    """Return the polynomials with these atoms turned round: 1 - sigmoid(-a) for sigmoid(a), and
    other atoms with the other sign."""
    if not flips:
        return roots
    known: dict[int, _Polynomial] = {}

    def change(atom: _Atom) -> _Polynomial:
        of = [algebra.rebuilt(value, change, known) for value in atom.of]
        if atom in flips and atom.kind == "sigmoid":
            turned = algebra.value(algebra.atom("sigmoid", _negated(of[0], algebra)))
            return algebra.sum([(1.0, ()), *algebra.times(-1, turned).terms])
        same = algebra.value(algebra.atom(atom.kind, *of, name=atom.name, start=atom.start))
        return algebra.times(-1, same) if atom in flips else same

    return tuple(algebra.rebuilt(root, change, known) for root in roots)


def _negated(value: _Polynomial, algebra: _Algebra) -> _Polynomial:
    """Return a polynomial whose sign is free with the other sign: starts of biases change, and
    all else is taken up."""

    def other(atom: _Atom) -> _Atom:
        if atom.kind == "bias" and isinstance(atom.start, int | float) and atom.start:
            return algebra.atom("bias", name=atom.name, start=-atom.start)
        return atom

    return algebra.sum((number, tuple(map(other, atoms))) for number, atoms in value.terms)


def _normal(roots: _Roots, algebra: _Algebra) -> _Roots:
    """Return the polynomials without what parameters can take up."""
    for _ in range(_MOST_ROUNDS):
        smaller = _Absorbing(roots, algebra).absorbed()
        if smaller == roots:
            break
        roots = smaller
    return roots


class _Absorbing:
    """Leaves out once what parameters that stand nowhere else can take up."""

    def __init__(self, roots: _Roots, algebra: _Algebra) -> None:
        self.roots, self.algebra = roots, algebra
        self.where = _Occurrences(roots)
        self.known: dict[int, _Polynomial] = {}

    def absorbed(self) -> _Roots:
        """Return the smaller polynomials."""
        return tuple(map(self.of, self.roots))

    def of(self, value: _Polynomial) -> _Polynomial:
        """Return what is left of a polynomial."""
        if id(value) not in self.known:
            self.known[id(value)] = self._of(value)
        return self.known[id(value)]

    def _of(self, value: _Polynomial) -> _Polynomial:
        where, algebra = self.where, self.algebra
        terms: list[tuple[float, tuple[_Atom, ...]]] = []
        biases: list[_Atom] = []
        multiplied: set[int] = set()
        for coefficient, atoms in value.terms:
            changed = tuple(map(self._atom, atoms))
            alone = len(atoms) == 1 and where.private(atoms[0])
            if alone and atoms[0].kind == "bias" and isinstance(atoms[0].start, int | float):
                start = coefficient * atoms[0].start
                biases.append(algebra.atom("bias", name=atoms[0].name, start=start))
                continue
            if alone and atoms[0].kind == "product":
                of = changed[0].of[0]
                if id(of) in multiplied:
                    continue
                multiplied.add(id(of))
                if self._is_linear(atoms[0].of[0]):
                    terms += [(1.0, inner) for _, inner in of.terms]
                    continue
            once = [atom for atom in atoms if where.terms[id(atom)] == 1]
            number = coefficient
            if any(map(where.scale_is_free, once)):
                number = 1.0
            elif any(map(where.sign_is_free, once)):
                number = abs(coefficient)
            terms.append((number, changed))
        if biases:
            start = sum(float(bias.start) for bias in biases if isinstance(bias.start, int | float))
            terms.append((1.0, (algebra.atom("bias", name=biases[0].name, start=start),)))
        return algebra.sum(terms)

    def _is_linear(self, value: _Polynomial) -> bool:
        """Return whether a matrix in front makes no difference: all of it are products and biases
        that start at 0, which stand nowhere else."""
        return (
            bool(value.terms)
            and all(
                len(atoms) == 1
                and self.where.private(atoms[0])
                and (
                    atoms[0].kind == "product" or (atoms[0].kind == "bias" and atoms[0].start == 0)
                )
                for _, atoms in value.terms
            )
            and any(atoms[0].kind == "product" for _, atoms in value.terms)
        )

    def _atom(self, atom: _Atom) -> _Atom:
        of = tuple(map(self.of, atom.of))
        if atom.kind == "product" and self.where.own_parameter(atom) and of[0].terms:
            leading = of[0].terms[0][0]
            of = (self.algebra.times(1 / leading, of[0]),)
        return self.algebra.atom(atom.kind, *of, name=atom.name, start=atom.start)


def _orders(states: int) -> Iterator[tuple[int, ...]]:
    """Yield the orders that states may be numbered in."""
    if states > _MOST_STATES:
        yield tuple(range(states))
    else:
        yield from permutations(range(states))


def _text(roots: _Roots, starts: tuple[Start, ...], order: tuple[int, ...]) -> str:
    """Return the output, then each state in this order: a line for each polynomial, numbered as
    they occur, as parameters are."""
    numbers = {state: number for number, state in enumerate(order)}
    parameters: dict[str | int, str] = {}
    known: dict[int, str] = {}
    lines: list[str] = []

    def of_atom(atom: _Atom) -> str:
        if atom.kind == "state":
            return f"h{numbers[int(atom.name)]}"
        if atom.kind == "input":
            return "x"
        name = atom.kind
        if atom.kind in _PARAMETERS:
            letter = {"product": "W", "bias": "b", "vector": "v"}[atom.kind]
            name = parameters.setdefault(atom.name, f"{letter}{len(parameters)}")
        start = "" if atom.start == 0 else f"[{atom.start!r}]"
        return f"{name}{start}({', '.join(map(of, atom.of))})" if atom.of else f"{name}{start}"

    def of(value: _Polynomial) -> str:
        if id(value) not in known:
            terms = []
            for number, atoms in sorted(value.terms, key=term_key):
                factors = [] if number == 1 and atoms else [f"{number:g}"]
                terms.append("*".join([*factors, *map(of_atom, sorted(atoms, key=state_key))]))
            known[id(value)] = f"p{len(known)}"
            lines.append(f"{known[id(value)]} = {' + '.join(terms) or '0'}")
        return known[id(value)]

    def state_key(atom: _Atom) -> tuple[str, int, str]:
        state = numbers[int(atom.name)] if atom.kind == "state" else -1
        return atom.key, state, str(atom.name)

    def term_key(term: tuple[float, tuple[_Atom, ...]]) -> tuple[object, ...]:
        number, atoms = term
        states = sorted(numbers[int(atom.name)] for atom in atoms if atom.kind == "state")
        return [atom.key for atom in atoms], states, number, [str(atom.name) for atom in atoms]

    output, *new = roots
    ends = [f"y = {of(output)}"]
    for state in order:
        start = "" if starts[state] == 0 else f" from {starts[state]!r}"
        ends.append(f"h{numbers[state]} = {of(new[state])}{start}")
    return "\n".join([*lines, *ends])
