"""How a place would feel: the six Place Pulse scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from soundit_geo.pss.embedded import EmbeddedJudge

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from soundit_geo.pss.pictures import Picture

SCORES = 6
"""Number of Place Pulse scores, in the order of `soundit_geo.classes.PERCEPTIONS`."""


@dataclass(frozen=True)
class Perception:
    """What a perception judge says about B pictures.

    Parameters
    ----------
    scores : numpy.ndarray
        (B, 6) float32: safe, lively, beautiful, wealthy, depressing, boring, on the judge's scale; a higher
        score is more of the quality that it is named for.
    outside : numpy.ndarray
        (B,) bool, whether the picture lies outside the judge's world.
    """

    scores: NDArray[np.float32]
    outside: NDArray[np.bool_]


@runtime_checkable
class PerceptionJudge(Protocol):
    """Anything that can tell how pictures would feel."""

    @property
    def name(self) -> str:
        """Name of the weights."""

    @property
    def world(self) -> str:
        """What the judge was trained on."""

    @property
    def scale(self) -> tuple[float, float]:
        """Lowest and highest possible score."""

    def judge(self, pictures: Sequence[Picture], *, batch_size: int = 32) -> Perception:
        """Tell the six scores of each picture.

        Parameters
        ----------
        pictures : sequence of PIL.Image.Image, numpy.ndarray or path
            Any size.
        batch_size : int
            Pictures at a time.

        Returns
        -------
        Perception
            One row per picture.
        """


class EmbeddedPerceptionJudge(EmbeddedJudge):
    """A small regression network.

    Parameters
    ----------
    widths, blocks : sequence of int
        Channels and residual blocks of the three stages.
    hidden : int
        Channels between pooled features and scores.
    low, high : float
        Ends of the scale; the scores lie between them.
    name : str
        Name of the weights.
    world : str
        What they were trained on.
    """

    @register_to_config
    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 96),
        blocks: Sequence[int] = (1, 2, 1),
        hidden: int = 96,
        low: float = 0.0,  # noqa: ARG002 — kept in the config
        high: float = 10.0,  # noqa: ARG002 — kept in the config
        name: str = "synthetic-city",  # noqa: ARG002 — kept in the config
        world: str = "synthetic city",  # noqa: ARG002 — kept in the config
    ) -> None:
        super().__init__()
        pooled = self._build_trunk(widths, blocks)
        self.head = nn.Sequential(nn.Linear(pooled, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, SCORES))

    @property
    def scale(self) -> tuple[float, float]:
        """Lowest and highest possible score.

        Returns
        -------
        tuple of float
            For example (0, 10); higher is more of the quality named.
        """
        return float(self.config["low"]), float(self.config["high"])

    def score(self, pooled: Tensor) -> Tensor:
        """Pooled features into the six scores.

        Parameters
        ----------
        pooled : torch.Tensor
            (B, P) from `pool`.

        Returns
        -------
        torch.Tensor
            (B, 6) within the scale.
        """
        low, high = self.scale
        return low + (high - low) * torch.sigmoid(self.head(pooled))

    def forward(self, pixels: Tensor) -> Tensor:
        """Scores of pictures.

        Parameters
        ----------
        pixels : torch.Tensor
            (B, 3, 128, 128) in [-1, 1].

        Returns
        -------
        torch.Tensor
            (B, 6) within the scale, in the order of `soundit_geo.classes.PERCEPTIONS`.
        """
        return self.score(self.pool(self.trunk(pixels)))

    def judge(self, pictures: Sequence[Picture], *, batch_size: int = 32) -> Perception:
        """Tell the six scores of each picture.

        Parameters
        ----------
        pictures : sequence of PIL.Image.Image, numpy.ndarray or path
            Any size; they are squashed to 128×128.
        batch_size : int
            Pictures at a time; it does not change the result beyond rounding.

        Returns
        -------
        Perception
            Scores on `scale`.
        """

        def answer(_pixels: Tensor, maps: list[Tensor]) -> tuple[Tensor, ...]:
            return (self.score(self.pool(maps)).float(),)

        (scores,), outside = self._in_batches(pictures, batch_size, answer)
        return Perception(scores, outside)
