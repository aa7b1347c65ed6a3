"""A stack of layers of any cell with attention around it, as one program: what a decoder computes
at a step. So machine code can run all steps of a target in one call.

The program's names begin with the number of a layer, ``l0_W.f``; those of attention do not. A
matrix of the first layer that reads [y; z] side by side is two here: ``l0_W.f`` reads y, the
symbol, and ``beside_l0_W.f`` reads z: what is looked at at this step, or, with input feeding, what
came of it at the step before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from conveyor.cells.operations import Axes
from conveyor.compiler.check import check_cell
from conveyor.compiler.first_layer import links
from conveyor.compiler.program import Leaf, LeafKind, Program, Result
from conveyor.compiler.rewrite import Builder

# Leaves besides those of the layers.
READ, MEMORY, KEYS, FED = "read", "memory", "keys", "fed"
OF_QUERY, V, OF_SEEN, OF_OUTPUT = "of_query", "v", "of_seen", "of_output"
SELECTOR, SELECTOR_BIAS = "selector", "selector_bias"
# What is asked for: the last layer's output, z of what was seen, the weights of places, and how
# much was looked.
OUTPUT, SEEN, WEIGHTS, GATE = "output", "seen", "weights", "gate"


def of_layer(number: int, name: str) -> str:
    """Return what a name of a layer's program is called."""
    return f"l{number}_{name}"


def beside(matrix: str) -> str:
    """Return what the part of a first layer's matrix is called that reads z."""
    return f"beside_{matrix}"


def mask(number: int) -> str:
    """Return what a layer's mask is called, which multiplies what it reads of the layer below."""
    return f"mask_{number}"


def reading_matrices(program: Program) -> tuple[str, ...] | None:
    """Return the matrices that multiply the first input; None where it is read otherwise, too, so
    that it cannot be taken apart, or where anything else has its axis."""
    first = program.leaves_of("input")[0]
    main = first.name
    matrices: list[str] = []
    for operation in program.operations:
        if main in operation.arguments:
            if operation.op != "matmul" or operation.arguments[0] == main:
                return None
            matrices.append(operation.arguments[0])
        elif operation.attribute == "I":  # how many features there are
            return None
    if any(result.value == main for result in program.results if result.role != "local"):
        return None
    wide = [leaf for leaf in program.leaves if "I" in leaf.axes and leaf is not first]
    if first.axes != ("I",) or {leaf.name for leaf in wide} != set(matrices):
        return None
    if any(leaf.kind != "matrix" or leaf.axes.count("I") > 1 for leaf in wide):
        return None
    return tuple(dict.fromkeys(matrices))


@dataclass
class _Writing:
    """The leaves and operations written so far."""

    leaves: list[Leaf] = field(default_factory=list)
    builder: Builder = field(default_factory=lambda: Builder({}))

    def leaf(self, name: str, kind: LeafKind, axes: Axes) -> str:
        """Write a leaf."""
        self.leaves.append(Leaf(name, kind, axes))
        self.builder.axes[name] = axes
        return name

    def layer(
        self,
        number: int,
        program: Program,
        read: str,
        others: Mapping[str, str],
        z: str = "",
    ) -> dict[str, str]:
        """Write a layer, and return what its names are called.

        Args:
            number: of the layer.
            program: of the layer.
            read: what it reads as its first input.
            others: what it reads as other inputs, by name.
            z: what it reads beside ``read``.
        """
        add, (wide,) = self.builder.add, self.builder.axes[read]

        def axis_of(axis: str) -> str:
            return wide if axis == "I" else f"l_{axis}"

        main = program.leaves_of("input")[0].name
        names = {main: read, **others}
        matrices = reading_matrices(program) or () if z else ()
        for leaf in program.leaves:
            if leaf.name in names:
                continue
            axes = tuple([axis_of(axis) for axis in leaf.axes])
            names[leaf.name] = self.leaf(of_layer(number, leaf.name), leaf.kind, axes)
            if leaf.name in matrices:
                self.leaf(beside(names[leaf.name]), "matrix", (axes[0], *self.builder.axes[z]))
        for operation in program.operations:
            name = "" if operation.name.startswith("%") else of_layer(number, operation.name)
            attribute = operation.attribute
            if isinstance(attribute, str):
                attribute = axis_of(attribute)
            arguments = [names[argument] for argument in operation.arguments]
            if operation.arguments[1:] == (main,) and operation.arguments[0] in matrices:
                other = add("matmul", beside(arguments[0]), z)
                made = add("add", add("matmul", *arguments), other, name=name)
            else:
                made = add(operation.op, *arguments, attribute=attribute, name=name)
            names[operation.name] = made
        return names

    def look(self, query: str, scoring: str) -> str:
        """Write attention from a query, and return the weighted mean of the memory."""
        add = self.builder.add
        if scoring == "concat":
            compared = add("tanh", add("add", add("matmul", OF_QUERY, query), KEYS))
            scores = add("total", add("mul", V, compared))
        else:
            scores = add("total", add("mul", query, MEMORY if scoring == "dot" else KEYS))
        weights = add("softmax", scores, name=WEIGHTS)
        return add("weighted_sum", weights, MEMORY)

    def gated(self, seen: str, query: str) -> str:
        """Write how much is looked, and return that much of what is seen."""
        add = self.builder.add
        read = add("add", add("matmul", SELECTOR, query), SELECTOR_BIAS)
        return add("mul", seen, add("total", add("sigmoid", read, name=GATE)))


