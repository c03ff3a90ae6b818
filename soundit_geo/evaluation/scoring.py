"""FID, KID, AIS and IIS of folders, lists or pairs of pictures, a few at a time.

Every picture is decoded once, ahead of the networks, for features and space alike. Memory holds the features and
embeddings of all pictures (8 kB a picture with Inception's) and the pixels of two batches.
"""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from tqdm import tqdm

from soundit_geo.errors import (
    InputError,
    MissingFileError,
    OutsideWorldWarning,
)
from soundit_geo.evaluation.looks import Look, listen_to, look_at
from soundit_geo.evaluation.result import FidelityResult
from soundit_geo.evaluation.spaces import Embeddings, Space, load_space
from soundit_geo.pss.fidelity import (
    MEASURES,
    audio_image_similarity,
    frechet_distance,
    image_image_similarity,
    kernel_distance,
    similarity_floor,
)
from soundit_geo.pss.pairs import Pairs, pair_up
from soundit_geo.pss.pictures import list_pictures
from soundit_geo.pss.place_similarity import interval_of_mean
from soundit_geo.weights import STAND_IN_WORLD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from soundit_geo.pss.features import PictureFeatures
    from soundit_geo.pss.fidelity import Form
    from soundit_geo.pss.pictures import Picture

ENOUGH = 10_000
"""Pictures a side below which FID's bias is told; Heusel et al. recommend at least as many."""
KERNEL_PICTURES = 5_000
"""Most pictures a side, drawn at random, behind KID, whose cost grows with their square; it stays unbiased."""
FLOOR_PAIRS = 2_048
"""Most pairs, drawn at random, behind a floor."""

_SIDES = ("real", "generated")


def fidelity(
    real: Sequence[Picture] | str | Path | Pairs,
    generated: Sequence[Picture] | str | Path | None = None,
    sounds: Sequence[Any] | str | Path | None = None,
    *,
    features: PictureFeatures | str | Path = "synthetic-city",
    space: Space | Embeddings | str | Path | None = "synthetic-city",
    device: Any = None,
    batch_size: int = 32,
    workers: int = 2,
    seed: int = 0,
    progress: bool = False,
) -> FidelityResult:
    """Measure generated pictures against real ones and against their sounds.

    Parameters
    ----------
    real, generated : sequence of pictures, path of a folder, or Pairs
        As `soundit_geo.pss` takes them: two folders, paired by file stem; two lists, row to row; or `Pairs` alone.
        Without a space, folders and lists need not pair. A picture that stands in several pairs counts as often.
    sounds : sequence of path or array, or path of a folder, optional
        Recordings, in the order of the pairs, or of their stems. Without them there is no AIS.
    features : PictureFeatures, str or pathlib.Path
        What FID and KID are taken over, see `soundit_geo.pss.features.load_features`.
    space : Space, Embeddings, str, pathlib.Path or None
        Where AIS and IIS are taken, see `soundit_geo.evaluation.load_space`; None for FID and KID alone.
    device : str or torch.device, optional
        Where networks that are given by name compute; the CPU where it is not given.
    batch_size : int
        Pictures that go through the networks together.
    workers : int
        Threads that decode pictures while the networks work.
    seed : int
        Of the bootstrap, and of what is drawn for the floor and for KID where there is very much.
    progress : bool
        Show a bar.

    Returns
    -------
    FidelityResult
        A picture or recording that cannot be read is listed in ``failed``: its pair is left out (of a recording, from
        AIS alone), or, unpaired, the picture.

    Raises
    ------
    InputError
        If the sides do not pair, sounds lack a space, fewer than two pictures of a side can be read, or a number is
        out of range.
    MissingFileError
        If a folder does not exist, or published weights are not in the cache.
    WeightsError
        If a network is unknown or damaged.

    Warns
    -----
    OutsideWorldWarning
        Once, if pictures lie outside the world of the features' judge.
    """
    if batch_size < 1 or workers < 1:
        raise InputError(f"batch_size is {batch_size} and workers {workers}; both are at least 1.")
    given = _gather(real, generated, sounds, space)
    if isinstance(features, (str, Path)):
        from soundit_geo.pss.features import load_features

        features = load_features(features, device)
    if isinstance(space, (str, Path)):
        space = load_space(space, device, sounds=bool(given.sounds))
    if isinstance(space, Embeddings) and given.sounds:
        raise InputError(
            f"Embeddings ({space.name}) bring those of the sounds along; leave the recordings out, or name a model."
        )
    model = space if isinstance(space, Space) else None
    everything = len(given.real) + len(given.generated) + len(given.sounds)
    with (
        tqdm(total=everything, unit=" files", desc="fidelity", disable=not progress) as bar,
        ThreadPoolExecutor(workers) as pool,
    ):
        looks = [
            look_at(side, features, model, batch_size=batch_size, pool=pool, bar=bar)
            for side in (given.real, given.generated)
        ]
        heard = listen_to(given.sounds, model, bar) if model is not None and given.sounds else None
    kept, failed = _sort_out(given, looks, heard)
    chosen = [look.features[rows] for look, rows in zip(looks, kept, strict=True)]
    embeddings = _embeddings(given, looks, heard, space)
    for rows in embeddings.values():
        rows[~kept[0]] = np.nan  # a pair is compared whole or not at all
    values, floor = _similarities(embeddings, given, seed)
    notes = _notes(chosen, features, space)
    outside = [int(look.outside[rows].sum()) for look, rows in zip(looks, kept, strict=True)]
    if sum(outside):
        notes.append(
            f"{outside[0]} real and {outside[1]} generated pictures lie outside the world of the features' judge "
            f"({features.name}, world: {features.world}): FID and KID carry no evidence. Take other features."
        )
        warnings.warn(notes[-1], OutsideWorldWarning, stacklevel=2)
    return FidelityResult(
        labels=given.labels,
        fid=frechet_distance(*chosen),
        kid=kernel_distance(*(side[_drawn(len(side), KERNEL_PICTURES, seed)] for side in chosen)),
        values=values,
        interval={
            measure: interval_of_mean(value, groups=given.groups, seed=seed)
            for measure, value in values.items()
        },
        floor=floor,
        pictures={side: len(rows) for side, rows in zip(_SIDES, chosen, strict=True)},
        networks={"features": features.name, "space": space.name if space is not None else ""},
        notes=tuple(notes),
        failed=failed,
    )


