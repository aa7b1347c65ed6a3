"""DRAW (Gregor, Danihelka, Graves, Rezende & Wierstra 2015, DRAW: a recurrent neural network for
image generation)."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.errors import ShapeError
from conveyor.layers.checks import check_whole
from conveyor.layers.recurrent import Recurrent
from conveyor.layers.state import main_output
from conveyor.networks.picture_window import PictureWindow, WindowHead

# What a pixel of the canvas begins with: a light of 0.12. At 0 each pixel would cost log 2.
_DARK = -2.0
# Draws of the latent values that are computed together, at most, times pictures.
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True, eq=False)
class Bound:
    """What the nats of pictures are at most, in expectation over the noise, of one draw.

    Attributes:
        reconstruction: minus the logarithm of the probability of all pixels given the latent
            values, L^x, [batch].
        kl: the divergence of the latent values from their prior at each glimpse, L^z, [T, batch].
        total: the sum of both, [batch].
    """

    reconstruction: Tensor
    kl: Tensor
    total: Tensor


@dataclass(frozen=True, eq=False)
class Drawing:
    """Pictures that were drawn from latent values.

    Attributes:
        canvases: the logits of the pixels before the first glimpse and after each, [T + 1, batch,
            rows, columns].
        written: where was drawn, one window for each glimpse; empty without attention.
        read: where was looked; empty without attention, and where nothing was looked at.
    """

    canvases: Tensor
    written: list[PictureWindow]
    read: list[PictureWindow]

    @property
    def pictures(self) -> Tensor:
        """The probability that a pixel is bright, [batch, rows, columns]."""
        return self.canvases[-1].sigmoid()


def _nats(logits: Tensor, x: Tensor) -> Tensor:
    return binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)


@dataclass(frozen=True, eq=False)
class Glimpses:
    """What a network recognised in pictures, glimpse by glimpse.

    Attributes:
        mean, log_deviation: μ and log σ of the latent values, [T, batch, latent].
        noise: by which they were drawn, [T, batch, latent].
        drawing: what was drawn from them.
    """

    mean: Tensor
    log_deviation: Tensor
    noise: Tensor
    drawing: Drawing

    @property
    def latent(self) -> Tensor:
        """z, [T, batch, latent]."""
        return self.mean + self.log_deviation.exp() * self.noise

    @property
    def divergence(self) -> Tensor:
        """KL(q || N(0, 1)) of each glimpse, the sum over its latent values, [T, batch] (equation
        11, whose T/2 stands for a half of each latent value of each glimpse)."""
        squares = self.mean.square() + (2 * self.log_deviation).exp() - 1
        return (squares / 2 - self.log_deviation).sum(-1)

    @property
    def ratio(self) -> Tensor:
        """log q(z) - log p(z) of each glimpse, whose expectation is the divergence, [T, batch]."""
        terms = (self.latent.square() - self.noise.square()) / 2 - self.log_deviation
        return terms.sum(-1)

    def reconstruction(self, x: Tensor) -> Tensor:
        """Return minus the logarithm of the probability of the pixels of pictures [batch, rows,
        columns], the sum over them, [batch]."""
        return _nats(self.drawing.canvases[-1], x)

    def bound(self, x: Tensor) -> Bound:
        """Return the bound on the nats of pictures [batch, rows, columns]."""
        reconstruction, kl = self.reconstruction(x), self.divergence
        return Bound(reconstruction, kl, reconstruction + kl.sum(0))

    def log_weight(self, x: Tensor) -> Tensor:
        """Return the logarithm of the importance weight of pictures [batch, rows, columns], float64
        [batch]."""
        return -self.reconstruction(x).double() - self.ratio.double().sum(0)


class DRAW(nn.Module):
    """A network that draws a picture glimpse by glimpse. At each the encoder looks at the picture
    and at what the canvas lacks of it, latent values are drawn, and the decoder adds to the canvas:

        x̂_t = x - σ(c_{t-1})
        r_t = read(x, x̂_t, h^dec_{t-1})
        h^enc_t = encoder([r_t; h^dec_{t-1}], h^enc_{t-1})
        z_t ~ N(μ(h^enc_t), σ²(h^enc_t))
        h^dec_t = decoder(z_t, h^dec_{t-1})
        c_t = c_{t-1} + write(h^dec_t)

    The canvas and the states before the first glimpse are learned. h^dec is what the decoder gives;
    before the first glimpse it is the decoder's state h, or zeros where that has another width.

    Args:
        cell: of encoder and decoder, see ``conveyor.Recurrent``.
        rows, columns: of pictures.
        hidden: units of each.
        latent: latent values of a glimpse.
        steps: glimpses, T.
        read, write: filters of the side of the window that is looked at, and that is drawn in;
            None for the whole picture at each glimpse, without attention.
        num_layers: of each.
        dropout: probability of dropping what goes between layers, in training.
        sizes: of other axes of the cell, see ``conveyor.Recurrent``.

    Raises:
        SettingError: an argument is out of its range.
    """

    def __init__(
        self,
        cell: str | Cell | Program,
        rows: int,
        columns: int,
        hidden: int,
        latent: int,
        *,
        steps: int = 8,
        read: int | None = 5,
        write: int | None = 5,
        num_layers: int = 1,
        dropout: float = 0.0,
        sizes: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        check_whole(rows=rows, columns=columns, hidden=hidden, latent=latent, steps=steps)
        self.rows, self.columns, self.latent, self.steps = rows, columns, latent, steps
        self.read, self.write = read, write
        options: Any = {
            "num_layers": num_layers,
            "dropout": dropout,
            "sizes": sizes,
            "learn_start": True,
        }
        self.decoder = Recurrent(cell, latent, hidden, **options)
        width = self.decoder.output_size
        seen = rows * columns if read is None else read**2
        self.encoder = Recurrent(cell, 2 * seen + width, hidden, **options)
        self.recognise = nn.Linear(self.encoder.output_size, 2 * latent)
        if read is not None:
            self.reader = WindowHead(width, read, rows, columns)
        if write is not None:
            self.writer = WindowHead(width, write, rows, columns)
        self.patch = nn.Linear(width, rows * columns if write is None else write**2)
        self.canvas = nn.Parameter(torch.full((rows, columns), _DARK))

    @torch.no_grad()
    def begin_at(self, light: Tensor) -> None:
        """Let the canvas begin with pictures' mean.

        Args:
            light: how often each pixel is bright, above 0 and below 1, [rows, columns].
        """
        self.canvas.copy_(light.logit())

    def forward(self, x: Tensor, noise: Tensor) -> Glimpses:
        """Return what is recognised in pictures, and drawn.

        Args:
            x: pixels from 0 to 1, [batch, rows, columns].
            noise: normal noise by which latent values are drawn, [T, batch, latent].

        Raises:
            ShapeError: a tensor does not fit.
        """
        self._check(x, noise)
        batch = len(x)
        encoded, (decoded, output) = self.encoder.start(batch), self._begin(batch)
        canvas = self.canvas.expand(batch, -1, -1)
        canvases, statistics = [canvas], []
        looked: list[PictureWindow] = []
        drawn: list[PictureWindow] = []
        for epsilon in noise:
            seen = torch.stack([x, x - canvas.sigmoid()], 1)
            if self.read is not None:
                window = self.reader.window(self.reader(output))
                looked.append(window)
                seen = window.read(seen)
            outputs, encoded = self.encoder.step(torch.cat([seen.flatten(1), output], 1), encoded)
            recognised = self.recognise(main_output(outputs))
            statistics.append(recognised)
            mean, log_deviation = recognised.chunk(2, -1)
            z = mean + log_deviation.exp() * epsilon
            output, decoded, canvas = self._draw(z, decoded, canvas, drawn)
            canvases.append(canvas)
        means, log_deviations = torch.stack(statistics).chunk(2, -1)
        return Glimpses(means, log_deviations, noise, Drawing(torch.stack(canvases), drawn, looked))

    def draw(self, latent: Tensor) -> Drawing:
        """Return pictures that are drawn from latent values [T, batch, latent]; of the prior they
        are normal noise.

        Raises:
            ShapeError: a tensor does not fit.
        """
        self._check_latent("latent", latent)
        batch = latent.shape[1]
        decoded, _ = self._begin(batch)
        canvas = self.canvas.expand(batch, -1, -1)
        canvases = [canvas]
        drawn: list[PictureWindow] = []
        for z in latent:
            _, decoded, canvas = self._draw(z, decoded, canvas, drawn)
            canvases.append(canvas)
        return Drawing(torch.stack(canvases), drawn, [])

    def _draw(
        self, z: Tensor, decoded: Any, canvas: Tensor, drawn: list[PictureWindow]
    ) -> tuple[Tensor, Any, Tensor]:
        """Return what the decoder gives, its state, and the canvas, after a glimpse."""
        outputs, decoded = self.decoder.step(z, decoded)
        output = main_output(outputs)
        added, window = self._written(output)
        if window is not None:
            drawn.append(window)
        return output, decoded, canvas + added

    def _written(self, output: Tensor) -> tuple[Tensor, PictureWindow | None]:
        """Return what is added to the canvas, [batch, rows, columns], and in which window."""
        patch = self.patch(output)
        if self.write is None:
            return patch.view(-1, self.rows, self.columns), None
        window = self.writer.window(self.writer(output))
        return window.write(patch.view(-1, self.write, self.write)), window

    def nats_of(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return minus the logarithm of the probability of pictures, the sum over their pixels,
        [batch].

        Args:
            outputs: of the decoder, by which they are drawn, [T, batch, width].
            x: pixels that are 0 or 1, [batch, rows, columns], or one picture for all.
        """
        canvas = self.canvas + sum(self._written(output)[0] for output in outputs)
        return _nats(canvas, x.expand_as(canvas))

    def _begin(self, batch: int) -> tuple[Any, Tensor]:
        """Return the decoder's state before the first glimpse, and what it gives then."""
        state, width = self.decoder.start(batch), self.decoder.output_size
        values = self.decoder._values_of(state)
        if "h" in values and values["h"].shape[-1] == width:
            return state, values["h"][-1]
        return state, self.canvas.new_zeros(batch, width)

    def _check(self, x: Tensor, noise: Tensor) -> None:
        if x.dim() != 3 or tuple(x.shape[1:]) != (self.rows, self.columns):
            raise ShapeError(
                f"x is {list(x.shape)}; expected pictures [batch, {self.rows}, {self.columns}]."
            )
        self._check_latent("noise", noise, len(x))

    def _check_latent(self, name: str, values: Tensor, batch: int | None = None) -> None:
        fits = values.dim() == 3 and values.shape[::2] == (self.steps, self.latent)
        if not fits or (batch is not None and values.shape[1] != batch):
            rows = "batch" if batch is None else batch
            raise ShapeError(
                f"{name} is {list(values.shape)}; expected [{self.steps}, {rows}, {self.latent}]."
            )

    def noise(self, count: int, seed: int) -> Tensor:
        """Return the noise of so many pictures, [T, count, latent], on the CPU; the same of the
        same seed and count."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(self.steps, count, self.latent, generator=generator)

    def loss(self, x: Tensor, noise: Tensor | None = None) -> Bound:
        """Return the bound on the nats of pictures (equations 9 to 12).

        Args:
            x: pixels that are 0 or 1, [batch, rows, columns].
            noise: see ``forward``; None draws some.

        Raises:
            ShapeError: a tensor does not fit.
        """
        if noise is None:
            noise = torch.randn(self.steps, len(x), self.latent, dtype=x.dtype, device=x.device)
        glimpses: Glimpses = self(x, noise)
        return glimpses.bound(x)

    @torch.no_grad()
    def log_likelihood(self, x: Tensor, *, samples: int = 50, seed: int = 0) -> Tensor:
        """Return the logarithm of the probability of pictures, estimated with importance weights:
        in expectation no more than it is, and the nearer the more samples (Burda, Grosse &
        Salakhutdinov 2016, Importance weighted autoencoders, equation 8), without dropout.

        Args:
            x: pixels that are 0 or 1, [batch, rows, columns].
            samples: draws of the latent values of each picture, K.
            seed: of the noise.

        Returns:
            float64 [batch].

        Raises:
            SettingError: ``samples`` is below 1.
            ShapeError: x does not fit.
        """
        check_whole(samples=samples)
        was_training = self.training
        self.eval()
        noise = self.noise(len(x) * samples, seed).to(x)
        repeated = x.repeat_interleave(samples, 0)
        weights = []
        try:
            for first in range(0, len(repeated), _ROWS_AT_ONCE):
                part = slice(first, first + _ROWS_AT_ONCE)
                glimpses = self(repeated[part], noise[:, part])
                weights.append(glimpses.log_weight(repeated[part]))
        finally:
            self.train(was_training)
        if not weights:
            return x.new_zeros(0, dtype=torch.float64)
        return torch.cat(weights).view(-1, samples).logsumexp(1) - log(samples)

    @torch.no_grad()
    def sample(self, count: int, *, seed: int = 0) -> Drawing:
        """Return pictures that are drawn from the prior, without dropout.

        Args:
            count: how many.
            seed: the same seed gives the same pictures.
        """
        was_training = self.training
        self.eval()
        drawing = self.draw(self.noise(count, seed).to(self.canvas))
        self.train(was_training)
        return drawing
