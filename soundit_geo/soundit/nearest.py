"""Which scenes a prompt comes near to: cosines between its embedding and those of the phrases that name a scene.

For a prompt ``p`` and the phrases ``q`` of a scene ``c``, with embeddings ``e(·)`` of unit length::

    m_c = Σ_q e(q) / |Σ_q e(q)|        similarity(p, c) = e(p) · m_c

A prompt is **far** from all scenes if it lies nearer to the empty prompt than to any scene, for then an encoder that
never met its words has read nothing in it; or if its best similarity is below a bar. The bar is what nearly all phrases
reach to the other phrases of their own scene. Phrases that are all but one direction would set it so high that no
attribute could be added to them, so it is lowered to midway between that and what the empty prompt reaches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from soundit_geo.errors import InputError
from soundit_geo.soundit.inputs import check_embedding

if TYPE_CHECKING:
    from collections.abc import Callable

FAR_SHARE = 0.01
"""Share of the phrases of the scenes themselves that may lie farther off than a prompt that is not far."""

_BATCH = 64
_EXAMPLE = "{'park': ['park', 'public garden']}"
_NAMED = 3  # far prompts that a warning quotes


class KnownScenes(NamedTuple):
    """Scenes by their directions.

    Parameters
    ----------
    names : tuple of str
        S names.
    directions : torch.Tensor
        (S, d_c) of unit length.
    silence : torch.Tensor
        (d_c,) of unit length: the empty prompt.
    least : float
        Least similarity of a prompt that is not far; -1 where no scene has two phrases to tell it from.
    """

    names: tuple[str, ...]
    directions: Tensor
    silence: Tensor
    least: float


def check_scenes(scenes: Any, name: str) -> dict[str, list[str]]:
    """Check which phrases name which scene.

    Parameters
    ----------
    scenes : mapping of str to sequence of str
        From the caller.
    name : str
        Of the argument, for the message.

    Returns
    -------
    dict of str to list of str
        A copy.

    Raises
    ------
    InputError
        If it is no mapping, or empty, or a scene has no phrases, or one of them is empty or no string.
    """
    if not isinstance(scenes, Mapping):
        raise InputError(
            f"{name} is a {type(scenes).__name__}; expected scenes with the phrases that name them, as {_EXAMPLE}."
        )
    if not scenes:
        raise InputError(f"{name} is empty; give at least one scene with its phrases, as {_EXAMPLE}.")
    checked = {}
    for scene, phrases in scenes.items():
        if not isinstance(scene, str) or not scene.strip():
            raise InputError(f"{name} has the key {scene!r}; expected the name of a scene, as {_EXAMPLE}.")
        if isinstance(phrases, str):
            raise InputError(f"{name}[{scene!r}] is the string {phrases!r}; give a list: [{phrases!r}].")
        checked[scene] = _texts(phrases, f"{name}[{scene!r}]", "phrases", "['park', 'public garden']")
    return checked


def check_prompts(prompts: Any) -> list[str]:
    """Check prompts that are to be compared with scenes.

    Parameters
    ----------
    prompts : str or sequence of str
        From the caller; one string is one prompt.

    Returns
    -------
    list of str
        B prompts.

    Raises
    ------
    InputError
        If there is none, or one is empty or no string.
    """
    given = [prompts] if isinstance(prompts, str) else prompts
    return _texts(given, "prompts", "prompts", "['a quiet park at night']")


def _texts(given: Any, name: str, of: str, example: str) -> list[str]:
    """A list of strings that say something."""
    listed = hasattr(given, "__len__") and hasattr(given, "__iter__")
    if not listed or isinstance(given, Mapping | AbstractSet | bytes):
        raise InputError(f"{name} is a {type(given).__name__}; expected a list of {of}, as {example}.")
    texts = list(given)
    if not texts:
        raise InputError(f"{name} is empty; give at least one of the {of}, as {example}.")
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"{name} has {text!r} at {position}; expected strings, as {example}.")
        if not text.strip():
            raise InputError(f"{name} has an empty string at {position}; leave it out, or say what is there.")
    return texts


def directions(encode: Callable[[Sequence[str]], Tensor], texts: Sequence[str]) -> Tensor:
    """Embeddings of unit length, in float32 on the CPU.

    Parameters
    ----------
    encode : callable
        B texts to (B, d_c), as ``encode_scenes`` of an encoder.
    texts : sequence of str
        B texts.

    Returns
    -------
    torch.Tensor
        (B, d_c).

    Raises
    ------
    InputError
        If the encoder gives another shape, or values that are not finite.
    """
    parts = [texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH)]
    found = [check_embedding("what encode_scenes gave", encode(part), (len(part), "d_c")) for part in parts]
    return functional.normalize(torch.cat(found).float().cpu(), dim=-1)


def known_scenes(
    encode: Callable[[Sequence[str]], Tensor], scenes: Mapping[str, Sequence[str]]
) -> KnownScenes:
    """Directions of scenes, and how near a prompt must come to one.

    Phrases that the encoder puts nearer to another scene do not count for the least similarity: they are not
    understood.

    Parameters
    ----------
    encode : callable
        B texts to (B, d_c).
    scenes : mapping of str to sequence of str
        Checked, see `check_scenes`.

    Returns
    -------
    KnownScenes
        S of them.

    Raises
    ------
    InputError
        If the encoder gives another shape, or values that are not finite.
    """
    counts = [len(phrases) for phrases in scenes.values()]
    phrases = directions(encode, [phrase for several in scenes.values() for phrase in several])  # (P, d_c)
    groups = phrases.split(counts)
    means = functional.normalize(torch.stack([group.sum(dim=0) for group in groups]), dim=-1)  # (S, d_c)
    reached = [_left_out(group, means, index) for index, group in enumerate(groups) if len(group) > 1]
    understood = torch.cat(reached) if reached else torch.empty(0)
    silence = directions(encode, [""])[0]  # (d_c,)
    least = -1.0
    if len(understood):
        usual = float(understood.quantile(FAR_SHARE))
        least = min(usual, (usual + float((means @ silence).max())) / 2)
    return KnownScenes(names=tuple(scenes), directions=means, silence=silence, least=least)


def _left_out(group: Tensor, means: Tensor, index: int) -> Tensor:
    """Similarity of each phrase to the others of its scene, where no other scene is nearer."""
    others = functional.normalize(group.sum(dim=0, keepdim=True) - group, dim=-1)  # (P_c, d_c)
    own = (group * others).sum(dim=-1)  # (P_c,)
    rivals = group @ means.T  # (P_c, S)
    rivals[:, index] = own
    return own[rivals.max(dim=-1).values <= own]


def ranked(known: KnownScenes, vectors: Tensor) -> list[list[tuple[str, float]]]:
    """Scenes with their similarity to each prompt.

    Parameters
    ----------
    known : KnownScenes
        S scenes.
    vectors : torch.Tensor
        (B, d_c) prompts, of unit length.

    Returns
    -------
    list of list of (str, float)
        For each of B prompts S pairs, best first; similarities between -1 and 1.
    """
    similarity = (vectors @ known.directions.T).clamp(-1.0, 1.0)  # (B, S)
    order = similarity.argsort(dim=-1, descending=True, stable=True)
    return [
        [(known.names[index], float(row[index])) for index in best.tolist()]
        for row, best in zip(similarity, order, strict=True)
    ]


def far(known: KnownScenes, vectors: Tensor) -> Tensor:
    """Which prompts lie far from all scenes.

    Parameters
    ----------
    known : KnownScenes
        S scenes.
    vectors : torch.Tensor
        (B, d_c) prompts, of unit length.

    Returns
    -------
    torch.Tensor
        (B,) bool.
    """
    best = (vectors @ known.directions.T).max(dim=-1).values  # (B,)
    return (best < known.least) | (best < vectors @ known.silence)


def far_in_words(
    prompts: Sequence[str], rows: Sequence[Sequence[tuple[str, float]]], marks: Tensor
) -> str | None:
    """What to say of prompts that lie far from all scenes.

    Parameters
    ----------
    prompts : sequence of str
        B prompts.
    rows : sequence of sequence of (str, float)
        From `ranked`.
    marks : torch.Tensor
        (B,) bool, from `far`.

    Returns
    -------
    str or None
        None where there is no such prompt.
    """
    said = [
        f"{prompt!r} (nearest: {row[0][0]}, {row[0][1]:.2f})"
        for prompt, row, mark in zip(prompts, rows, marks.tolist(), strict=True)
        if mark
    ]
    if not said:
        return None
    more = f" and {len(said) - _NAMED} more" if len(said) > _NAMED else ""
    return (
        f"Far from every known scene: {'; '.join(said[:_NAMED])}{more}. The encoder may not know these words; "
        "say it with words of the scene that you mean."
    )
