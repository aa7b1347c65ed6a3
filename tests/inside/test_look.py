"""What the page is told of a network."""

from typing import Any

import numpy as np
import pytest
import torch

import conveyor
from conveyor.errors import DataError, ShapeError
from conveyor.inside import look as looking
from conveyor.inside import measures, method
from conveyor.inside.compared import Compared, after_training, fresh, untrained
from conveyor.inside.look import Look, look
from conveyor.inside.sentences import StepTexts
from conveyor.inspect import gradient_by_distance
from conveyor.layers.state import main_output
from conveyor.pages.inside_data import page_data
from conveyor.pages.words import Words, same
from conveyor.tasks.read_sequence import ReadSequence
from tests import table

I, H = 2, 6  # noqa: E741


def seen(
    steps: int = 12,
    cell: Any = "lstm",
    *,
    units: int = H,
    say: Any = print,
    others: Any = None,
    **settings: Any,
) -> tuple[Look, Compared, ReadSequence]:
    """Look inside a fresh layer on a drawn sequence."""
    torch.manual_seed(0)
    layer = conveyor.Recurrent(cell, I, units, **settings).eval()
    x = torch.randn(steps, 1, I)
    read = ReadSequence(
        title=same("drawn"),
        inputs=x,
        labels=tuple(map(str, range(1, steps + 1))),
        answer=lambda output: output[-1].sum(-1),
        asked=Words("the sum", "tổng"),
        features={same("a"): tuple(x[:, 0, 0].tolist())},
    )
    network = Compared(after_training(layer.program), same(""), layer, x)
    others = untrained(layer, x) if others is None else others
    return look(read, network, others, settings="hidden = 6", say=say), network, read


def test_contributions_add_up_to_the_answer() -> None:
    view, network, read = seen()
    assert view.contributions is not None
    outputs = [
        read.answer(main_output(network.layer(x)[0])).detach() for x in (read.main, 0 * read.main)
    ]
    total = float(view.contributions.sum())
    assert total == pytest.approx(float(outputs[0] - outputs[1]), abs=1e-4)


def test_the_page_shows_every_local_name_of_every_layer() -> None:
    view, *_ = seen(num_layers=2)
    assert [layer.name.en for layer in view.page.layers] == ["1", "2"]
    for layer in view.page.layers:
        assert [one.name for one in layer.maps] == ["f", "i", "g", "o", "c", "h"]
        assert sorted(layer.units) == list(range(H))
        for one in layer.maps:
            assert one.values.shape == (12, H)


def test_units_stand_in_their_order_in_every_map() -> None:
    view, *_ = seen()
    layer, one = view.page.layers[0], view.overviews[0]
    for shown in layer.maps:
        np.testing.assert_array_equal(shown.values, one.values[shown.name][:, list(layer.units)])
    np.testing.assert_array_equal(layer.put_on, one.put_on.double()[:, list(layer.units)])


def test_the_share_of_a_gradient_begins_with_one() -> None:
    view, network, read = seen()
    assert [one.name.en for one in view.page.gradients] == [
        "LSTM after training", "LSTM before training", "GRU before training",
        "RNN (Elman) before training",
    ]  # fmt: skip
    for one in view.page.gradients:
        assert one.shares.shape == (12, 12)
        np.testing.assert_allclose(np.diagonal(one.shares), 1)
        assert not np.triu(one.shares, 1).any()
    norms = gradient_by_distance(network.layer, read.inputs, draws=2000).norms[0, False, "c"]
    expected = (norms / norms[0]).flip(0).numpy()
    # The last output's are exact; the 2,000 directions that they are compared with are not.
    np.testing.assert_allclose(view.page.gradients[0].shares[-1], expected, rtol=0.05, atol=1e-6)


def test_how_far_a_gradient_reaches() -> None:
    def reach(shares: list[float], share: float = 0.1) -> tuple[int, bool]:
        return measures.reach_of(np.array(shares), len(shares) - 1, share)

    assert reach([0.01, 0.02, 0.2, 0.5, 1]) == (2, False)
    assert reach([0.2, 0.02, 0.01, 0.5, 1]) == (4, True)
    assert reach([0.01, 0.01, 0.05, 0.05, 1]) == (0, False)
    assert reach([np.nan, 0.3, 0.4, 0.5, 1]) == (3, True)
    assert reach([1.0]) == (0, False)


