"""How a scene prompt and a soundscape enter a block: SLRCM, mixture-of-experts attention, S-AdaLN.

Source: SounDiT (CVPR 2026, arXiv 2505.12734). Symbols: B batch, N picture tokens, D their width, L soundscape
tokens, d_s and d_c widths of the soundscape and scene embeddings, M experts of which k are used, h heads,
T = 1 or B rows of time (one timestep for all samples, or one each).

Every module has two halves. `prepare` takes what stays the same over all sampling steps (soundscape and scene)
and does all that can be done with it; `forward` takes the tokens. Nothing is approximated: the two halves
together are the equation in the class's docstring.

Every module starts as nothing: its gate is zero, so that a fresh SounDiT on DiT's weights is DiT.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

TimeRouting = Literal["as_printed", "modulated"]


# --------------------------------------------------------------------------------------------------- the scene
class SceneContentMixer(nn.Module):
    r"""SLRCM, the scene low-rank content mixer.

    .. math::
        A(e_c) = W_q \, \mathrm{diag}(\tanh \phi(e_c)) \, W_v, \qquad
        x + \mathrm{softplus}(g(e_c)) \, \mu \tanh(\alpha) \, \mathrm{LN}(x) A(e_c)

    The D × D matrix A is never built; the strength is multiplied into its spectrum.

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

    def prepare(self, scene: Tensor, mu: float = 1.0) -> Tensor:
        """Spectrum of A, times the mixer's strength.

        Parameters
        ----------
        scene : torch.Tensor
            (B, d_c), e_c.
        mu : float, optional
            Global strength μ, settable at inference.

        Returns
        -------
        torch.Tensor
            (B, 1, r).
        """
        strength = functional.softplus(self.strength(scene)) * mu * torch.tanh(self.alpha)  # (B, 1)
        return (torch.tanh(self.spectrum(scene)) * strength)[:, None]                       # (B, 1, r)

    def forward(self, x: Tensor, spectrum: Tensor) -> Tensor:
        """Mix the scene's content into the tokens.

        Parameters
        ----------
        x : torch.Tensor
            (B, N, D).
        spectrum : torch.Tensor
            (B, 1, r), from `prepare`.

        Returns
        -------
        torch.Tensor
            (B, N, D).
        """
        mixed = self.query(self.norm(x)) * spectrum                                         # (B, N, r)
        weight = self.value.weight.t().expand(len(x), -1, -1)                               # (B, r, D)
        return _added(x, mixed, weight)                                                     # (B, N, D)


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

    def prepare(self, scene: Tensor) -> Tensor:
        """The scene's share.

        Parameters
        ----------
        scene : torch.Tensor
            (B, d_c), e_c.

        Returns
        -------
        torch.Tensor
            (B, D).
        """
        return torch.tanh(self.beta) * self.project(scene)

    def forward(self, time: Tensor, share: Tensor) -> Tensor:
        """Mix time and scene.

        Parameters
        ----------
        time : torch.Tensor
            (T, D), e_t.
        share : torch.Tensor
            (B, D), from `prepare`.

        Returns
        -------
        torch.Tensor
            (B, D), e.
        """
        return time + share


