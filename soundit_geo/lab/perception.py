"""A perception judge from pairwise votes: votes → TrueSkill → regression → accuracy on pictures that were held out.

The pictures are split first. Votes between two training pictures make the TrueSkill scores that the network learns;
votes between two held-out pictures tell how often it agrees with people; votes between the sides serve neither. So
no held-out vote has touched a score that was learnt from.
"""

from __future__ import annotations

import json
import logging
import math
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from tqdm import tqdm

from soundit_geo import __version__
from soundit_geo.classes import PERCEPTIONS
from soundit_geo.errors import InputError, MissingFileError, TrainingError
from soundit_geo.pss.pictures import SUFFIXES, open_picture
from soundit_geo.pss.place_pulse import FORMAT, NETWORKS, SKILL_SCALE, SkillJudge
from soundit_geo.pss.published import lay_in, normalise, read_weights
from soundit_geo.pss.votes import SETTINGS, Skills, Votes, pair_accuracy, read_votes, skills

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from soundit_geo.pss.published import Squash

log = logging.getLogger(__name__)

FILES: tuple[str, ...] = ("model.safetensors", "config.json", "figures.json")
"""What a training leaves in its folder."""

_READERS = 8  # threads that open pictures


@dataclass(frozen=True)
class Plan:
    """How a judge is trained; it checks itself.

    Parameters
    ----------
    network : str
        A key of `soundit_geo.pss.place_pulse.NETWORKS`.
    epochs : int
        Passes over the training pictures.
    batch_size : int
        Pictures per step.
    rate : float
        Highest learning rate of AdamW: a tenth of the steps up to it, then a half cosine down to nothing.
    decay : float
        Weight decay.
    held_out : float
        Share of the pictures that is kept for the accuracy.
    seed : int
        Of the split, the first weights, the order and the mirroring.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    network: str = "densenet121"
    epochs: int = 20
    batch_size: int = 64
    rate: float = 3e-4
    decay: float = 0.01
    held_out: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values."""
        if self.network not in NETWORKS:
            raise InputError(f"There is no network {self.network!r}. Known: {', '.join(NETWORKS)}.")
        if self.epochs < 1 or self.batch_size < 2 or self.seed < 0:
            raise InputError(
                f"epochs {self.epochs}, batch_size {self.batch_size}, seed {self.seed}: at least 1, 2 and 0."
            )
        if not 0 < self.held_out < 1 or not 0 < self.rate < math.inf or not 0 <= self.decay < math.inf:
            raise InputError(
                f"held_out {self.held_out} lies between 0 and 1, rate {self.rate} above 0, decay {self.decay} not "
                "below 0."
            )


