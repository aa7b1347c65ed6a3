"""The plan does what the program says: by golden text, and by running its stages."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from hypothesis import assume, given, note
from torch import Tensor

import conveyor
from conveyor.cells import CELLS, Cell, Input, Matrix, State, Value, cell, tanh, total
from conveyor.compiler.first_layer import first_layer, links
from conveyor.compiler.plan import Pass, Plan, Pointwise, Product, Stage, plan
from conveyor.compiler.program import Program
from conveyor.compiler.simplify import without_bias
from conveyor.compiler.trace import trace
from conveyor.errors import CellError, ProgramError, SettingError
from conveyor.kernels.reference import evaluate
from tests.compiler.examples import (
    ALL_CELLS,
    BATCH,
    PROGRAMS,
    WIDTHS,
    Values,
    assert_equal,
    drawn_cells,
    drawn_examples,
    like,
    moderate,
    numbers_for,
    plan_of,
    run,
    shape_of,
)
from tests.kinds import LAW_CELLS, LONG

STEPS = 4
# Float64 on both sides; joined products and reordered sums round otherwise.
BOUND = 1e-10

Golden = Callable[[str], None]


@pytest.mark.parametrize("kind", ["program", "gradient", "plan"])
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_text(golden: Golden, name: str, kind: str) -> None:
    golden(conveyor.show(name, kind))


@pytest.mark.parametrize("name", ["qrnn_f", "qrnn_fo", "qrnn_ifo"])
def test_the_loop_of_a_qrnn_forgets_and_adds_and_does_no_more(name: str) -> None:
    """The gates see the input of the step before through states; both are known before."""
    planned = plan(trace(CELLS[name]))
    forwards, backwards = (
        [o.op for stage in done.loop if isinstance(stage, Pointwise) for o in stage.operations]
        for done in (planned.forward, planned.backward)
    )
    assert sorted(forwards) == ["add", "mul"]
    assert set(backwards) == {"add", "mul"}
    before = conveyor.show(name, "plan").split("each step,")[0]
    assert "    zx' = delay(zx)\n" in before
    assert "f = sigmoid(" in before
    after = conveyor.show(name, "plan").split("after the loop")[-1]
    assert "    ∂zx@next = delay(∂zx')\n" in after


# An interpreter of plans ---------------------------------------------------------------------


def _joined(tensors: list[Tensor], dim: int) -> Tensor:
    """Matrices or vectors, one above the other; vectors that are the same for every example are
    repeated for it."""
    widest = max(each.dim() for each in tensors)
    full = [each.expand(BATCH, -1) if each.dim() < widest else each for each in tensors]
    return torch.cat(full, dim)


def _do_product(stage: Product, values: Values, width: Callable[[str], int]) -> None:
    """Word for word what ``Product``'s docstring says."""
    matrices = [values[name] for name in stage.matrices]
    match stage.kind:
        case "matmul":
            (operand,) = (values[name] for name in stage.vectors)
            stacked = operand @ torch.cat(matrices).T
            axis = -1
        case "matmul_t":
            vectors = _joined([values[name] for name in stage.vectors], -1)
            stacked = vectors @ torch.cat(matrices)
            axis = -1
        case "outer":
            assert not matrices
            *lefts, right = (values[name] for name in stage.vectors)
            left = _joined(lefts, -1)
            stacked = left.unsqueeze(-1) * right.unsqueeze(-2)
            axis = -2
    assert len(stage.results) == 1 or stage.kind != "matmul_t"
    rows = [width(name) for name in stage.results]
    values.update(zip(stage.results, torch.split(stacked, rows, axis), strict=True))


def do_stages(stages: Iterable[Stage], values: Values, program: Program) -> None:
    """Do stages in order at one time step."""
    for stage in stages:
        if isinstance(stage, Product):
            _do_product(stage, values, lambda name: WIDTHS[program.axes[name][0]])
        else:
            evaluate(stage.operations, values, WIDTHS, torch.zeros((), dtype=torch.float64))


