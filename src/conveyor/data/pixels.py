"""Images of digits read pixel by pixel; the target is the class, after the last of 784 pixels."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from conveyor.data.files import read_unpacked
from conveyor.data.synthetic.batch import Batch, equal_lengths
from conveyor.errors import DataError, SettingError, counted

# How the file names of MNIST's two parts begin (LeCun, Cortes & Burges).
PARTS = {"train": "train", "test": "t10k"}

# A file in the format IDX begins with two zero bytes, 8 for "unsigned bytes", and the number of
# dimensions; the size of each dimension follows in 4 bytes, the highest first.
_BYTES = 0x0800


class Images(NamedTuple):
    """Images with their classes: ``images`` are bytes [N, height, width], ``labels`` are [N]."""

    images: Tensor
    labels: Tensor


def _idx(folder: Path, name: str, dimensions: int) -> Tensor:
    path = folder / f"{name}.gz"
    if not path.exists():
        path = folder / name
    data = read_unpacked(path)
    begins = 4 + 4 * dimensions
    words = np.frombuffer(data[:begins], ">u4") if len(data) >= begins else np.zeros(1)
    sizes = [int(size) for size in words[1:]]
    if words[0] != _BYTES + dimensions or len(data) - begins != math.prod(sizes):
        raise DataError(
            f"{path}: expected bytes of {counted(dimensions, 'dimension')} in the format IDX, as "
            "MNIST's files are. Fetch it again."
        )
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=begins).reshape(sizes).copy())


def read_mnist(folder: Path | str, part: str) -> Images:
    """Read MNIST's 60,000 training images or its 10,000 test images.

    Args:
        folder: a folder with ``train-images-idx3-ubyte.gz`` and the other three files, packed or
            unpacked.
        part: ``"train"`` or ``"test"``.

    Raises:
        DataError: a file is missing or incomplete.
        SettingError: there is no such part.
    """
    if part not in PARTS:
        raise SettingError(f"there is no part {part!r}. There are: {', '.join(PARTS)}.")
    folder = Path(folder)
    images = _idx(folder, f"{PARTS[part]}-images-idx3-ubyte", 3)
    labels = _idx(folder, f"{PARTS[part]}-labels-idx1-ubyte", 1)
    if len(images) != len(labels):
        raise DataError(
            f"{folder}: {len(images)} images of the part {part!r} and {len(labels)} labels; "
            "expected as many. Fetch both again."
        )
    return Images(images, labels.long())


def pixels(chosen: Images, order: Tensor | Sequence[int] | None = None) -> Batch:
    """Return images as sequences of one pixel a step, in 0 to 1, [pixels, N, 1], line by line. The
    targets are the classes, at the end of each sequence (Le, Jaitly & Hinton 2015).

    Args:
        chosen: the images and their classes.
        order: a permutation of the pixels, one for the whole experiment, as
            ``torch.randperm(784, generator=...)`` draws it: permuted MNIST. Store its seed.

    Raises:
        SettingError: ``order`` is no permutation of the pixels.
    """
    rows = chosen.images.flatten(1)
    count = rows.shape[1]
    if order is not None:
        order = torch.as_tensor(order)
        indices = order.long()  # torch would take an order of bytes for a mask
        if order.is_floating_point() or not torch.equal(indices.sort().values, torch.arange(count)):
            raise SettingError(
                f"order is no order of {count} pixels: expected each number from 0 to {count - 1} "
                "once."
            )
        rows = rows[:, indices]
    inputs = (rows.T.float() / 255)[..., None]
    return Batch(inputs, chosen.labels, equal_lengths(count, len(rows)))