# ---------------------------------------------------------------------------------------------- what is given
class _Given(NamedTuple):
    """Pictures of both sides; row to row with labels and sounds where there are labels."""

    real: Sequence[Picture]
    generated: Sequence[Picture]
    sounds: Sequence[Any] = ()
    labels: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


def _gather(real: Any, generated: Any, sounds: Any, space: Any) -> _Given:
    if sounds is not None and space is None:
        raise InputError("Without a space there is no AIS. Name one, or leave the sounds out.")
    if not isinstance(real, Pairs) and generated is None:
        raise InputError("There are no generated pictures; give a folder or a list, as for the real ones.")
    if isinstance(real, Pairs) and generated is not None:
        raise InputError("Pairs hold both sides; give them alone.")
    if space is None and not isinstance(real, Pairs):
        return _Given(_side(real), _side(generated))
    try:
        pairs = real if isinstance(real, Pairs) else pair_up(real, generated)
    except InputError as error:
        raise InputError(f"{error} Or take no space: FID and KID alone need no pairs.") from error
    recordings = () if sounds is None else _recordings(sounds, pairs.labels)
    return _Given(pairs.real, pairs.generated, recordings, pairs.labels, pairs.groups)


def _side(pictures: Any) -> Sequence[Picture]:
    return list(list_pictures(pictures).values()) if isinstance(pictures, (str, Path)) else list(pictures)


def _recordings(sounds: Any, labels: Sequence[str]) -> Sequence[Any]:
    """Recordings in the order of the pairs."""
    if not isinstance(sounds, (str, Path)):
        if len(sounds) != len(labels):
            raise InputError(f"There are {len(sounds)} recordings for {len(labels)} pairs; give one each.")
        return list(sounds)
    folder = Path(sounds)
    if not folder.is_dir():
        raise MissingFileError(f"There is no folder {folder}. Give a folder of recordings or a list of them.")
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            found.setdefault(path.stem, []).append(path)
    unclear = [label for label in labels if len(found.get(label, ())) != 1]
    if unclear:
        raise InputError(
            f"{folder} has not one recording each for {len(unclear)} of {len(labels)} pairs, the first: {unclear[0]}. "
            "Recordings bear the file stems of the pictures."
        )
    return [found[label][0] for label in labels]


