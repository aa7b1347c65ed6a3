"""Every equation of a step is printed: the printed text alone computes what the cell does."""

# ruff: noqa: RET504  (h = ...; return h, as in a paper)

import numpy as np
import pytest

import conveyor
from conveyor.cells import Input, Matrix, State, Value, cell
from conveyor.compiler.first_layer import first_layer, links
from conveyor.compiler.program import Program
from conveyor.compiler.regularise import Regularisers, regularised
from conveyor.compiler.show import equations, latex
from conveyor.compiler.simplify import simplify, without_bias
from conveyor.compiler.trace import trace
from tests.compiler.examples import PROGRAMS, numbers_for, run
from tests.compiler.printed import ODD, stepped


def assert_printed_whole(program: Program) -> None:
    """The printed text computes every new state and every output, of one example at a time."""
    batch = numbers_for(program, seed=3)
    wanted = run(program, batch)
    kinds = {leaf.name: leaf.kind for leaf in program.leaves}
    text = equations(program)
    for example in range(2):
        leaves = {
            name: (each[example] if kinds[name] in ("input", "state") else each).numpy()
            for name, each in batch.items()
        }
        values, outputs = stepped(text, leaves)
        states = program.values_of("state")
        for name in program.past:  # which has no equation
            del states[name]
        assert (outputs or list(states)[:1]) == list(program.values_of("output"))
        for of, value in (*states.items(), *program.values_of("output").items()):
            want = wanted[value]
            alike = want.ndim < 2 or kinds.get(value) in ("bias", "vector")
            # Float64, and sums of at most four products, in one order or another.
            np.testing.assert_allclose(
                values[of] + np.zeros(()),
                (want if alike else want[example]).numpy().reshape(np.shape(values[of])),
                rtol=1e-11,
                atol=1e-12,
                err_msg=of,
            )


ALL: dict[str, Program] = {
    **PROGRAMS,
    **{f"{name}, first layer": first_layer(p) for name, p in PROGRAMS.items() if links(p)},
    **{name: trace(made) for name, made in ODD.items()},
}


@pytest.mark.parametrize("name", ALL)
def test_a_step_is_computed_from_its_printed_equations_alone(name: str) -> None:
    assert_printed_whole(ALL[name])


@pytest.mark.parametrize("name", ALL)
def test_a_rewritten_program_is_printed_whole(name: str) -> None:
    assert_printed_whole(simplify(ALL[name]))
    assert_printed_whole(without_bias(ALL[name]))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ALL)
def test_a_regularised_program_is_printed_whole(name: str, training: bool) -> None:
    """With zoneout or clipping the new h is another value than what the body calls h."""
    states = [state for state in ALL[name].values_of("state") if state not in ALL[name].counters]
    for how in (
        Regularisers(zoneout=((tuple(states[:1]), 0.25),)),
        Regularisers(clip=tuple((state, 0.125) for state in states)),
        Regularisers(zoneout=((tuple(states[:1]), 0.25),), clip=((states[0], 0.125),)),
    ):
        program = regularised(ALL[name], how, training=training)
        assert_printed_whole(program)


@pytest.mark.parametrize("name", ALL)
def test_latex_has_an_equation_for_all_that_the_text_has(name: str) -> None:
    lines = [line for line in equations(ALL[name]).splitlines() if " = " in line]
    rows = latex(ALL[name]).splitlines()[1:-1]
    # Values without names may get a line of their own in one of them only: lengths differ.
    assert len([row for row in rows if not row.startswith("  v_{")]) == len(
        [line for line in lines if not line.startswith("%")]
    )


def test_copied_states_in_latex() -> None:
    assert latex(trace(ODD["chain"])).splitlines()[1:-1] == [
        r"  h_t &= \tanh(W x_t + \mathrm{m2}_{t-1}) \\",
        r"  \mathrm{m3}_t &= \mathrm{m2}_{t-1} \\",
        r"  \mathrm{m1}_t &= h_{t-1} \\",
        r"  \mathrm{m2}_t &= \mathrm{m1}_{t-1}",
    ]


def test_what_the_first_layer_reads_is_in_latex_too() -> None:
    text = conveyor.show("lstm_depth_gated", "latex")
    assert text.count(r"\begin{align}") == 2
    assert text.endswith("\\begin{align}\n  \\mathrm{c below}_t &= P x_t\n\\end{align}")


def test_a_minus_behind_a_sign_has_parentheses_in_latex() -> None:
    @cell
    def signs(x: Input, h: State, W: Matrix) -> Value:
        a = h * -2
        b = 2 * -(W @ x)
        h = a - -b
        return h

    assert latex(trace(signs)).splitlines()[1:-1] == [
        r"  a_t &= h_{t-1} \, (-2) \\",
        r"  b_t &= 2 \, (-(W x_t)) \\",
        r"  h_t &= a_t - (-b_t)",
    ]


def test_a_minus_in_front_has_no_parentheses_in_latex() -> None:
    @cell
    def begins(x: Input, h: State, W: Matrix) -> Value:
        h = -h + W @ x
        return h

    assert latex(trace(begins)).splitlines()[1:-1] == [r"  h_t &= -h_{t-1} + W x_t"]


def test_a_long_value_that_a_state_becomes_is_written_once() -> None:
    """Zoneout of h reads it, and c becomes it: it has two uses, so it gets a line of its own."""
    how = Regularisers(zoneout=((("h",), 0.25),))
    text = latex(regularised(trace(ODD["two_states_of_one_value"]), how, training=True))
    assert text.count(r"\tanh") == 1
