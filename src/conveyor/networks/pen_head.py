"""A head for the movements of a pen: where it goes next, as a mixture of Gaussians, and whether it
is lifted there (Graves 2013, Generating sequences with recurrent neural networks, section 4.1)."""

from dataclasses import dataclass
from math import log, pi

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from conveyor.errors import SettingError
from conveyor.layers.checks import check_whole
from conveyor.networks.output_heads import Head
from conveyor.networks.random_numbers import chosen, normal, uniform

# A correlation stays so far from -1 and 1, where all points of a line would have an infinite
# density.
MOST_CORRELATED = 1 - 1e-4
# A component is no narrower than this, in units of the offsets' deviation. Pens and screens have a
# grid: without a bound an offset that repeats would have an infinite density, and the loss would be
# about the grid instead of the hand.
NARROWEST = 0.1


@dataclass(frozen=True, eq=False)
class PenMixture:
    """What a pen may do next.

    Attributes:
        log_weights: of the components, [..., M], logarithms that sum up to a probability of 1.
        means: of the components, [..., M, 2].
        log_deviations: of the components, [..., M, 2].
        correlations: of both directions in each component, [..., M].
        lift: the logit of lifting the pen, [...].
    """

    log_weights: Tensor
    means: Tensor
    log_deviations: Tensor
    correlations: Tensor
    lift: Tensor


class PenHead(Head):
    """A mixture of Gaussians of two dimensions and a logit.

    Targets are [..., 3]: the offset in both directions, with about deviation 1, and 1 where the pen
    is lifted after it, else 0.

    Args:
        features: what it reads of a step.
        components: of the mixture.
        narrowest: least standard deviation of a component, above 0.
        dropout: probability of dropping a feature, in training.

    Raises:
        SettingError: an argument is out of its range.
    """

    def __init__(
        self,
        features: int,
        components: int = 20,
        *,
        narrowest: float = NARROWEST,
        dropout: float = 0.0,
    ) -> None:
        check_whole(components=components)
        if not 0 < narrowest <= 1:
            raise SettingError(f"narrowest is {narrowest}; expected a number above 0, 1 at most.")
        super().__init__(features, 6 * components + 1, dropout=dropout)
        self.components, self.narrowest = components, float(narrowest)

    def mixture(self, outputs: Tensor, bias: float = 0.0) -> PenMixture:
        """Return what outputs of the head say.

        Args:
            outputs: what the head gave, [..., 6 * components + 1].
            bias: 0 for what was learned. The larger it is, the narrower are the components, and the
                more the likeliest of them are preferred (equations 61 and 62); so is what the pen
                more likely does, to be lifted or not, which the paper leaves as it is.

        Raises:
            SettingError: the bias is below 0.
        """
        if not bias >= 0:
            raise SettingError(f"bias is {bias}; expected 0 or more.")
        count = self.components
        weights, means, deviations, correlations, lift = torch.split(
            outputs, [count, 2 * count, 2 * count, count, 1], -1
        )
        shape = (*outputs.shape[:-1], count, 2)
        narrowest = deviations.new_tensor(log(self.narrowest))
        return PenMixture(
            (weights * (1 + bias)).log_softmax(-1),
            means.reshape(shape),
            # log(exp(s) + narrowest), which has a gradient everywhere.
            torch.logaddexp(deviations - bias, narrowest).reshape(shape),
            MOST_CORRELATED * correlations.tanh(),
            lift.squeeze(-1) * (1 + bias),
        )

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the nats of each movement, [...]: minus the logarithm of its density, in units of
        the offsets, times the probability of lifting the pen or not (equation 26)."""
        offset, lifted = targets[..., :2], targets[..., 2]
        mixture = self.mixture(outputs)
        density = (mixture.log_weights + log_densities(mixture, offset)).logsumexp(-1)
        return binary_cross_entropy_with_logits(mixture.lift, lifted, reduction="none") - density

    def draw(self, outputs: Tensor, bias: float = 0.0, *, generator: torch.Generator) -> Tensor:
        """Return a movement drawn from each mixture, [..., 3].

        Args:
            outputs: what the head gave, [..., 6 * components + 1].
            bias: see ``mixture``.
            generator: draws.
        """
        mixture = self.mixture(outputs, bias)
        flat = mixture.log_weights.exp().reshape(-1, self.components)
        component = chosen(flat, generator).view(*outputs.shape[:-1], 1)
        pair = component.unsqueeze(-1).expand(*component.shape, 2)
        mean = mixture.means.gather(-2, pair).squeeze(-2)
        deviation = mixture.log_deviations.gather(-2, pair).squeeze(-2).exp()
        correlation = mixture.correlations.gather(-1, component).squeeze(-1)
        one, two = normal((2, *mean.shape[:-1]), mean, generator)
        rest = ((1 - correlation) * (1 + correlation)).sqrt()
        noise = torch.stack([one, correlation * one + rest * two], -1)
        chance = uniform(mean.shape[:-1], mean, generator)
        lifted = (chance < mixture.lift.sigmoid()).to(mean.dtype)
        return torch.cat([mean + deviation * noise, lifted.unsqueeze(-1)], -1)

    def extra_repr(self) -> str:
        """Return what ``repr`` shows inside the brackets."""
        return f"{super().extra_repr()}, components={self.components}, narrowest={self.narrowest:g}"


def log_densities(mixture: PenMixture, offset: Tensor) -> Tensor:
    """Return the logarithm of each component's density at an offset, [..., M] (equations 24 and
    25).

    Args:
        mixture: the components.
        offset: in both directions, [..., 2].
    """
    away = (offset.unsqueeze(-2) - mixture.means) / mixture.log_deviations.exp()
    one, two = away.unbind(-1)
    correlation = mixture.correlations
    # 1 - r² loses all digits where r is near 1; so does Z, unless it is a sum of squares.
    rest = (1 - correlation) * (1 + correlation)
    squares = (one - correlation * two).square() / rest + two.square()
    return -squares / 2 - rest.log() / 2 - mixture.log_deviations.sum(-1) - log(2 * pi)
