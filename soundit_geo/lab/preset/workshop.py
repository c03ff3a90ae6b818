"""Where a preset is trained, and what its stages share: the two cities, a start, a shipped component."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from soundit_geo.lab import city_data
from soundit_geo.synthetic_city.place import LEVELS, SCENES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from soundit_geo.synthetic_city.place import Place

TRAIN_SEED, TEST_SEED = 1, 2


@dataclass(frozen=True)
class Workshop:
    """Where training happens.

    Parameters
    ----------
    work : pathlib.Path
        Data and checkpoints; large, never committed.
    preset : pathlib.Path
        The finished components.
    places, test_places : int
        Places of the training and of the test city.
    sounds, test_sounds : int
        How many of them are also heard.
    learnt : int
        How many of those that are heard the generator learns from.
    start : pathlib.Path, optional
        A finished preset whose weights the stages begin with; random ones by default.
    mixed : bool, optional
        Multiply in bfloat16 while training (not: in caches, nor judges, nor the encoder).
    """

    work: Path
    preset: Path
    places: int = 24_000
    test_places: int = 1200
    sounds: int = 24_000
    test_sounds: int = 1200
    learnt: int = 12_000
    start: Path | None = None
    mixed: bool = False

    @property
    def lessons(self) -> int:
        """Places that the generator learns from, among those that are heard."""
        return min(self.learnt, self.sounds, self.places)

    @property
    def train(self) -> Path:
        """Folder of the training city."""
        return self.work / "train"

    @property
    def test(self) -> Path:
        """Folder of the test city, which training never sees."""
        return self.work / "test"


def data(shop: Workshop) -> None:
    """Make the pictures of the two cities.

    Parameters
    ----------
    shop : Workshop
        Where.
    """
    city_data.make_pictures(shop.train, shop.places, TRAIN_SEED)
    city_data.make_pictures(shop.test, shop.test_places, TEST_SEED)


def sounds(shop: Workshop) -> None:
    """Make the sounds of the two cities.

    Parameters
    ----------
    shop : Workshop
        Where.
    """
    data(shop)
    city_data.make_sounds(shop.test, shop.test_sounds)
    city_data.make_sounds(shop.train, shop.sounds)


def begin(shop: Workshop, part: str, model: Any) -> str:
    """Give a model the weights of the preset that the workshop starts from, if there is one.

    Parameters
    ----------
    shop : Workshop
        Where.
    part : str
        Folder of the component in the preset.
    model : torch.nn.Module
        Changed in place.

    Returns
    -------
    str
        The weights by part and hash, for `soundit_geo.lab.loop.fit`; empty where they stay as they are.
    """
    if shop.start is None:
        return ""
    model.load_state_dict(type(model).from_pretrained(shop.start / part).float().state_dict())
    found = hashlib.sha256(
        b"".join(file.read_bytes() for file in sorted((shop.start / part).glob("*.safetensors")))
    )
    return f"{part} {found.hexdigest()[:12]}"


def steps_in_all(shop: Workshop, part: str, steps: int, key: str = "steps") -> dict[str, int]:
    """Steps of this training, and of those before it where it went on from a finished preset that counted them.

    Parameters
    ----------
    shop : Workshop
        Where.
    part : str
        Folder of the component in the preset.
    steps : int
        Of this training.
    key : str, optional
        What the figures call them.

    Returns
    -------
    dict of str to int
        For the component's ``figures.json``.
    """
    if shop.start is None:
        return {key: steps}
    before = json.loads((shop.start / part / "figures.json").read_text())
    known = [before[name] for name in (key, f"{key}_before") if name in before]
    return {key: steps, f"{key}_before": sum(known)} if known else {key: steps}


def random_rows(generator: torch.Generator, count: int, batch: int) -> NDArray[np.int64]:
    """Rows of a batch.

    Parameters
    ----------
    generator : torch.Generator
        Draws them.
    count, batch : int
        Out of how many, and how many.

    Returns
    -------
    numpy.ndarray
        (batch,) with repetitions.
    """
    return torch.randint(count, (batch,), generator=generator).numpy()


def pixels_of(pictures: NDArray[np.uint8]) -> Tensor:
    """Pictures as networks take them.

    Parameters
    ----------
    pictures : numpy.ndarray
        (B, H, W, 3).

    Returns
    -------
    torch.Tensor
        (B, 3, H, W) in [-1, 1].
    """
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def truth_of(places: list[Place]) -> tuple[Tensor, Tensor]:
    """Scene and levels of places.

    Parameters
    ----------
    places : list of Place
        P places.

    Returns
    -------
    tuple of torch.Tensor
        (P,) index among `SCENES`; (P, 5) levels in the order of `LEVELS`.
    """
    labels = torch.tensor([SCENES.index(place.scene) for place in places])
    levels = torch.tensor([[getattr(place, name) for name in LEVELS] for place in places])
    return labels, levels


def ship(model: Any, folder: Path, figures: Mapping[str, object]) -> None:
    """Write a component in half precision, with its measured figures beside it.

    Parameters
    ----------
    model : diffusers.ModelMixin
        The component.
    folder : pathlib.Path
        Where it goes.
    figures : mapping
        For ``figures.json``.
    """
    model.half().save_pretrained(folder)
    model.float()
    config = json.loads((folder / "config.json").read_text())
    config.pop("_name_or_path", None)  # a folder of this machine
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    for file in folder.iterdir():
        file.chmod(0o644)  # diffusers writes weights for their owner alone
    (folder / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(folder.name, json.dumps(figures))
