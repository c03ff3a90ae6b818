"""Which share of a picture each of the 150 ADE20K classes covers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn.functional import interpolate

from soundit_geo.errors import InputError
from soundit_geo.pss.embedded import EmbeddedJudge, Residual

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from soundit_geo.pss.pictures import Picture

ELEMENTS = 150
"""Number of ADE20K classes; ids run from 0 (wall) to 149 (flag)."""


@dataclass(frozen=True)
class Elements:
    """What an element judge says about B pictures.

    Parameters
    ----------
    share : numpy.ndarray
        (B, 150) float32, area share of each ADE20K class; rows sum to 1.
    outside : numpy.ndarray
        (B,) bool, whether the picture lies outside the judge's world.
    mask : numpy.ndarray or list of numpy.ndarray, optional
        uint8 ADE20K ids from 0, where they were asked for: (B, 128, 128) of the embedded judge, one (H, W) of each
        picture's own size of the others.
    """

    share: NDArray[np.float32]
    outside: NDArray[np.bool_]
    mask: NDArray[np.uint8] | list[NDArray[np.uint8]] | None = None


@runtime_checkable
class ElementJudge(Protocol):
    """Anything that can tell the elements of pictures."""

    @property
    def name(self) -> str:
        """Name of the weights."""

    @property
    def world(self) -> str:
        """What the judge was trained on."""

    def judge(self, pictures: Sequence[Picture], *, batch_size: int = 32) -> Elements:
        """Tell the area shares of ADE20K classes in each picture.

        Parameters
        ----------
        pictures : sequence of PIL.Image.Image, numpy.ndarray or path
            Any size.
        batch_size : int
            Pictures at a time.

        Returns
        -------
        Elements
            One row per picture.
        """


class EmbeddedElementJudge(EmbeddedJudge):
    """A small U-shaped segmentation network over the classes that its world uses.

    Parameters
    ----------
    classes : sequence of int
        ADE20K ids from 0, one per output channel.
    widths, blocks : sequence of int
        Channels and residual blocks of the three stages.
    hidden : int
        Channels before the logits.
    name : str
        Name of the weights.
    world : str
        What they were trained on.
    """

    @register_to_config
    def __init__(
        self,
        classes: Sequence[int],
        widths: Sequence[int] = (32, 64, 96),
        blocks: Sequence[int] = (1, 2, 1),
        hidden: int = 48,
        name: str = "synthetic-city",  # noqa: ARG002 — kept in the config
        world: str = "synthetic city",  # noqa: ARG002 — kept in the config
    ) -> None:
        super().__init__()
        if len(set(classes)) != len(classes) or not classes or min(classes) < 0 or max(classes) >= ELEMENTS:
            raise InputError(f"classes {list(classes)} are distinct ADE20K ids from 0 to {ELEMENTS - 1}.")
        self._build_trunk(widths, blocks)
        narrow, middle, wide = widths
        self.from_8 = nn.Conv2d(wide, middle, 1)
        self.at_16 = Residual(middle)
        self.from_16 = nn.Conv2d(middle, narrow, 1)
        self.at_32 = Residual(narrow)
        self.head = nn.Sequential(
            nn.Conv2d(narrow + 48, hidden, 3, padding=1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, 16 * len(classes), 1),
            nn.PixelShuffle(4),
        )

    def decode(self, maps: Sequence[Tensor], pixels: Tensor) -> Tensor:
        """Feature maps back to the picture's grid.

        Parameters
        ----------
        maps : sequence of torch.Tensor
            As `Trunk.forward` gives them.
        pixels : torch.Tensor
            (B, 3, 128, 128) in [-1, 1]; thin things are read from here.

        Returns
        -------
        torch.Tensor
            (B, classes, 128, 128) logits.
        """
        at_32, at_16, at_8 = maps
        x = self.at_16(at_16 + interpolate(self.from_8(at_8), scale_factor=2.0))  # (B, middle, 16, 16)
        x = self.at_32(at_32 + interpolate(self.from_16(x), scale_factor=2.0))  # (B, narrow, 32, 32)
        fine = self.trunk.unshuffle(pixels)  # (B, 48, 32, 32)
        return self.head(torch.cat([x, fine], dim=1))  # (B, classes, 128, 128)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits of every class at every pixel.

        Parameters
        ----------
        pixels : torch.Tensor
            (B, 3, 128, 128) in [-1, 1].

        Returns
        -------
        torch.Tensor
            (B, classes, 128, 128); channel i belongs to ADE20K id ``config.classes[i]``.
        """
        return self.decode(self.trunk(pixels), pixels)

    def judge(self, pictures: Sequence[Picture], *, batch_size: int = 32, mask: bool = False) -> Elements:
        """Tell the area shares of ADE20K classes in each picture.

        Parameters
        ----------
        pictures : sequence of PIL.Image.Image, numpy.ndarray or path
            Any size; they are squashed to 128×128.
        batch_size : int
            Pictures at a time; it does not change the result beyond rounding.
        mask : bool
            Whether to give the masks too.

        Returns
        -------
        Elements
            Shares count the pixels of the most likely class.
        """
        ids = torch.tensor(list(self.config["classes"]), device=self.device)

        def answer(pixels: Tensor, maps: list[Tensor]) -> tuple[Tensor, ...]:
            label = ids[self.decode(maps, pixels).argmax(1)]  # (B, 128, 128)
            flat = label.flatten(1)  # (B, 128²)
            counted = torch.zeros(len(flat), ELEMENTS, device=flat.device)
            counted.scatter_add_(1, flat, torch.ones_like(flat, dtype=counted.dtype))
            share = counted / flat.shape[1]  # (B, 150)
            return (share, label.to(torch.uint8)) if mask else (share,)

        (share, *masks), outside = self._in_batches(pictures, batch_size, answer)
        return Elements(share, outside, masks[0] if mask else None)
