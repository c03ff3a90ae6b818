"""SounDiT's denoiser: embedders, block, model, table of sizes.

Source: SounDiT (CVPR 2026, arXiv 2505.12734) on DiT (Peebles and Xie, ICCV 2023). Parameters that DiT has keep
DiT's names and shapes, so that its weights load (`soundit_geo.soundit.convert`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.embeddings import get_2d_sincos_pos_embed, get_timestep_embedding
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from torch import nn
from torch.nn import functional

from soundit_geo.errors import InputError
from soundit_geo.soundit.conditioning import (
    Heard,
    SceneContentMixer,
    SceneTimeMix,
    SoundscapeExperts,
    TimeRouting,
)
from soundit_geo.strict import StrictModelMixin, refuse_unknown_settings

if TYPE_CHECKING:
    from torch import Tensor

SIZES: dict[str, dict[str, int]] = {
    "mini": {"depth": 6, "width": 256, "heads": 4, "sample_size": 16},
    "S/2": {"depth": 12, "width": 384, "heads": 6},
    "B/2": {"depth": 12, "width": 768, "heads": 12},
    "L/2": {"depth": 24, "width": 1024, "heads": 16},
    "XL/2": {"depth": 28, "width": 1152, "heads": 16},
}
"""Depth, width and heads by name; DiT's sizes, and the embedded one."""


DIT_EPS = 1e-6
"""Of the layer norms before self-attention and at the end: the same in DiT's own code and in diffusers'."""


@dataclass(frozen=True)
class Conditions:
    """What the model is conditioned on: normalised, nulls in place.

    Parameters
    ----------
    tokens : torch.Tensor
        (B, L, d_s), soundscape tokens S, null where there is no soundscape.
    summary : torch.Tensor
        (B, d_s), soundscape summary e_s.
    scene : torch.Tensor
        (B, d_c), scene embedding e_c, null where there is no prompt.
    mu : float
        Strength of the scene in SLRCM.
    """

    tokens: Tensor
    summary: Tensor
    scene: Tensor
    mu: float


