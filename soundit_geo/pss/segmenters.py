"""The element judge around a segmentation network: DeepLabV3 in OpenMMLab's layout, SegFormer, UPerNet.

**Resolution of the shares.** The network gives logits at an eighth (DeepLabV3) or a quarter (the others) of what it
sees. They are enlarged to what it sees, bilinearly and with corners not aligned, as OpenMMLab and transformers do
it; the most likely class of each of these pixels is counted. That is 512 × 512 for SegFormer and UPerNet; for
DeepLabV3 the picture resized to fit 2048 × 512. The mask is this map of classes, brought to the picture's own size
by the nearest pixel.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from soundit_geo.errors import MissingFileError, WeightsError
from soundit_geo.pss.deeplab import DeepLabV3, KeepRatio
from soundit_geo.pss.elements import ELEMENTS, Elements
from soundit_geo.pss.enlarging import enlarged_classes
from soundit_geo.pss.published import PublishedJudge, name_of
from soundit_geo.weights import check_finite, refuse_disagreement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL import Image

    from soundit_geo.pss.pictures import Picture

WORLD = "ADE20K photographs"
"""What all of these networks were trained on."""

AT_A_TIME = 8
"""Most pictures that a segmentation network sees at once: more takes memory and saves no time."""

_FIRST = ("wall", "building", "sky", "floor", "tree")  # ADE20K from 0: tells lists that are shifted by one


class SegmentationJudge(PublishedJudge):
    """Element shares from a segmentation network.

    Parameters
    ----------
    network : torch.nn.Module
        Takes prepared pictures (B, 3, h, w), gives logits (B, 150, h', w') in the order of ADE20K.
    prepare : callable
        Takes an upright RGB picture, gives a float tensor (3, h, w); sizes may differ.
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
    def from_checkpoint(cls, path: str | Path, *, name: str | None = None, device: Any = None) -> Self:
        """Load published weights from the disk.

        Parameters
        ----------
        path : str or pathlib.Path
            A file of OpenMMLab's DeepLabV3-R50, or the folder of a SegFormer or UPerNet as transformers writes it
            (``config.json`` and ``model.safetensors``).
        name : str, optional
            Name of the weights; that of the file or folder where it is not given.
        device : str or torch.device, optional
            Where the network computes.

        Returns
        -------
        SegmentationJudge
            Ready.

        Raises
        ------
        MissingFileError
            If there is nothing at the path.
        WeightsError
            If the weights are unsafe, damaged, another network's, or not for ADE20K's 150 classes.
        """
        path = Path(path)
        if not path.exists():
            raise MissingFileError(f"There are no weights at {path}. Check the path.")
        network: nn.Module
        prepare: Any
        if (path / "config.json").is_file():
            network, prepare = _from_transformers(path)
        else:
            network, prepare = DeepLabV3.from_checkpoint(path), KeepRatio()
        return cls(network, prepare, name=name or name_of(path), device=device)

    def judge(self, pictures: Sequence[Picture], *, batch_size: int = 8, mask: bool = False) -> Elements:
        """Tell the area shares of ADE20K classes in each picture.

        Parameters
        ----------
        pictures : sequence of PIL.Image.Image, numpy.ndarray or path
            Any size.
        batch_size : int
            Pictures at a time, at most `AT_A_TIME`; it does not change the result beyond rounding.
        mask : bool
            Whether to give the masks too, each of its picture's own size.

        Returns
        -------
        Elements
            Shares count the pixels of the most likely class, at the resolution that this module's text names.

        Raises
        ------
        InputError
            If there is no picture or the batch size is below 1.
        PictureError
            If a picture cannot be read.
        """
        shares: list[Tensor] = []
        masks: list[np.ndarray] = []
        with torch.inference_mode():
            for few in self._prepared(pictures, min(batch_size, AT_A_TIME)):
                for (_, size), label in zip(few, self._labels([pixels for pixels, _ in few]), strict=True):
                    counted = torch.bincount(label.flatten(), minlength=ELEMENTS)
                    shares.append((counted.double() / label.numel()).float().cpu())
                    if mask:
                        fitted = interpolate(label[None, None].byte(), size, mode="nearest-exact")
                        masks.append(fitted[0, 0].cpu().numpy())
        share = torch.stack(shares).numpy()
        return Elements(share, np.zeros(len(share), np.bool_), masks if mask else None)

    def _labels(self, prepared: list[Tensor]) -> list[Tensor]:
        """Class of every prepared pixel, picture by picture; those of one size pass the network together."""
        labels: list[Tensor] = [torch.empty(0)] * len(prepared)
        for shape in {tuple(pixels.shape) for pixels in prepared}:
            rows = [row for row, pixels in enumerate(prepared) if tuple(pixels.shape) == shape]
            logits = self._output(torch.stack([prepared[row] for row in rows]))
            for row, planes in zip(rows, logits, strict=True):
                labels[row] = enlarged_classes(planes, (shape[1], shape[2]))
        return labels


