"""What the three embedded judges share: a small trunk, reading of pictures, and knowledge of their world."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from soundit_geo.errors import InputError
from soundit_geo.pss.pictures import to_array
from soundit_geo.strict import StrictModelMixin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from soundit_geo.pss.pictures import Picture

SIZE = 128
"""Side, in pixels, of the pictures that the embedded judges look at."""


class Residual(nn.Module):
    """Two 3×3 convolutions beside a shortcut.

    Parameters
    ----------
    width : int
        Channels in and out.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        last = nn.BatchNorm2d(width)
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            last,
        )
        last.weight.data.zero_()  # a fresh block passes its input on: deep stacks train at once

    def forward(self, x: Tensor) -> Tensor:
        """Refine a map.

        Parameters
        ----------
        x : torch.Tensor
            (B, width, H, W).

        Returns
        -------
        torch.Tensor
            The same shape.
        """
        return torch.relu(x + self.body(x))


class Trunk(nn.Module):
    """Pictures into feature maps at 32², 16² and 8².

    Parameters
    ----------
    widths : sequence of int
        Channels of the three maps.
    blocks : sequence of int
        Residual blocks of the three stages.
    """

    def __init__(self, widths: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        if len(widths) != 3 or len(blocks) != 3:
            raise InputError(f"widths {widths} and blocks {blocks} name three stages each.")
        before = (48, *widths[:-1])
        self.unshuffle = nn.PixelUnshuffle(4)
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(fan_in, width, 3, stride=1 if first else 2, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
                *(Residual(width) for _ in range(depth)),
            )
            for first, fan_in, width, depth in zip((True, False, False), before, widths, blocks, strict=True)
        )

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Compute the three maps.

        Parameters
        ----------
        pixels : torch.Tensor
            (B, 3, 128, 128) in [-1, 1].

        Returns
        -------
        list of torch.Tensor
            (B, widths[0], 32, 32), (B, widths[1], 16, 16), (B, widths[2], 8, 8).
        """
        x = self.unshuffle(pixels)  # (B, 48, 32, 32)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class EmbeddedJudge(StrictModelMixin):
    """A small network that judges 128×128 pictures of one world, and knows when it is outside of it.

    The world is kept as class-conditional Gaussians with one shared covariance over features of the trunk
    (Lee et al. 2018, "A simple unified framework for detecting out-of-distribution samples"):
    ``distance(f) = min_g sqrt((f - mean_g)' precision (f - mean_g))``; beyond `outside_threshold` a picture
    is outside. Before `fit_world` the threshold is infinite: an unfitted judge flags nothing.
    """

    config_name = "config.json"
    trunk: Trunk
    feature_mean: Tensor
    feature_precision: Tensor
    outside_threshold: Tensor

    def _build_trunk(self, widths: Sequence[int], blocks: Sequence[int], groups: int = 1) -> int:
        """Make the trunk and the buffers of the world; give the width of what `pool` makes."""
        self.trunk = Trunk(widths, blocks)
        pooled = sum(widths)
        self.register_buffer("feature_mean", torch.zeros(groups, 3 * pooled))
        self.register_buffer("feature_precision", torch.eye(3 * pooled))
        self.register_buffer("outside_threshold", torch.tensor(math.inf))
        return pooled

    @property
    def name(self) -> str:
        """Name of the weights, which travels with every number.

        Returns
        -------
        str
            For example ``"synthetic-city"``.
        """
        return str(self.config["name"])

    @property
    def world(self) -> str:
        """What the judge was trained on.

        Returns
        -------
        str
            For example ``"synthetic city"``.
        """
        return str(self.config["world"])

    @property
    def knows_world(self) -> bool:
        """Whether `fit_world` has been done.

        Returns
        -------
        bool
            False for a fresh network.
        """
        return bool(torch.isfinite(self.outside_threshold))

    @staticmethod
    def pool(maps: Sequence[Tensor]) -> Tensor:
        """Average each map over the picture and join the three: what the heads see.

        Parameters
        ----------
        maps : sequence of torch.Tensor
            As `Trunk.forward` gives them.

        Returns
        -------
        torch.Tensor
            (B, P), P the sum of the widths.
        """
        return torch.cat([features.mean((2, 3)) for features in maps], dim=1)

    @staticmethod
    def describe(maps: Sequence[Tensor]) -> Tensor:
        """Mean, spread and peak of each map: by these the judge knows its world.

        On a judge of the synthetic city the means alone left photographs within the reach of rare places;
        spread and peak, which texture moves, set them apart.

        Parameters
        ----------
        maps : sequence of torch.Tensor
            As `Trunk.forward` gives them.

        Returns
        -------
        torch.Tensor
            (B, F), F three times the sum of the widths.
        """
        means = [features.mean((2, 3)) for features in maps]
        spreads = [features.std((2, 3), correction=0) for features in maps]
        peaks = [features.amax((2, 3)) for features in maps]
        return torch.cat([*means, *spreads, *peaks], dim=1)

    def features(self, pixels: Tensor) -> Tensor:
        """What `fit_world` and `distance` take, of pictures.

        Parameters
        ----------
        pixels : torch.Tensor
            (B, 3, 128, 128) in [-1, 1].

        Returns
        -------
        torch.Tensor
            (B, F).
        """
        return self.describe(self.trunk(pixels))

    @torch.no_grad()
    def fit_world(
        self,
        features: Tensor,
        groups: Tensor | None = None,
        *,
        held_out: float = 0.3,
        quantile: float = 0.995,
        margin: float = 1.05,
        seed: int = 0,
    ) -> float:
        """Learn how the features of the judge's own world are distributed.

        Parameters
        ----------
        features : torch.Tensor
            (N, F) from `features`, in evaluation mode, of pictures of the world; at least 4 F of them.
        groups : torch.Tensor, optional
            (N,) integers from 0: the row of `feature_mean` that each picture belongs to. Without them one
            mean serves all.
        held_out : float
            Share of the pictures that only sets the threshold.
        quantile : float
            Of the held-out distances; the threshold is this quantile times `margin`.
        margin : float
            Factor on the quantile, so that a new picture of the same world is hardly ever flagged.
        seed : int
            Chooses the held-out pictures.

        Returns
        -------
        float
            The threshold, as a Mahalanobis distance (no unit).

        Raises
        ------
        InputError
            If shapes disagree, the features are too few or not finite, or a group is empty.
        """
        rows, wide = self.feature_mean.shape
        if features.ndim != 2 or features.shape[1] != wide:
            raise InputError(f"features are {tuple(features.shape)}; this judge has (N, {wide}).")
        if len(features) < 4 * wide:
            raise InputError(
                f"{len(features)} pictures cannot fix {wide} features; give at least {4 * wide}."
            )
        if not bool(torch.isfinite(features).all()):
            raise InputError("features hold NaN or infinity. Check the training before fitting the world.")
        device = self.feature_mean.device
        x = features.detach().to("cpu", torch.float64)
        group = (
            torch.zeros(len(x), dtype=torch.long) if groups is None else groups.detach().to("cpu", torch.long)
        )
        if group.shape != (len(x),) or int(group.min()) < 0 or int(group.max()) >= rows:
            raise InputError(
                f"groups are {tuple(group.shape)} from {int(group.min())} to {int(group.max())}; expected "
                f"({len(x)},) integers from 0 to {rows - 1}."
            )
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
        cut = max(1, round(held_out * len(x)))
        aside, kept = order[:cut], order[cut:]
        if groups is None:
            mean = x[kept].mean(0).expand(rows, wide)
        else:
            count = torch.bincount(group[kept], minlength=rows)
            if int(count.min()) == 0:
                raise InputError(f"group {int(count.argmin())} has no picture; give some of every group.")
            mean = torch.zeros(rows, wide, dtype=x.dtype).index_add_(0, group[kept], x[kept]) / count[:, None]
        centred = x[kept] - mean[group[kept]]
        covariance = centred.T @ centred / len(kept)
        ridge = 1e-2 * covariance.diagonal().mean().clamp_min(
            1e-12
        )  # dead channels must not become infinitely strict
        precision = torch.linalg.inv(covariance + ridge * torch.eye(wide, dtype=x.dtype))
        self.feature_mean.copy_(mean.to(device, self.feature_mean.dtype))
        self.feature_precision.copy_(((precision + precision.T) / 2).to(device, self.feature_precision.dtype))
        inside = self.distance(x[aside].to(device, self.feature_mean.dtype))
        self.outside_threshold.copy_(margin * torch.quantile(inside.double(), quantile))
        return float(self.outside_threshold)

    def distance(self, features: Tensor) -> Tensor:
        """How far pictures lie from the judge's world.

        Parameters
        ----------
        features : torch.Tensor
            (B, F) from `features`.

        Returns
        -------
        torch.Tensor
            (B,) Mahalanobis distance to the nearest group; no unit, large is foreign.
        """
        offset = features[:, None] - self.feature_mean  # (B, groups, F)
        square = ((offset @ self.feature_precision) * offset).sum(-1)  # (B, groups)
        return square.clamp_min(0).amin(1).sqrt()

    def pixels(self, pictures: Sequence[Picture]) -> Tensor:
        """Bring pictures into the form that `forward` takes.

        Parameters
        ----------
        pictures : sequence of PIL.Image.Image, numpy.ndarray or path
            Any size; see `soundit_geo.pss.pictures.to_array`.

        Returns
        -------
        torch.Tensor
            (B, 3, 128, 128) in [-1, 1], on the judge's device.
        """
        array = torch.from_numpy(to_array(pictures, SIZE)).to(self.device)
        return array.permute(0, 3, 1, 2).to(self.dtype) / 127.5 - 1.0  # channels last in memory

    def _in_batches(
        self,
        pictures: Sequence[Picture],
        batch_size: int,
        answer: Callable[[Tensor, list[Tensor]], tuple[Tensor, ...]],
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """Collect ``answer(pixels, maps)`` of all pictures, and which of them lie outside the world."""
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}; it is at least 1.")
        training = self.training
        self.eval()  # batch statistics would make a picture's score depend on its neighbours
        parts: list[tuple[np.ndarray, ...]] = []
        try:
            with torch.inference_mode():
                for few in _chunks(pictures, batch_size):
                    pixels = self.pixels(few)
                    maps = self.trunk(pixels)
                    outside = self.distance(self.describe(maps)) > self.outside_threshold
                    parts.append(tuple(part.cpu().numpy() for part in (*answer(pixels, maps), outside)))
        finally:
            self.train(training)
        *answers, outside_all = (np.concatenate(column) for column in zip(*parts, strict=True))
        return list(answers), outside_all


def _chunks(pictures: Sequence[Picture], size: int) -> Iterator[Sequence[Picture]]:
    if len(pictures) == 0:
        raise InputError("There is no picture to judge; give at least one.")
    for start in range(0, len(pictures), size):
        yield pictures[start : start + size]