def train_perception(
    votes: Votes | str | Path,
    images: str | Path,
    out: str | Path,
    plan: Plan | None = None,
    *,
    name: str | None = None,
    world: str = "the pictures of its votes",
    start: str | Path | None = None,
    skip_absent: bool = False,
    device: str | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Train a perception judge on votes, and test it on votes that it has not seen.

    Parameters
    ----------
    votes : Votes, str or pathlib.Path
        Votes, or a table of them; see `soundit_geo.pss.votes.read_votes`.
    images : str or pathlib.Path
        Folder of the pictures, called as in the votes, with or without their endings.
    out : str or pathlib.Path
        Receives ``model.safetensors``, ``config.json`` and ``figures.json``; it must hold none of them yet.
    plan : Plan, optional
        How to train.
    name : str, optional
        Name of the judge, which will travel with its scores; network and folder where it is not given.
    world : str
        What the pictures are, such as ``"Place Pulse 2.0 street views"``.
    start : str or pathlib.Path, optional
        Weights of the same network for another number of outputs, such as torchvision's for ImageNet; all but the
        last layer is taken. Without it training starts at random.
    skip_absent : bool
        Leave votes on pictures out that are not in the folder, instead of refusing them.
    device : str, optional
        Where to compute; a GPU where there is one.
    progress : bool
        Show bars.

    Returns
    -------
    dict
        The figures, as in ``figures.json``.

    Raises
    ------
    InputError
        If votes cannot be used, pictures are absent, or no vote is left to learn from or to test on.
    MissingFileError
        If a file or folder is absent.
    PictureError
        If a picture cannot be read.
    WeightsError
        If `start` does not fit.
    TrainingError
        If `out` holds a judge, or the loss is not finite.
    """
    plan = plan or Plan()
    out = Path(out)
    if any((out / file).exists() for file in FILES):
        raise TrainingError(f"{out} holds a judge already. Choose another folder.")
    if not isinstance(votes, Votes):
        votes = read_votes(votes)
    votes, paths = _with_pictures(votes, Path(images), skip_absent=skip_absent)
    learn, test = split(votes, plan)
    for path in tqdm(paths, desc="pictures", disable=not progress):
        open_picture(path)  # now, not after hours
    try:
        out.mkdir(parents=True, exist_ok=True)  # now, not after hours
    except OSError as error:
        raise TrainingError(f"{out} cannot be written ({error}). Choose another folder.") from error
    with tqdm(total=len(learn), desc="TrueSkill", disable=not progress) as bar:
        scores = skills(learn, done=bar.update)
    target, weight, mean, spread = targets(scores)

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    kind = NETWORKS[plan.network]
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        network = kind.make()
    if start is not None:
        _start_from(network, start)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    rows = np.flatnonzero((weight > 0).any(1))
    loss = _fit(
        network, [paths[row] for row in rows], target[rows], weight[rows], kind.prepare, plan, progress
    )

    config = {
        "format": FORMAT,
        "network": plan.network,
        "qualities": [PERCEPTIONS[quality] for quality in np.flatnonzero((weight > 0).any(0))],
        "mean": mean.tolist(),
        "spread": spread.tolist(),
        "scale": list(SKILL_SCALE),
        "unit": SkillJudge.unit,
        "name": name or f"{plan.network}-{out.resolve().name}",
        "world": world,
    }
    judge = SkillJudge(config, network, device)
    accuracy, count = _accuracy(judge, test, paths, plan.batch_size)
    told = np.isfinite(accuracy)
    figures = {
        "pair_accuracy": dict(zip(PERCEPTIONS, map(_or_none, accuracy), strict=True)),
        "pair_accuracy_all": round(float((accuracy[told] * count[told]).sum() / count.sum()), 4),
        "chance": 0.5,
        "votes": {
            "all": len(votes),
            "learnt_from": len(learn),
            "held_out": len(test),
            "held_out_and_won": dict(zip(PERCEPTIONS, count.tolist(), strict=True)),
        },
        "pictures": {"all": len(votes.pictures), "learnt_from": len(rows), "held_out": _met(test)},
        "last_loss": round(loss, 6),
        "plan": asdict(plan),
        "start": None if start is None else Path(start).name,
        "trueskill": dict(SETTINGS),
        "made_by": f"soundit-geo {__version__}",
    }
    _write(out, network, config, figures)
    return figures


def split(votes: Votes, plan: Plan) -> tuple[Votes, Votes]:
    """Votes to learn from and votes to test on, without a picture in common.

    Parameters
    ----------
    votes : Votes
        All.
    plan : Plan
        Its `held_out` and `seed` choose the pictures.

    Returns
    -------
    learn, test : Votes
        Both on the same `pictures`.

    Raises
    ------
    InputError
        If either is left without votes that somebody won.
    """
    count = len(votes.pictures)
    order = np.random.default_rng(plan.seed).permutation(count)
    aside = np.zeros(count, np.bool_)
    aside[order[: round(plan.held_out * count)]] = True
    learn, test = votes.among(~aside), votes.among(aside)
    for part, what in ((learn, "learn from"), (test, "test on")):
        if not (part.winner != 0).any():
            raise InputError(
                f"Of {len(votes)} votes on {count} pictures none is left to {what}: with {plan.held_out:g} of the "
                "pictures held out, no vote with a winner names two of one side. Give more votes, or another share."
            )
    return learn, test


def targets(
    scores: Skills,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """What a network is to learn of TrueSkill scores.

    Parameters
    ----------
    scores : Skills
        Of P pictures.

    Returns
    -------
    target : numpy.ndarray
        (P, 6) scores, brought to mean 0 and standard deviation 1 per quality; 0 where there is none.
    weight : numpy.ndarray
        (P, 6) how much of the first uncertainty the votes took away, 1 - σ²/σ₀²; 0 where there is no score.
    mean, spread : numpy.ndarray
        (6,) which bring targets back to scores.
    """
    known = np.isfinite(scores.mu)
    mean, spread = np.full(len(PERCEPTIONS), SETTINGS["mu"]), np.ones(len(PERCEPTIONS))
    for quality in np.flatnonzero(known.any(0)):
        values = scores.mu[known[:, quality], quality]
        mean[quality], spread[quality] = values.mean(), max(values.std(), 1e-3)
    target = np.where(known, (scores.mu - mean) / spread, 0.0)
    weight = np.where(known, np.clip(1.0 - (scores.sigma / SETTINGS["sigma"]) ** 2, 0.0, 1.0), 0.0)
    return target.astype(np.float32), weight.astype(np.float32), mean, spread


def _with_pictures(votes: Votes, images: Path, *, skip_absent: bool) -> tuple[Votes, list[Path]]:
    """Votes whose pictures are there, and the path of every picture."""
    if not images.is_dir():
        raise MissingFileError(f"There is no folder {images}. Give the folder of the pictures.")
    by_name: dict[str, Path] = {}
    by_stem: dict[str, list[Path]] = {}
    for path in sorted(images.iterdir()):
        if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            by_name[path.name] = path
            by_stem.setdefault(path.stem, []).append(path)
    found: list[Path | None] = []
    for name in votes.pictures:
        named = [by_name[name]] if name in by_name else by_stem.get(name, [])
        if len(named) > 1:
            raise InputError(
                f"{name!r} may be {named[0].name} or {named[1].name}; write the ending in the votes."
            )
        found.append(named[0] if named else None)
    absent = [name for name, path in zip(votes.pictures, found, strict=True) if path is None]
    if not absent:
        return votes, [path for path in found if path is not None]
    said = (
        f"{len(absent)} of {len(votes.pictures)} pictures of the votes are not in {images}, the first: "
        + (", ".join(absent[:3]))
    )
    if not skip_absent:
        raise InputError(f"{said}. Add them, or leave their votes out with --skip-absent (skip_absent=True).")
    log.warning("%s. Their votes are left out.", said)
    there = np.array([path is not None for path in found])
    kept = votes.among(there)
    row = np.cumsum(there, dtype=np.int32) - 1
    names = tuple(name for name, path in zip(votes.pictures, found, strict=True) if path is not None)
    return (
        Votes(names, row[kept.left], row[kept.right], kept.winner, kept.quality),
        [path for path in found if path is not None],
    )


def _start_from(network: nn.Module, path: str | Path) -> None:
    """Take all but the last layer from other weights of the same network."""
    last = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)][-1] + "."
    own = network.state_dict()
    given = {
        re.sub(
            r"\.(norm|conv)\.([12])\.", r".\1\2.", key
        ): value  # torchvision's file is older than its names
        for key, value in read_weights(path).items()
    }
    kept = {key: value for key, value in given.items() if not key.startswith(last)}
    kept |= {key: value for key, value in own.items() if key.startswith(last)}
    lay_in(network, kept)


def _fit(
    network: nn.Module,
    paths: Sequence[Path],
    target: NDArray[np.float32],
    weight: NDArray[np.float32],
    prepare: Squash,
    plan: Plan,
    progress: bool,
) -> float:
    """Minimise the weighted squared error; give the mean loss of the last epoch."""
    device = next(network.parameters()).device
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=plan.decay)
    per_epoch = math.ceil(len(paths) / plan.batch_size)
    total = plan.epochs * per_epoch
    warm = max(1, total // 10)
    rng = np.random.default_rng([plan.seed, 1])
    goal, trust = torch.from_numpy(target), torch.from_numpy(weight)
    network.train()
    losses: list[float] = []
    step = 0
    with tqdm(total=total, desc="training", disable=not progress) as bar:
        for _ in range(plan.epochs):
            losses = []
            order = rng.permutation(len(paths))
            batches = [batch for batch in np.array_split(order, per_epoch) if len(batch) > 1]
            for batch, pixels in _pixels(paths, batches, prepare, rng):
                for group in optimiser.param_groups:
                    down = 0.5 * (1 + math.cos(math.pi * max(0, step - warm) / max(1, total - warm)))
                    group["lr"] = plan.rate * min((step + 1) / warm, down)
                few = torch.from_numpy(batch)
                output = network(normalise(pixels.to(device)))  # (B, 6)
                error = (output.float() - goal[few].to(device)) ** 2 * trust[few].to(device)
                loss = error.sum() / trust[few].sum().clamp_min(1e-6).to(device)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimiser.step()
                losses.append(float(loss.detach()))
                step += 1
                bar.update()
                bar.set_postfix(loss=f"{losses[-1]:.3f}", refresh=False)
                if not math.isfinite(losses[-1]):
                    raise TrainingError(f"The loss is {losses[-1]} at step {step}. Try a lower rate.")
    network.eval()
    return float(np.mean(losses))


def _pixels(
    paths: Sequence[Path], batches: Sequence[NDArray[np.int64]], prepare: Squash, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Batches of squashed pictures (B, h, w, 3), half of them mirrored; the next one is opened meanwhile."""

    def read(row: int) -> NDArray[np.uint8]:
        return prepare.pixels(open_picture(paths[row]))

    with ThreadPoolExecutor(_READERS) as readers:
        waiting = [readers.submit(read, int(row)) for row in batches[0]] if batches else []
        for index, batch in enumerate(batches):
            ready = np.stack([future.result() for future in waiting])
            if index + 1 < len(batches):
                waiting = [readers.submit(read, int(row)) for row in batches[index + 1]]
            mirrored = rng.random(len(batch)) < 0.5
            ready[mirrored] = ready[mirrored, :, ::-1]
            yield batch, torch.from_numpy(ready)


def _accuracy(
    judge: SkillJudge, test: Votes, paths: Sequence[Path], batch_size: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rows = np.unique(np.concatenate([test.left, test.right]))
    scores = np.full((len(paths), len(PERCEPTIONS)), np.nan)
    scores[rows] = judge.judge([paths[row] for row in rows], batch_size=batch_size).scores
    accuracy, count = pair_accuracy(test, scores)
    if not count.any():
        raise InputError("No held-out vote is on a quality that was learnt. Give more votes.")
    return accuracy, count


def _met(votes: Votes) -> int:
    return len(np.unique(np.concatenate([votes.left, votes.right])))


def _or_none(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None


def _write(out: Path, network: nn.Module, config: dict[str, Any], figures: dict[str, Any]) -> None:
    """The three files, each in one rename; the configuration, which makes the folder a judge, comes last."""
    part = out / ".part"
    save_file(
        {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()},
        part,
        metadata={"format": "pt"},
    )
    part.replace(out / "model.safetensors")
    for name, content in (("figures.json", figures), ("config.json", config)):
        part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        part.replace(out / name)
