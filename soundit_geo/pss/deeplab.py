"""DeepLabV3 on ResNet50 in OpenMMLab's published layout, so that its weights for ADE20K-150 lie in by name.

Chen et al. 2017, "Rethinking atrous convolution for semantic image segmentation" (arXiv 1706.05587); configuration
``deeplabv3_r50-d8`` of mmsegmentation, Apache-2.0. torchvision's own DeepLabV3 is another network: one convolution
as stem, 256 channels, image pooling last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models.resnet import Bottleneck, ResNet

from soundit_geo.pss.published import lay_in, normalise, read_weights

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

DILATIONS: tuple[int, ...] = (1, 12, 24, 36)
"""Of the four branches; the first is a 1×1 convolution."""


class ConvModule(nn.Sequential):
    """Convolution without bias, batch norm, ReLU; named ``conv`` and ``bn``.

    Parameters
    ----------
    fan_in, width : int
        Channels in and out.
    kernel : int
        Edge of the kernel.
    dilation : int
        Distance of its taps; with it the map keeps its size.
    """

    def __init__(self, fan_in: int, width: int, kernel: int, dilation: int = 1) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.conv = nn.Conv2d(fan_in, width, kernel, padding=padding, dilation=dilation, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.activate = nn.ReLU(inplace=True)


class Backbone(nn.Module):
    """ResNet50-V1c at an eighth of the picture: three 3×3 convolutions as stem, dilation in place of late strides.

    Strides 1, 2, 1, 1 and dilations 1, 1, 2, 4; the first block of a stage has half its dilation.
    """

    def __init__(self) -> None:
        super().__init__()
        resnet = ResNet(Bottleneck, [3, 4, 6, 3], replace_stride_with_dilation=[False, True, True])
        layers: list[nn.Module] = []
        for fan_in, width, stride in ((3, 32, 2), (32, 32, 1), (32, 64, 1)):
            layers += [
                nn.Conv2d(fan_in, width, 3, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
        self.stem = nn.Sequential(*layers)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1, self.layer2 = resnet.layer1, resnet.layer2
        self.layer3, self.layer4 = resnet.layer3, resnet.layer4

    def forward(self, pixels: Tensor) -> Tensor:
        """Pictures into features.

        Parameters
        ----------
        pixels : torch.Tensor
            (B, 3, h, w), normalised.

        Returns
        -------
        torch.Tensor
            (B, 2048, h/8, w/8), rounded up.
        """
        x = self.maxpool(self.stem(pixels))  # (B, 64, h/4, w/4)
        x = self.layer1(x)  # (B, 256, h/4, w/4)
        x = self.layer2(x)  # (B, 512, h/8, w/8)
        x = self.layer3(x)  # (B, 1024, h/8, w/8)
        return self.layer4(x)  # (B, 2048, h/8, w/8)


class Head(nn.Module):
    """Atrous spatial pyramid pooling: the whole picture first, then four dilations, then one convolution over all.

    Parameters
    ----------
    classes : int
        Outputs.
    fan_in, width : int
        Channels of the features and of every branch.
    """

    def __init__(self, classes: int, fan_in: int = 2048, width: int = 512) -> None:
        super().__init__()
        self.image_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), ConvModule(fan_in, width, 1))
        self.aspp_modules = nn.ModuleList(
            ConvModule(fan_in, width, 1 if dilation == 1 else 3, dilation) for dilation in DILATIONS
        )
        self.bottleneck = ConvModule((1 + len(DILATIONS)) * width, width, 3)
        self.conv_seg = nn.Conv2d(width, classes, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Features into logits.

        Parameters
        ----------
        features : torch.Tensor
            (B, fan_in, h, w).

        Returns
        -------
        torch.Tensor
            (B, classes, h, w).
        """
        whole = interpolate(
            self.image_pool(features), features.shape[2:], mode="bilinear"
        )  # (B, width, h, w)
        branches = [whole, *(branch(features) for branch in self.aspp_modules)]
        return self.conv_seg(self.bottleneck(torch.cat(branches, dim=1)))  # (B, classes, h, w)


class DeepLabV3(nn.Module):
    """DeepLabV3-R50 with random weights.

    Parameters
    ----------
    classes : int
        Outputs; 150 for ADE20K.
    """

    def __init__(self, classes: int = 150) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.decode_head = Head(classes)

    @classmethod
    def from_checkpoint(cls, path: str | Path) -> Self:
        """Load OpenMMLab's published weights.

        Parameters
        ----------
        path : str or pathlib.Path
            The ``.pth`` file, the same as safetensors, or a folder with one of them.

        Returns
        -------
        DeepLabV3
            In evaluation mode. The auxiliary head, of use in training alone, is passed over.

        Raises
        ------
        MissingFileError
            If there is no such file.
        WeightsError
            If the file is unsafe, damaged, or another network's.
        """
        given = read_weights(path)
        network = cls()
        lay_in(network, {key: value for key, value in given.items() if not key.startswith("auxiliary_head.")})
        return network.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits of every class at an eighth of the picture's size.

        Parameters
        ----------
        pixels : torch.Tensor
            (B, 3, h, w), normalised.

        Returns
        -------
        torch.Tensor
            (B, classes, h/8, w/8), rounded up.
        """
        return self.decode_head(self.backbone(pixels))


class KeepRatio:
    """Resize a picture so that it just fits a frame, and normalise it: how OpenMMLab tests on ADE20K.

    Bilinear without averaging, rounded to whole values, as OpenCV resizes 8-bit pictures.

    Parameters
    ----------
    longest, shortest : int
        Most pixels of the longer and of the shorter side.
    """

    def __init__(self, longest: int = 2048, shortest: int = 512) -> None:
        self.longest, self.shortest = longest, shortest

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
        width, height = image.size
        scale = min(self.longest / max(width, height), self.shortest / min(width, height))
        size = max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))
        pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(1, height, width, 3)
        planes = pixels.permute(0, 3, 1, 2).float()  # (1, 3, H, W)
        return normalise(interpolate(planes, size, mode="bilinear").round()[0].movedim(0, -1))
