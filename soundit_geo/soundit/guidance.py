"""Classifier-free guidance: which predictions a step needs, and how they are combined.

Source: Ho and Salimans, "Classifier-Free Diffusion Guidance" (arXiv 2207.12598); SounDiT guides "on both prompts".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class Branch(NamedTuple):
    """One prediction of a guided step: which of the two conditions it is given.

    Parameters
    ----------
    soundscape, scene : bool
        Whether the soundscape is heard, whether the scene prompt is read; else the learned null stands there.
    """

    soundscape: bool
    scene: bool


BOTH = Branch(soundscape=True, scene=True)
SOUNDSCAPE_ALONE = Branch(soundscape=True, scene=False)
NEITHER = Branch(soundscape=False, scene=False)

UNGUIDED = (BOTH,)
JOINT = (BOTH, NEITHER)
SEPARATE = (BOTH, SOUNDSCAPE_ALONE, NEITHER)
"""Branches of a step, in the order in which their predictions are combined."""


def joint(both: Tensor, neither: Tensor, scale: float) -> Tensor:
    r"""Guide on soundscape and scene together.

    .. math:: \hat\epsilon = \epsilon_\emptyset + g \, (\epsilon_{sc} - \epsilon_\emptyset)

    Parameters
    ----------
    both, neither : torch.Tensor
        (B, C, H, W), ε_sc and ε_∅, or velocities alike.
    scale : float
        g; 1 gives `both`, 0 gives `neither`.

    Returns
    -------
    torch.Tensor
        (B, C, H, W).
    """
    return neither + scale * (both - neither)


def separate(
    both: Tensor, soundscape: Tensor, neither: Tensor, soundscape_scale: float, scene_scale: float
) -> Tensor:
    r"""Guide on the soundscape, and on what the scene adds to it.

    .. math:: \hat\epsilon = \epsilon_\emptyset + g_s (\epsilon_s - \epsilon_\emptyset)
              + g_c (\epsilon_{sc} - \epsilon_s)

    Parameters
    ----------
    both, soundscape, neither : torch.Tensor
        (B, C, H, W), ε_sc, ε_s and ε_∅, or velocities alike.
    soundscape_scale, scene_scale : float
        g_s and g_c; where they are equal, this is joint guidance.

    Returns
    -------
    torch.Tensor
        (B, C, H, W).
    """
    return neither + soundscape_scale * (soundscape - neither) + scene_scale * (both - soundscape)