def do_everywhere(
    stages: Iterable[Stage], at: list[Values], program: Program, begin: Values
) -> None:
    """Do stages at all time steps at once, which are given in the order of the pass. What is
    delayed is what it was in the step before; ``begin`` is what it is in the first."""
    for stage in stages:
        parts: list[Stage] = [stage]
        if isinstance(stage, Pointwise):
            parts = [Pointwise((operation,)) for operation in stage.operations]
        for part in parts:
            if isinstance(part, Pointwise) and part.operations[0].op == "delay":
                (operation,) = part.operations
                before = begin[operation.name]
                for values in at:
                    values[operation.name] = before
                    before = values[operation.arguments[0]]
            else:
                for values in at:
                    do_stages([part], values, program)


@dataclass(frozen=True)
class Sequence:
    """What a run over a sequence starts from and gets from above."""

    parameters: Values
    inputs: list[Values]
    start: Values  # by state, without prime
    upstream: list[Values]  # of the outputs, by output
    final_upstream: Values  # of the states after the last step, by state


def draw_sequence(program: Program) -> Sequence:
    """Random numbers for all of it."""
    source = torch.Generator().manual_seed(7)

    def drawn(names: dict[str, str]) -> Values:
        after = run(program, numbers_for(program))
        return {of: like(source, BATCH, after[value].shape[-1]) for of, value in names.items()}

    states, outputs = program.values_of("state"), program.values_of("output")
    return Sequence(
        {leaf.name: like(source, *shape_of(leaf)) for leaf in program.stored},
        [
            {leaf.name: like(source, *shape_of(leaf)) for leaf in program.leaves_of("input")}
            for _ in range(STEPS)
        ],
        {
            leaf.name.removesuffix("'"): like(source, *shape_of(leaf))
            for leaf in program.leaves_of("state")
        },
        [drawn(outputs) for _ in range(STEPS)],
        drawn(states),
    )


def primed(state: Values) -> Values:
    return {f"{name}'": each for name, each in state.items()}


def by_plan(planned: Plan, data: Sequence) -> Values:
    """Outputs, final states and every gradient, as the two passes of the plan give them.

    A stage before the loop sees no state that the loop carries; the backward pass sees what the
    plan keeps."""
    forward, backward = planned.program, planned.gradient
    new = forward.values_of("state")
    carried = [of for of in new if of not in planned.delayed]
    at = [{**data.parameters, **data.inputs[t]} for t in range(STEPS)]
    do_everywhere(planned.forward.before, at, forward, primed(data.start))
    state = {of: data.start[of] for of in carried}
    for values in at:
        values.update(primed(state))
        do_stages(planned.forward.loop, values, forward)
        state = {of: values[new[of]] for of in carried}
    state |= {of: at[-1][new[of]] for of in planned.delayed}
    for values in at:
        do_stages(planned.forward.after, values, forward)
    found = {
        f"output {of} at {t}": at[t][name]
        for t in range(STEPS)
        for of, name in forward.values_of("output").items()
    }
    found |= {f"final {name}": each for name, each in state.items()}

    down = [
        {
            **data.parameters,
            **{name: at[t][name] for name in planned.kept},
            **{f"∂{of}@out": each for of, each in data.upstream[t].items()},
        }
        for t in range(STEPS)
    ]
    for values in down:
        do_stages(planned.backward.before, values, backward)
    arriving = {of: data.final_upstream[of] for of in carried}
    gradients = backward.values_of("gradient")
    for values in reversed(down):
        values.update({f"∂{of}@next": each for of, each in arriving.items()})
        do_stages(planned.backward.loop, values, backward)
        arriving = {of: values[gradients[f"{of}'"]] for of in carried}
    last = {f"∂{of}@next": each for of, each in data.final_upstream.items()}
    do_everywhere(planned.backward.after, down[::-1], backward, last)
    for leaf in forward.leaves:
        if leaf.kind == "constant":
            continue
        shares = [values[gradients[leaf.name]] for values in down]
        if leaf.kind == "state":
            found[f"gradient of {leaf.name}"] = shares[0]
        elif leaf.kind == "input":
            found |= {f"gradient of {leaf.name} at {t}": each for t, each in enumerate(shares)}
        else:
            whole = (BATCH, *(WIDTHS[axis] for axis in leaf.axes))
            summed = torch.stack([each.expand(whole) for each in shares]).sum((0, 1))
            found[f"gradient of {leaf.name}"] = summed
    return found


