"""Images of digits read pixel by pixel: a class is wanted after the last of 784."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from conveyor.data.files import read_unpacked
from conveyor.data.synthetic.batch import Batch, whole
from conveyor.errors import DataError, SettingError, counted

# Names of the files of MNIST's two parts (LeCun, Cortes & Burges), with and without ".gz".
PARTS = {"train": "train", "test": "t10k"}

# The format IDX: two zeros, 8 for bytes, how many dimensions; then each as 4 bytes, big end first.
_BYTES = 0x0800


class Images(NamedTuple):
    """``images`` are bytes [N, height, width], ``labels`` classes [N]."""

    images: Tensor
    labels: Tensor


def _idx(folder: Path, name: str, dimensions: int) -> Tensor:
    path = folder / f"{name}.gz"
    if not path.exists():
        path = folder / name
    data = read_unpacked(path)
    begins = 4 + 4 * dimensions
    words = np.frombuffer(data[:begins], ">u4") if len(data) >= begins else np.zeros(1)
    sizes = [int(each) for each in words[1:]]
    if words[0] != _BYTES + dimensions or len(data) - begins != math.prod(sizes):
        raise DataError(
            f"{path}: expected bytes of {counted(dimensions, 'dimension')} in the format IDX, as "
            "MNIST's files are. Fetch it again."
        )
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=begins).reshape(sizes).copy())


def read_mnist(folder: Path | str, part: str) -> Images:
    """MNIST's 60,000 images to learn from, or 10,000 to test.

    Args:
        folder: holds ``train-images-idx3-ubyte.gz`` and the other three, or the same unpacked.
        part: ``"train"`` or ``"test"``.

    Raises:
        DataError: a file is missing or is not whole.
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
    """Images as sequences of one pixel a step in 0 to 1, [pixels, N, 1], line by line; the classes
    are wanted at the end (Le, Jaitly & Hinton 2015).

    Args:
        order: the pixels in another order, one for the whole experiment, as
            ``torch.randperm(784, generator=...)`` draws it: permuted MNIST. Store the seed.

    Raises:
        SettingError: ``order`` is no order of so many pixels.
    """
    rows = chosen.images.flatten(1)
    count = rows.shape[1]
    if order is not None:
        order = torch.as_tensor(order)
        places = order.long()  # bytes would choose as a mask does
        if order.is_floating_point() or not torch.equal(places.sort().values, torch.arange(count)):
            raise SettingError(
                f"order is no order of {count} pixels: expected each number from 0 to {count - 1} "
                "once."
            )
        rows = rows[:, places]
    inputs = (rows.T.float() / 255)[..., None]
    return Batch(inputs, chosen.labels, whole(count, len(rows)))
