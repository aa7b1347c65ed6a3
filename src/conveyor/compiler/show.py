"""A cell as text for people: equations, LaTeX, program, gradient, plan, cost."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from itertools import count

from conveyor.cells.blocks import Blocks
from conveyor.cells.cell_registry import find
from conveyor.cells.definition import Cell
from conveyor.cells.operations import EPSILON
from conveyor.compiler.cost import cost
from conveyor.compiler.delays import dependent
from conveyor.compiler.first_layer import first_layer, links
from conveyor.compiler.plan import Pass, Plan, Pointwise, Product, Stage, plan
from conveyor.compiler.program import (
    SIGNS,
    Operation,
    Program,
    Result,
    literals,
    number_text,
    spelled,
)
from conveyor.compiler.rewrite import renamed
from conveyor.compiler.trace import trace
from conveyor.errors import SettingError, did_you_mean

# How tightly an operation binds, for parentheses; what is missing binds as a name does.
_BINDS = {"add": 1, "sub": 1, "mul": 2, "div": 2, "matmul": 2, "weighted_sum": 2, "neg": 3}


def program_of(cell: str | Cell | Program) -> Program:
    """The program of a cell given by name, as a cell or already as a program.

    Raises:
        UnknownCellError: no cell has that name.
        SettingError: it is none of these.
    """
    if isinstance(cell, Program):
        return cell
    if isinstance(cell, str):
        return trace(find(cell))
    if not isinstance(cell, Cell):
        raise SettingError(
            f"{cell!r} is no cell; expected a cell's name, a function under @cell, or a program."
        )
    return trace(cell)


# An unnamed value of more uses and a longer text than this gets a line of its own.
_INLINE = 30


# Writes an operation; its arguments come with the parentheses that they need, and bare.
_Write = Callable[[Operation, list[str], list[str]], str]


def _named_as_results(program: Program) -> Program:
    """The program in which new states and outputs bear their names, and nothing else does: a
    regulariser leaves the name h to what h was before it."""
    results = program.values_of("state") | program.values_of("output")
    free = (f"%{n}" for n in count(1) if f"%{n}" not in program.axes)
    names = {
        o.name: next(free) for o in program.operations if results.get(o.name, o.name) != o.name
    }
    for of, value in results.items():
        if value.startswith("%") and value not in names:
            names[value] = of
    return renamed(program, names)


def _nested(
    program: Program,
    write: _Write,
    symbol: Callable[[str], str],
    numbers: str,
) -> list[str]:
    """An equation for every named value, unnamed values written out in it; then for every state
    and output that is a value of another name, as in m = h'. Of a step it says the ``numbers``."""
    texts: dict[str, tuple[str, int]] = {}
    lines: list[str] = []
    uses = Counter(a for o in program.operations for a in o.arguments)
    uses.update(result.value for result in program.results)
    for operation in program.operations:
        binds = _BINDS.get(operation.op, 9)
        arguments, bare = [], []
        for place, argument in enumerate(operation.arguments):
            text, tightness = texts.get(argument, (symbol(argument), 9))
            loose = tightness < binds or (tightness == binds and place == 1)
            arguments.append(f"({text})" if loose and binds < 9 else text)
            bare.append(text)
        if operation.op == "to_places" and operation.name.startswith("%"):
            # A vector that meets each place is written as it is.
            (vector,) = operation.arguments
            texts[operation.name] = texts.get(vector, (symbol(vector), 9))
            continue
        counts = operation.name in program.counters
        text = numbers if counts else write(operation, arguments, bare)
        short = uses[operation.name] < 2 or len(text) <= _INLINE
        if operation.name.startswith("%") and short:
            texts[operation.name] = text, binds
        else:
            lines.append(f"{symbol(operation.name)} = {text}")
    for of, value in (program.values_of("state") | program.values_of("output")).items():
        if value != of and of not in program.past:
            text, _ = texts.get(value, (symbol(value), 9))
            lines.append(f"{symbol(of)} = {text}")
    return lines


