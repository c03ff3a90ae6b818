"""What the judges around published networks share: reading of pictures, weights laid in whole, batches."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from PIL import Image

from soundit_geo.errors import InputError, WeightsError
from soundit_geo.pss.pictures import open_picture
from soundit_geo.weights import check_finite, check_layout, load_state_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from torch import Tensor, nn

    from soundit_geo.pss.pictures import Picture

IMAGENET_MEAN: tuple[float, float, float] = (0.485, 0.456, 0.406)
IMAGENET_SPREAD: tuple[float, float, float] = (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's red, green and blue, as shares of 255."""

_COUNTERS = ".num_batches_tracked"  # of no use once trained; PyTorch before 0.4 did not write them
_READERS = 4  # threads that open and resize pictures while the network computes


class PublishedJudge:
    """A network with weights from elsewhere, the way its authors prepared pictures, and where both come from.

    It has no test of its world: `outside` is False for every picture, and `world` says what it was trained on.

    Parameters
    ----------
    network : torch.nn.Module
        Takes prepared pictures (B, 3, h, w); it is put into evaluation mode.
    prepare : callable
        Takes an upright RGB picture, gives a float tensor (3, h, w).
    name : str
        Name of the weights, which travels with every number.
    world : str
        What they were trained on.
    device : str or torch.device, optional
        Where the network computes; the CPU where it is not given.
    """

    def __init__(
        self,
        network: nn.Module,
        prepare: Callable[[Image.Image], Tensor],
        *,
        name: str,
        world: str,
        device: str | torch.device | None = None,
    ) -> None:
        self.network = network.eval().requires_grad_(requires_grad=False)
        self.prepare = prepare
        self._name, self._world = name, world
        self._precision = "float32"
        self.to(device or "cpu")

    @property
    def name(self) -> str:
        """Name of the weights.

        Returns
        -------
        str
            For example ``"wideresnet18-places365"``; below float32 with the precision, which changes the scores.
        """
        return self._name if self._precision == "float32" else f"{self._name} ({self._precision})"

    @property
    def world(self) -> str:
        """What the judge was trained on.

        Returns
        -------
        str
            For example ``"Places365 photographs"``.
        """
        return self._world

    @property
    def device(self) -> torch.device:
        """Where the network computes.

        Returns
        -------
        torch.device
            Of its parameters.
        """
        return next(self.network.parameters()).device

    def to(self, device: str | torch.device) -> Self:
        """Move the network.

        Parameters
        ----------
        device : str or torch.device
            Such as ``"cuda"``.

        Returns
        -------
        the judge
            Itself.
        """
        self.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self

    def hasten(self, *, precision: str = "float32", compiled: bool = False) -> Self:
        """Compute in mixed precision or compiled, which a GPU gains by.

        Parameters
        ----------
        precision : {"float32", "bfloat16", "float16"}, optional
            Of convolutions and products, as `torch.autocast` chooses them; weights stay as they are.
        compiled : bool, optional
            Whether `torch.compile` translates the network when it first sees a picture, which takes about a minute.

        Returns
        -------
        the judge
            Itself.

        Raises
        ------
        InputError
            If the precision is another.
        """
        if precision not in PRECISIONS:
            raise InputError(f"There is no precision {precision!r}; there are {', '.join(PRECISIONS)}.")
        self._precision = precision
        if compiled:
            self.network.compile()
        return self

    def _prepared(self, pictures: Sequence[Picture], at_a_time: int) -> Iterator[list[tuple[Tensor, _Size]]]:
        """Prepared pictures and their own sizes (height, width), a few at a time; the next few are opened meanwhile."""
        if len(pictures) == 0 or at_a_time < 1:
            raise InputError(
                f"{len(pictures)} pictures in batches of {at_a_time}; give at least one of each."
            )

        def read(picture: Picture) -> tuple[Tensor, _Size]:
            image = open_picture(picture)
            return self.prepare(image), (image.height, image.width)

        waiting: deque[list[Future[tuple[Tensor, _Size]]]] = deque()
        with ThreadPoolExecutor(_READERS) as readers:
            for start in range(0, len(pictures), at_a_time):
                few = pictures[start : start + at_a_time]
                for picture in few:
                    if isinstance(picture, Image.Image):
                        picture.load()  # here: one picture may be given twice, and two threads must not read it
                waiting.append([readers.submit(read, picture) for picture in few])
                if len(waiting) > 1:
                    yield [future.result() for future in waiting.popleft()]
            while waiting:
                yield [future.result() for future in waiting.popleft()]

    def _in_batches(
        self, pictures: Sequence[Picture], batch_size: int, answer: Callable[[Tensor], tuple[Tensor, ...]]
    ) -> list[np.ndarray]:
        """Collect ``answer(network output)`` of pictures that are all prepared to one size."""
        parts: list[tuple[np.ndarray, ...]] = []
        with torch.inference_mode():
            for few in self._prepared(pictures, batch_size):
                pixels = torch.stack([tensor for tensor, _ in few])
                output = self._output(pixels)
                parts.append(tuple(part.cpu().numpy() for part in answer(output)))
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    def _output(self, pixels: Tensor) -> Tensor:
        """What the network says of prepared pictures (B, 3, h, w), in float32."""
        laid_out = pixels.to(self.device, memory_format=torch.channels_last)
        dtype = PRECISIONS[self._precision]
        with torch.autocast(self.device.type, dtype, enabled=dtype is not torch.float32):
            return self.network(laid_out).float()