@dataclass(frozen=True)
class Prepared:
    """The conditions as one block uses them; the same at every step of a sampling run.

    Parameters
    ----------
    content : torch.Tensor
        (B, 1, r), spectrum of SLRCM times its strength.
    soundscape : Heard
        For the experts.
    scene : torch.Tensor
        (B, D), the scene's share of S-AdaLN's embedding.
    """

    content: Tensor
    soundscape: Heard
    scene: Tensor


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Shift and scale tokens by one vector per sample.

    Parameters
    ----------
    x : torch.Tensor
        (B, N, D).
    shift, scale : torch.Tensor
        (T, D), T = 1 or B.

    Returns
    -------
    torch.Tensor
        (B, N, D), ``x (1 + scale) + shift``.
    """
    return torch.addcmul(shift[:, None], x, 1.0 + scale[:, None])


class PatchEmbedder(nn.Module):
    """Latent to tokens, one per patch.

    Parameters
    ----------
    channels, patch, width : int
        C, p and D.
    """

    def __init__(self, channels: int, patch: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, stride=patch)

    def forward(self, latent: Tensor) -> Tensor:
        """Cut and embed.

        Parameters
        ----------
        latent : torch.Tensor
            (B, C, H, W).

        Returns
        -------
        torch.Tensor
            (B, N, D), rows of patches first.
        """
        return self.proj(latent).flatten(2).transpose(1, 2)


class TimestepEmbedder(nn.Module):
    """Sinusoids of the timestep, ordered cosine then sine, through two linear maps.

    Parameters
    ----------
    width : int
        D.
    frequency_shift : float
        0 as in DiT's own code; 1 as in diffusers' port of it.
    """

    def __init__(self, width: int, frequency_shift: float) -> None:
        super().__init__()
        self.frequency_shift = frequency_shift
        self.mlp = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, timestep: Tensor) -> Tensor:
        """Embed.

        Parameters
        ----------
        timestep : torch.Tensor
            (T,), 0 to 999.

        Returns
        -------
        torch.Tensor
            (T, D), e_t.
        """
        waves = get_timestep_embedding(
            timestep, 256, flip_sin_to_cos=True, downscale_freq_shift=self.frequency_shift
        )
        return self.mlp(waves.to(self.mlp[0].weight.dtype))


class Attention(nn.Module):
    """Multi-head self-attention.

    Parameters
    ----------
    width, heads : int
        D and h.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Attend.

        Parameters
        ----------
        x : torch.Tensor
            (B, N, D).

        Returns
        -------
        torch.Tensor
            (B, N, D).
        """
        query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B, h, N, D/h)
        mixed = functional.scaled_dot_product_attention(query, key, value)                         # (B, h, N, D/h)
        return self.proj(mixed.transpose(1, 2).flatten(2))                                         # (B, N, D)


class FeedForward(nn.Module):
    """Two linear maps with a tanh-approximated GELU between.

    Parameters
    ----------
    width : int
        D; the inner width is 4 D.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map each token.

        Parameters
        ----------
        x : torch.Tensor
            (B, N, D).

        Returns
        -------
        torch.Tensor
            (B, N, D).
        """
        inner = self.fc1(x)                                                                        # (B, N, 4 D)
        if torch.is_grad_enabled():
            return self.fc2(functional.gelu(inner, approximate="tanh"))                            # (B, N, D)
        return self.fc2(torch.ops.aten.gelu_(inner, approximate="tanh"))  # in place: nobody needs it again


class SounDiTBlock(nn.Module):
    """One block: self-attention by time, the scene's content, the soundscape, the scene's modulation.

    Parameters
    ----------
    width, heads : int
        D and h.
    token_dim, summary_dim, scene_dim : int
        d_s of tokens and summary, d_c.
    content_rank : int
        r of SLRCM.
    experts, experts_per_sample, expert_rank : int
        M, k and the rank of each expert's query.
    router_temperature : float
        τ.
    time_routing : {"as_printed", "modulated"}
        Reading of the router.
    eps : float
        Of the layer norms after self-attention.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        token_dim: int,
        summary_dim: int,
        scene_dim: int,
        content_rank: int,
        experts: int,
        experts_per_sample: int,
        expert_rank: int,
        router_temperature: float,
        time_routing: TimeRouting,
        eps: float,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False, eps=DIT_EPS)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False, eps=eps)
        self.mlp = FeedForward(width)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        self.content = SceneContentMixer(width, scene_dim, content_rank, eps)
        self.soundscape = SoundscapeExperts(
            width,
            heads,
            token_dim,
            summary_dim,
            experts=experts,
            per_sample=experts_per_sample,
            rank=expert_rank,
            temperature=router_temperature,
            time_routing=time_routing,
            eps=eps,
        )
        self.scene_time = SceneTimeMix(width, scene_dim)

    def prepare(self, given: Conditions) -> Prepared:
        """All that does not change over the steps.

        Parameters
        ----------
        given : Conditions
            Soundscape and scene.

        Returns
        -------
        Prepared
            For `forward`.
        """
        return Prepared(
            content=self.content.prepare(given.scene, given.mu),
            soundscape=self.soundscape.prepare(given.tokens, given.summary),
            scene=self.scene_time.prepare(given.scene),
        )

    def forward(self, x: Tensor, time: Tensor, given: Prepared) -> Tensor:
        """Refine the tokens once.

        Parameters
        ----------
        x : torch.Tensor
            (B, N, D).
        time : torch.Tensor
            (T, D), e_t; T is 1 where all samples share the timestep, or B.
        given : Prepared
            Soundscape and scene, from `prepare`.

        Returns
        -------
        torch.Tensor
            (B, N, D).
        """
        modulation = cast("nn.Linear", self.adaLN_modulation[1])
        weight, bias = modulation.weight.chunk(2), modulation.bias.chunk(2)
        by_time = functional.linear(functional.silu(time), weight[0], bias[0])            # (T, 3 D)
        scene_time = self.scene_time(time, given.scene)                                   # (B, D)
        by_scene = functional.linear(functional.silu(scene_time), weight[1], bias[1])     # (B, 3 D)

        shift, scale, gate = by_time.chunk(3, dim=-1)
        x = _gated(x, gate, self.attn(modulate(self.norm1(x), shift, scale)))             # AdaLN-Zero
        x = self.content(x, given.content)                                                # SLRCM
        x = self.soundscape(x, given.soundscape, time)                                    # MoE conditioning
        shift, scale, gate = by_scene.chunk(3, dim=-1)
        return _gated(x, gate, self.mlp(modulate(self.norm2(x), shift, scale)))           # S-AdaLN


