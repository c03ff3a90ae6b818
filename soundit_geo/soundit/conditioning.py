"""How a scene prompt and a soundscape enter a block: SLRCM, mixture-of-experts attention, S-AdaLN.

Source: SounDiT (CVPR 2026, arXiv 2505.12734). Symbols: B batch, N picture tokens, D their width, L soundscape
tokens, d_s and d_c widths of the soundscape and scene embeddings, M experts of which k are used, h heads.

Every module starts as nothing: its gate is zero, so that a fresh SounDiT on DiT's weights is DiT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

TimeRouting = Literal["as_printed", "modulated"]


class SceneContentMixer(nn.Module):
    r"""SLRCM, the scene low-rank content mixer.

    .. math::
        A(e_c) = W_q \, \mathrm{diag}(\tanh \phi(e_c)) \, W_v, \qquad
        x + \mathrm{softplus}(g(e_c)) \, \mu \tanh(\alpha) \, \mathrm{LN}(x) A(e_c)

    The D × D matrix A is never built.

    Parameters
    ----------
    width : int
        D.
    scene_dim : int
        d_c.
    rank : int
        r, the rank of A.
    eps : float
        Of the layer norm.
    """

    def __init__(self, width: int, scene_dim: int, rank: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=eps)
        self.query = nn.Linear(width, rank, bias=False)
        self.value = nn.Linear(rank, width, bias=False)
        self.spectrum = nn.Linear(scene_dim, rank)
        self.strength = nn.Linear(scene_dim, 1)
        self.alpha = nn.Parameter(torch.zeros(()))  # a fresh mixer changes nothing

    def forward(self, x: Tensor, scene: Tensor, mu: float = 1.0) -> Tensor:
        """Mix the scene's content into the tokens.

        Parameters
        ----------
        x : torch.Tensor
            (B, N, D).
        scene : torch.Tensor
            (B, d_c), e_c.
        mu : float, optional
            Global strength μ, settable at inference.

        Returns
        -------
        torch.Tensor
            (B, N, D).
        """
        spectrum = torch.tanh(self.spectrum(scene))[:, None]                               # (B, 1, r)
        strength = functional.softplus(self.strength(scene)) * mu * torch.tanh(self.alpha)  # (B, 1)
        mixed = self.value(self.query(self.norm(x)) * spectrum)                            # (B, N, D)
        return x + strength[:, None] * mixed                                               # (B, N, D)


class SoundscapeRouter(nn.Module):
    r"""Which experts hear this soundscape at this timestep.

    .. math:: w = \mathrm{softmax}\big(\tfrac1\tau \, e_s^\top (P + W_t e_t 1^\top)\big)

    Reading: as printed, time adds one number to every logit, which softmax cannot see. ``"modulated"`` lets
    time reach each expert differently: the summary is scaled per dimension, ``(e_s ⊙ (1 + W_t e_t))ᵀ P``.

    Parameters
    ----------
    width : int
        D, the width of the timestep embedding.
    summary_dim : int
        d_s of the soundscape summary e_s.
    experts : int
        M.
    per_sample : int
        k.
    temperature : float
        τ.
    time_routing : {"as_printed", "modulated"}
        The reading.
    """

    def __init__(
        self,
        width: int,
        summary_dim: int,
        experts: int,
        per_sample: int,
        temperature: float,
        time_routing: TimeRouting,
    ) -> None:
        super().__init__()
        self.per_sample = per_sample
        self.temperature = temperature
        self.time_routing = time_routing
        self.prototypes = nn.Parameter(torch.randn(summary_dim, experts) * summary_dim**-0.5)  # P
        self.time = nn.Linear(width, summary_dim, bias=False)                                  # W_t
        nn.init.normal_(self.time.weight, std=0.02)
        self.log_temperature = nn.Parameter(torch.zeros(experts))                              # log τ_m

    def weights(self, summary: Tensor, time: Tensor) -> Tensor:
        """Probability of every expert.

        Parameters
        ----------
        summary : torch.Tensor
            (B, d_s), e_s.
        time : torch.Tensor
            (B, D), e_t.

        Returns
        -------
        torch.Tensor
            (B, M), rows sum to 1.
        """
        shift = self.time(time)                                                     # (B, d_s)
        if self.time_routing == "as_printed":
            logits = summary @ self.prototypes + (summary * shift).sum(-1, keepdim=True)
        else:
            logits = (summary * (1.0 + shift)) @ self.prototypes
        return (logits / self.temperature).softmax(dim=-1)

    def forward(self, summary: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """Choose experts and their shares.

        Parameters
        ----------
        summary : torch.Tensor
            (B, d_s), e_s.
        time : torch.Tensor
            (B, D), e_t.

        Returns
        -------
        chosen : torch.Tensor
            (B, k) indices of experts.
        share : torch.Tensor
            (B, k), softmax over the chosen of w_m / τ_m; rows sum to 1.
        """
        weight, chosen = self.weights(summary, time).topk(self.per_sample, dim=-1)
        return chosen, (weight / self.log_temperature.exp()[chosen]).softmax(dim=-1)


class SoundscapeExperts(nn.Module):
    r"""Mixture-of-experts soundscape conditioning.

    .. math::
        Q_m = \mathrm{LN}(x) W^\downarrow_m W^\uparrow_m, \quad
        Z_m = \mathrm{MHA}(Q_m, S W_K, S W_V) W_O, \quad
        x + \gamma \sum_{m \in \mathrm{top}\text{-}k(w)} \mathrm{softmax}_m(w_m / \tau_m) Z_m

    Keys, values and W_O are shared, and the sum is linear after attention, so that W_O is applied once and
    only the chosen experts are computed.

    Reading: γ = tanh of one linear map of e_s, a scalar per sample that starts at zero.

    Parameters
    ----------
    width, heads : int
        D and h.
    token_dim, summary_dim : int
        d_s of the soundscape tokens and of the summary.
    experts, per_sample, rank : int
        M, k and the rank of each expert's query.
    temperature : float
        τ of the router.
    time_routing : {"as_printed", "modulated"}
        See `SoundscapeRouter`.
    eps : float
        Of the layer norm.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        token_dim: int,
        summary_dim: int,
        *,
        experts: int,
        per_sample: int,
        rank: int,
        temperature: float,
        time_routing: TimeRouting,
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=eps)
        self.down = nn.Parameter(torch.randn(experts, width, rank) * width**-0.5)  # W↓
        self.up = nn.Parameter(torch.randn(experts, rank, width) * rank**-0.5)     # W↑
        self.key = nn.Linear(token_dim, width, bias=False)
        self.value = nn.Linear(token_dim, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.router = SoundscapeRouter(width, summary_dim, experts, per_sample, temperature, time_routing)
        self.gate = nn.Linear(summary_dim, 1)
        nn.init.zeros_(self.gate.weight)  # fresh experts change nothing
        nn.init.zeros_(self.gate.bias)

    def forward(self, x: Tensor, tokens: Tensor, summary: Tensor, time: Tensor) -> Tensor:
        """Let the tokens listen.

        Parameters
        ----------
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
        chosen, share = self.router(summary, time)                                        # (B, k), (B, k)
        query = self.norm(x)[:, None] @ self.down[chosen] @ self.up[chosen]               # (B, k, N, D)
        query = query.unflatten(-1, (self.heads, -1)).transpose(2, 3)                     # (B, k, h, N, D/h)
        key = self.key(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)[:, None]   # (B, 1, h, L, D/h)
        value = self.value(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)        # (B, h, L, D/h)
        heard = (query @ key.transpose(-1, -2) * key.shape[-1] ** -0.5).softmax(dim=-1)   # (B, k, h, N, L)
        mixed = (heard * share[:, :, None, None, None]).sum(dim=1) @ value                # (B, h, N, D/h)
        mixed = self.output(mixed.transpose(1, 2).flatten(2))                             # (B, N, D)
        return x + torch.tanh(self.gate(summary))[:, None] * mixed                        # (B, N, D)


class SceneTimeMix(nn.Module):
    r"""The embedding that drives S-AdaLN: time, and a bounded learned share of the scene.

    .. math:: e = e_t + \tanh(\beta) \, W e_c

    Reading: "bounded" is tanh of a learned scalar that starts at zero.

    Parameters
    ----------
    width : int
        D.
    scene_dim : int
        d_c.
    """

    def __init__(self, width: int, scene_dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(scene_dim, width)
        self.beta = nn.Parameter(torch.zeros(()))  # a fresh mix is time alone

    def forward(self, time: Tensor, scene: Tensor) -> Tensor:
        """Mix time and scene.

        Parameters
        ----------
        time : torch.Tensor
            (B, D), e_t.
        scene : torch.Tensor
            (B, d_c), e_c.

        Returns
        -------
        torch.Tensor
            (B, D), e.
        """
        return time + torch.tanh(self.beta) * self.project(scene)
