"""The task ``draw``: pictures that a network draws glimpse by glimpse."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from conveyor.compiler.program import Program
from conveyor.errors import DataError
from conveyor.layers.state import main_output
from conveyor.pages.words import Words
from conveyor.tasks.draw.canvas_film import check_gif, gif
from conveyor.tasks.draw.draw_results import VAE, results_of
from conveyor.tasks.draw.draw_settings import DrawSettings, DrawTraining
from conveyor.tasks.draw.drawer import Drawer, DrawerSizes
from conveyor.tasks.draw.picture_autoencoder import PictureAutoencoder
from conveyor.tasks.draw.picture_options import PictureOptions
from conveyor.tasks.latent.kind import Kind, LatentData
from conveyor.tasks.latent.latent_model import LatentModel
from conveyor.tasks.latent.latent_settings import SampledData
from conveyor.tasks.latent.latent_task import LatentTask
from conveyor.tasks.latent.picture_kind import PictureKind, light_of, read_pictures
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.results import Results
from conveyor.tasks.task import Say


def read_grey_pictures(
    source: Any, settings: SampledData, fitted: Kind | None = None
) -> LatentData:
    """Read a folder of pictures or of MNIST's files, in grey; see ``read_pictures``.

    Raises:
        DataError: it is no folder, or its pictures cannot be used.
    """
    if not isinstance(source, str | Path) or not Path(source).is_dir():
        raise DataError(
            f"{source if isinstance(source, str | Path) else type(source).__name__} is no folder. "
            "Give a folder of pictures, or of MNIST's files."
        )
    return read_pictures(Path(source), settings, fitted, colours=None)


class Drawing(LatentTask):
    """The task of drawing pictures. Its score is the estimate of their nats, which is a bound."""

    name = "draw"
    network_type = Drawer
    loss = "bound on the nats per picture"
    without = VAE
    settings: DrawSettings
    kind: PictureKind
    read_data: ClassVar[Callable[..., LatentData]] = staticmethod(read_grey_pictures)
    results_of: ClassVar[Callable[..., Results]] = staticmethod(results_of)

    @property
    def sized(self) -> str:
        """How large a picture is, in words."""
        return self.kind.size

    @property
    def light(self) -> Tensor:
        """How often each pixel of the training set is bright, [rows, columns]; see
        ``light_of``."""
        return light_of(self.train.sequences)

    def network(self, program: Program, sizes: Any) -> Drawer:
        """Return an untrained network, whose canvas begins with the mean of the training set."""
        network = Drawer(
            program,
            self.kind,
            DrawerSizes(**sizes.besides_the_cell()),
            self.settings.training.kl_warmup,
        )
        network.sequences.begin_at(self.light)
        return network

    @property
    def plain_training(self) -> DrawTraining | None:
        """How the autoencoder is fitted; None where there is to be none."""
        training = self.settings.training
        if training.vae_epochs == 0:
            return None
        return dataclasses.replace(training, epochs=training.vae_epochs or training.epochs)

    def beside(self, network: LatentModel) -> PictureAutoencoder:
        """Return the untrained autoencoder."""
        return PictureAutoencoder(self.kind, self.light)

    @classmethod
    def generate_file(  # type: ignore[override]
        cls, network: Drawer, options: PictureOptions, ending: str
    ) -> bytes:
        """Return pictures as a file: .png of all, .gif of how they are drawn, or .csv of the
        probabilities that pixels are bright.

        Raises:
            DataError: there are no such files, or Pillow is missing.
        """
        if ending != ".gif":
            if ending not in network.kind.endings:
                raise DataError(
                    "pictures are written to a file that ends with "
                    f"{', '.join((*network.kind.endings, '.gif'))}; the name of this one ends with "
                    f"{ending or 'nothing'}."
                )
            return network.kind.file(cls._drawn(network, options), ending)
        check_gif(network.kind, options.count)
        canvases = network.sequences.sample(options.count, seed=options.seed).canvases
        return gif(network.kind, canvases.sigmoid())

    @staticmethod
    def _drawn(network: LatentModel, options: Any) -> list[Any]:
        return network.sample(options.count, None, seed=options.seed)

    @classmethod
    def read(  # type: ignore[override]
        cls,
        network: Drawer,
        source: Any,
        *,
        settings: Any,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> ReadSequence:
        """Return the latent values of a picture of the test set, or of all where there is too
        little for parts, the likeliest ones, as the layer that draws reads them.

        Raises:
            DataError: there is no such picture, or no data.
            RunError: it has another size than those that the network knows.
        """
        title, picture = cls.chosen(network, source, settings, options)
        x = picture[None]
        with torch.no_grad():
            glimpses, latent = network.latent_sizes
            seen = network.sequences(x, torch.zeros(glimpses, 1, latent))
        return ReadSequence(
            title=title,
            inputs=seen.mean,
            labels=tuple(map(str, range(1, glimpses + 1))),
            answer=lambda output: -network.sequences.nats_of(main_output(output), x),
            asked=Words(
                "the logarithm of the probability of all pixels, given the latent values",
                "log xác suất của mọi điểm ảnh khi đã biết giá trị ẩn",
            ),
        )