class FinalLayer(nn.Module):
    """DiT's head: modulated norm and one linear map to patches.

    Parameters
    ----------
    width, outputs : int
        D and p² C.
    """

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.norm_final = nn.LayerNorm(width, elementwise_affine=False, eps=DIT_EPS)
        self.linear = nn.Linear(width, outputs)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Map tokens to patches.

        Parameters
        ----------
        x : torch.Tensor
            (B, N, D).
        time : torch.Tensor
            (T, D), e_t.

        Returns
        -------
        torch.Tensor
            (B, N, p² C).
        """
        shift, scale = self.adaLN_modulation(time).chunk(2, dim=-1)
        return self.linear(modulate(self.norm_final(x), shift, scale))


class SounDiTTransformer2DModel(StrictModelMixin):
    """Diffusion transformer conditioned on a soundscape and a scene.

    Reading: soundscape tokens and summary and the scene embedding are brought to unit mean square here (their
    norms are up to 20 in ImageBind's space), and the learned nulls live in that normalised space.

    Parameters
    ----------
    sample_size : int
        H = W of the latent.
    in_channels, patch_size : int
        C and p.
    depth, width, heads : int
        Blocks, D and h; see `SIZES`.
    token_dim, summary_dim, scene_dim : int
        d_s of soundscape tokens and summary, d_c.
    content_rank : int
        r of SLRCM.
    experts, experts_per_sample, expert_rank : int
        M, k and the rank of each expert's query.
    router_temperature : float
        τ.
    time_routing : {"as_printed", "modulated"}
        Reading of the router.
    norm_eps : float
        Of the blocks' layer norms after self-attention: 1e-6 in DiT's own code, 1e-5 in diffusers' port of it.
    frequency_shift : float
        See `TimestepEmbedder`.
    position_step : float
        Distance of neighbouring patches in the positions; 1 in DiT, 2 in the embedded preset.

    Raises
    ------
    InputError
        If sizes do not divide, or k exceeds M.
    """

    _supports_gradient_checkpointing = True
    _no_split_modules = ("SounDiTBlock",)
    _repeated_blocks = ("SounDiTBlock",)  # for compile_repeated_blocks

    @register_to_config
    def __init__(
        self,
        sample_size: int = 32,
        in_channels: int = 4,
        patch_size: int = 2,
        depth: int = 28,
        width: int = 1152,
        heads: int = 16,
        token_dim: int = 1024,
        summary_dim: int = 1024,
        scene_dim: int = 1024,
        content_rank: int = 64,
        experts: int = 8,
        experts_per_sample: int = 2,
        expert_rank: int = 64,
        router_temperature: float = 1.0,
        time_routing: TimeRouting = "modulated",
        norm_eps: float = 1e-6,
        frequency_shift: float = 0.0,
        position_step: float = 1.0,
    ) -> None:
        super().__init__()
        if sample_size % patch_size or width % heads or not 1 <= experts_per_sample <= experts:
            raise InputError(
                f"sample_size {sample_size} must be a multiple of patch_size {patch_size}, width {width} of heads "
                f"{heads}, and experts_per_sample {experts_per_sample} lie between 1 and experts {experts}."
            )
        if time_routing not in ("as_printed", "modulated"):
            raise InputError(f"time_routing is {time_routing!r}; expected 'as_printed' or 'modulated'.")
        self.x_embedder = PatchEmbedder(in_channels, patch_size, width)
        self.t_embedder = TimestepEmbedder(width, frequency_shift)
        grid = sample_size // patch_size
        position = get_2d_sincos_pos_embed(
            width, grid, base_size=grid, interpolation_scale=1.0 / position_step, output_type="pt"
        )
        self.register_buffer("pos_embed", position[None].float(), persistent=False)
        self.null_tokens = nn.Parameter(torch.randn(1, 1, token_dim) * 0.02)
        self.null_summary = nn.Parameter(torch.randn(1, summary_dim) * 0.02)
        self.null_scene = nn.Parameter(torch.randn(1, scene_dim) * 0.02)
        self.blocks = nn.ModuleList(
            SounDiTBlock(
                width,
                heads,
                token_dim=token_dim,
                summary_dim=summary_dim,
                scene_dim=scene_dim,
                content_rank=content_rank,
                experts=experts,
                experts_per_sample=experts_per_sample,
                expert_rank=expert_rank,
                router_temperature=router_temperature,
                time_routing=time_routing,
                eps=norm_eps,
            )
            for _ in range(depth)
        )
        self.final_layer = FinalLayer(width, patch_size**2 * in_channels)
        self.gradient_checkpointing = False
        self._initialise()

    @classmethod
    def of_size(cls, name: str, **config: Any) -> SounDiTTransformer2DModel:
        """A fresh model of a named size.

        Parameters
        ----------
        name : str
            Key of `SIZES`.
        **config
            Further keys of the configuration.

        Returns
        -------
        SounDiTTransformer2DModel
            Random weights.

        Raises
        ------
        InputError
            If the name is unknown.
        """
        if name not in SIZES:
            raise InputError(f"Size {name!r} is unknown; there are {', '.join(SIZES)}.")
        refuse_unknown_settings(cls, config)
        return cls(**{**SIZES[name], **config})

    def _initialise(self) -> None:
        """DiT's start: Xavier for its linear maps, zero for every gate and the last map (AdaLN-Zero)."""
        zeros, xavier = nn.init.zeros_, nn.init.xavier_uniform_
        xavier(self.x_embedder.proj.weight.flatten(1))
        zeros(cast("Tensor", self.x_embedder.proj.bias))
        for layer in self.t_embedder.mlp.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.02)
        for name, parameter in self.named_parameters():
            if name.startswith("blocks") and (".attn." in name or ".mlp." in name):
                zeros(parameter) if name.endswith("bias") else xavier(parameter)
            elif "adaLN_modulation" in name or name.startswith("final_layer"):
                zeros(parameter)

    def conditions(
        self,
        soundscape_tokens: Tensor,
        soundscape_summary: Tensor,
        scene: Tensor,
        *,
        soundscape_missing: Tensor | None = None,
        scene_missing: Tensor | None = None,
        scene_strength: float = 1.0,
    ) -> Conditions:
        """Normalise the embeddings and put the learned nulls where something is missing.

        Parameters
        ----------
        soundscape_tokens : torch.Tensor
            (B, L, d_s).
        soundscape_summary : torch.Tensor
            (B, d_s).
        scene : torch.Tensor
            (B, d_c).
        soundscape_missing, scene_missing : torch.Tensor, optional
            (B,) bool, true where there is none.
        scene_strength : float, optional
            μ.

        Returns
        -------
        Conditions
            Ready for the blocks.
        """
        tokens, summary, scene = (_unit(value) for value in (soundscape_tokens, soundscape_summary, scene))
        if soundscape_missing is not None:
            missing = soundscape_missing[:, None]                                     # (B, 1)
            tokens = torch.where(missing[:, None], self.null_tokens, tokens)          # (B, L, d_s)
            summary = torch.where(missing, self.null_summary, summary)                # (B, d_s)
        if scene_missing is not None:
            scene = torch.where(scene_missing[:, None], self.null_scene, scene)       # (B, d_c)
        return Conditions(tokens, summary, scene, scene_strength)

    def prepare(self, given: Conditions) -> tuple[Prepared, ...]:
        """Do once what a sampling run would otherwise do at every step.

        Parameters
        ----------
        given : Conditions
            From `conditions`.

        Returns
        -------
        tuple of Prepared
            One per block, for `forward`. It holds for the present weights only.
        """
        return tuple(cast("SounDiTBlock", block).prepare(given) for block in self.blocks)

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor | float,
        soundscape_tokens: Tensor | None = None,
        soundscape_summary: Tensor | None = None,
        scene: Tensor | None = None,
        *,
        soundscape_missing: Tensor | None = None,
        scene_missing: Tensor | None = None,
        scene_strength: float = 1.0,
        prepared: tuple[Prepared, ...] | None = None,
        return_dict: bool = True,
    ) -> Transformer2DModelOutput | tuple[Tensor]:
        """Predict what the scheduler asks for (noise or velocity) from noisy latents.

        Parameters
        ----------
        sample : torch.Tensor
            (B, C, H, W), z_t.
        timestep : torch.Tensor or number
            () or (B,), 0 to 999. One for all samples costs a little less.
        soundscape_tokens : torch.Tensor, optional
            (B, L, d_s), S.
        soundscape_summary : torch.Tensor, optional
            (B, d_s), e_s.
        scene : torch.Tensor, optional
            (B, d_c), e_c.
        soundscape_missing, scene_missing : torch.Tensor, optional
            (B,) bool: use the learned null.
        scene_strength : float, optional
            μ.
        prepared : tuple of Prepared, optional
            From `prepare`, in place of all the conditions above.
        return_dict : bool, optional
            As in diffusers.

        Returns
        -------
        diffusers.models.modeling_outputs.Transformer2DModelOutput or tuple
            ``sample`` (B, C, H, W).

        Raises
        ------
        InputError
            If neither `prepared` nor all three embeddings came.
        """
        if prepared is None:
            if soundscape_tokens is None or soundscape_summary is None or scene is None:
                raise InputError(
                    "Give soundscape_tokens, soundscape_summary and scene (any values where the masks say missing), "
                    "or prepared conditions."
                )
            prepared = self.prepare(
                self.conditions(
                    soundscape_tokens,
                    soundscape_summary,
                    scene,
                    soundscape_missing=soundscape_missing,
                    scene_missing=scene_missing,
                    scene_strength=scene_strength,
                )
            )
        timestep = torch.as_tensor(timestep, device=sample.device)
        time = self.t_embedder(timestep.reshape(-1))                                  # (T, D)
        tokens = self.x_embedder(sample) + self.pos_embed.to(sample.dtype)            # (B, N, D)
        for block, given in zip(self.blocks, prepared, strict=True):
            if self.gradient_checkpointing and torch.is_grad_enabled():
                tokens = self._gradient_checkpointing_func(block, tokens, time, given)
            else:
                tokens = block(tokens, time, given)                                   # (B, N, D)
        output = self._unpatch(self.final_layer(tokens, time))                        # (B, C, H, W)
        return Transformer2DModelOutput(sample=output) if return_dict else (output,)

    def _unpatch(self, patches: Tensor) -> Tensor:
        """(B, N, p² C) to (B, C, H, W); within a patch the channel runs fastest, as in DiT."""
        size, patch = self.config.sample_size, self.config.patch_size
        grid = patches.unflatten(1, (size // patch, -1)).unflatten(-1, (patch, patch, -1))  # (B, h, w, p, p, C)
        return grid.permute(0, 5, 1, 3, 2, 4).reshape(len(patches), -1, size, size)


def _gated(x: Tensor, gate: Tensor, change: Tensor) -> Tensor:
    """(B, N, D) plus a change of it, gated by one vector per sample, (T, D)."""
    return torch.addcmul(x, gate[:, None], change)


def _unit(embedding: Tensor) -> Tensor:
    """Bring the last axis to unit mean square."""
    return functional.normalize(embedding, dim=-1) * embedding.shape[-1] ** 0.5