class SegFormer(nn.Module):
    """Transformers' SegFormer, giving logits alone.

    Parameters
    ----------
    model : transformers.SegformerForSemanticSegmentation
        With its weights.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits at a quarter of the picture's size.

        Parameters
        ----------
        pixels : torch.Tensor
            (B, 3, h, w), normalised.

        Returns
        -------
        torch.Tensor
            (B, classes, h/4, w/4).
        """
        return self.model(pixel_values=pixels).logits


class UPerNet(nn.Module):
    """Transformers' UPerNet without its auxiliary head, and before its logits are enlarged.

    Parameters
    ----------
    model : transformers.UperNetForSemanticSegmentation
        With its weights.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.backbone, self.decode_head = model.backbone, model.decode_head

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits at the size of the backbone's first map.

        Parameters
        ----------
        pixels : torch.Tensor
            (B, 3, h, w), normalised.

        Returns
        -------
        torch.Tensor
            (B, classes, h', w').
        """
        return self.decode_head(self.backbone(pixels).feature_maps)


class Processor:
    """Transformers' own preparation of pictures: by default 512 × 512, bilinear, ImageNet's mean and spread.

    Parameters
    ----------
    folder : pathlib.Path
        Its ``preprocessor_config.json`` is followed, where there is one.
    """

    def __init__(self, folder: Path) -> None:
        from transformers import SegformerImageProcessor

        if (folder / "preprocessor_config.json").is_file():
            self.processor = SegformerImageProcessor.from_pretrained(folder, local_files_only=True)
        else:
            self.processor = SegformerImageProcessor()

    def __call__(self, image: Image.Image) -> Tensor:
        """Prepare one picture.

        Parameters
        ----------
        image : PIL.Image.Image
            Upright RGB.

        Returns
        -------
        torch.Tensor
            (3, h, w) float32.
        """
        return self.processor(images=image, return_tensors="pt")["pixel_values"][0]


def _from_transformers(folder: Path) -> tuple[nn.Module, Processor]:
    """Network and preparation of a folder that transformers wrote."""
    from transformers import SegformerForSemanticSegmentation, UperNetForSemanticSegmentation

    known: dict[str, tuple[Any, type[nn.Module]]] = {
        "segformer": (SegformerForSemanticSegmentation, SegFormer),
        "upernet": (UperNetForSemanticSegmentation, UPerNet),
    }
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError, OSError) as error:
        raise WeightsError(f"{folder / 'config.json'} is no configuration ({error}).") from error
    if kind not in known:
        raise WeightsError(
            f"{folder} holds a model of the type {kind!r}; this judge knows {', '.join(known)}, and "
            "OpenMMLab's DeepLabV3-R50 as one file."
        )
    if not (folder / "model.safetensors").is_file():
        raise WeightsError(f"{folder} has no model.safetensors; other formats are not read from folders.")
    loader, adapter = known[kind]
    try:
        with _quiet():
            model, told = loader.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
        prepare = Processor(folder)
    except Exception as error:  # whatever a damaged file makes the library raise
        raise WeightsError(f"The {kind} in {folder} cannot be loaded ({error}).") from error
    refuse_disagreement(
        missing=sorted(told["missing_keys"]),
        unknown=sorted(told["unexpected_keys"]),
        reshaped=[
            f"{key} is {tuple(came)}, expected {tuple(expected)}"
            for key, came, expected in told["mismatched_keys"]
        ],
        source=f"The {kind} in {folder}",
    )
    check_finite(model.named_parameters())
    _check_classes(model.config, folder)
    return adapter(model), prepare


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' bar and its report of what did not fit, which is told here as an error."""
    from transformers.utils import logging

    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()


def _check_classes(config: Any, folder: Path) -> None:
    if config.num_labels != ELEMENTS:
        raise WeightsError(f"The model in {folder} knows {config.num_labels} classes; ADE20K has {ELEMENTS}.")
    said = [str(config.id2label.get(number, "")).lower() for number in range(len(_FIRST))]
    named = not all(label.startswith("label_") for label in said)
    if named and not all(label.startswith(name) for label, name in zip(said, _FIRST, strict=True)):
        raise WeightsError(
            f"The classes in {folder} begin with {', '.join(said)}; ADE20K's with {', '.join(_FIRST)}."
        )
