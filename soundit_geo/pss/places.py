"""The scene judges of Places365: ResNet50, and ResNet18 with a wide feature map.

Zhou et al. 2018, "Places: a 10 million image database for scene recognition"; weights CC BY,
github.com/CSAILVision/places365. They are PyTorch 0.2 checkpoints, written by Python 2.
"""

from __future__ import annotations

import pickle
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from soundit_geo.classes import INDOOR
from soundit_geo.errors import InputError, WeightsError
from soundit_geo.pss.published import PublishedJudge, Squash, file_of_weights, lay_in, name_of, read_weights
from soundit_geo.pss.scenes import PLACES, RANKS, Scenes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from soundit_geo.pss.pictures import Picture

WORLD = "Places365 photographs"
"""What these networks were trained on."""


def resnet50() -> nn.Module:
    """Make ResNet50 for 365 classes.

    Returns
    -------
    torch.nn.Module
        Random weights; pictures (B, 3, 224, 224) into logits (B, 365).
    """
    return ResNet(Bottleneck, [3, 4, 6, 3], num_classes=PLACES)


def wide_resnet18() -> nn.Module:
    """Make the ResNet18 of Places365 with a wide feature map.

    Nothing is pooled before the first stage, so that the last map of a picture of 224 pixels has 14 × 14 places
    instead of 7 × 7; the mean over all of them is classified. Names and shapes are those of the ordinary ResNet18.

    Returns
    -------
    torch.nn.Module
        Random weights; pictures (B, 3, 224, 224) into logits (B, 365).
    """
    network = ResNet(BasicBlock, [2, 2, 2, 2], num_classes=PLACES)
    network.maxpool = nn.Identity()
    return network


class Kind(NamedTuple):
    """A network and what it is to be shown.

    Parameters
    ----------
    make : callable
        Gives it with random weights.
    prepare : Squash
        How pictures were prepared for it.
    """

    make: Callable[[], nn.Module]
    prepare: Squash


NETWORKS: Mapping[str, Kind] = MappingProxyType(
    {
        "resnet50": Kind(resnet50, Squash(224, resize=256)),
        "wideresnet18": Kind(wide_resnet18, Squash(224)),
    }
)
"""The networks by the name that their checkpoints give under ``arch``."""


class PlacesJudge(PublishedJudge):
    """Scenes from a classifier of Places365.

    Parameters
    ----------
    network : torch.nn.Module
        Takes prepared pictures (B, 3, h, w), gives logits (B, 365).
    prepare : callable
        Takes an upright RGB picture, gives a float tensor (3, h, w), always of one size.
    name : str
        Name of the weights.
    world : str, optional
        What they were trained on.
    device : str or torch.device, optional
        Where the network computes.
    """

    def __init__(
        self, network: nn.Module, prepare: Any, *, name: str, world: str = WORLD, device: Any = None
    ) -> None:
        super().__init__(network, prepare, name=name, world=world, device=device)

    @classmethod
    def from_checkpoint(
        cls, path: str | Path, *, network: str | None = None, name: str | None = None, device: Any = None
    ) -> Self:
        """Load published weights from the disk.

        Parameters
        ----------
        path : str or pathlib.Path
            The ``.pth.tar`` file, the same as safetensors, or a folder with one of them.
        network : str, optional
            A key of `NETWORKS`; told from the file where it is not given.
        name : str, optional
            Name of the weights; that of the file where it is not given.
        device : str or torch.device, optional
            Where the network computes.

        Returns
        -------
        PlacesJudge
            Ready.

        Raises
        ------
        InputError
            If `network` is unknown.
        MissingFileError
            If there is no such file.
        WeightsError
            If the file is unsafe, damaged, or another network's. The ordinary ResNet18-Places365 is refused where
            its file says what it is: it has the names and shapes of the wide one and would give nonsense.
        """
        given = read_weights(path)
        if network is None:
            network = "resnet50" if "layer1.0.conv3.weight" in given else "wideresnet18"
            said = _architecture(file_of_weights(path))
            if said not in {None, network}:
                raise WeightsError(f"{path} holds a {said}; this judge knows {', '.join(NETWORKS)}.")
        if network not in NETWORKS:
            raise InputError(f"There is no scene network {network!r}. Known: {', '.join(NETWORKS)}.")
        made = NETWORKS[network].make()
        lay_in(made, given)
        return cls(made, NETWORKS[network].prepare, name=name or name_of(path), device=device)

    def judge(self, pictures: Sequence[Picture], *, batch_size: int = 32) -> Scenes:
        """Tell the most likely scenes of each picture, and whether it is indoors.

        Parameters
        ----------
        pictures : sequence of PIL.Image.Image, numpy.ndarray or path
            Any size.
        batch_size : int
            Pictures at a time; it does not change the result beyond rounding.

        Returns
        -------
        Scenes
            Five ranks.

        Raises
        ------
        InputError
            If there is no picture or the batch size is below 1.
        PictureError
            If a picture cannot be read.
        """
        inside = torch.zeros(PLACES, device=self.device)
        inside[sorted(INDOOR)] = 1.0

        def answer(logits: Tensor) -> tuple[Tensor, ...]:
            probability = logits.float().softmax(-1)  # (B, 365)
            best = probability.topk(RANKS)
            return best.indices.to(torch.int16), best.values, probability @ inside

        classes, probability, indoor = self._in_batches(pictures, batch_size, answer)
        return Scenes(classes, probability, np.zeros(len(classes), np.bool_), np.clip(indoor, 0.0, 1.0))


def _architecture(path: Path) -> str | None:
    """What a checkpoint, found to be safe before, says that it is."""
    if not path.is_file() or path.suffix == ".safetensors":
        return None
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:  # beside its tensors it has settings that only `load_state_dict` lets pass
        return None
    said = held.get("arch") if isinstance(held, dict) else None
    return said if isinstance(said, str) else None