def equations(program: Program) -> str:
    """The equations of one step, one line per named value; h' is h of the step before. Outputs are
    listed where they are not the first state alone."""
    program = _named_as_results(program)

    def write(operation: Operation, arguments: list[str], bare: list[str]) -> str:
        match operation.op:
            case "constant":
                return number_text(operation.attribute)
            case "width" if operation.attribute not in program.axes:
                return str(operation.attribute)
            case "places":
                with_places = (m.name for m in program.memories if m.axes[0] == operation.attribute)
                return f"places({next(with_places)})"
            case _:
                return spelled(operation, dict(zip(operation.arguments, arguments, strict=True)))

    before = {f"{name}'": f"{of}[{steps}]" for name, (of, steps) in program.past.items()}
    lines = _nested(program, write, lambda name: before.get(name, name), "0, 1, 2, ...")
    outputs = list(program.values_of("output"))
    if outputs != list(program.values_of("state"))[:1]:
        lines += [f"output {name}" for name in outputs]
    by_blocks: dict[Blocks, list[str]] = {}
    for name, blocks in program.blocks:
        by_blocks.setdefault(blocks, []).append(name)
    lines += [f"{', '.join(names)}: {blocks}" for blocks, names in by_blocks.items()]
    return "\n".join(lines)


def _symbol(
    name: str,
    parameters: set[str],
    counters: Collection[str],
    past: Mapping[str, tuple[str, int]],
    index: Mapping[str, str],
) -> str:
    """A name as LaTeX: W.f → W_f, h' → h_{t-1}, h_2' → h_{t-2}, f → f_t, long words upright. A
    counter of steps has no index: it is the t of others. What has places has the one of
    ``index``."""

    def word(text: str) -> str:
        return text if len(text) == 1 else rf"\mathrm{{{text.replace('_', ' ')}}}"

    if name.endswith("'") and name[:-1] in past:
        of, steps = past[name[:-1]]
        return word(of) + f"_{{t-{steps}}}"
    if name.removesuffix("'") in counters:
        return word(name) if name in counters else f"({word(name[:-1])} - 1)"
    if name in parameters:
        family, _, gate = name.partition(".")
        letter, _, index_of_family = family.partition("_")
        if len(letter) == 1 and index_of_family and not gate:  # W_a
            return f"{letter}_{{{word(index_of_family)}}}"
        return word(family) + (f"_{{{word(gate)}}}" if gate else "")
    if name.startswith("%"):
        return rf"v_{{{name[1:]},t}}"
    if name.endswith("'"):
        return word(name[:-1]) + "_{t-1}"
    if name in index:
        return word(name) + f"_{{{index[name]}}}"
    return word(name) + "_t"


def _index_of_places(program: Program) -> dict[str, str]:
    """Return the index in LaTeX of what has places: j, the place, behind t where it changes from
    step to step."""
    if not program.memories:
        return {}
    changing = dependent(program, [leaf.name for leaf in program.leaves_of("input", "state")])
    return {
        name: "t,j" if name in changing else "j"
        for name, axes in program.axes.items()
        if program.places.intersection(axes)
    }


_LATEX_FUNCTIONS = {
    "sigmoid": r"\sigma",
    "tanh": r"\tanh",
    "exp": r"\exp",
    "log": r"\log",
    "relu": r"\mathrm{relu}",
    "maximum": r"\max",
    "minimum": r"\min",
    "greater": r"\mathrm{greater}",
    "softmax": r"\mathrm{softmax}",
    "mod": r"\operatorname{mod}",
    "largest": r"\max",
}


# With the arguments in their places.
_LATEX_FORMS = {
    "places": "j",
    "div": r"\frac{{{}}}{{{}}}",
    "sqrt": r"\sqrt{{{}}}",
    "equal": "[{} = {}]",
    "floor": r"\lfloor {} \rfloor",
}


