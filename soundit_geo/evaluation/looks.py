"""Pictures and recordings through the networks, a few at a time; what cannot be read is listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from soundit_geo.errors import AudioError, MissingFileError, PictureError, SounditError
from soundit_geo.pss.pictures import open_picture

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Future, ThreadPoolExecutor

    from numpy.typing import NDArray
    from PIL import Image

    from soundit_geo.evaluation.spaces import Space
    from soundit_geo.pss.features import PictureFeatures
    from soundit_geo.pss.pictures import Picture


class Look(NamedTuple):
    """What networks made of the N files of one side; rows of NaN where one could not be read.

    Parameters
    ----------
    features : numpy.ndarray
        (N, F) float32; (0, 0) of recordings.
    embeddings : numpy.ndarray
        (N, d) float32.
    outside : numpy.ndarray
        (N,) bool, whether a picture is known to lie outside the world of the features' network.
    errors : dict of int to str
        Row to reason.
    """

    features: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    outside: NDArray[np.bool_]
    errors: dict[int, str]


def look_at(
    pictures: Sequence[Picture],
    network: PictureFeatures,
    model: Space | None,
    *,
    batch_size: int,
    pool: ThreadPoolExecutor,
    bar: Any,
) -> Look:
    """Send pictures through the networks; each is decoded once.

    Parameters
    ----------
    pictures : sequence of pictures
        Any number.
    network : PictureFeatures
        Makes the features.
    model : Space or None
        Makes the embeddings.
    batch_size : int
        Pictures that go through together.
    pool : concurrent.futures.ThreadPoolExecutor
        Decodes the next batch meanwhile.
    bar : tqdm.tqdm
        Told of every batch.

    Returns
    -------
    Look
        One row per picture.
    """
    features: dict[int, NDArray[np.float32]] = {}
    embeddings: dict[int, NDArray[np.float32]] = {}
    outside = np.zeros(len(pictures), bool)
    errors: dict[int, str] = {}
    for rows, opened in _opened(pictures, batch_size, pool):
        errors |= {row: str(one) for row, one in zip(rows, opened, strict=True) if isinstance(one, Exception)}
        good = [row for row in rows if row not in errors]
        images = [one for one in opened if not isinstance(one, Exception)]
        if images:
            vectors, outside[good] = network(images)
            features |= dict(zip(good, vectors, strict=True))
        if images and model is not None:
            embeddings |= dict(zip(good, model.pictures(images), strict=True))
        bar.update(len(rows))
    return Look(_table(features, len(pictures)), _table(embeddings, len(pictures)), outside, errors)


def listen_to(sounds: Sequence[Any], model: Space, bar: Any) -> Look:
    """Embed recordings, one by one, so that a broken one spoils no other.

    Parameters
    ----------
    sounds : sequence of path or array
        Any number.
    model : Space
        Makes the embeddings.
    bar : tqdm.tqdm
        Told of every recording.

    Returns
    -------
    Look
        Embeddings and errors, one row per recording.
    """
    embeddings: dict[int, NDArray[np.float32]] = {}
    errors: dict[int, str] = {}
    for row, sound in enumerate(sounds):
        try:
            embeddings[row] = model.sound(sound)
        except (AudioError, MissingFileError) as error:
            errors[row] = f"No AIS: {error}"
        bar.update()
    nothing = np.empty((0, 0), np.float32)
    return Look(nothing, _table(embeddings, len(sounds)), np.zeros(len(sounds), bool), errors)


def _opened(
    pictures: Sequence[Picture], batch_size: int, pool: ThreadPoolExecutor
) -> Iterator[tuple[range, list[Image.Image | Exception]]]:
    """Batches of decoded pictures, or the error instead of one; the next batch is decoded meanwhile."""

    def read(picture: Picture) -> Image.Image | Exception:
        try:
            return open_picture(picture)
        except SounditError as error:
            return error
        except (OSError, TypeError, ValueError, SyntaxError) as error:  # an open one whose file is damaged
            return PictureError(f"A picture cannot be read ({error}).")

    def begin(rows: range) -> list[Future[Image.Image | Exception]]:
        return [pool.submit(read, pictures[row]) for row in rows]

    every = range(len(pictures))
    ahead = begin(every[:batch_size])
    for start in range(0, len(pictures), batch_size):
        now, ahead = ahead, begin(every[start + batch_size : start + 2 * batch_size])
        yield every[start : start + batch_size], [one.result() for one in now]


def _table(rows: Mapping[int, NDArray[np.float32]], count: int) -> NDArray[np.float32]:
    width = len(next(iter(rows.values()))) if rows else 1
    table = np.full((count, width), np.nan, np.float32)
    for row, vector in rows.items():
        table[row] = vector
    return table
