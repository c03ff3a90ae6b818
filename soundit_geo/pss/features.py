"""Features of pictures for FID and KID: Inception's, the published standard, or those of a scene judge."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

import numpy as np
import torch
from torch import nn

from soundit_geo.errors import InputError, WeightsError
from soundit_geo.pss.judges import PUBLISHED, check_device, load_judges
from soundit_geo.pss.pictures import open_picture
from soundit_geo.pss.published import name_of, read_weights
from soundit_geo.registry import cached
from soundit_geo.weights import check_finite, presets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from PIL import Image

    from soundit_geo.pss.pictures import Picture
    from soundit_geo.pss.scenes import SceneJudge

INCEPTION = "inception-fid"
"""Name of the Inception weights in the registry; FID in the literature is taken over their features."""

_LAYER = "2048"  # torch-fidelity's name of the last pooled layer, by its width


class PictureFeatures(Protocol):
    """Anything that turns pictures into vectors."""

    @property
    def name(self) -> str:
        """Name of the weights."""

    @property
    def world(self) -> str:
        """What they were trained on."""

    def __call__(self, pictures: Sequence[Picture]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Compute the features of one batch.

        Parameters
        ----------
        pictures : sequence of PIL.Image.Image, numpy.ndarray or path
            Any size, at least one.

        Returns
        -------
        features : numpy.ndarray
            (B, F) float32.
        outside : numpy.ndarray
            (B,) bool, whether the picture is known to lie outside the network's world.
        """