def by_program(program: Program, data: Sequence) -> Values:
    """The same of the program itself, step by step, with gradients by autograd."""
    leaves: Values = {f"gradient of {name}": each for name, each in data.parameters.items()}
    leaves |= {f"gradient of {name}'": each for name, each in data.start.items()}
    leaves |= {
        f"gradient of {name} at {t}": each
        for t in range(STEPS)
        for name, each in data.inputs[t].items()
    }
    watched = {name: each.clone().requires_grad_() for name, each in leaves.items()}
    state = {name: watched[f"gradient of {name}'"] for name in data.start}
    found, terms = {}, []
    for t in range(STEPS):
        values = run(
            program,
            {
                **{name: watched[f"gradient of {name}"] for name in data.parameters},
                **{name: watched[f"gradient of {name} at {t}"] for name in data.inputs[t]},
                **primed(state),
            },
        )
        for of, name in program.values_of("output").items():
            found[f"output {of} at {t}"] = values[name]
            terms.append((values[name] * data.upstream[t][of]).sum())
        state = {of: values[name] for of, name in program.values_of("state").items()}
    for name, each in state.items():
        found[f"final {name}"] = each
        terms.append((each * data.final_upstream[name]).sum())
    whole = torch.stack(terms).sum()
    shares = torch.autograd.grad(whole, list(watched.values()), allow_unused=True)
    zeros = (torch.zeros_like(each) for each in watched.values())
    constants = {f"gradient of {leaf.name}" for leaf in program.leaves_of("constant")}
    found |= {
        name: zero if share is None else share
        for name, share, zero in zip(watched, shares, zeros, strict=True)
        if name not in constants
    }
    return found


def compare_plan(program: Program, planned: Plan) -> None:
    """A run by the plan gives what a run by the program gives: every result, by name."""
    data = draw_sequence(program)
    got, want = by_plan(planned, data), by_program(program, data)
    assert got.keys() == want.keys()
    for name, each in want.items():
        assert_equal(got[name], each, BOUND, name)


@pytest.mark.parametrize("name", ALL_CELLS)
def test_plan_gives_what_the_program_gives(name: str) -> None:
    compare_plan(PROGRAMS[name], plan_of(PROGRAMS[name]))


@pytest.mark.parametrize("name", ALL_CELLS)
def test_plan_of_the_cell_without_bias(name: str) -> None:
    program = without_bias(PROGRAMS[name])
    compare_plan(program, plan_of(program))


@pytest.mark.parametrize("shared", [False, True], ids=["own-weights", "shared-weights"])
def test_plan_of_a_drawn_cell(shared: bool) -> None:
    @drawn_examples(75 if shared else 150, shrink=False)
    @given(drawn_cells(shared))
    def compare(made: Cell) -> None:
        program = trace(made)
        note(str(program))
        assume(moderate(program, numbers_for(program)))
        data = draw_sequence(program)
        reached = by_program(program, data).values()
        assume(all(float(each.detach().abs().max()) < 1e6 for each in reached))
        compare_plan(program, plan_of(program))

    compare()


# Laws ----------------------------------------------------------------------------------------


def produced(stages: Iterable[Stage]) -> list[str]:
    """Every name that stages make, as often as they do."""
    found: list[str] = []
    for stage in stages:
        made = stage.operations if not isinstance(stage, Product) else ()
        found += stage.results if isinstance(stage, Product) else [o.name for o in made]
    return found


def read(stages: Iterable[Stage]) -> set[str]:
    """Every name that stages read."""
    found: set[str] = set()
    for stage in stages:
        if isinstance(stage, Product):
            found.update(stage.matrices, stage.vectors)
        else:
            found.update(a for o in stage.operations for a in o.arguments)
    return found


def all_stages(done: Pass) -> tuple[Stage, ...]:
    return done.before + done.loop + done.after


