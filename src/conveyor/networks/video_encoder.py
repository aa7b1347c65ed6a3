"""What looks at a video: a convolutional network at each frame, and a recurrent layer over them."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from conveyor.errors import SettingError, ShapeError
from conveyor.layers.lengths import read_lengths
from conveyor.layers.sequence import SequenceLayer
from conveyor.layers.state import main_output
from conveyor.networks.picture_encoder import PictureEncoder


class VideoEncoder(nn.Module):
    """Turns a video into annotation vectors, one for each frame, which a decoder attends to over
    time (Yao et al. 2015, Describing videos by exploiting temporal structure):

        v_fi = the places of frame f                          (``PictureEncoder``)
        u_f = (1/√P) Σ_i gelu(W v_fi + b)
        a_f = u_f + [→layer(u)_f; ←layer(u)_f]                 or u_f without a layer

    u is the mean over the P places times √P: of what few places see, the plain mean would leave
    little. W stands between the places and their mean: without it the vector of a place, which is
    the same in all frames, would only move the mean, which could not tell where something is. What
    a frame holds goes around the layer, too: without that an attention decoder learns late to see
    anything but how a video goes on.

        >>> layer = conveyor.LSTM(48, 24, bidirectional=True)
        >>> encoder = VideoEncoder(size=32, features=48, layer=layer)
        >>> encoder(torch.zeros(5, 12, 3, 32, 32), lengths=[12, 3, 7, 1, 12]).shape
        torch.Size([12, 5, 48])

    Args:
        size: rows and columns of a frame, a multiple of 4.
        features: numbers of u, a multiple of 24.
        layer: reads u, time first, and gives as many numbers; None for none.

    Raises:
        SettingError: an argument is out of its range, or the layer does not fit.
    """

    def __init__(
        self, size: int = 32, features: int = 72, layer: SequenceLayer | None = None
    ) -> None:
        super().__init__()
        self.pictures = PictureEncoder(size, features)
        self.of_places = nn.Linear(features, features)
        if layer is not None and not isinstance(layer, SequenceLayer):
            raise SettingError(
                f"layer is a {type(layer).__name__}; expected a Recurrent, LSTM, GRU or RNN of "
                "conveyor."
            )
        if layer is not None and (layer.batch_first or layer.input_size != features):
            raise SettingError(
                f"layer reads {layer.input_size} numbers{', batch first' * layer.batch_first}; "
                f"expected {features}, time first."
            )
        if layer is not None and layer.output_size != features:
            raise SettingError(
                f"layer gives {layer.output_size} numbers; expected {features}, as many as it "
                "reads."
            )
        self.size, self.features, self.layer = size, features, layer

    def forward(self, videos: Tensor, *, lengths: Tensor | list[int] | None = None) -> Tensor:
        """Return annotation vectors [frames, B, features], 0 at padding.

        Args:
            videos: [B, frames, 3, size, size], with mean 0 and deviation 1 or so; anything at
                padding, which is not looked at.
            lengths: true frames of each video, [B], 1 or more; None for all.

        Raises:
            ShapeError: a tensor does not fit, or a video has no frame.
        """
        if videos.dim() != 5 or videos.shape[2:] != (3, self.size, self.size):
            raise ShapeError(
                f"videos is {list(videos.shape)}; expected [B, frames, 3, {self.size}, "
                f"{self.size}]."
            )
        batch, frames = videos.shape[:2]
        counts = torch.full((batch,), frames)
        if lengths is not None:
            counts = torch.from_numpy(read_lengths(lengths, frames, batch))
        if batch and int(counts.min()) == 0:
            raise ShapeError(f"video {int(counts.argmin())} of the batch has no frame.")
        there = (torch.arange(frames) < counts[:, None]).to(videos.device)
        places = self.of_places(self.pictures(videos[there]))
        vectors = gelu(places).sum(0) / math.sqrt(len(places))
        put = vectors.new_zeros(batch, frames, self.features)
        put[there] = vectors
        seen = put.transpose(0, 1)
        if self.layer is None:
            return seen
        outputs: Tensor = main_output(self.layer(seen, lengths=counts)[0])
        return seen + outputs.masked_fill(~there.T.unsqueeze(2), 0)

    def extra_repr(self) -> str:
        """Return what ``repr`` shows inside the brackets."""
        return f"size={self.size}, features={self.features}"
