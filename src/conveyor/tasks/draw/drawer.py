"""The network of the task ``draw``."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.data.records import to_record
from conveyor.errors import RunError
from conveyor.layers.recurrent import Recurrent
from conveyor.networks.draw import DRAW, Glimpses
from conveyor.networks.network import Sizes, projection_of
from conveyor.tasks.draw.picture_model import PictureModel
from conveyor.tasks.latent.picture_kind import PictureKind


@dataclass(frozen=True, kw_only=True)
class DrawerSizes(Sizes):
    """The sizes of a network, see ``DRAW``."""

    latent: int
    glimpses: int
    windows: bool
    read_size: int
    write_size: int


class Drawer(PictureModel):
    """A DRAW network that knows how large its pictures are.

    Args:
        cell: see ``conveyor.Recurrent``.
        kind: the pictures, in grey.
        sizes: all of the network.
        warmup: see ``LatentModel``.
    """

    sequences: DRAW  # type: ignore[assignment]

    def __init__(
        self, cell: str | Cell | Program, kind: PictureKind, sizes: DrawerSizes, warmup: int = 0
    ) -> None:
        network = DRAW(
            cell,
            kind.rows,
            kind.columns,
            sizes.hidden,
            sizes.latent,
            steps=sizes.glimpses,
            read=sizes.read_size if sizes.windows else None,
            write=sizes.write_size if sizes.windows else None,
            num_layers=sizes.layers,
            dropout=sizes.dropout,
            sizes=projection_of(cell, sizes.projection),
        )
        super().__init__(kind, network, kind.rows, warmup)  # type: ignore[arg-type]
        self.sizes = sizes

    @property
    def recurrent(self) -> Recurrent:  # type: ignore[override]
        """The layer that draws."""
        return self.sequences.decoder

    @property
    def title(self) -> str:
        """What tables call it."""
        return f"draw of {self.recurrent.program.name}"

    @property
    def latent_sizes(self) -> tuple[int, int]:
        """Glimpses, and latent values of each."""
        return self.sequences.steps, self.sequences.latent

    def explained(self, x: Tensor, noise: Tensor) -> Glimpses:
        """Return what the network recognises; see ``PictureModel.explained``."""
        glimpses: Glimpses = self.sequences(x, noise)
        return glimpses

    def pictures_of(self, latent: Tensor) -> Tensor:
        """Return what is drawn by latent values; see ``PictureModel.pictures_of``."""
        return self.sequences.draw(latent).pictures

    def sizes_as_json(self) -> dict[str, Any]:
        """Return the sizes of the network."""
        return asdict(self.sizes)

    @classmethod
    def described(cls, program: Program, description: Mapping[str, Any], where: str) -> "Drawer":
        """Return the network of a description; see ``Network.described``."""
        kind = cls.described_kind(description, where)
        if not isinstance(kind, PictureKind) or kind.channels != 1:
            raise RunError(f"{where} is corrupt: it describes no pictures in grey.")
        return cls(
            program,
            kind,
            to_record(DrawerSizes, description["network"], where),
            cls.described_number(description, "warmup", where),
        )