def summed_away(program: Program, done: Pass) -> set[str]:
    """Transposed products and their sums that a joined product takes the place of."""
    joined = {
        name
        for stage in all_stages(done)
        if isinstance(stage, Product) and stage.kind == "matmul_t"
        for name in stage.results
    }
    by_name = {o.name: o for o in program.operations}
    away: set[str] = set()
    waiting = [by_name[name] for name in joined if by_name[name].op == "add"]
    while waiting:
        for argument in waiting.pop().arguments:
            away.add(argument)
            if by_name[argument].op == "add":
                waiting.append(by_name[argument])
    return away


def compare_stages(program: Program, done: Pass) -> None:
    """Every operation is in exactly one stage, but for constants, which each phase has its own
    of, and for terms of joined products."""
    constants = {o.name for o in program.operations if o.op in ("constant", "width")}
    late = {
        o.name
        for stage in all_stages(done)
        if isinstance(stage, Pointwise)
        for o in stage.operations
        if o.op == "delay"
    }
    once = [name for name in produced(all_stages(done)) if name not in constants | late]
    wanted = [o.name for o in program.operations if o.name not in constants]
    away = summed_away(program, done)
    assert sorted([*once, *away]) == sorted(wanted)


@pytest.mark.parametrize("name", ALL_CELLS)
def test_every_operation_is_in_exactly_one_stage(name: str) -> None:
    planned = plan_of(PROGRAMS[name])
    compare_stages(planned.program, planned.forward)
    compare_stages(planned.gradient, planned.backward)


def carried_states(planned: Plan) -> set[str]:
    """The leaves of the states that the loop carries."""
    states = {leaf.name for leaf in planned.program.states}
    return states - {f"{of}'" for of in planned.delayed}


def made_of(program: Program, names: set[str]) -> set[str]:
    """All names whose value depends on one of these."""
    found = set(names)
    for operation in program.operations:
        if found & {*operation.arguments}:
            found.add(operation.name)
    return found


@pytest.mark.parametrize("name", ALL_CELLS)
def test_nothing_before_the_loop_depends_on_a_state(name: str) -> None:
    planned = plan_of(PROGRAMS[name])
    dependent = made_of(planned.program, carried_states(planned))
    assert not dependent & {*produced(planned.forward.before), *read(planned.forward.before)}


@pytest.mark.parametrize("name", ALL_CELLS)
def test_all_that_can_be_done_before_the_loop_is(name: str) -> None:
    planned = plan_of(PROGRAMS[name])
    constants = {o.name for o in planned.program.operations if o.op in ("constant", "width")}
    late = {*produced(planned.forward.loop + planned.forward.after)} - constants
    dependent = made_of(planned.program, carried_states(planned))
    assert late <= dependent


@pytest.mark.parametrize("name", ALL_CELLS)
def test_no_loop_carries_what_is_a_value_one_step_late(name: str) -> None:
    """The new value of every state that is carried is made of one that is."""
    planned = plan_of(PROGRAMS[name])
    dependent = made_of(planned.program, carried_states(planned))
    new = planned.program.values_of("state")
    assert {of for of in new if new[of] not in dependent} == {*planned.delayed}


@pytest.mark.parametrize("name", ALL_CELLS)
def test_nothing_in_a_loop_could_be_done_after_it(name: str) -> None:
    """What is in the loop leads to a state that the next step reads."""
    planned = plan_of(PROGRAMS[name])
    gradients = planned.gradient.values_of("gradient")
    carried = {gradients[name] for name in carried_states(planned)}
    new = planned.program.values_of("state")
    kept_going = {new[name.removesuffix("'")] for name in carried_states(planned)}
    for program, done, carries in (
        (planned.program, planned.forward, kept_going),
        (planned.gradient, planned.backward, carried),
    ):
        needed = set(carries)
        for operation in reversed(program.operations):
            if operation.name in needed:
                needed.update(operation.arguments)
        assert set(produced(done.loop)) <= needed


@pytest.mark.parametrize("name", ALL_CELLS)
def test_kept_is_exactly_what_the_backward_pass_reads(name: str) -> None:
    planned = plan_of(PROGRAMS[name])
    backward = all_stages(planned.backward)
    outside = {leaf.name for leaf in planned.gradient.leaves_of("upstream")}
    outside |= {leaf.name for leaf in planned.program.stored}
    assert set(planned.kept) == read(backward) - set(produced(backward)) - outside
    assert len(set(planned.kept)) == len(planned.kept)


