"""Perception judges that were trained on pairwise votes such as Place Pulse 2.0's (Dubey et al. 2016, 1608.01769).

Two families: networks of ours, trained by ``soundit-geo train perception`` to predict TrueSkill scores; and published
ones that grade one quality each.

================== ==================================================== ============================== ========
network            layout                                               score                          scale
================== ==================================================== ============================== ========
``densenet121``    torchvision's, six outputs                           mean + spread · output         0 to 50
``mini``           four convolutions, six outputs                       mean + spread · output         0 to 50
``resnet50``       torchvision's, then 2048-1024-512-128-5              softmax · (1, 3, 5, 7, 9)      1 to 9
``vit_b_16``       torchvision's for 384 pixels, then 768-512-256-2     10 · softmax of the second     0 to 10
================== ==================================================== ============================== ========

Scores of different scales, or of different judges, are not comparable.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import relu
from torchvision.models import densenet121, resnet50, vit_b_16

from soundit_geo.classes import PERCEPTIONS
from soundit_geo.errors import InputError, MissingFileError, WeightsError
from soundit_geo.pss.perception import SCORES, Perception
from soundit_geo.pss.published import SUFFIXES, PublishedJudge, Squash, lay_in, name_of, read_weights
from soundit_geo.pss.votes import quality_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from soundit_geo.pss.pictures import Picture

WORLD = "Place Pulse 2.0 street views"
"""What the published networks were trained on."""

FORMAT = "soundit-geo perception judge, 1"
"""What ``config.json`` of a trained judge says under ``format``."""

SKILL_SCALE: tuple[float, float] = (0.0, 50.0)
"""Ends of the scale of TrueSkill's μ: where it starts, 25, and three of its first standard deviations about that."""


class Mini(nn.Sequential):
    """Four convolutions and a mean: for tests and for tries on a laptop.

    Parameters
    ----------
    outputs : int
        Numbers per picture.
    width : int
        Channels of the first convolution; each further one has twice as many.
    """

    def __init__(self, outputs: int = SCORES, width: int = 16) -> None:
        layers: list[nn.Module] = []
        before = 3
        for stage in range(4):
            wide = width * 2**stage
            layers += [
                nn.Conv2d(before, wide, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(wide),
                nn.ReLU(inplace=True),
            ]
            before = wide
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, outputs))


class Grader(nn.Module):
    """A published network for one quality: pictures (B, 3, h, w) into scores (B,)."""

    scale: ClassVar[tuple[float, float]]
    prepare: ClassVar[Squash]


