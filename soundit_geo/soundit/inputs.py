"""What the pipeline may be given, checked: prompts, embeddings, masks, noise, numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from numbers import Integral, Real
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from soundit_geo.errors import InputError

Generators = torch.Generator | Sequence[torch.Generator] | None


def as_soundscapes(given: Any) -> list[Any] | None:
    """Recordings as a list, None where there is none.

    Parameters
    ----------
    given : path, sequence of (path or array or None), or None
        From the caller.

    Returns
    -------
    list or None
        One entry per picture.

    Raises
    ------
    InputError
        If it is one bare waveform, or no sequence.
    """
    if given is None:
        return None
    if isinstance(given, str | PathLike):
        return [given]
    if getattr(given, "ndim", None) == 1:
        raise InputError("One waveform came where a list of soundscapes was expected: give [waveform].")
    return _as_list("soundscapes", given, "paths or waveforms")


def as_scenes(given: Any, count: int | None) -> list[str | None] | None:
    """Scene prompts as a list, None where there is none.

    Parameters
    ----------
    given : str, sequence of (str or None), or None
        From the caller; one string serves all.
    count : int or None
        How many soundscapes there are, where that is known.

    Returns
    -------
    list or None
        One entry per picture.

    Raises
    ------
    InputError
        If it is no sequence of strings.
    """
    if given is None:
        return None
    if isinstance(given, str):
        return [given] * (count or 1)
    scenes = _as_list("scenes", given, "prompts")
    wrong = [scene for scene in scenes if scene is not None and not isinstance(scene, str)]
    if wrong:
        raise InputError(f"A scene is a {type(wrong[0]).__name__}; expected a string, or None for no prompt.")
    return scenes


def _as_list(name: str, given: Any, of: str) -> list[Any]:
    """A list of what was given; mappings, sets and single values are refused."""
    sequence = hasattr(given, "__len__") and hasattr(given, "__getitem__")
    if not sequence or isinstance(given, Mapping | AbstractSet | bytes):
        raise InputError(
            f"{name} is a {type(given).__name__}; expected a list of {of}, None where there is none."
        )
    return list(given)


def common_length(**given: Sequence[Any] | Tensor | None) -> int:
    """The length that all given inputs share.

    Parameters
    ----------
    **given
        By name; None where nothing was given.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    InputError
        If nothing was given, or lengths disagree; the message names them.
    """
    counts = {name: len(value) for name, value in given.items() if value is not None}
    if not counts or 0 in counts.values():
        raise InputError("Nothing to draw from: give soundscapes, scenes or both, at least one of each.")
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{number} {name}" for name, number in counts.items())
        raise InputError(f"Lengths disagree: {said}. Give one scene (or None) per soundscape.")
    return next(iter(counts.values()))


def check_embedding(name: str, value: Any, shape: tuple[int | str, ...]) -> Tensor:
    """Check shape, type and finiteness of an embedding.

    Parameters
    ----------
    name : str
        For the message.
    value : torch.Tensor
        From the caller.
    shape : tuple of int or str
        Expected; a letter stands for any length of at least 1.

    Returns
    -------
    torch.Tensor
        The same.

    Raises
    ------
    InputError
        If it is of another shape or type, or not finite.
    """
    _check_tensor(name, value)
    fits = value.ndim == len(shape) and all(
        have >= 1 if isinstance(want, str) else have == want
        for have, want in zip(value.shape, shape, strict=True)
    )
    if not fits:
        expected = ", ".join(map(str, shape))
        raise InputError(f"The shape of {name} is {tuple(value.shape)}; this model expects ({expected}).")
    if not value.isfinite().all():
        raise InputError(
            f"{name} holds NaN or infinity. Was the recording, or the embedding's file, damaged?"
        )
    return value


def check_missing(name: str, value: Any, count: int) -> Tensor:
    """A mask of what is missing.

    Parameters
    ----------
    name : str
        For the message.
    value : torch.Tensor, sequence of bool, or None
        From the caller; None where nothing is missing.
    count : int
        B.

    Returns
    -------
    torch.Tensor
        (B,) bool.

    Raises
    ------
    InputError
        If it is no mask of B.
    """
    if value is None:
        return torch.zeros(count, dtype=torch.bool)
    try:
        mask = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name} is a {type(value).__name__}; expected {count} booleans.") from error
    if mask.dtype != torch.bool or tuple(mask.shape) != (count,):
        raise InputError(
            f"{name} has shape {tuple(mask.shape)} and type {mask.dtype}; expected ({count},) and torch.bool."
        )
    return mask


def check_latents(value: Any, shape: tuple[int, ...]) -> Tensor:
    """Check the first noise.

    Parameters
    ----------
    value : torch.Tensor
        From the caller.
    shape : tuple of int
        (B, C, H, W).

    Returns
    -------
    torch.Tensor
        In float32, the type that samplers compute in.

    Raises
    ------
    InputError
        If it is of another shape or type, or not finite.
    """
    return check_embedding("latents", value, shape).float()


def check_generator(value: Any, count: int) -> Any:
    """Check the source of noise.

    Parameters
    ----------
    value : torch.Generator, sequence of them, or None
        From the caller.
    count : int
        How many pictures are drawn.

    Returns
    -------
    torch.Generator, list of them or None
        As diffusers takes it.

    Raises
    ------
    InputError
        If it is something else, or a list of another length.
    """
    if value is None or isinstance(value, torch.Generator):
        return value
    if not isinstance(value, list | tuple) or not all(isinstance(one, torch.Generator) for one in value):
        raise InputError(
            f"generator is a {type(value).__name__}; expected torch.Generator().manual_seed(7), or a list of them."
        )
    if len(value) != count:
        raise InputError(f"{len(value)} generators came for {count} pictures; give one each, or one.")
    return list(value)


def check_number(name: str, value: Any) -> float:
    """Check a scale.

    Parameters
    ----------
    name : str
        For the message.
    value : float
        From the caller.

    Returns
    -------
    float
        The same.

    Raises
    ------
    InputError
        If it is no finite number.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise InputError(f"{name} is {value!r}; expected a finite number.")
    return float(value)


def check_count(name: str, value: Any) -> int:
    """Check a count.

    Parameters
    ----------
    name : str
        For the message.
    value : int
        From the caller.

    Returns
    -------
    int
        The same.

    Raises
    ------
    InputError
        If it is no whole number of at least 1.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise InputError(f"{name} is {value!r}; expected a whole number, at least 1.")
    return int(value)


def _check_tensor(name: str, value: Any) -> None:
    if not isinstance(value, Tensor) or not value.is_floating_point():
        said = f"has type {value.dtype}" if isinstance(value, Tensor) else f"is a {type(value).__name__}"
        raise InputError(f"{name} {said}; expected a tensor of floating-point numbers.")
