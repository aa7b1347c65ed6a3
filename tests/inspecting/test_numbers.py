"""Gradients by distance, contributions, first values that are no numbers, spectra."""

from typing import Any

import pytest
import torch
from torch import Tensor

import conveyor
from conveyor import inspect
from conveyor.errors import SettingError, ShapeError
from tests.layers.named import draw

T, B, I, H = 7, 3, 4, 5  # noqa: E741


def a_layer(cell: str = "lstm", **settings: Any) -> conveyor.Recurrent:
    torch.manual_seed(0)
    return conveyor.Recurrent(cell, I, H, dtype=torch.float64, **settings)


# Gradients by distance ----------------------------------------------------------------------------


def elman_by_hand(layer: conveyor.Recurrent, x: Tensor) -> list[Tensor]:
    """The states of an Elman network, as nodes of one graph."""
    own = dict(layer.get_submodule("l0").named_parameters())
    h, nodes = x.new_zeros(x.shape[1], H), []
    for x_t in x:
        h = (x_t @ own["W"].T + h @ own["U"].T + own["b"]).tanh()
        nodes.append(h)
    return nodes


def test_norms_are_those_of_the_derivatives_of_an_unrolled_loop() -> None:
    layer, x = a_layer("rnn"), draw(T, B, I, seed=1)
    answer = inspect.gradient_by_distance(layer, x, at=4, draws=4000)
    nodes = elman_by_hand(layer, x)
    for distance in range(5):
        squares = torch.zeros(B, dtype=torch.float64)
        for unit in range(H):
            (gradient,) = torch.autograd.grad(
                nodes[4][:, unit].sum(), [nodes[4 - distance]], retain_graph=True
            )
            squares += (gradient**2).sum(-1)
        # 4000 directions: the mean of squares is right to some percent.
        want = squares.mean().sqrt()
        torch.testing.assert_close(answer.norms[0, False, "h"][distance], want, rtol=0.05, atol=0.0)


