"""Numbers as text that a page can take apart quickly: little-endian arrays in base64.

Values are quantised where that cannot be seen: a variable has 65,534 steps from its lowest value to its highest, so
that a shown number is off by at most 1/131,068 of that span; a standard error has 254 steps that lie closer near 0,
and is off by at most 0.4 % of the largest; a coordinate is a whole number of 1e-7 degrees (11 mm at the equator).
"""

from __future__ import annotations

import base64
from typing import Any, Final

import numpy as np

STEPS: Final = 65534
"""Steps from the lowest value of a variable to its highest; the code after the last says that there is none."""

ERROR_STEPS: Final = 254
"""Steps of a standard error, from 0 to the largest; the code after the last says that there is none."""


def pack(numbers: np.ndarray, dtype: str) -> str:
    """Write an array as base64 text.

    Parameters
    ----------
    numbers : numpy.ndarray
        Any shape; C order.
    dtype : str
        A little-endian NumPy type, such as ``"<f4"``.

    Returns
    -------
    str
        The bytes.
    """
    return base64.b64encode(np.ascontiguousarray(numbers, dtype=dtype).tobytes()).decode("ascii")


def pack_values(columns: np.ndarray) -> dict[str, Any]:
    """Quantise the columns of one variable on one scale.

    Parameters
    ----------
    columns : numpy.ndarray
        (column, n) float; NaN = none.

    Returns
    -------
    dict
        ``low`` and ``step``: a value is low + step × code; ``values``, a text of uint16 codes per column, of
        which 65,535 is none.
    """
    known = np.isfinite(columns)
    low = float(columns.min(where=known, initial=np.inf)) if known.any() else 0.0
    high = float(columns.max(where=known, initial=-np.inf)) if known.any() else 0.0
    step = (high - low) / STEPS
    scaled = (columns - low) * (1.0 / step if step > 0 else 0.0)
    codes = np.where(known, np.rint(np.where(known, scaled, 0.0)), STEPS + 1)
    return {"low": low, "step": step, "values": [pack(column, "<u2") for column in codes]}


def pack_errors(columns: np.ndarray) -> dict[str, Any]:
    """Quantise standard errors.

    Parameters
    ----------
    columns : numpy.ndarray
        (column, n) float, not negative; NaN = none.

    Returns
    -------
    dict
        ``top``: an error is top × (code / 254)²; ``values``, a text of uint8 codes per column, of which 255 is
        none.
    """
    known = np.isfinite(columns)
    top = float(columns.max(where=known, initial=0.0))
    parts = np.sqrt(np.where(known, columns, 0.0) / (top or 1.0)) * ERROR_STEPS
    codes = np.where(known, np.rint(parts), ERROR_STEPS + 1)
    return {"top": top, "values": [pack(column, "u1") for column in codes]}


def pack_degrees(degrees: np.ndarray) -> str:
    """Write longitudes or latitudes as whole numbers of 1e-7 degrees.

    Parameters
    ----------
    degrees : numpy.ndarray
        (n,) in EPSG:4326.

    Returns
    -------
    str
        A text of int32.
    """
    return pack(np.rint(degrees * 1e7), "<i4")


def pack_flags(flags: np.ndarray) -> str:
    """Write truths as bits, the first in the lowest bit of the first byte.

    Parameters
    ----------
    flags : numpy.ndarray
        (n,) bool.

    Returns
    -------
    str
        A text of bytes.
    """
    return pack(np.packbits(flags, bitorder="little"), "u1")
