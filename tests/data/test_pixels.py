"""Digits read pixel by pixel."""

import gzip
import struct
from pathlib import Path

import pytest
import torch

from conveyor.data.pixels import pixels, read_mnist
from conveyor.errors import DataError, SettingError

MNIST = Path(__file__).parents[3] / "shared/data/mnist"


def write(folder: Path, *, packed: bool = True, labels: int = 2) -> None:
    """Two images of 2 rows and 3 columns."""
    images = struct.pack(">4i", 0x0803, 2, 2, 3) + bytes(range(0, 120, 10))
    classes = struct.pack(">2i", 0x0801, labels) + bytes(range(7, 7 + labels))
    for name, data in (("t10k-images-idx3-ubyte", images), ("t10k-labels-idx1-ubyte", classes)):
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(data) if packed else data)


@pytest.mark.parametrize("packed", [True, False])
def test_images_become_sequences_line_by_line(tmp_path: Path, packed: bool) -> None:
    write(tmp_path, packed=packed)
    read = read_mnist(tmp_path, "test")
    assert read.images.shape == (2, 2, 3)
    assert read.labels.tolist() == [7, 8]
    batch = pixels(read)
    assert batch.inputs.shape == (6, 2, 1)
    torch.testing.assert_close(batch.inputs[:, 1, 0] * 255, torch.arange(60.0, 120, 10))
    assert batch.targets.tolist() == [7, 8]
    assert batch.lengths.tolist() == [6, 6]


def test_one_order_for_all_images(tmp_path: Path) -> None:
    write(tmp_path)
    read = read_mnist(tmp_path, "test")
    order = torch.tensor([5, 0, 3, 1, 4, 2])
    torch.testing.assert_close(pixels(read, order).inputs, pixels(read).inputs[order])
    for same in (order.to(torch.uint8), order.tolist()):
        torch.testing.assert_close(pixels(read, same).inputs, pixels(read, order).inputs)
    for wrong in ([0, 1, 2], [0, 0, 1, 2, 3, 4], order.double(), order[None], order.bool()):
        with pytest.raises(SettingError, match="no order of 6 pixels"):
            pixels(read, wrong)


def test_what_is_no_mnist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="no part 'valid'"):
        read_mnist(tmp_path, "valid")
    with pytest.raises(DataError, match="no such file"):
        read_mnist(tmp_path, "test")
    write(tmp_path, labels=3)
    with pytest.raises(DataError, match="2 images of the part 'test' and 3 labels"):
        read_mnist(tmp_path, "test")
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    whole = gzip.decompress(path.read_bytes())
    for broken, says in (
        (gzip.compress(whole[:-1]), "format IDX"),
        (gzip.compress(whole[:7]), "format IDX"),
        # 2^22 * 2^21 * 2^21 is 0 as a 64-bit number.
        (gzip.compress(whole[:4] + bytes((0, 64, 0, 0)) + bytes((0, 32, 0, 0)) * 2), "format IDX"),
        (gzip.compress(b"\0\0\x09" + whole[3:]), "format IDX"),
        (gzip.compress(whole)[:-5], "no whole gzip file"),
        (b"nothing", "no whole gzip file"),
    ):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=says):
            read_mnist(tmp_path, "test")


@pytest.mark.skipif(not MNIST.exists(), reason="MNIST is not here")
def test_mnist_is_mnist() -> None:
    read = read_mnist(MNIST, "test")
    assert read.images.shape == (10_000, 28, 28)
    assert read.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert torch.bincount(read.labels).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]