def latex(program: Program) -> str:
    """The equations of one step as a LaTeX ``align`` environment."""
    program = _named_as_results(program)
    parameters = {leaf.name for leaf in program.stored}
    constants = set(literals(program.operations))
    index = _index_of_places(program)

    def write(operation: Operation, arguments: list[str], bare: list[str]) -> str:
        # A minus behind a sign, or behind a product's thin space, is another sum.
        texts = [
            f"({text})" if place and operation.op in SIGNS and text.startswith("-") else text
            for place, text in enumerate(arguments)
        ]
        match operation.op:
            case "constant":
                return number_text(operation.attribute)
            case "width":
                return str(operation.attribute)
            case "add" | "sub":
                return f" {SIGNS[operation.op]} ".join(texts)
            case "mul":
                numbers = constants.intersection(operation.arguments)
                return (r" \, " if numbers else r" \odot ").join(texts)
            case "matmul" | "weighted_sum":
                return r"\sum_j " * (operation.op == "weighted_sum") + " ".join(texts)
            case op if op in _LATEX_FORMS:
                return _LATEX_FORMS[op].format(*bare)
            case "neg":
                return f"-{texts[0]}"
            case "total":
                unit = "k" if operation.name in index else "j"
                return rf"\sum_{unit} \left({texts[0]}\right)_{unit}"
            case "spread":
                return texts[0]
            case "normalise":
                value, *over = bare
                behind = f"; {', '.join(over)}" if over else ""
                small = operation.attribute
                mark = "" if small == EPSILON else rf"_{{\epsilon = {number_text(small)}}}"
                return rf"\mathrm{{normalise}}{mark}({value}{behind})"
            case _:
                place = "_j" * (operation.op == "softmax" and operation.name in index)
                return rf"{_LATEX_FUNCTIONS[operation.op]}{place}({', '.join(texts)})"

    counters = program.counters
    lines = _nested(
        program,
        write,
        lambda name: _symbol(name, parameters, counters, program.past, index),
        r"0, 1, 2, \ldots",
    )
    aligned = " \\\\\n  ".join(line.replace(" = ", " &= ", 1) for line in lines)
    return f"\\begin{{align}}\n  {aligned}\n\\end{{align}}"


def _stage(stage: Stage, constants: Mapping[str, str]) -> list[str]:
    def stacked(names: tuple[str, ...]) -> str:
        return names[0] if len(names) == 1 else f"[{'; '.join(names)}]"

    match stage:
        case Product("matmul", results, matrices, (operand,)):
            return [f"{stacked(results)} = {stacked(matrices)} @ {operand}"]
        case Product("matmul_t", results, matrices, vectors):
            return [f"{results[0]} = {stacked(matrices)}ᵀ @ {stacked(vectors)}"]
        case Product("outer", results, _, (*lefts, right)):
            return [f"{stacked(results)} = {stacked(tuple(lefts))} ⊗ {right}"]
        case Pointwise(operations):
            shown = [o for o in operations if o.name not in constants]
            return [f"{o.name} = {spelled(o, dict(constants))}" for o in shown]
    raise AssertionError(stage)


def plan_text(planned: Plan) -> str:
    """The plan: what is done before, in and after each loop, and what is kept."""
    lines = [f"plan of {planned.program.name}"]

    def write(done: Pass, program: Program, loop: str) -> None:
        constants = literals(program.operations)
        for title, stages in (
            ("once, for the places of the memory", done.once),
            ("before the loop, for all T steps at once", done.before),
            (loop, done.loop),
            ("after the loop, for all T steps at once", done.after),
        ):
            body = [line for stage in stages for line in _stage(stage, constants)]
            if body:
                lines.append(f"  {title}")
                lines.extend(f"    {line}" for line in body)

    write(planned.forward, planned.program, "each step, from the first to the last")
    if planned.program.memories:
        if isinstance(planned.apart, str):
            lines.append("  the backward pass is left to autograd")
            return "\n".join(lines)
        lines.append("  the loop apart from what is done once, as machine code runs it")
        outside = {**planned.apart.memories, **planned.apart.inputs}
        lines += [f"    {name} = {of}" for name, of in outside.items() if name != of]
        planned = planned.loop
    costs = cost(planned)
    lines.append("  kept for the backward pass, at every step")
    lines.append(f"    {', '.join(planned.kept)}: {costs.kept} numbers")
    write(planned.backward, planned.gradient, "each step, from the last to the first")
    return "\n".join(lines)