@pytest.mark.parametrize("name", ALL_CELLS)
def test_weight_gradients_are_never_made_in_the_loop(name: str) -> None:
    planned = plan_of(PROGRAMS[name])
    kinds = {s.kind for s in planned.backward.loop if isinstance(s, Product)}
    assert "outer" not in kinds


@pytest.mark.parametrize("name", ALL_CELLS)
def test_products_of_one_operand_in_one_phase_are_joined(name: str) -> None:
    planned = plan_of(PROGRAMS[name])
    for done in (planned.forward, planned.backward):
        for phase in (done.before, done.loop, done.after):
            operands = [
                (s.kind, s.vectors[-1])
                for s in phase
                if isinstance(s, Product) and s.kind != "matmul_t"
            ]
            assert len(operands) == len(set(operands))


@pytest.mark.parametrize("name", ALL_CELLS)
def test_a_plan_has_every_local_value_of_the_cell(name: str) -> None:
    """What a trace shows, under names that are letters again or that no operation bears."""
    program, planned = PROGRAMS[name], plan_of(PROGRAMS[name]).program
    values = numbers_for(program)
    wanted, got = run(program, values), run(planned, values)
    assert planned.values_of("local").keys() == program.values_of("local").keys()
    for local, value in program.values_of("local").items():
        assert_equal(got[planned.values_of("local")[local]], wanted[value], BOUND, local)


def test_equal_programs_have_equal_plans() -> None:
    first, second = (plan(trace(ALL_CELLS["lstm"])) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)


def test_a_gradient_cannot_be_planned() -> None:
    planned = plan(PROGRAMS["lstm"])
    with pytest.raises(ProgramError):
        plan(planned.gradient)


def test_a_plan_is_made_of_plans_own_program() -> None:
    """What the operations of the stages are called is what the program calls them."""
    planned = plan(PROGRAMS["gru_reset_before"])
    names = {o.name for o in planned.program.operations}
    assert set(produced(all_stages(planned.forward))) == names


# Cells at the edge of the language, as layers ------------------------------------------------


@cell
def number_output(x: Input, h: State, W: Matrix) -> tuple[Value, ...]:
    """The output is one number for each example."""
    h = tanh(W @ x + h)
    return h, total(h)


def make_layer(program: Program) -> conveyor.Recurrent:
    plan_of(program)  # so that a plan without end fails here
    axes = {axis for leaf in program.leaves for axis in leaf.axes} - {"I", "H"}
    sizes = {axis: WIDTHS[axis] for axis in axes}
    names = [leaf.name for leaf in first_layer(program).leaves_of("input")]
    widths = {leaf.name: WIDTHS[leaf.axes[0]] for leaf in first_layer(program).leaves_of("input")}
    return conveyor.Recurrent(
        program,
        widths if len(names) > 1 else WIDTHS["I"],
        WIDTHS["H"],
        sizes=sizes,
        dtype=torch.float64,
    )


def by_layer(program: Program, data: Sequence) -> Values:
    """As ``by_program``, of the program's layer."""
    layer = make_layer(program)
    names = layer._output_names
    parameters: Values = {n.removeprefix("l0."): each for n, each in layer.named_parameters()}
    constants: Values = {n.removeprefix("l0."): each for n, each in layer.named_buffers()}
    constants.pop("_nowhere")
    assert {*parameters, *constants} == data.parameters.keys()
    with torch.no_grad():
        for name, each in (parameters | constants).items():
            each.copy_(data.parameters[name])
    inputs = [
        {name: values.clone().requires_grad_() for name, values in at_step.items()}
        for at_step in data.inputs
    ]

    def outputs_of(output: Any) -> Values:
        return dict(zip(names, output if len(names) > 1 else [output], strict=True))

    start = {name: each.clone().requires_grad_() for name, each in data.start.items()}
    state = type(layer.start(BATCH))(**{name: each.unsqueeze(0) for name, each in start.items()})
    x = {name: torch.stack([at_step[name] for at_step in inputs]) for name in inputs[0]}
    output, final = layer(x, state)
    outputs = outputs_of(output)
    found = {f"output {name} at {t}": outputs[name][t] for name in names for t in range(STEPS)}
    found |= {f"final {name}": each[0] for name, each in final._asdict().items()}
    stepped, after = layer.step(inputs[0], state)
    for name, values in outputs_of(stepped).items():
        found[f"output {name} at 0 by step"] = values
    assert [each.shape for each in after] == [each.shape for each in state]
    terms = [(outputs[n][t] * data.upstream[t][n]).sum() for n in names for t in range(STEPS)]
    terms += [(found[f"final {n}"] * each).sum() for n, each in data.final_upstream.items()]
    watched = {f"gradient of {name}": each for name, each in parameters.items()}
    watched |= {f"gradient of {name}'": each for name, each in start.items()}
    for t, at_step in enumerate(inputs):
        watched |= {f"gradient of {name} at {t}": values for name, values in at_step.items()}
    shares = torch.autograd.grad(
        torch.stack(terms).sum(), list(watched.values()), allow_unused=True
    )
    for (name, each), share in zip(watched.items(), shares, strict=True):
        found[name] = torch.zeros_like(each) if share is None else share
    return found