class Graded(Grader):
    """ResNet50 with four linear layers, which grades a picture in five steps.

    Parameters
    ----------
    grades : tuple of float
        Value of each step.
    """

    scale = (1.0, 9.0)
    prepare = Squash(224)

    def __init__(self, grades: tuple[float, ...] = (1.0, 3.0, 5.0, 7.0, 9.0)) -> None:
        super().__init__()
        self.resnet50 = resnet50(weights=None)
        self.resnet50.fc = nn.Identity()
        self.fc1, self.fc2 = nn.Linear(2048, 1024), nn.Linear(1024, 512)
        self.fc3, self.fc4 = nn.Linear(512, 128), nn.Linear(128, len(grades))
        self.register_buffer("grades", torch.tensor(grades), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Scores of one quality.

        Parameters
        ----------
        pixels : torch.Tensor
            (B, 3, 224, 224), normalised.

        Returns
        -------
        torch.Tensor
            (B,) the expected grade, 1 to 9.
        """
        x = self.resnet50(pixels)  # (B, 2048)
        x = relu(self.fc3(relu(self.fc2(relu(self.fc1(x))))))  # (B, 128)
        return self.fc4(x).float().softmax(-1) @ self.grades  # (B,)


class Halved(Grader):
    """Vision transformer with three linear layers, which tells a high from a low picture."""

    scale = (0.0, 10.0)
    prepare = Squash(384)

    def __init__(self) -> None:
        super().__init__()
        self.model = vit_b_16(weights=None, image_size=384)
        self.model.heads.head = nn.Sequential(
            nn.Linear(768, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 2)
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Scores of one quality.

        Parameters
        ----------
        pixels : torch.Tensor
            (B, 3, 384, 384), normalised.

        Returns
        -------
        torch.Tensor
            (B,) ten times the probability of the high half.
        """
        return 10.0 * self.model(pixels).float().softmax(-1)[:, 1]  # (B,)


class Kind(NamedTuple):
    """A network that can be trained, and what it is to be shown.

    Parameters
    ----------
    make : callable
        Gives it with random weights and six outputs.
    prepare : Squash
        How pictures are prepared for it.
    """

    make: Callable[[], nn.Module]
    prepare: Squash


NETWORKS: Mapping[str, Kind] = MappingProxyType(
    {
        "densenet121": Kind(lambda: densenet121(weights=None, num_classes=SCORES), Squash(224)),
        "mini": Kind(Mini, Squash(64)),
    }
)
"""The networks that ``soundit-geo train perception`` knows."""


class SkillJudge(PublishedJudge):
    """TrueSkill scores, predicted by a network that was trained on votes.

    Parameters
    ----------
    config : mapping
        ``network``, a key of `NETWORKS`; ``qualities``, those that there were votes on; ``mean`` and ``spread``, six
        numbers each that bring outputs to scores; ``name`` and ``world``.
    network : torch.nn.Module, optional
        With its weights; one with random weights where it is not given.
    device : str or torch.device, optional
        Where the network computes.

    Raises
    ------
    WeightsError
        If the configuration is incomplete or malformed.
    """

    unit = "TrueSkill μ"

    def __init__(
        self, config: Mapping[str, Any], network: nn.Module | None = None, device: Any = None
    ) -> None:
        kind, self.qualities, mean, spread = _checked(config)
        self._mean, self._spread = np.array(mean), np.array(spread)
        super().__init__(
            network or kind.make(),
            kind.prepare,
            name=str(config["name"]),
            world=str(config["world"]),
            device=device,
        )
        self.config = dict(config)

    @classmethod
    def from_checkpoint(cls, path: str | Path, *, name: str | None = None, device: Any = None) -> Self:
        """Load a judge that was trained here.

        Parameters
        ----------
        path : str or pathlib.Path
            Folder with ``config.json`` and ``model.safetensors``.
        name : str, optional
            Name of the weights, in place of that in the configuration.
        device : str or torch.device, optional
            Where the network computes.

        Returns
        -------
        SkillJudge
            Ready.

        Raises
        ------
        MissingFileError
            If a file is absent.
        WeightsError
            If the configuration or the weights do not fit.
        """
        folder = Path(path)
        config = _read_config(folder)
        if name is not None:
            config["name"] = name
        judge = cls(config)
        lay_in(judge.network, read_weights(folder / "model.safetensors"))
        return judge.to(device or "cpu")

    @property
    def scale(self) -> tuple[float, float]:
        """Lowest and highest possible score.

        Returns
        -------
        tuple of float
            (0, 50); higher is more of the quality named.
        """
        return SKILL_SCALE

    def judge(self, pictures: Sequence[Picture], *, batch_size: int = 32) -> Perception:
        """Tell the six scores of each picture.

        Parameters
        ----------
        pictures : sequence of PIL.Image.Image, numpy.ndarray or path
            Any size.
        batch_size : int
            Pictures at a time; it does not change the result beyond rounding.

        Returns
        -------
        Perception
            Scores on `scale`; NaN for qualities that nobody voted on.

        Raises
        ------
        InputError
            If there is no picture or the batch size is below 1.
        PictureError
            If a picture cannot be read.
        """
        (output,) = self._in_batches(pictures, batch_size, lambda output: (output.float(),))
        scores = np.clip(self._mean + self._spread * output, *SKILL_SCALE).astype(np.float32)
        scores[:, [name not in self.qualities for name in PERCEPTIONS]] = np.nan
        return Perception(scores, np.zeros(len(scores), np.bool_))


class _Together(nn.ModuleList):
    """Networks that see the same pictures; a column of scores from each."""

    def forward(self, pixels: Tensor) -> Tensor:
        return torch.stack([network(pixels) for network in self], dim=1)


class PlacePulseJudge(PublishedJudge):
    """Published networks, one per quality.

    Parameters
    ----------
    networks : mapping of str to torch.nn.Module
        Perception to its network, all of one kind: `Graded`, or `Halved`. Qualities without one are not scored.
    name : str
        Name of the weights.
    world : str, optional
        What they were trained on.
    device : str or torch.device, optional
        Where the networks compute.

    Raises
    ------
    InputError
        If there is no network, a quality is unknown, or kinds are mixed.
    """

    def __init__(
        self, networks: Mapping[str, Grader], *, name: str, world: str = WORLD, device: Any = None
    ) -> None:
        unknown = [quality for quality in networks if quality not in PERCEPTIONS]
        kinds = {type(network) for network in networks.values()}
        if unknown or len(kinds) != 1 or not kinds <= {Graded, Halved}:
            raise InputError(
                f"Networks for {', '.join(networks) or 'nothing'}: expected some of {', '.join(PERCEPTIONS)}, all "
                "Graded or all Halved."
            )
        (kind,) = kinds
        self.qualities = tuple(quality for quality in PERCEPTIONS if quality in networks)
        together = _Together([networks[quality] for quality in self.qualities])
        super().__init__(together, kind.prepare, name=name, world=world, device=device)
        self._scale = kind.scale

    @classmethod
    def from_checkpoint(
        cls,
        path: str | Path | Mapping[str, str | Path],
        *,
        name: str | None = None,
        device: Any = None,
    ) -> Self:
        """Load published weights from the disk.

        Parameters
        ----------
        path : str, pathlib.Path or mapping of str to path
            A folder with one file per quality; one such file; or perception to file. Files are known by what they are
            called after: ``safe.pth`` or ``safer.pth``, ``more boring.safetensors``, ``placepulse-resnet50-safe.pth``.
        name : str, optional
            Name of the weights; that of the folder or file where it is not given.
        device : str or torch.device, optional
            Where the networks compute.

        Returns
        -------
        PlacePulseJudge
            Ready.

        Raises
        ------
        MissingFileError
            If there is nothing at the path.
        WeightsError
            If a file is a pickled whole module (the message says how to convert it), damaged, or another network's;
            or if it does not tell what quality it is of.
        """
        if isinstance(path, Mapping):
            files = {str(quality): Path(file) for quality, file in path.items()}
            name = name or "placepulse"
        else:
            files, name = _files(Path(path)), name or name_of(path)
        networks: dict[str, Grader] = {}
        for quality, file in files.items():
            given = read_weights(file)
            made: Grader = Halved() if "model.conv_proj.weight" in given else Graded()
            lay_in(made, given)
            networks[quality] = made
        return cls(networks, name=name, device=device)

    @property
    def scale(self) -> tuple[float, float]:
        """Lowest and highest possible score.

        Returns
        -------
        tuple of float
            (1, 9) or (0, 10); higher is more of the quality named.
        """
        return self._scale

    def judge(self, pictures: Sequence[Picture], *, batch_size: int = 32) -> Perception:
        """Tell the six scores of each picture.

        Parameters
        ----------
        pictures : sequence of PIL.Image.Image, numpy.ndarray or path
            Any size.
        batch_size : int
            Pictures at a time; it does not change the result beyond rounding.

        Returns
        -------
        Perception
            Scores on `scale`; NaN for qualities without a network.

        Raises
        ------
        InputError
            If there is no picture or the batch size is below 1.
        PictureError
            If a picture cannot be read.
        """
        (told,) = self._in_batches(pictures, batch_size, lambda output: (output,))
        scores = np.full((len(told), SCORES), np.nan, np.float32)
        scores[:, [PERCEPTIONS.index(quality) for quality in self.qualities]] = told
        return Perception(scores, np.zeros(len(scores), np.bool_))


def load_perception(
    path: str | Path, *, name: str | None = None, device: Any = None
) -> SkillJudge | PlacePulseJudge:
    """Load a perception judge from the disk, whichever of the two it is.

    Parameters
    ----------
    path : str or pathlib.Path
        What `SkillJudge.from_checkpoint` or `PlacePulseJudge.from_checkpoint` takes.
    name : str, optional
        Name of the weights.
    device : str or torch.device, optional
        Where the networks compute.

    Returns
    -------
    SkillJudge or PlacePulseJudge
        Ready.

    Raises
    ------
    MissingFileError
        If there is nothing at the path.
    WeightsError
        If it cannot be loaded safely and whole.
    """
    if (Path(path) / "config.json").is_file():
        return SkillJudge.from_checkpoint(path, name=name, device=device)
    return PlacePulseJudge.from_checkpoint(path, name=name, device=device)


def _files(path: Path) -> dict[str, Path]:
    """Quality to file, of a folder or of one file."""
    if not path.exists():
        raise MissingFileError(f"There are no weights at {path}. Check the path.")
    listed = [file for file in sorted(path.iterdir()) if file.suffix in SUFFIXES] if path.is_dir() else [path]
    found: dict[str, Path] = {}
    for file in listed:
        stem = name_of(file)
        quality = quality_of(stem) or quality_of(stem.rpartition("-")[2])
        if quality is None or quality in found:
            why = "is the second of its quality" if quality else "does not say what quality it is of"
            raise WeightsError(
                f"{file} {why}. Call the files {', '.join(PERCEPTIONS)}, one each, with an ending of "
                f"{', '.join(SUFFIXES)}."
            )
        found[quality] = file
    if not found:
        raise WeightsError(f"{path} holds no file of weights ({', '.join(SUFFIXES)}).")
    return found


def _read_config(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    if not file.is_file():
        raise MissingFileError(
            f"There is no {file}. Give a folder that `soundit-geo train perception` wrote."
        )
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(f"{file} is no JSON ({error}).") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise WeightsError(f"{file} is not the configuration of a {FORMAT}.")
    return config


def _checked(config: Mapping[str, Any]) -> tuple[Kind, tuple[str, ...], list[float], list[float]]:
    """Network, qualities, mean and spread of a configuration."""
    absent = [key for key in ("network", "qualities", "mean", "spread", "name", "world") if key not in config]
    if absent:
        raise WeightsError(f"The judge's configuration lacks {', '.join(absent)}.")
    if config["network"] not in NETWORKS:
        raise WeightsError(f"There is no network {config['network']!r}. Known: {', '.join(NETWORKS)}.")
    qualities = config["qualities"]
    if not isinstance(qualities, (list, tuple)) or not qualities or not set(qualities) <= set(PERCEPTIONS):
        raise WeightsError(f"The judge's qualities are {qualities!r}; expected some of {PERCEPTIONS}.")
    numbers = []
    for key in ("mean", "spread"):
        try:
            values = [float(value) for value in config[key]]
        except (TypeError, ValueError) as error:
            raise WeightsError(f"The judge's {key} is {config[key]!r}; expected six numbers.") from error
        if len(values) != SCORES or not np.isfinite(values).all():
            raise WeightsError(f"The judge's {key} is {values}; expected six finite numbers.")
        numbers.append(values)
    return NETWORKS[config["network"]], tuple(qualities), numbers[0], numbers[1]