def test_the_sentences_say_what_the_numbers_say() -> None:
    view, *_ = seen()
    one = view.overviews[0]
    sentences = [words.en for words in view.page.verdict]
    steps, farther = view.page.gradients[0].reach[-1][0]
    assert sentences[0].startswith(f"It looks back {'at least ' * farther}{steps} step")
    held = one.before.abs().sum(1)
    kept = {
        step: float((one.carried[step] * one.before[step]).abs().sum() / held[step])
        for step in range(12)
        if held[step] >= held.max() / 2
    }
    lowest = min(kept, key=lambda step: kept[step])
    assert sentences[1] == (
        f"It forgot most at step {lowest + 1}: there it kept {100 * kept[lowest]:.0f} % of its "
        f"cell state; the average is {100 * sum(kept.values()) / len(kept):.0f} %."
    )
    step = int(one.put_on.abs().mean(1).argmax()) + 1
    assert sentences[2] == f"It wrote most to its memory at step {step}."
    assert view.contributions is not None
    most = int(view.contributions.abs().argmax())
    change = "raised" if view.contributions[most] > 0 else "lowered"
    assert sentences[3] == f"The sum was {change} most by step {most + 1}."
    for words in view.page.verdict:
        assert words.vi
        assert words.vi != words.en


def test_how_far_it_looks_is_told_in_words_of_a_text() -> None:
    texts = StepTexts(range(14), "Trăm năm\ntrong", symbols=True)
    assert texts.last(5) == (", over ‘trong’ (1 word)", ", tức ‘trong’ (1 tiếng)")
    assert texts.last(0) == ("", "")
    assert StepTexts(range(3), "123", symbols=False).last(2).en == ""
    long = StepTexts(range(0, 100, 10), "a" * 100, symbols=True)
    assert long.last(99).en == f", over ‘…{'a' * 40}’ (1 word)"


def test_a_long_sequence_is_thinned_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "MOST_STEPS", 20)
    for module in (measures, method):
        monkeypatch.setattr(module, "BACK", 30)
        monkeypatch.setattr(module, "MOST_CONTRIBUTING", 50)
    said: list[str] = []
    view, *_ = seen(60, say=said.append)
    assert said == ["the sequence has 60 steps: 20 of them are shown, evenly apart"]
    assert len(view.page.steps) == 20
    assert view.page.steps[-1] == 59
    assert view.contributions is None
    assert len(view.page.labels) == len(view.page.features[same("a")]) == 20
    shares = view.page.gradients[0].shares
    assert np.isnan(shares[-1, 0])
    assert np.isfinite(shares[-1, -1])
    notes = " ".join(note.en for note in view.page.notes)
    for text in ("Of 60 steps 20 are shown", "30 steps back", "more than 50 steps"):
        assert text in notes


def test_the_steps_between_count_with_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, *_ = seen(60)
    monkeypatch.setattr(looking, "MOST_STEPS", 20)
    view, *_ = seen(60)
    assert whole.contributions is not None
    assert view.contributions is not None
    assert view.page.contributions is not None
    torch.testing.assert_close(view.contributions, whole.contributions)
    first, second = view.page.steps[:2]
    part = float(whole.contributions[first:second].sum())
    assert view.page.contributions[0] == pytest.approx(part)
    assert sum(view.page.contributions) == pytest.approx(float(whole.contributions.sum()))
    # The sentence names the step itself, shown or not.
    assert view.page.verdict[3] == whole.page.verdict[3]


@pytest.mark.parametrize("wrong", ["input", "weight"])
def test_numbers_that_are_not_finite_are_told_with_their_step(wrong: str) -> None:
    torch.manual_seed(0)
    layer, x = conveyor.Recurrent("lstm", I, H).eval(), torch.randn(9, 1, I)
    with torch.no_grad():
        if wrong == "input":
            x[4, 0, 1] = torch.nan
        else:
            layer.get_parameter("l0.b.g")[3] = torch.nan
    read = ReadSequence(same("a"), x, tuple("123456789"), lambda o: o[-1].sum(-1), same("b"))
    network = Compared(after_training(layer.program), same(""), layer, x)
    place = "step 5" if wrong == "input" else "step 1, in unit 3 of layer 1"
    with pytest.raises(DataError, match=rf"not finite\. The first is . = nan at {place}"):
        look(read, network, [], settings="", say=print)


def test_of_many_units_those_that_vary_most_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "MOST_UNITS", 8)
    view, *_ = seen(units=20)
    layer, one = view.page.layers[0], view.overviews[0]
    spread = one.values["c"].double().std(0, correction=0)
    assert set(layer.units) == set(spread.argsort(descending=True)[:8].tolist())
    assert layer.note is not None
    assert layer.note.en == "Of 20 units the 8 are shown that vary most."