def compare_layer(program: Program) -> None:
    """A layer's outputs, final state and gradients are those of the program, step by step."""
    of_first = first_layer(program)
    data = draw_sequence(of_first)
    read_above = set(links(program).values()) - {next(iter(program.values_of("output")))}
    upstream = [
        {of: torch.zeros_like(v) if of in read_above else v for of, v in values.items()}
        for values in data.upstream
    ]
    data = replace(data, upstream=upstream)
    want = by_program(of_first, data)
    for name, each in by_layer(program, data).items():
        if name.startswith(("output", "final")):
            assert each.shape[:-1] == (BATCH,), name
        assert_equal(each, want[name.removesuffix(" by step")], BOUND, name)


SELDOM = ("input_as_state", "no_parameters")


@pytest.mark.parametrize("name", [name for name in ALL_CELLS if name not in SELDOM])
def test_a_layer_runs_the_program(name: str) -> None:
    # Compiling takes half a second: that machine code does what the reference does is tested of
    # every program in tests/kernels/test_llvm.py.
    with conveyor.use_target("llvm" if name in LAW_CELLS else "reference"):
        compare_layer(PROGRAMS[name])


@pytest.mark.parametrize("name", [*SELDOM, "number_output"])
def test_a_layer_runs_what_is_seldom_or_is_refused_when_made(name: str) -> None:
    """Never does a layer break on its first input."""
    program = trace(number_output) if name == "number_output" else PROGRAMS[name]
    try:
        make_layer(program)
    except SettingError:
        return
    compare_layer(program)


@pytest.mark.parametrize(
    ("state", "matrix"),
    [
        ("h", "half.f"),  # torch.nn.Module has a method of that name
        ("h", "W.half"),
        ("h", "training.f"),
        ("h", "forward"),
        ("h", "W._f"),
        ("h", "l0"),
        ("_h", "W"),  # no name for a field of a named tuple
        ("count", "W"),
        ("ĥ", "Ŵ.é"),
    ],
)
def test_a_layer_of_awkward_letters_runs_or_is_refused_when_made(state: str, matrix: str) -> None:
    names = {name: getattr(conveyor.cells, name) for name in conveyor.cells.__all__}
    family = matrix.partition(".")[0]
    source = (
        f"@cell\ndef awkward(x: Input, {state}: State, {family}: Matrix):\n"
        f"    {state} = tanh({matrix} @ x + {state})\n    return {state}\n"
    )
    try:
        exec(source, names)
        program = trace(names["awkward"])
        make_layer(program)
    except (CellError, SettingError):
        return
    compare_layer(program)


@drawn_examples(50 if LONG else 20, shrink=False)
@given(drawn_cells(shared=False))
def test_a_layer_runs_a_drawn_cell(made: Cell) -> None:
    program = trace(made)
    note(str(program))
    first = next(iter(program.values_of("output").values()))
    # What is one number, or as wide as the input, has tests of its own above.
    assume(program.axes[first] and program.axes[first] != ("I",))
    assume(moderate(program, numbers_for(program)))
    compare_layer(program)