class InceptionFeatures:
    """The 2,048 pooled features of the Inception v3 of 2015, as FID was defined with them (Heusel et al. 2017).

    torch-fidelity's network; it resizes pictures to 299 × 299 as TensorFlow 1 did, without antialiasing. torchmetrics
    antialiases unless told otherwise, so that its FID of other sizes differs.

    Parameters
    ----------
    network : torch.nn.Module
        torch-fidelity's ``FeatureExtractorInceptionV3`` with the one layer ``"2048"``; it is put into evaluation mode.
    name : str
        Name of the weights.
    device : str or torch.device, optional
        Where the network computes; the CPU where it is not given.
    """

    world = "ImageNet photographs"

    def __init__(self, network: nn.Module, *, name: str = INCEPTION, device: Any = None) -> None:
        self.network = network.eval().requires_grad_(requires_grad=False).to(device or "cpu")
        self.device = torch.device(device or "cpu")
        self.name = name

    @classmethod
    def from_checkpoint(cls, path: str | Path, *, name: str | None = None, device: Any = None) -> Self:
        """Load the weights from the disk.

        Parameters
        ----------
        path : str or pathlib.Path
            ``weights-inception-2015-12-05-6726825d.pth``, or the same as safetensors.
        name : str, optional
            Name of the weights; that of the file where it is not given.
        device : str or torch.device, optional
            Where the network computes.

        Returns
        -------
        InceptionFeatures
            Ready.

        Raises
        ------
        InputError
            If torch-fidelity is not installed.
        MissingFileError
            If there is no such file.
        WeightsError
            If the file is unsafe, damaged, or another network's.
        """
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ImportError as error:
            raise InputError(
                "Inception's features need torch-fidelity. Install it: pip install 'soundit-geo[fidelity]'"
            ) from error
        weights = read_weights(path)
        check_finite((key, value) for key, value in weights.items() if value.is_floating_point())
        safe = io.BytesIO()  # torch-fidelity would unpickle the file itself; it gets what was read safely
        torch.save(weights, safe)
        safe.seek(0)
        try:
            network = FeatureExtractorInceptionV3(INCEPTION, [_LAYER], safe)
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise WeightsError(f"{path} does not fit FID's Inception: {reason[:200]}") from error
        return cls(network, name=name or name_of(path), device=device)

    def __call__(self, pictures: Sequence[Picture]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Compute the features of one batch.

        Parameters
        ----------
        pictures : sequence of PIL.Image.Image, numpy.ndarray or path
            Any size, at least one; those of one size go through the network together.

        Returns
        -------
        features : numpy.ndarray
            (B, 2048) float32.
        outside : numpy.ndarray
            (B,) bool, False: the network cannot tell.
        """
        images = [open_picture(picture) for picture in pictures]
        sizes: dict[tuple[int, int], list[int]] = {}
        for row, image in enumerate(images):
            sizes.setdefault(image.size, []).append(row)
        features = np.empty((len(images), int(_LAYER)), np.float32)
        for rows in sizes.values():
            pixels = torch.stack([_pixels(images[row]) for row in rows])  # (b, 3, H, W)
            with torch.inference_mode():
                features[rows] = self.network(pixels.to(self.device))[0].cpu().numpy()
        return features, np.zeros(len(images), np.bool_)


class JudgeFeatures:
    """What a scene judge sees before it decides: the vector that enters its last linear layer.

    Parameters
    ----------
    judge : SceneJudge
        Embedded or published; a network, or with one under ``network``.

    Raises
    ------
    InputError
        If the judge has no linear layer.
    """

    def __init__(self, judge: SceneJudge) -> None:
        network = getattr(judge, "network", judge)
        linear = (
            [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
            if isinstance(network, nn.Module)
            else []
        )
        if not linear:
            raise InputError(
                f"The judge {judge.name!r} has no linear layer whose input could serve as features."
            )
        self.judge, self._last = judge, linear[-1]

    @property
    def name(self) -> str:
        """Name of the weights.

        Returns
        -------
        str
            The judge's.
        """
        return self.judge.name

    @property
    def world(self) -> str:
        """What the judge was trained on.

        Returns
        -------
        str
            The judge's.
        """
        return self.judge.world

    def __call__(self, pictures: Sequence[Picture]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Compute the features of one batch.

        Parameters
        ----------
        pictures : sequence of PIL.Image.Image, numpy.ndarray or path
            Any size, at least one.

        Returns
        -------
        features : numpy.ndarray
            (B, F) float32, F the inputs of the last linear layer.
        outside : numpy.ndarray
            (B,) bool, as the judge says.
        """
        seen: list[torch.Tensor] = []
        hook = self._last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            outside = self.judge.judge(pictures, batch_size=len(pictures)).outside
        finally:
            hook.remove()
        return torch.cat(seen).float().cpu().numpy(), outside


def load_features(name_or_path: str | Path, device: Any = None) -> PictureFeatures:
    """Load a network whose features FID and KID are taken over.

    Parameters
    ----------
    name_or_path : str or pathlib.Path
        ``"inception-fid"``; a scene judge by name: ``"synthetic-city"`` (embedded), ``"wideresnet18-places365"``,
        ``"resnet50-places365"``; or the path of a scene judge's weights.
    device : str or torch.device, optional
        Where it computes; the CPU where it is not given.

    Returns
    -------
    PictureFeatures
        Ready.

    Raises
    ------
    InputError
        If torch-fidelity is needed and not installed, or the device is not there.
    MissingFileError
        If published weights are not in the cache; the message has the command that brings them.
    WeightsError
        If the name is unknown, or the weights are unsafe, damaged or another network's.
    """
    if str(name_or_path) == INCEPTION:
        check_device(device)
        return InceptionFeatures.from_checkpoint(cached(INCEPTION), name=INCEPTION, device=device)
    judges = [name for name, level in PUBLISHED.items() if level == "scenes"]
    known = [*presets(), *judges, INCEPTION]
    if str(name_or_path) not in known and not Path(name_or_path).exists():
        raise WeightsError(
            f"There are no features {str(name_or_path)!r}. Known: {', '.join(known)}; or the path of a scene judge."
        )
    return JudgeFeatures(cast("SceneJudge", load_judges(scenes=name_or_path, device=device).scenes))


def _pixels(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)