def test_the_units_that_remember_are_the_slowest() -> None:
    view, *_ = seen(40)
    one, remembering = view.overviews[0], view.page.layers[0].remembering
    constants = one.time_constants.tolist()
    assert [unit.steps for unit in remembering] == sorted(constants, reverse=True)[:10]
    for unit in remembering:
        assert view.page.layers[0].units[unit.row] == unit.unit
        most = int(one.put_on[:, unit.unit].abs().argmax()) + 1
        assert f"step {most}" in unit.opens.en


def test_letters_of_the_equations_lead_to_maps() -> None:
    view, *_ = seen()
    for line in view.page.equations:
        assert line[0][1] == line[0][0]
    last = view.page.equations[-1]
    assert "".join(text for text, _ in last) == "h = o * tanh(c)"
    assert [name for _, name in last if name] == ["h", "o", "c"]
    assert ("h'", "h") in view.page.equations[0]


def test_a_few_numbers_of_a_step_are_lines() -> None:
    assert seen()[0].page.inputs is None


def test_many_numbers_of_a_step_are_a_map() -> None:
    torch.manual_seed(0)
    layer = conveyor.Recurrent("lstm", 10, H, batch_first=True).eval()
    x = torch.nn.functional.one_hot(torch.randint(10, (1, 7)), 10).float()
    read = ReadSequence(
        title=same("drawn"), inputs=x, labels=tuple("1234567"),
        answer=lambda output: output[:, -1].sum(-1), asked=same("sum"),
    )  # fmt: skip
    network = Compared(after_training(layer.program), same(""), layer, x)
    page = look(read, network, [], settings="", say=print).page
    assert page.inputs is not None
    np.testing.assert_array_equal(page.inputs.values, x[0].numpy())
    assert page.inputs.ends == (0, 1)


def test_a_cell_without_gates_has_a_page() -> None:
    view, *_ = seen(cell="rnn")
    assert [one.name for one in view.page.layers[0].maps] == ["h"]
    assert [one.name.en for one in view.page.gradients][2:] == [
        "LSTM before training", "GRU before training"
    ]  # fmt: skip
    assert not view.overviews[0].carried.any()


@pytest.mark.parametrize("case", table.MIDDLING, ids=lambda case: case.cell)
def test_every_cell_has_a_page(case: table.Case) -> None:
    """By its own local names, whatever they are."""
    layer, x = table.make_layer(case), table.make_input(case)[:, :1]
    read = ReadSequence(
        title=same("drawn"), inputs=x, labels=tuple(map(str, range(len(x)))),
        answer=lambda output: output[-1].sum(-1), asked=same("sum"),
    )  # fmt: skip
    network = Compared(after_training(layer.program), same(""), layer.eval(), x)
    with conveyor.use_target("reference"):  # compiling takes half a second for each cell
        view = look(read, network, [], settings="", say=print)
        trace = layer(x, trace=True)[2]
    names = {name for name in trace if trace[name].shape[-1] > 1}
    assert {one.name for one in view.page.layers[0].maps} == names
    assert all(one.title.en.startswith(f"{one.name}: ") for one in view.page.layers[0].maps)
    shares = view.page.gradients[0].shares
    # The output of a grid LSTM does not read the memory of its own step.
    whole = shares[1:].max(1) if case.cell == "grid_lstm" else shares.diagonal()
    np.testing.assert_allclose(whole, 1)
    page_data(view.page)  # is JSON


def test_a_sequence_of_one_step_has_a_page() -> None:
    view, *_ = seen(1)
    assert view.page.verdict[0].en.startswith("It looks back 0 steps")
    assert not any(
        "never change" in words.en or "forgot" in words.en for words in view.page.verdict
    )


def test_others_read_as_many_steps() -> None:
    layer = conveyor.Recurrent("gru", I, H)
    with pytest.raises(ShapeError, match="reads 12 steps and GRU before training 5"):
        seen(others=[fresh("gru", layer, torch.zeros(5, 1, I))])


def test_what_learned_nothing_is_the_same_each_time() -> None:
    layer = conveyor.Recurrent("lstm_projected", I, H, sizes={"P": 3})
    x = torch.zeros(5, 1, I)
    one, other = fresh("lstm_projected", layer, x), fresh("lstm_projected", layer, x)
    assert one.layer.sizes == layer.sizes
    for name, parameter in one.layer.named_parameters():
        torch.testing.assert_close(parameter, other.layer.get_parameter(name))
    before = torch.get_rng_state()
    fresh("gru", layer, x)
    assert torch.equal(before, torch.get_rng_state())
