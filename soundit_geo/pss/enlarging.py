"""The most likely class of every pixel of enlarged logits, without enlarging all of them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

AT_A_TIME = 16_384
"""Pixels that are interpolated at once."""


def enlarged_classes(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Tell the most likely class of each pixel after bilinear enlargement.

    Between four cells that agree, every pixel is a mean of logits of which each is highest for the same class; so it is
    theirs. Only pixels between cells that disagree, along the edges of things, are interpolated.

    Parameters
    ----------
    logits : torch.Tensor
        (classes, h, w).
    size : tuple of int
        H and W, in pixels.

    Returns
    -------
    torch.Tensor
        (H, W) int64: the argmax over classes of `torch.nn.functional.interpolate` with ``mode="bilinear"`` and
        ``align_corners=False``, but for rounding where two classes are equally likely.
    """
    cells = logits.movedim(
        0, -1
    ).contiguous()  # (h, w, classes): the argmax over neighbours in memory is thrice as fast
    coarse = cells.argmax(-1)
    top, bottom, down = _between(cells.shape[0], size[0], logits)
    left, right, across = _between(cells.shape[1], size[1], logits)
    corners = [coarse[rows][:, columns] for rows in (top, bottom) for columns in (left, right)]
    classes = corners[0].clone()
    mixed = (corners[1] != classes) | (corners[2] != classes) | (corners[3] != classes)
    if 2 * mixed.sum() > mixed.numel():  # then all at once is quicker
        whole = cells[None].movedim(-1, 1)  # still channels last
        return interpolate(whole, size, mode="bilinear", align_corners=False).argmax(1)[0]
    for y, x in zip(*(part.split(AT_A_TIME) for part in mixed.nonzero(as_tuple=True)), strict=True):
        upper = cells[top[y], left[x]].lerp(cells[top[y], right[x]], across[x, None])
        lower = cells[bottom[y], left[x]].lerp(cells[bottom[y], right[x]], across[x, None])
        classes[y, x] = upper.lerp(lower, down[y, None]).argmax(-1)
    return classes


def _between(cells: int, pixels: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Before and after each pixel the cells that it lies between, and how far it is on the way, 0 to 1."""
    at = ((torch.arange(pixels, device=like.device) + 0.5) * (cells / pixels) - 0.5).clamp(min=0)
    before = at.long().clamp(max=cells - 1)
    return before, (before + 1).clamp(max=cells - 1), (at - before).to(like.dtype)
