"""SounDiT as its equations are printed: the peer that `soundit-geo bench sampling` measures against.

Every expert is computed in full for every token, SLRCM's matrix A is built, keys, values and all that the scene
gives are computed at every step, and guidance takes two passes. The weights are the model's own, and so is the
result. One kindness: attention is PyTorch's fused one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from soundit_geo.soundit.conditioning import SceneContentMixer, SoundscapeExperts
    from soundit_geo.soundit.transformer import Conditions, SounDiTBlock, SounDiTTransformer2DModel


def literal_forward(
    model: SounDiTTransformer2DModel,
    latent: Tensor,
    timestep: Tensor,
    given: Conditions,
    *,
    factored: bool = False,
) -> Tensor:
    """One prediction.

    Parameters
    ----------
    model : SounDiTTransformer2DModel
        Whose weights.
    latent : torch.Tensor
        (B, C, H, W), z_t.
    timestep : torch.Tensor
        (B,), 0 to 999.
    given : Conditions
        From ``model.conditions``.
    factored : bool, optional
        A second kindness: go through the factors of A instead of building it.

    Returns
    -------
    torch.Tensor
        (B, C, H, W).
    """
    time = model.t_embedder(timestep)  # (B, D)
    x = model.x_embedder(latent) + model.pos_embed  # (B, N, D)
    for block in model.blocks:
        x = literal_block(cast("SounDiTBlock", block), x, time, given, factored=factored)
    return model._unpatch(model.final_layer(x, time))  # noqa: SLF001 - the same layout of patches


def literal_block(
    block: SounDiTBlock, x: Tensor, time: Tensor, given: Conditions, *, factored: bool = False
) -> Tensor:
    """One block.

    Parameters
    ----------
    block : SounDiTBlock
        Whose weights.
    x : torch.Tensor
        (B, N, D).
    time : torch.Tensor
        (B, D), e_t.
    given : Conditions
        Soundscape and scene.
    factored : bool, optional
        See `literal_forward`.

    Returns
    -------
    torch.Tensor
        (B, N, D).
    """
    shift, scale, gate, *_ = block.adaLN_modulation(time)[:, None].chunk(6, dim=-1)
    x = x + gate * block.attn(block.norm1(x) * (1 + scale) + shift)
    x = literal_mixer(block.content, x, given.scene, given.mu, factored=factored)
    x = literal_experts(block.soundscape, x, given.tokens, given.summary, time)
    mix = block.scene_time
    scene_time = time + torch.tanh(mix.beta) * mix.project(given.scene)
    *_, shift, scale, gate = block.adaLN_modulation(scene_time)[:, None].chunk(6, dim=-1)
    return x + gate * block.mlp(block.norm2(x) * (1 + scale) + shift)


def literal_mixer(
    mixer: SceneContentMixer, x: Tensor, scene: Tensor, mu: float, *, factored: bool = False
) -> Tensor:
    """SLRCM.

    Parameters
    ----------
    mixer : SceneContentMixer
        Whose weights.
    x : torch.Tensor
        (B, N, D).
    scene : torch.Tensor
        (B, d_c), e_c.
    mu : float
        μ.
    factored : bool, optional
        See `literal_forward`.

    Returns
    -------
    torch.Tensor
        (B, N, D).
    """
    spectrum = torch.tanh(mixer.spectrum(scene))[:, None]  # (B, 1, r)
    strength = functional.softplus(mixer.strength(scene)) * mu * torch.tanh(mixer.alpha)  # (B, 1)
    if factored:
        return x + strength[:, None] * mixer.value(mixer.query(mixer.norm(x)) * spectrum)
    matrix = mixer.query.weight.t() * spectrum @ mixer.value.weight.t()  # (B, D, D)
    return x + strength[:, None] * (mixer.norm(x) @ matrix)


def literal_experts(
    experts: SoundscapeExperts, x: Tensor, tokens: Tensor, summary: Tensor, time: Tensor
) -> Tensor:
    """Mixture-of-experts conditioning, by a loop over all experts.

    Parameters
    ----------
    experts : SoundscapeExperts
        Whose weights.
    x : torch.Tensor
        (B, N, D).
    tokens : torch.Tensor
        (B, L, d_s), S.
    summary : torch.Tensor
        (B, d_s), e_s.
    time : torch.Tensor
        (B, D), e_t.

    Returns
    -------
    torch.Tensor
        (B, N, D).
    """
    router = experts.router
    shift = router.time(time)  # (B, d_s)
    if router.time_routing == "as_printed":
        logits = summary @ router.prototypes + (summary * shift).sum(-1, keepdim=True)
    else:
        logits = (summary * (1 + shift)) @ router.prototypes
    weight = (logits / router.temperature).softmax(-1)  # (B, M)
    top = weight.topk(router.per_sample, dim=-1).indices
    allowed = torch.full_like(weight, -torch.inf).scatter(-1, top, 0.0)
    share = (weight / router.log_temperature.exp() + allowed).softmax(-1)  # (B, M), 0 where not chosen

    def heads(channels: Tensor) -> Tensor:
        return channels.unflatten(-1, (experts.heads, -1)).transpose(1, 2)

    key, value = heads(experts.key(tokens)), heads(experts.value(tokens))  # (B, h, L, D/h)
    normed, heard = experts.norm(x), torch.zeros_like(x)
    for expert, (down, up) in enumerate(zip(experts.down, experts.up, strict=True)):
        mixed = functional.scaled_dot_product_attention(heads(normed @ down @ up), key, value)
        z = experts.output(mixed.transpose(1, 2).flatten(2))  # (B, N, D)
        heard = heard + share[:, expert, None, None] * z
    return x + torch.tanh(experts.gate(summary))[:, None] * heard