def test_a_loss_of_the_users_own() -> None:
    layer, x = a_layer("rnn"), draw(T, B, I, seed=1)
    got = inspect.gradient_by_distance(layer, x, loss=lambda h: (h**2).sum())
    nodes = elman_by_hand(layer, x)
    gradients = torch.autograd.grad((nodes[-1] ** 2).sum(), nodes)
    want = torch.stack([(each**2).sum(-1).mean().sqrt() for each in reversed(gradients)])
    torch.testing.assert_close(got.norms[0, False, "h"], want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("first", [False, True])
def test_stacks_and_layouts(first: bool) -> None:
    layer = a_layer(num_layers=2, batch_first=first)
    x = draw(T, B, I, seed=1)
    norms = inspect.gradient_by_distance(layer, x.transpose(0, 1) if first else x).norms
    assert list(norms) == [(n, False, name) for n in range(2) for name in ("h", "c")]
    assert all(each.shape == (T,) and each.dtype == torch.float64 for each in norms.values())
    assert norms[1, False, "h"][0] > 0


def test_nothing_is_left_of_a_net_that_forgets() -> None:
    """With its matrix 0.01 times an orthogonal one, an Elman network forgets in one step; with the
    identity, without input, a net of relu forgets nothing."""
    forgets = a_layer("rnn")
    with torch.no_grad():
        forgets.get_parameter("l0.U").mul_(0.01)
    x = draw(T, B, I, seed=1)
    assert inspect.gradient_by_distance(forgets, x).horizon() == 0
    assert inspect.gradient_by_distance(forgets, x).horizon(share=1e-3) == 1
    keeps = a_layer("rnn_relu", init="irnn")
    with torch.no_grad():
        keeps.get_parameter("l0.b").fill_(0.1)
    norms = inspect.gradient_by_distance(keeps, torch.zeros_like(x))
    assert norms.horizon(share=0.99) == T - 1


def test_masks_and_modes_stay_as_they_are() -> None:
    layer, x = a_layer(zoneout=0.5, num_layers=2, dropout=0.5), draw(T, B, I, seed=1)
    one = inspect.gradient_by_distance(layer, x).norms[0, False, "c"]
    two = inspect.gradient_by_distance(layer, x).norms[0, False, "c"]
    torch.testing.assert_close(one, two, rtol=0, atol=0)
    assert layer.training
    assert all(parameter.grad is None for parameter in layer.parameters())
    with torch.no_grad():
        layer.requires_grad_(False)
        assert torch.equal(inspect.gradient_by_distance(layer, x).norms[0, False, "c"], one)


@pytest.mark.parametrize("at", [0, 2, -1])
def test_the_reverse_direction_is_followed_towards_the_end(at: int) -> None:
    """It is a layer of its own that reads the sequence backwards."""
    both, x = a_layer(bidirectional=True), draw(T, B, I, seed=1)
    place = at % T
    for reverse, suffix, read in ((False, "", x), (True, "_reverse", x.flip(0))):
        alone = a_layer()
        names = dict(both.named_parameters())
        with torch.no_grad():
            for name, parameter in alone.named_parameters():
                parameter.copy_(names[name.replace("l0.", f"l0{suffix}.")])
        part = slice(H, None) if reverse else slice(0, H)

        def loss(output: Tensor, part: slice = part) -> Tensor:
            return output[:, part].pow(2).sum()

        norms = inspect.gradient_by_distance(both, x, at=at, loss=loss)
        expected = inspect.gradient_by_distance(
            alone, read, at=T - 1 - place if reverse else place, loss=lambda o: o.pow(2).sum()
        )
        for state in ("h", "c"):
            got = norms.norms[0, reverse, state]
            assert len(got) == (T - place if reverse else place + 1)
            torch.testing.assert_close(got, expected.norms[0, False, state])
        assert norms.horizon(0, "c", reverse=reverse) == expected.horizon(0, "c")


def test_what_has_no_distances() -> None:
    x = draw(T, B, I, seed=1)
    with pytest.raises(SettingError, match="at is 7; the sequences have 7 steps"):
        inspect.gradient_by_distance(a_layer(), x, at=7)
    with pytest.raises(SettingError, match="Linear has no trace"):
        inspect.gradient_by_distance(torch.nn.Linear(4, 4), x)  # type: ignore[arg-type]
    norms = inspect.gradient_by_distance(a_layer(), x)
    with pytest.raises(SettingError, match="share is 0"):
        norms.horizon(share=0)
    with pytest.raises(SettingError, match=r"no state m in layer 0\. There are: layer 0: h"):
        norms.horizon(state="m")
    with pytest.raises(
        SettingError, match=r"no state c in layer 0 reverse\. There are: layer 0: h"
    ):
        norms.horizon(state="c", reverse=True)


# Contributions ------------------------------------------------------------------------------------


def an_answer(layer: conveyor.Recurrent, *, first: bool = False) -> Any:
    def answer(x: Tensor) -> Tensor:
        output, _ = layer(x)
        last = output[:, -1] if first else output[-1]
        return torch.tanh(last.sum(-1)) + (x**2).sum((1, 2) if first else (0, 2))

    return answer


@pytest.mark.parametrize("first", [False, True])
def test_integrated_gradients_add_up_to_the_answer(first: bool) -> None:
    """Completeness: Sundararajan, Taly & Yan 2017, proposition 1."""
    layer = a_layer(batch_first=first)
    x, origin = draw(T, B, I, seed=1), draw(T, B, I, seed=2)
    if first:
        x, origin = x.transpose(0, 1), origin.transpose(0, 1)
    answer = an_answer(layer, first=first)
    for baseline in (0.0, origin):
        parts = inspect.contributions(
            answer, x, baseline=baseline, steps_axis=int(first), points=40
        )
        assert parts.shape == x.shape
        whole = answer(x) - answer(torch.zeros_like(x) + baseline)
        total = parts.sum((1, 2) if first else (0, 2))
        torch.testing.assert_close(total, whole.detach(), rtol=1e-9, atol=1e-9)


def test_of_a_linear_answer_all_methods_say_the_same() -> None:
    weights, x = draw(T, B, I, seed=5), draw(T, B, I, seed=1)

    def answer(x: Tensor) -> Tensor:
        return (weights * x).sum((0, 2))

    want = weights * x
    torch.testing.assert_close(inspect.contributions(answer, x), want)
    torch.testing.assert_close(inspect.contributions(answer, x, method="gradient"), want)
    occluded = inspect.contributions(answer, x, method="occlusion")
    torch.testing.assert_close(occluded, want.sum(-1))
    turned = inspect.contributions(
        lambda x: answer(x.transpose(0, 1)), x.transpose(0, 1), method="occlusion", steps_axis=1
    )
    torch.testing.assert_close(turned, want.sum(-1).T)


def test_contributions_that_cannot_be_asked_for() -> None:
    x, answer = draw(T, B, I, seed=1), an_answer(a_layer())
    with pytest.raises(SettingError, match=r"method is 'integratd'\. Did you mean 'integrated'"):
        inspect.contributions(answer, x, method="integratd")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="points"):
        inspect.contributions(answer, x, points=0)
    with pytest.raises(ShapeError, match="Embed symbols"):
        inspect.contributions(answer, torch.zeros(T, B, dtype=torch.int64))
    with pytest.raises(ShapeError, match=r"the answer is \[\]; expected one number for each seq"):
        inspect.contributions(lambda x: x.sum(), x)


