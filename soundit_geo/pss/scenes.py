"""Which of the 365 Places365 scenes a picture shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from soundit_geo.errors import InputError
from soundit_geo.pss.embedded import EmbeddedJudge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from soundit_geo.pss.pictures import Picture

PLACES = 365
"""Number of Places365 classes; ids run from 0 (airfield) to 364 (zen_garden)."""

RANKS = 5
"""Classes that are kept per picture, the most likely first."""


@dataclass(frozen=True)
class Scenes:
    """What a scene judge says about B pictures.

    Parameters
    ----------
    classes : numpy.ndarray
        (B, 5) int16 Places365 ids from 0, the most likely first; -1 where the judge knows fewer.
    probability : numpy.ndarray
        (B, 5) float32, falling along each row; 0 beside a class of -1.
    outside : numpy.ndarray
        (B,) bool, whether the picture lies outside the judge's world.
    indoor : numpy.ndarray, optional
        (B,) float32, the probability of all indoor classes together (`soundit_geo.classes.INDOOR`); None where the
        judge does not tell.
    """

    classes: NDArray[np.int16]
    probability: NDArray[np.float32]
    outside: NDArray[np.bool_]
    indoor: NDArray[np.float32] | None = None


@runtime_checkable
class SceneJudge(Protocol):
    """Anything that can tell the scene of pictures."""

    @property
    def name(self) -> str:
        """Name of the weights."""

    @property
    def world(self) -> str:
        """What the judge was trained on."""

    def judge(self, pictures: Sequence[Picture], *, batch_size: int = 32) -> Scenes:
        """Tell the most likely scenes of each picture.

        Parameters
        ----------
        pictures : sequence of PIL.Image.Image, numpy.ndarray or path
            Any size.
        batch_size : int
            Pictures at a time.

        Returns
        -------
        Scenes
            One row per picture.
        """


class EmbeddedSceneJudge(EmbeddedJudge):
    """A small classifier over the scenes of its world.

    Parameters
    ----------
    classes : sequence of int
        Places365 ids from 0, one per output.
    widths, blocks : sequence of int
        Channels and residual blocks of the three stages.
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
        name: str = "synthetic-city",  # noqa: ARG002 — kept in the config
        world: str = "synthetic city",  # noqa: ARG002 — kept in the config
    ) -> None:
        super().__init__()
        if len(set(classes)) != len(classes) or not classes or min(classes) < 0 or max(classes) >= PLACES:
            raise InputError(f"classes {list(classes)} are distinct Places365 ids from 0 to {PLACES - 1}.")
        pooled = self._build_trunk(widths, blocks, groups=len(classes))
        self.head = nn.Linear(pooled, len(classes))

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits of every scene.

        Parameters
        ----------
        pixels : torch.Tensor
            (B, 3, 128, 128) in [-1, 1].

        Returns
        -------
        torch.Tensor
            (B, classes); column i belongs to Places365 id ``config.classes[i]``.
        """
        return self.head(self.pool(self.trunk(pixels)))

    def judge(self, pictures: Sequence[Picture], *, batch_size: int = 32) -> Scenes:
        """Tell the most likely scenes of each picture.

        Parameters
        ----------
        pictures : sequence of PIL.Image.Image, numpy.ndarray or path
            Any size; they are squashed to 128×128.
        batch_size : int
            Pictures at a time; it does not change the result beyond rounding.

        Returns
        -------
        Scenes
            Five ranks.
        """
        ids = torch.tensor(list(self.config["classes"]), device=self.device, dtype=torch.int16)
        ranks = min(RANKS, len(ids))

        def answer(_pixels: Tensor, maps: list[Tensor]) -> tuple[Tensor, ...]:
            best = self.head(self.pool(maps)).float().softmax(-1).topk(ranks)
            return ids[best.indices], best.values

        (classes, probability), outside = self._in_batches(pictures, batch_size, answer)
        missing = ((0, 0), (0, RANKS - ranks))
        return Scenes(np.pad(classes, missing, constant_values=-1), np.pad(probability, missing), outside)
