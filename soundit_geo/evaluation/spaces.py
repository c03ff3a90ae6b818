"""Where sounds and pictures are compared: ImageBind, CLIP with Wav2CLIP, or embeddings computed elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from soundit_geo.errors import InputError, MissingFileError
from soundit_geo.weights import is_stand_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor

    from soundit_geo.encoders import CLIPEncoder, SoundscapeEmbeds
    from soundit_geo.pss.pictures import Picture

CLIP = "clip-wav2clip"
"""Name of the space of CLIP ViT-B/32 for pictures and Wav2CLIP for sounds."""

CLIP_HALVES: tuple[str, str] = ("clip-vit-b32", "wav2clip")
"""Names of its weights in the registry: of pictures, of sounds."""

SIDES: tuple[str, ...] = ("generated", "real", "sounds")
"""What embeddings there may be, by the names of their arrays and files."""


class Encoder(Protocol):
    """What a space asks of its model; `ImageBindModel` and `CLIPEncoder` are such."""

    def encode_pictures(self, pictures: Sequence[Any], *, batch_size: int) -> Tensor:
        """Embed pictures.

        Parameters
        ----------
        pictures : sequence of PIL.Image.Image or numpy.ndarray
            Upright RGB.
        batch_size : int
            Pictures in memory at once.

        Returns
        -------
        torch.Tensor
            (B, d).
        """

    def encode_soundscapes(self, soundscapes: Sequence[Any]) -> SoundscapeEmbeds:
        """Embed recordings.

        Parameters
        ----------
        soundscapes : sequence of path or array of shape (n,)
            Audio files, or mono sound at 16 kHz.

        Returns
        -------
        SoundscapeEmbeds
            Whose summary (B, d) is compared.
        """


@dataclass(frozen=True)
class Space:
    """One model that embeds both pictures and recordings.

    Parameters
    ----------
    model : Encoder
        Such as `ImageBindModel` with vision, and audio where sounds are compared.
    name : str
        Name of the weights, which travels with every number.
    stand_in : bool
        Whether the weights know the synthetic city alone.
    """

    model: Encoder
    name: str
    stand_in: bool = False

    def pictures(self, pictures: Sequence[Picture]) -> NDArray[np.float32]:
        """Embed one batch of pictures.

        Parameters
        ----------
        pictures : sequence of PIL.Image.Image or numpy.ndarray
            Upright RGB.

        Returns
        -------
        numpy.ndarray
            (B, d).
        """
        embedded = self.model.encode_pictures(pictures, batch_size=len(pictures))
        return np.asarray(embedded.float().cpu())

    def sound(self, recording: Any) -> NDArray[np.float32]:
        """Embed one recording.

        Parameters
        ----------
        recording : path or array of shape (n,)
            An audio file, or mono sound at 16 kHz.

        Returns
        -------
        numpy.ndarray
            (d,), by ImageBind the mean of three clips, by Wav2CLIP of the whole recording.
        """
        return np.asarray(self.model.encode_soundscapes([recording]).summary[0].float().cpu())


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of pairs that were computed elsewhere, such as CLIP's of pictures beside Wav2CLIP's of sounds.

    Parameters
    ----------
    name : str
        Of the space, as it shall stand beside the numbers.
    generated : array_like
        (B, d) of the generated pictures.
    real, sounds : array_like, optional
        (B, d) of the real pictures (for IIS) and of the recordings (for AIS); at least one of them.
    labels : sequence of str, optional
        Names of the rows, which are matched to the pairs by them. Without labels row i belongs to pair i; folders are
        paired in the order of their file stems.

    Raises
    ------
    InputError
        If an array is not (B, d), shapes or labels disagree, or there is nothing to compare with.
    """

    name: str
    generated: ArrayLike
    real: ArrayLike | None = None
    sounds: ArrayLike | None = None
    labels: Sequence[str] = ()

    def __post_init__(self) -> None:
        shape = np.shape(self.generated)
        if self.real is None and self.sounds is None:
            raise InputError(
                f"The space {self.name!r} has generated pictures alone; give real, sounds or both beside them."
            )
        for side in SIDES:
            array = getattr(self, side)
            if array is None:
                continue
            if len(shape) != 2 or np.shape(array) != shape or np.asarray(array).dtype.kind not in "fiu":
                raise InputError(
                    f"The space {self.name!r}: {side} is {np.asarray(array).dtype} {np.shape(array)}, generated "
                    f"{shape}; expected numbers of one shape (B, d)."
                )
        if self.labels and (len(self.labels) != shape[0] or len(set(self.labels)) != shape[0]):
            raise InputError(
                f"The space {self.name!r} has {len(set(self.labels))} different labels for {shape[0]} rows."
            )

    @classmethod
    def read(cls, folder: str | Path) -> Self:
        """Read them from a folder, which gives the space its name.

        Parameters
        ----------
        folder : str or pathlib.Path
            With ``generated.npy``, ``real.npy`` or ``sounds.npy`` or both, and perhaps ``labels.txt``, one a line.

        Returns
        -------
        Embeddings
            Named after the folder.

        Raises
        ------
        InputError
            If a file is damaged or holds objects, or as the class says.
        MissingFileError
            If ``generated.npy`` is not there.
        """
        folder = Path(folder)
        if not (folder / "generated.npy").is_file():
            raise MissingFileError(
                f"{folder} has no generated.npy. A folder of embeddings holds generated.npy, real.npy or "
                "sounds.npy or both, and perhaps labels.txt."
            )
        labels = folder / "labels.txt"
        try:
            arrays = {
                side: np.load(folder / f"{side}.npy", allow_pickle=False)
                for side in SIDES
                if (folder / f"{side}.npy").is_file()
            }
            names = labels.read_text(encoding="utf-8").splitlines() if labels.is_file() else []
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"The embeddings in {folder} cannot be read ({error}).") from error
        return cls(folder.resolve().name, **arrays, labels=tuple(names))

    def rows_for(self, pairs: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """Bring the rows into the order of pairs.

        Parameters
        ----------
        pairs : sequence of str
            Names of the B pairs.

        Returns
        -------
        dict of str to numpy.ndarray
            Of `SIDES` those that are there, (B, d) each.

        Raises
        ------
        InputError
            If rows and pairs do not fit together.
        """
        count = len(np.asarray(self.generated))
        if self.labels:
            place = {label: row for row, label in enumerate(self.labels)}
            absent = [label for label in pairs if label not in place]
            if absent:
                raise InputError(
                    f"The space {self.name!r} has no row for {len(absent)} of {len(pairs)} pairs, first {absent[0]}"
                )
            order = np.array([place[label] for label in pairs])
        elif count == len(pairs):
            order = np.arange(count)
        else:
            raise InputError(
                f"The space {self.name!r} has {count} rows for {len(pairs)} pairs; give one each, or labels."
            )
        given = {side: getattr(self, side) for side in SIDES}
        return {
            side: np.asarray(array, np.float64)[order] for side, array in given.items() if array is not None
        }


def load_space(name_or_path: str | Path, device: Any = None, *, sounds: bool = True) -> Space | Embeddings:
    """Open a space by its name or from the disk.

    Parameters
    ----------
    name_or_path : str or pathlib.Path
        What `soundit_geo.encoders.load_encoder` takes, such as ``"synthetic-city"`` (the embedded stand-in) or
        ``"imagebind-huge"``; ``"clip-wav2clip"``, from the cache; or a folder of embeddings, see `Embeddings.read`.
    device : str or torch.device, optional
        Where the model computes; the CPU where it is not given.
    sounds : bool
        Whether recordings will be embedded, too; of published weights the audio part is then needed and loaded.

    Returns
    -------
    Space or Embeddings
        Ready.

    Raises
    ------
    InputError
        If embeddings are unusable.
    MissingFileError
        If it is none of these, or published weights are not in the cache; the message has the command that brings
        them.
    WeightsError
        If the weights are damaged, or of other modalities.
    """
    from soundit_geo.encoders.loading import IMAGEBIND, load_encoder

    name, path = str(name_or_path), Path(name_or_path)
    if name == CLIP:
        return Space(_clip(sounds=sounds).to(device or "cpu"), CLIP)
    if (path / "generated.npy").is_file():
        return Embeddings.read(path)
    try:
        model = load_encoder(name_or_path, ["audio", "vision"] if sounds else ["vision"], device)
    except MissingFileError as error:
        if name == IMAGEBIND:  # the error has the command that brings it
            raise
        raise MissingFileError(
            f"{error} A space can also be {CLIP}, or a folder of embeddings (generated.npy, real.npy, sounds.npy)."
        ) from error
    return Space(model, path.resolve().name if path.exists() else name, stand_in=is_stand_in(name_or_path))


def _clip(*, sounds: bool) -> CLIPEncoder:
    """CLIP from the cache, with Wav2CLIP where there are sounds; all that is absent is told at once."""
    from soundit_geo.encoders import CLIPEncoder
    from soundit_geo.registry import cached

    found, absent = [], []
    for half in CLIP_HALVES if sounds else CLIP_HALVES[:1]:
        try:
            found.append(cached(half))
        except MissingFileError:
            absent.append(half)
    if absent:
        alone = f" Without sounds {CLIP_HALVES[0]} suffices." if absent == [CLIP_HALVES[1]] else ""
        raise MissingFileError(
            f"The space {CLIP} lacks {' and '.join(absent)} in the cache. Pull: soundit-geo weights pull "
            f"{' '.join(absent)} (licence: MIT). Or bring files in: soundit-geo weights import NAME FILE.{alone}"
        )
    return CLIPEncoder.from_checkpoints(*found)
