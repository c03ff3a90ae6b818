"""Pictures in, plain arrays out: one way for all judges, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from soundit_geo.errors import MissingFileError, PictureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Picture: TypeAlias = "Image.Image | NDArray[np.uint8] | str | Path"
"""What a judge accepts: an open picture, an 8-bit array (H, W, 3), or the path of a picture file."""

SUFFIXES: tuple[str, ...] = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm")
"""Endings that make a file in a folder count as a picture."""


def open_picture(picture: Picture) -> Image.Image:
    """Read one picture as upright 8-bit RGB.

    Parameters
    ----------
    picture : PIL.Image.Image, numpy.ndarray or path
        Arrays are uint8 of shape (H, W, 3), rows from top to bottom.

    Returns
    -------
    PIL.Image.Image
        Mode RGB. The rotation noted in EXIF is applied, transparency lies on white, 16-bit grey is
        reduced to 8 bits.

    Raises
    ------
    MissingFileError
        If a path does not exist.
    PictureError
        If the file is no picture, is damaged, or the array has another shape or type.
    """
    if isinstance(picture, np.ndarray):
        return _from_array(picture)
    if isinstance(picture, Image.Image):
        return _to_rgb(picture, "the picture")
    path = Path(picture)
    if not path.exists():
        raise MissingFileError(f"There is no picture at {path}. Check the path.")
    try:
        with Image.open(path) as opened:
            return _to_rgb(opened, str(path))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        if isinstance(error, PictureError):
            raise
        raise PictureError(f"{path} cannot be read as a picture ({error}). Give PNG or JPEG.") from error


def to_array(pictures: Sequence[Picture], size: int) -> NDArray[np.uint8]:
    """Bring pictures to one square size.

    Parameters
    ----------
    pictures : sequence of PIL.Image.Image, numpy.ndarray or path
        As for `open_picture`.
    size : int
        Side of the result in pixels.

    Returns
    -------
    numpy.ndarray
        uint8 (B, size, size, 3). The whole picture is squashed to the square, so that area shares stay
        area shares: box (area) averaging where both sides shrink, antialiased bilinear otherwise.
    """
    out = np.empty((len(pictures), size, size, 3), np.uint8)
    for row, picture in zip(out, pictures, strict=True):
        image = open_picture(picture)
        if image.size != (size, size):
            shrinks = min(image.size) >= size
            image = image.resize((size, size), Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR)
        row[...] = np.asarray(image)
    return out


def list_pictures(folder: str | Path) -> dict[str, Path]:
    """Find the pictures that lie in a folder.

    Parameters
    ----------
    folder : str or pathlib.Path
        Searched without its subfolders; hidden files are passed over.

    Returns
    -------
    dict of str to pathlib.Path
        File stem to path, sorted by stem.

    Raises
    ------
    MissingFileError
        If the folder does not exist.
    PictureError
        If it holds no picture, or two pictures of one stem.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MissingFileError(
            f"There is no folder {folder}. Give a folder of pictures or a list of pictures."
        )
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in SUFFIXES:
            continue
        if path.stem in found:
            raise PictureError(
                f"{folder} holds {found[path.stem].name} and {path.name}: pairs are made by stem, so "
                "each stem may occur once. Rename or remove one of them."
            )
        found[path.stem] = path
    if not found:
        raise PictureError(f"{folder} holds no picture. Endings that count: {' '.join(SUFFIXES)}.")
    return dict(sorted(found.items()))


def _from_array(array: NDArray[np.uint8]) -> Image.Image:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise PictureError(
            f"A picture array is {array.dtype} {array.shape}; expected uint8 (H, W, 3). For values in [0, 1] "
            "give (255 * array).round().astype('uint8')."
        )
    return Image.fromarray(np.ascontiguousarray(array))


def _to_rgb(image: Image.Image, what: str) -> Image.Image:
    if 0 in image.size:
        raise PictureError(f"{what} has {image.size[0]} × {image.size[1]} pixels; give one with an area.")
    image.load()
    if image.mode == "RGB" and not image.getexif():
        return image.copy() if image.readonly else image
    image = ImageOps.exif_transpose(image)
    if image.mode == "RGB":
        return image
    if image.mode in {"I", "I;16", "I;16B", "I;16L"}:
        grey = np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")