_Size = tuple[int, int]

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""In which networks compute, by name."""


class Squash:
    """Squash pictures to a square, as torchvision's Resize does with Pillow; crop its centre; normalise.

    Parameters
    ----------
    size : int
        Edge of what the network sees.
    resize : int, optional
        Edge of the square before the centre is cropped; without it nothing is cropped.
    """

    def __init__(self, size: int, resize: int | None = None) -> None:
        self.size, self.resize = size, resize or size

    def __call__(self, image: Image.Image) -> Tensor:
        """Prepare one picture.

        Parameters
        ----------
        image : PIL.Image.Image
            Upright RGB.

        Returns
        -------
        torch.Tensor
            (3, size, size) float32; ImageNet's mean and standard deviation taken off.
        """
        return normalise(torch.from_numpy(self.pixels(image)))

    def pixels(self, image: Image.Image) -> np.ndarray:
        """Squash and crop one picture.

        Parameters
        ----------
        image : PIL.Image.Image
            Upright RGB.

        Returns
        -------
        numpy.ndarray
            (size, size, 3) uint8.
        """
        small = image.resize((self.resize, self.resize), Image.Resampling.BILINEAR)
        edge = round((self.resize - self.size) / 2)
        return np.array(small)[edge : edge + self.size, edge : edge + self.size]


def normalise(pixels: Tensor) -> Tensor:
    """Take ImageNet's mean off 8-bit pixels, and divide by its standard deviation.

    Parameters
    ----------
    pixels : torch.Tensor
        (..., h, w, 3), 0 to 255.

    Returns
    -------
    torch.Tensor
        (..., 3, h, w) float32.
    """
    mean = torch.tensor(IMAGENET_MEAN, device=pixels.device)
    spread = torch.tensor(IMAGENET_SPREAD, device=pixels.device)
    return ((pixels.float() / 255 - mean) / spread).movedim(-1, -3)


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read one file of weights safely.

    Parameters
    ----------
    path : str or pathlib.Path
        A safetensors file or a checkpoint of tensors; or a folder with one such file in it.

    Returns
    -------
    dict of str to torch.Tensor
        As `soundit_geo.weights.load_state_dict` gives them.

    Raises
    ------
    MissingFileError
        If there is no such file.
    WeightsError
        If it is damaged, holds more than tensors, or the folder holds no or several files of weights.
    """
    return load_state_dict(file_of_weights(path))


def file_of_weights(path: str | Path) -> Path:
    """The file itself, or the one file of weights in a folder.

    Parameters
    ----------
    path : str or pathlib.Path
        File or folder.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    WeightsError
        If the folder holds no or several files of weights.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    found = [file for file in sorted(path.iterdir()) if file.suffix in SUFFIXES]
    if len(found) != 1:
        raise WeightsError(
            f"{path} holds {len(found)} files of weights ({', '.join(SUFFIXES)}); name one file."
        )
    return found[0]


SUFFIXES: tuple[str, ...] = (".safetensors", ".pth", ".pt", ".tar", ".bin")
"""Endings of files of weights."""


def lay_in(network: nn.Module, state_dict: Mapping[str, Tensor]) -> None:
    """Lay weights into a network, all of them or none.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place.
    state_dict : mapping of str to torch.Tensor
        Every parameter and statistic of the network and nothing else; counters of batches may be absent.

    Raises
    ------
    WeightsError
        If names or shapes disagree, or a number is not finite.
    """
    given = {key: value for key, value in state_dict.items() if not key.endswith(_COUNTERS)}
    expected = {key: value for key, value in network.state_dict().items() if not key.endswith(_COUNTERS)}
    check_layout(given, expected)
    check_finite(given.items())
    network.load_state_dict(given, strict=False)


def name_of(path: str | Path) -> str:
    """Name of weights after their file.

    Parameters
    ----------
    path : str or pathlib.Path
        File or folder.

    Returns
    -------
    str
        Without folder and endings.
    """
    name = Path(path).resolve().name
    while Path(name).suffix in SUFFIXES:
        name = Path(name).stem
    return name