def attending(
    layers: Sequence[Program],
    scoring: str,
    *,
    feeds: bool,
    gates: bool = False,
    drops: bool = False,
) -> Program | None:
    """Return the program of a decoder's step; None where the first layer reads its input otherwise
    than by matrices, which cannot be taken apart, and where a layer's output is one number.

    Args:
        layers: the programs of the layers, from the first to the last.
        scoring: see ``networks.Attention``.
        feeds: whether attention is from the new output, and what comes of it is read at the next
            step (Luong et al. 2015, input feeding); otherwise it is from the old output, and what
            is seen is read at this step (Bahdanau et al. 2015).
        gates: whether the old output says how much is looked (Xu et al. 2015); without ``feeds``.
        drops: whether there are masks between layers.
    """
    outputs_of = [next(iter(each.values_of("output").values())) for each in layers]
    axes_of = [each.axes[name] for each, name in zip(layers, outputs_of, strict=True)]
    if reading_matrices(layers[0]) is None or any(len(axes) != 1 for axes in axes_of):
        return None
    writing = _Writing()
    leaf, add = writing.leaf, writing.builder.add
    query_axes = tuple([f"l_{axis}" for axis in axes_of[-1]])
    seen_axis = query_axes[0] if scoring == "dot" else "Seen"
    compared = ("Compared",) if scoring == "concat" else query_axes
    read = leaf(READ, "input", ("Read",))
    leaf(MEMORY, "memory", ("Places", seen_axis))
    if scoring != "dot":
        leaf(KEYS, "memory", ("Places", *compared))
    if scoring == "concat":
        leaf(OF_QUERY, "matrix", (*compared, *query_axes))
        leaf(V, "vector", compared)
    if feeds:
        leaf(OF_SEEN, "matrix", ("Fed", seen_axis))
        leaf(OF_OUTPUT, "matrix", ("Fed", *query_axes))
        z = leaf(f"{FED}'", "state", ("Fed",))
    else:
        query = leaf(f"{FED}'", "state", query_axes)  # it need not be the old h
        z = writing.look(query, scoring)
        if gates:
            leaf(SELECTOR, "matrix", ("Gate", *query_axes))
            leaf(SELECTOR_BIAS, "bias", ("Gate",))
            z = writing.gated(z, query)
    results: list[Result] = []
    above: dict[str, str] = {}
    for number, program in enumerate(layers):
        names = writing.layer(number, program, read, above, "" if number else z)
        for of, value in program.values_of("state").items():
            results.append(Result("state", of_layer(number, of), names[value]))
        outputs = {name: names[value] for name, value in program.values_of("output").items()}
        read = output = next(iter(outputs.values()))
        if number + 1 < len(layers):
            linked = links(layers[number + 1])
            others = [each.name for each in layers[number + 1].leaves_of("input")[1:]]
            above = {name: outputs[linked[name]] for name in others}
            if drops:
                axes = writing.builder.axes[read]
                read = add("mul", read, leaf(mask(number + 1), "input", axes))
    if feeds:
        seen = writing.look(output, scoring)
        both = add("add", add("matmul", OF_SEEN, seen), add("matmul", OF_OUTPUT, output))
        fed = add("tanh", both, name=FED)
        results.append(Result("state", FED, fed))
        results.append(Result("output", OUTPUT, fed))
    else:
        results.append(Result("state", FED, output))
        results += [Result("output", OUTPUT, output), Result("output", SEEN, z)]
        if gates:
            results.append(Result("output", GATE, GATE))
    results.append(Result("local", WEIGHTS, WEIGHTS))
    program = Program(
        f"{'luong' if feeds else 'bahdanau'}_{layers[0].name}",
        "",
        "",
        tuple(writing.leaves),
        tuple(writing.builder.operations),
        tuple(results),
    )
    return check_cell(program)