# Numbers that are none ----------------------------------------------------------------------------


def test_the_first_value_that_is_no_number() -> None:
    layer, x = a_layer(num_layers=2), draw(T, B, I, seed=1)
    assert inspect.first_not_finite(layer, x) is None
    x[4, 1, 2] = float("nan")
    found = inspect.first_not_finite(layer, x)
    assert found is not None
    assert found[:2] + found[3:6] == (0, False, 4, 1, 0)
    assert found.name in ("f", "i")  # gates are the first equations
    with torch.no_grad():
        layer.get_parameter("l1.b.g")[3] = float("inf")
        layer.get_parameter("l1.b.i")[3] = float("nan")
    found = inspect.first_not_finite(layer, draw(T, B, I, seed=1))
    assert found is not None
    assert (found.layer, found.name, found.step, found.unit) == (1, "i", 0, 3)


def test_backwards_the_last_step_comes_first() -> None:
    layer, x = a_layer(bidirectional=True), draw(T, B, I, seed=1)
    with torch.no_grad():
        layer.get_parameter("l0_reverse.W.f").mul_(float("inf"))
    found = inspect.first_not_finite(layer, x)
    assert found is not None
    assert (found.reverse, found.step, found.sequence) == (True, T - 1, 0)


# Spectra ------------------------------------------------------------------------------------------


def test_of_orthogonal_matrices_all_is_one() -> None:
    spectra = inspect.spectra(a_layer(num_layers=2, bidirectional=True))
    assert len(spectra) == 4 * 4
    assert {each.matrix for each in spectra} == {"U.f", "U.i", "U.g", "U.o"}
    for each in spectra:
        assert each.radius == pytest.approx(1)
        assert each.norm == pytest.approx(1)


def test_radius_and_norm_are_not_the_same() -> None:
    layer = a_layer("rnn")
    with torch.no_grad():
        matrix = layer.get_parameter("l0.U")
        matrix.zero_()
        matrix[0, 1] = 3.0  # nilpotent: it forgets in two steps, and can triple before
    (spectrum,) = inspect.spectra(layer)
    assert spectrum.radius == pytest.approx(0)
    assert spectrum.norm == pytest.approx(3)
    assert spectrum.can_explode()
    assert not spectrum.vanishes()
    assert not spectrum.can_explode(slope=0.25)
    assert spectrum.vanishes(slope=0.25)
    with pytest.raises(SettingError, match="slope is 0"):
        spectrum.vanishes(0)


def test_gradients_vanish_as_the_norm_says() -> None:
    """‖∂h_T/∂h_t‖ ≤ η^(T-t) of spectral norms, so the Frobenius norm is at most √H as much."""
    layer, x = a_layer("rnn"), draw(40, B, I, seed=1)
    with torch.no_grad():
        layer.get_parameter("l0.U").mul_(0.9)
    (spectrum,) = inspect.spectra(layer)
    assert spectrum.vanishes()
    norms = inspect.gradient_by_distance(layer, x, draws=64).norms[0, False, "h"]
    bound = H**0.5 * spectrum.norm ** torch.arange(40, dtype=torch.float64)
    assert (norms <= 1.3 * bound).all()  # 64 directions
    assert norms[39] < 0.05 * norms[0]
