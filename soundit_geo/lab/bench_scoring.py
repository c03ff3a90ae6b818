"""How fast pictures are judged: judges of published sizes beside the loop that one writes for oneself.

All weights are random: what is measured does not depend on them.
"""

from __future__ import annotations

import platform
import statistics
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from PIL import Image
from torch.nn import functional
from torchvision.transforms.functional import normalize, to_tensor

from soundit_geo.errors import InputError, OutsideWorldWarning
from soundit_geo.lab.bench import interleaved, ratio
from soundit_geo.lab.memory import peak_of
from soundit_geo.pss.deeplab import DeepLabV3, KeepRatio
from soundit_geo.pss.judges import Judges
from soundit_geo.pss.pairs import Pairs
from soundit_geo.pss.place_pulse import Graded, PlacePulseJudge
from soundit_geo.pss.places import NETWORKS, PlacesJudge
from soundit_geo.pss.published import Squash
from soundit_geo.pss.run import score_pairs
from soundit_geo.pss.segmenters import SegFormer, SegmentationJudge, UPerNet

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from soundit_geo.pss.elements import ElementJudge

ELEMENTS = ("segformer-b0", "upernet-convnext-tiny", "deeplabv3-r50")
"""Networks of the element judge, the fastest first."""
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def bench_scoring(
    elements: str = "segformer-b0", *, pictures: int = 16, width: int = 1024, rounds: int = 5
) -> dict[str, Any]:
    """Pictures per second of three judges, beside a plain loop over pictures and networks.

    The plain loop opens, resizes and sends every picture through every network by itself, under ``no_grad``.

    Parameters
    ----------
    elements : str, optional
        One of `ELEMENTS`; beside it stand WideResNet18-Places365 and six ResNet50 of Place Pulse.
    pictures : int, optional
        JPEG files, made at random.
    width : int, optional
        Of a picture, in pixels; its height is three quarters of that.
    rounds : int, optional
        Rounds.

    Returns
    -------
    dict
        Ratio of the speeds, median pictures per second, and the circumstances.

    Raises
    ------
    InputError
        If the network is unknown.
    """
    judges, networks = _networks(elements)
    with tempfile.TemporaryDirectory() as folder:
        files = _pictures(Path(folder), pictures, (width, width * 3 // 4))
        runs: dict[str, Callable[[], Any]] = {
            "soundit-geo": lambda: judges.score(files, batch_size=16),
            "plain loop": lambda: _plain(files, networks),
        }
        seconds = interleaved(runs, rounds, warmup=1)
    faster = ratio(seconds, "plain loop", "soundit-geo")
    return {
        "elements": elements,
        "speed of soundit-geo / plain loop": faster,
        "pictures per second": {
            name: round(pictures / statistics.median(value), 3) for name, value in seconds.items()
        },
        "pictures": pictures,
        "width": width,
        "rounds": rounds,
        "threads": torch.get_num_threads(),
        "device": f"{platform.machine()} CPU",
        "torch": torch.__version__,
    }


def bench_memory(pictures: int = 10_000) -> dict[str, Any]:
    """Peak memory of a scoring run, and of another over a tenth of the pictures; each has a process of its own.

    Parameters
    ----------
    pictures : int, optional
        In all, half of them real and half generated; the embedded judges look at them.

    Returns
    -------
    dict
        Megabytes (10⁶ bytes) of the peak over a tenth of the pictures and over all.

    Raises
    ------
    InputError
        If there are fewer than 40 pictures.
    """
    if pictures < 40:
        raise InputError(f"{pictures} pictures are too few to see memory grow; give at least 40.")
    return {
        "pictures": pictures,
        "peak in megabytes": {
            "a tenth": round(peak_of(_score_pairs, pictures // 20) / 1e6, 1),
            "all": round(peak_of(_score_pairs, pictures // 2) / 1e6, 1),
        },
    }


def _score_pairs(count: int) -> None:
    """Score so many pairs of pictures with the embedded judges."""
    from soundit_geo.pss.judges import load_judges

    judges = load_judges("synthetic-city")
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", OutsideWorldWarning)  # random colours are of no world
        files = _pictures(Path(folder), 8, (256, 256))
        chosen = tuple(files[row % 8] for row in range(count))
        labels = tuple(str(row) for row in range(count))
        score_pairs(Pairs(labels, chosen, chosen[::-1]), judges, out=Path(folder) / "run")


def _networks(elements: str) -> tuple[Judges, list[tuple[nn.Module, int]]]:
    """The judges, and their networks with the edge of what each is shown."""
    torch.manual_seed(0)
    edge, settings = 512, cast("dict[str, Any]", {"num_labels": 150})
    segmenter: ElementJudge
    if elements == "segformer-b0":
        from transformers import SegformerConfig, SegformerForSemanticSegmentation

        config: Any = SegformerConfig(**settings)
        network: nn.Module = SegFormer(SegformerForSemanticSegmentation(config))
        segmenter = SegmentationJudge(network, Squash(edge), name=elements)
    elif elements == "upernet-convnext-tiny":
        from transformers import ConvNextConfig, UperNetConfig, UperNetForSemanticSegmentation

        trunk: Any = ConvNextConfig
        trunk = trunk(
            depths=[3, 3, 9, 3],  # lists: some versions of transformers trip over their own default, a tuple
            hidden_sizes=[96, 192, 384, 768],
            out_features=["stage1", "stage2", "stage3", "stage4"],
        )
        config = UperNetConfig(backbone_config=trunk, use_auxiliary_head=False, **settings)
        network = UPerNet(UperNetForSemanticSegmentation(config))
        segmenter = SegmentationJudge(network, Squash(edge), name=elements)
    elif elements == "deeplabv3-r50":
        network = DeepLabV3()
        segmenter = SegmentationJudge(network, KeepRatio(), name=elements)
    else:
        raise InputError(f"There is no element network {elements!r} here; there are {', '.join(ELEMENTS)}.")
    kind = NETWORKS["wideresnet18"]
    scenes, graded = kind.make(), {name: Graded() for name in ("safe", "lively", "beautiful")}
    graded |= {name: Graded() for name in ("wealthy", "depressing", "boring")}
    judges = Judges(
        segmenter,
        PlacesJudge(scenes, kind.prepare, name="random"),
        PlacePulseJudge(graded, name="random"),
    )
    return judges, [(network, edge), (scenes, 224), *((one, 224) for one in graded.values())]


def _plain(files: list[Path], networks: list[tuple[nn.Module, int]]) -> list[Any]:
    """Per picture and network: open, resize, normalise, predict."""
    found = []
    for file in files:
        for network, edge in networks:
            image = Image.open(file).convert("RGB").resize((edge, edge))
            with torch.no_grad():
                output = network(normalize(to_tensor(image), MEAN, STD)[None])
            if output.ndim == 4:
                full = functional.interpolate(output, (edge, edge), mode="bilinear")
                found.append(np.bincount(full.argmax(1).numpy().ravel(), minlength=150))
            else:
                found.append(output.softmax(-1).numpy())
    return found


def _pictures(folder: Path, count: int, size: tuple[int, int]) -> list[Path]:
    """Files of smooth random colours, which take about as long to open as photographs."""
    rng = np.random.default_rng(0)
    files = []
    for row in range(count):
        small = Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
        path = folder / f"{row:03d}.jpg"
        small.resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
        files.append(path)
    return files