# ---------------------------------------------------------------------------------------------- the soundscape
class SoundscapeRouter(nn.Module):
    r"""Which experts hear this soundscape at this timestep.

    .. math:: w = \mathrm{softmax}\left(\tfrac1\tau \, e_s^\top (P + W_t e_t 1^\top)\right)

    Reading: as printed, time adds one number to every logit, which softmax cannot see. ``"modulated"`` lets
    time reach each expert differently: the summary is scaled per dimension, ``(e_s ⊙ (1 + W_t e_t))ᵀ P``.

    Both are affine in e_t, ``b + R e_t``, and `prepare` makes b and R. Of R the mean over experts is taken out,
    which softmax cannot see either, and all is float32: a choice must not hang on how half precision rounds.

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

    def prepare(self, summary: Tensor) -> tuple[Tensor, Tensor]:
        """The logits as an affine function of time.

        Parameters
        ----------
        summary : torch.Tensor
            (B, d_s), e_s.

        Returns
        -------
        offset : torch.Tensor
            (B, M), b.
        slope : torch.Tensor
            (B, D, M), R.
        """
        with torch.autocast(summary.device.type, enabled=False):
            summary, prototypes = summary.float(), self.prototypes.float()
            offset = summary @ prototypes                                                   # (B, M)
            shared = summary[:, :, None].expand(-1, -1, offset.shape[-1])                   # (B, d_s, M)
            reach = shared if self.time_routing == "as_printed" else shared * prototypes    # (B, d_s, M)
            reach = reach - reach.mean(dim=-1, keepdim=True)                                # (B, d_s, M)
            return offset, self.time.weight.float().t() @ reach                             # (B, D, M)

    def weights(self, offset: Tensor, slope: Tensor, time: Tensor) -> Tensor:
        """Probability of every expert.

        Parameters
        ----------
        offset, slope : torch.Tensor
            (B, M) and (B, D, M), from `prepare`.
        time : torch.Tensor
            (T, D), e_t.

        Returns
        -------
        torch.Tensor
            (B, M), rows sum to 1.
        """
        with torch.autocast(time.device.type, enabled=False):
            logits = offset + (time.float()[:, None] @ slope)[:, 0]                         # (B, M)
            return (logits / self.temperature).softmax(dim=-1)

    def forward(self, offset: Tensor, slope: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """Choose experts and their shares.

        Parameters
        ----------
        offset, slope : torch.Tensor
            (B, M) and (B, D, M), from `prepare`.
        time : torch.Tensor
            (T, D), e_t.

        Returns
        -------
        chosen : torch.Tensor
            (B, k) indices of experts.
        share : torch.Tensor
            (B, k), softmax over the chosen of w_m / τ_m; rows sum to 1.
        """
        weight, chosen = self.weights(offset, slope, time).topk(self.per_sample, dim=-1)
        return chosen, (weight / self.log_temperature.exp()[chosen]).softmax(dim=-1)


@dataclass(frozen=True)
class Heard:
    """A soundscape as the experts of one block use it.

    Parameters
    ----------
    offset, slope : torch.Tensor
        (B, M) and (B, D, M), the router's logits as a function of time.
    key : torch.Tensor
        (B, h, L, D/h), K over the root of D/h; folded: (B, M, rank, h·L), the matrices G.
    value : torch.Tensor
        (B, h, L, D/h), V; folded: (B, h·L, D), γ V W_O.
    gate : torch.Tensor or None
        (B, 1, 1), γ; None where it is folded into `value`.
    rows : torch.Tensor or None
        The rows that all of the above are about, where the others hear a constant; None = all rows.
    constant : torch.Tensor or None
        (B, 1, D), what the experts add where all tokens of a soundscape are equal, 0 in `rows`.
    """

    offset: Tensor
    slope: Tensor
    key: Tensor
    value: Tensor
    gate: Tensor | None
    rows: Tensor | None = None
    constant: Tensor | None = None


class SoundscapeExperts(nn.Module):
    r"""Mixture-of-experts soundscape conditioning.

    .. math::
        Q_m = \mathrm{LN}(x) W^\downarrow_m W^\uparrow_m, \quad
        Z_m = \mathrm{MHA}(Q_m, S W_K, S W_V) W_O, \quad
        x + \gamma \sum_{m \in \mathrm{top}\text{-}k(w)} \mathrm{softmax}_m(w_m / \tau_m) Z_m

    Keys, values and W_O are shared and the sum is linear after attention, so that only the chosen experts are
    computed, their attention probabilities are mixed before the one product with V, and W_O is applied once.

    For few tokens S, the up-projections and keys fold into ``G_mh = W↑_mh K_hᵀ / √(D/h)``, and values and W_O
    into ``γ V_h W_Oh``: no D × D product is left per step. For many, D × D is the smaller; see `folds`.

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

    def folds(self, length: int) -> bool:
        """Whether folding makes a step cheaper, by the multiplications per picture token.

        Folded ``h L (k rank + D)``; unfolded ``k (rank D + 2 L D) + D²``. For k = 2 and rank 64, folding
        is cheaper up to L = 128 at size S, 89 at B, 82 at L and 92 at XL (counted, not timed).

        Parameters
        ----------
        length : int
            L.

        Returns
        -------
        bool
            True where the folded form is the cheaper one.
        """
        _, width, rank = self.down.shape
        chosen = self.router.per_sample
        folded = self.heads * length * (chosen * rank + width)
        return folded <= chosen * (rank * width + 2 * length * width) + width**2

    def prepare(self, tokens: Tensor, summary: Tensor) -> Heard:
        """All that a step needs of a soundscape.

        Parameters
        ----------
        tokens : torch.Tensor
            (B, L, d_s), S.
        summary : torch.Tensor
            (B, d_s), e_s.

        Returns
        -------
        Heard
            Folded or not, see `folds`. Where nothing is learned, rows whose tokens are all equal, such as those of
            a missing soundscape, are reduced to what every expert then answers: γ V W_O, whatever is asked.
        """
        even = (tokens == tokens[:, :1]).flatten(1).all(dim=1)                              # (B,)
        if torch.is_grad_enabled() or not even.any():
            return self._prepare(tokens, summary)
        answer = self.output(self.value(tokens[:, :1]))                                     # (B, 1, D)
        constant = answer * torch.tanh(self.gate(summary))[:, None] * even[:, None, None]   # (B, 1, D)
        rows = (~even).nonzero()[:, 0]
        return replace(self._prepare(tokens[rows], summary[rows]), rows=rows, constant=constant)

    def _prepare(self, tokens: Tensor, summary: Tensor) -> Heard:
        offset, slope = self.router.prepare(summary)
        gate = torch.tanh(self.gate(summary))[:, None]                                      # (B, 1, 1)
        key = self._heads(self.key(tokens)) * (self.key.out_features // self.heads) ** -0.5  # (B, h, L, D/h)
        value = self._heads(self.value(tokens))                                             # (B, h, L, D/h)
        if not self.folds(tokens.shape[1]):
            return Heard(offset, slope, key, value, gate)
        up = self.up.unflatten(-1, (self.heads, -1))                                        # (M, rank, h, D/h)
        key = torch.einsum("mrhd,bhld->bmrhl", up, key).flatten(3)                          # (B, M, rank, h·L)
        output = self.output.weight.unflatten(-1, (self.heads, -1))                         # (D, h, D/h)
        value = torch.einsum("bhld,ohd->bhlo", value, output).flatten(1, 2)                 # (B, h·L, D)
        return Heard(offset, slope, key, gate * value, None)

    def forward(self, x: Tensor, heard: Heard, time: Tensor) -> Tensor:
        """Let the tokens listen.

        Parameters
        ----------
        x : torch.Tensor
            (B, N, D).
        heard : Heard
            From `prepare`.
        time : torch.Tensor
            (T, D), e_t.

        Returns
        -------
        torch.Tensor
            (B, N, D).
        """
        if heard.rows is None or heard.constant is None:
            return self._listen(x, heard, time)
        listened = x + heard.constant                                                       # (B, N, D)
        if len(heard.rows):
            when = time if len(time) == 1 else time[heard.rows]
            listened[heard.rows] = self._listen(x[heard.rows], heard, when)
        return listened

    def _listen(self, x: Tensor, heard: Heard, time: Tensor) -> Tensor:
        chosen, share = self.router(heard.offset, heard.slope, time)                        # (B, k), (B, k)
        down = self.down.transpose(0, 1)[:, chosen].flatten(2).transpose(0, 1)              # (B, D, k·rank)
        query = (self.norm(x) @ down).unflatten(-1, (chosen.shape[1], -1)).transpose(1, 2)  # (B, k, N, rank)
        share = share.to(x.dtype)[:, :, None, None, None]                                   # (B, k, 1, 1, 1)
        if heard.gate is None:
            which = torch.arange(len(x), device=x.device)[:, None]                          # (B, 1)
            score = query @ heard.key[which, chosen]                                        # (B, k, N, h·L)
            score = score.unflatten(-1, (self.heads, -1)).softmax(dim=-1)                   # (B, k, N, h, L)
            mixed = (score * share).sum(dim=1).flatten(2)                                   # (B, N, h·L)
            return _added(x, mixed, heard.value)                                            # (B, N, D)
        query = self._heads((query @ self.up[chosen]).flatten(0, 1))                        # (B·k, h, N, D/h)
        query = query.unflatten(0, chosen.shape)                                            # (B, k, h, N, D/h)
        attend = functional.scaled_dot_product_attention
        parts = (
            weight * attend(one, heard.key, heard.value, scale=1.0)                         # (B, h, N, D/h)
            for weight, one in zip(share.unbind(1), query.unbind(1), strict=True)
        )
        mixed = torch.stack(list(parts)).sum(dim=0)                                         # (B, h, N, D/h)
        return x + heard.gate * self.output(mixed.transpose(1, 2).flatten(2))               # (B, N, D)

    def _heads(self, channels: Tensor) -> Tensor:
        """(B, L, D) to (B, h, L, D/h)."""
        return channels.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def _added(x: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Add a product to x, in one pass where nothing is learned; autocast would round x there."""
    if torch.is_grad_enabled() or torch.is_autocast_enabled(x.device.type):
        return x + left @ right
    return torch.baddbmm(x, left, right)