# A float32 takes 4 bytes.
BYTES = 4


def cost_text(planned: Plan, sizes: Mapping[str, int]) -> str:
    """Costs as formulas and, where all sizes are given, as numbers. T steps and B examples
    (1 and 1 unless given) multiply all but the parameters."""
    costs = cost(planned)
    repeats = sizes.get("T", 1) * sizes.get("B", 1)
    rows = [
        ("parameters", costs.parameters, 1),
        ("multiply-adds once", costs.once, sizes.get("B", 1)),
        ("multiply-adds forward", costs.multiply_adds, repeats),
        ("pointwise forward", costs.pointwise, repeats),
        ("  of these exp, tanh, ...", costs.transcendental, repeats),
        ("multiply-adds backward", costs.backward_multiply_adds, repeats),
        ("pointwise backward", costs.backward_pointwise, repeats),
        ("kept bytes (float32)", costs.kept, repeats * BYTES),
    ]
    if planned.program.memories:  # autograd has the backward pass
        rows = rows[:5]
    if not costs.once.terms:
        del rows[1]
    lines = [f"cost of {planned.program.name}"]
    given = bool(sizes.keys() - {"T", "B"})
    if given:
        lines[0] += " at " + ", ".join(f"{axis} = {size}" for axis, size in sizes.items())
    for title, formula, factor in rows:
        per_step = {"parameters": "", "multiply-adds once": "B·"}.get(title, "T·B·")
        scale = f"{BYTES}·" if "bytes" in title else ""
        shown = f"{formula}" if not per_step + scale else f"{per_step}{scale}({formula})"
        number = f"{formula.at(sizes) * factor:>14,}  = " if given else ""
        lines.append(f"  {title:<26} {number}{shown}")
    return "\n".join(lines)


def _projecting(program: Program) -> Program:
    """Return what the first layer computes of x in place of what a layer below would give."""
    of_first, linked = first_layer(program), links(program)
    return replace(
        of_first,
        leaves=tuple([leaf for leaf in of_first.leaves if leaf.kind != "state"]),
        operations=of_first.operations[: len(linked)],
        results=tuple([Result("local", name, name) for name in linked]),
    )


KINDS = ("equations", "latex", "program", "gradient", "plan", "cost")


def show(cell: str | Cell | Program, kind: str = "equations", **sizes: int) -> str:
    """A cell as text.

    Args:
        cell: a built-in cell's name, a cell, or a program.
        kind: ``"equations"`` (h' is h of the step before), ``"latex"``, ``"program"`` (one
            operation a line), ``"gradient"`` (the program of one step backwards), ``"plan"``
            (what is done when, what is kept) or ``"cost"``.
        sizes: for ``"cost"``: the widths by axis letter, as in ``I=1, H=50``, and T steps and
            B examples.

    Raises:
        UnknownCellError: no cell has that name.
        SettingError: ``kind`` is unknown, or a size is missing or not above 0.
    """
    if kind not in KINDS:
        raise SettingError(f"a cell cannot be shown as {kind!r}. {did_you_mean(str(kind), KINDS)}")
    program = program_of(cell)
    axes = program.size_letters | program.places | {"T", "B"}
    for axis, size in sizes.items():
        if axis not in axes:
            raise SettingError(f"{program.name} has no axis {axis}. {did_you_mean(axis, axes)}")
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise SettingError(f"the size {axis} = {size!r} is not above 0, or no whole number.")
    match kind:
        case "equations" | "latex":
            write = equations if kind == "equations" else latex
            if not links(program):
                return write(program)
            return f"{write(program)}\n\nin the first layer:\n{write(_projecting(program))}"
        case "program":
            return str(program)
    planned = plan(program)
    match kind:
        case "gradient":
            return str(planned.gradient)
        case "plan":
            return plan_text(planned)
    return cost_text(planned, sizes)
