"""The variational autoencoder that DRAW is compared with."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from conveyor.errors import RunError
from conveyor.networks.draw import Drawing, Glimpses
from conveyor.tasks.draw.picture_model import PictureModel
from conveyor.tasks.latent.picture_kind import PictureKind

# The sizes of the VAE of Burda, Grosse & Salakhutdinov 2016 (Importance weighted autoencoders,
# section 5) with one stochastic layer: two layers of 200 units, and 50 latent values.
_UNITS, _LATENT = 200, 50


def _layers(reads: int, gives: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(reads, _UNITS),
        nn.Tanh(),
        nn.Linear(_UNITS, _UNITS),
        nn.Tanh(),
        nn.Linear(_UNITS, gives),
    )


class PictureAutoencoder(PictureModel):
    """A variational autoencoder (Kingma & Welling 2014): all of a picture at once. It is fitted
    beside DRAW and never saved.

    Args:
        kind: the pictures, in grey.
        light: how often each pixel is bright, above 0 and below 1, [rows, columns], with which the
            output begins.
    """

    sequences: nn.ModuleDict  # type: ignore[assignment]

    def __init__(self, kind: PictureKind, light: Tensor) -> None:
        encoder = _layers(kind.rows * kind.columns, 2 * _LATENT)
        decoder = _layers(_LATENT, kind.rows * kind.columns)
        both = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
        super().__init__(kind, both, kind.rows)  # type: ignore[arg-type]
        with torch.no_grad():
            output: nn.Linear = decoder[-1]  # type: ignore[assignment]
            output.bias.copy_(light.logit().flatten())

    @property
    def program(self) -> None:
        """None: it has no cell."""

    @property
    def latent_sizes(self) -> tuple[int, int]:
        """One glimpse, and its latent values."""
        return 1, _LATENT

    def explained(self, x: Tensor, noise: Tensor) -> Glimpses:
        """Return what the network recognises in pictures; see ``PictureModel.explained``."""
        mean, log_deviation = self.sequences["encoder"](x.flatten(1))[None].chunk(2, -1)
        canvases = self._logits(mean + log_deviation.exp() * noise)
        return Glimpses(mean, log_deviation, noise, Drawing(canvases, [], []))

    def _logits(self, latent: Tensor) -> Tensor:
        logits: Tensor = self.sequences["decoder"](latent)
        return logits.view(*latent.shape[:-1], self.kind.rows, self.kind.columns)

    def pictures_of(self, latent: Tensor) -> Tensor:
        """Return what is drawn by latent values; see ``PictureModel.pictures_of``."""
        return self._logits(latent[0]).sigmoid()

    def sizes_as_json(self) -> dict[str, Any]:
        """Return nothing: it is not saved."""
        return {}

    @classmethod
    def described(
        cls, program: Any, description: Mapping[str, Any], where: str
    ) -> "PictureAutoencoder":
        """Raise an error: it is not saved."""
        raise RunError(f"{where} describes a network that is never saved.")