# ------------------------------------------------------------------------------------------ what is made of it
def _sort_out(
    given: _Given, looks: Sequence[Look], heard: Look | None
) -> tuple[list[NDArray[np.bool_]], dict[str, str]]:
    """Which rows of either side count, and why the others do not."""
    kept = [np.array([row not in look.errors for row in range(len(look.features))], bool) for look in looks]
    if given.labels:
        kept = [kept[0] & kept[1]] * 2
        troubles = [heard.errors if heard else {}, looks[1].errors, looks[0].errors]  # the last one is told
        failed = {given.labels[row]: why for errors in troubles for row, why in errors.items()}
        failed = {label: failed[label] for label in given.labels if label in failed}
    else:
        sides = zip(_SIDES, (given.real, given.generated), looks, strict=True)
        failed = {
            f"{side}: {_named(pictures[row], row)}": why
            for side, pictures, look in sides
            for row, why in look.errors.items()
        }
    for side, rows in zip(_SIDES, kept, strict=True):
        if rows.sum() < 2:
            first = f" The first reason: {next(iter(failed.values()))}" if failed else ""
            raise InputError(
                f"{rows.sum()} of {len(rows)} {side} pictures can be used; FID needs at least two.{first}"
            )
    return kept, failed


def _named(picture: Picture, row: int) -> str:
    return str(picture) if isinstance(picture, (str, Path)) else f"number {row + 1}"


def _embeddings(
    given: _Given, looks: Sequence[Look], heard: Look | None, space: Space | Embeddings | None
) -> dict[str, NDArray[np.float64]]:
    """(B, d) each of what is compared."""
    if space is None:
        return {}
    if isinstance(space, Embeddings):
        return space.rows_for(given.labels)
    named = dict(zip((*_SIDES, "sounds"), (*looks, heard), strict=True))
    return {side: look.embeddings.astype(np.float64) for side, look in named.items() if look is not None}


def _similarities(
    embeddings: Mapping[str, NDArray[np.float64]], given: _Given, seed: int
) -> tuple[dict[str, NDArray[np.float64]], dict[str, float]]:
    """AIS and IIS of each pair, and of wrong pairs."""
    values: dict[str, NDArray[np.float64]] = {}
    floor: dict[str, float] = {}
    some = _drawn(len(given.labels), FLOOR_PAIRS, seed)
    groups = [given.groups[row] for row in some] if given.groups else ()
    for measure in MEASURES:
        if measure in ("fid", "kid"):
            continue
        side = "sounds" if measure.startswith("ais") else "real"
        form: Form = "cosine" if measure.endswith("cosine") else "win_rate"
        if side in embeddings and not np.isnan(embeddings[side]).all():
            left, right = embeddings[side], embeddings["generated"]
            similarity = audio_image_similarity if side == "sounds" else image_image_similarity
            values[measure] = similarity(left, right, form=form)
            floor[measure] = similarity_floor(left[some], right[some], form=form, groups=groups)
        else:
            values[measure], floor[measure] = np.full(len(given.labels), np.nan), float("nan")
    return values, floor


def _drawn(count: int, most: int, seed: int) -> NDArray[np.intp]:
    """All rows in order, or so many of them, drawn at random."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:most])


def _notes(
    chosen: Sequence[NDArray[np.float32]], features: PictureFeatures, space: Space | Embeddings | None
) -> list[str]:
    notes = []
    real, generated = map(len, chosen)
    width = chosen[0].shape[1]
    if min(real, generated) < max(ENOUGH, width):
        rank = f", not more than the {width} features" if min(real, generated) <= width else ""
        notes.append(
            f"FID is biased upwards in small samples: here are {real} real and {generated} generated pictures{rank}; "
            f"{ENOUGH:,} a side are advised. Compare it between equal numbers of pictures only. KID has no such bias."
        )
    stand_ins = []
    if features.world == STAND_IN_WORLD:
        stand_ins.append(f"the features ({features.name})")
    if isinstance(space, Space) and space.stand_in:
        stand_ins.append(f"the space ({space.name})")
    if stand_ins:
        notes.append(
            f"Trained on a procedural city alone: {' and '.join(stand_ins)}. The figures show how the measures go, "
            "and are no evidence on photographs."
        )
    return notes
