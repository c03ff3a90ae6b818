"""The layers of ImageBind: attention and its trunk, what scales a joint vector, and the ways in.

Attributes carry the published names, so that the published weights load. Source: Girdhar et al., CVPR 2023 (arXiv
2305.05665).
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - its customary name

LARGEST_SCALE = 100.0  # a logit scale is clipped here


# ---------------------------------------------------------------------------------------------------- trunk


class Attention(nn.Module):
    """Multi-head self-attention with the parameters of `torch.nn.MultiheadAttention`.

    ``softmax(Q [K; b_k]ᵀ / √d_h) [V; b_v]``: one learned key and value more, where `bias_kv` is set.

    Parameters
    ----------
    width, heads : int
        Channels, and the heads among which they are shared out.
    bias_kv : bool
        Whether the learned key and value are appended. Not together with a causal mask.
    """

    def __init__(self, width: int, heads: int, *, bias_kv: bool) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        self.bias_k: nn.Parameter | None = None
        self.bias_v: nn.Parameter | None = None
        if bias_kv:
            self.bias_k = nn.Parameter(torch.empty(1, 1, width))
            self.bias_v = nn.Parameter(torch.empty(1, 1, width))
            nn.init.xavier_normal_(self.bias_k)
            nn.init.xavier_normal_(self.bias_v)

    def forward(self, x: torch.Tensor, *, causal: bool) -> torch.Tensor:
        """Attend.

        Parameters
        ----------
        x : torch.Tensor of shape (B, N, width)
            Normalised tokens.
        causal : bool
            Whether a token sees only itself and those before it.

        Returns
        -------
        torch.Tensor of shape (B, N, width)
            What the tokens gathered.
        """
        q, k, v = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)  # (B, N, W) each
        if self.bias_k is not None and self.bias_v is not None:
            k = torch.cat([k, self.bias_k.expand(len(x), -1, -1)], dim=1)  # (B, N + 1, W)
            v = torch.cat([v, self.bias_v.expand(len(x), -1, -1)], dim=1)  # (B, N + 1, W)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))
        z = F.scaled_dot_product_attention(q, k, v, is_causal=causal)  # (B, heads, N, W / heads)
        gathered: torch.Tensor = self.out_proj(z.transpose(1, 2).flatten(2))  # (B, N, W)
        return gathered


class Mlp(nn.Module):
    """Two linear maps with an exact GELU between them; four times as wide inside.

    Parameters
    ----------
    width : int
        Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map each token by itself.

        Parameters
        ----------
        x : torch.Tensor of shape (B, N, width)
            Normalised tokens.

        Returns
        -------
        torch.Tensor of shape (B, N, width)
            The mapped tokens.
        """
        mapped: torch.Tensor = self.fc2(F.gelu(self.fc1(x)))
        return mapped


class Block(nn.Module):
    """One pre-norm block: attention, then the MLP, each added to its input.

    Parameters
    ----------
    width, heads : int
        Channels and heads.
    bias_kv : bool
        Whether attention has the learned key and value.
    """

    def __init__(self, width: int, heads: int, *, bias_kv: bool) -> None:
        super().__init__()
        self.attn = Attention(width, heads, bias_kv=bias_kv)
        self.norm_1 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)
        self.norm_2 = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: torch.Tensor, *, causal: bool) -> torch.Tensor:
        """Refine the tokens.

        Parameters
        ----------
        x : torch.Tensor of shape (B, N, width)
            Tokens.
        causal : bool
            Whether a token sees only itself and those before it.

        Returns
        -------
        torch.Tensor of shape (B, N, width)
            Refined tokens.
        """
        x = x + self.attn(self.norm_1(x), causal=causal)
        refined: torch.Tensor = x + self.mlp(self.norm_2(x))
        return refined


class Trunk(nn.Module):
    """A stack of blocks; vision's has a LayerNorm in front.

    Parameters
    ----------
    width, blocks, heads : int
        Channels, depth, heads.
    bias_kv : bool
        Whether attention has the learned key and value (audio).
    norm_first : bool
        Whether the tokens are normalised before the first block (vision).
    causal : bool
        Whether a token sees only itself and those before it (text).
    """

    def __init__(
        self,
        width: int,
        blocks: int,
        heads: int,
        *,
        bias_kv: bool = False,
        norm_first: bool = False,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.causal = causal
        self.pre_transformer_layer = nn.Sequential(nn.LayerNorm(width, eps=1e-6)) if norm_first else None
        self.blocks = nn.ModuleList(Block(width, heads, bias_kv=bias_kv) for _ in range(blocks))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Refine the tokens block after block.

        Parameters
        ----------
        tokens : torch.Tensor of shape (B, N, width)
            Tokens with their positions.

        Returns
        -------
        torch.Tensor of shape (B, N, width)
            Refined tokens, not yet normalised.
        """
        if self.pre_transformer_layer is not None:
            tokens = self.pre_transformer_layer(tokens)  # (B, N, W)
        for block in self.blocks:
            tokens = block(tokens, causal=self.causal)  # (B, N, W)
        return tokens


class Normalise(nn.Module):
    """Divide each vector by its length."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise.

        Parameters
        ----------
        x : torch.Tensor of shape (..., joint_dim)
            Any vectors.

        Returns
        -------
        torch.Tensor of shape (..., joint_dim)
            Vectors of length 1.
        """
        return F.normalize(x, dim=-1)


class Scale(nn.Module):
    """Multiply by ``min(exp(log_logit_scale), 100)``.

    Parameters
    ----------
    scale : float
        Its value at the start.
    learnable : bool
        Whether it is a parameter (text) or a fixed buffer (audio). The state dict is the same.
    """

    log_logit_scale: torch.Tensor

    def __init__(self, scale: float, *, learnable: bool) -> None:
        super().__init__()
        value = torch.tensor(math.log(scale))
        if learnable:
            self.log_logit_scale = nn.Parameter(value)
        else:
            self.register_buffer("log_logit_scale", value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scale.

        Parameters
        ----------
        x : torch.Tensor of shape (..., joint_dim)
            Vectors of length 1.

        Returns
        -------
        torch.Tensor of shape (..., joint_dim)
            Vectors of length `scale`, at most 100.
        """
        return self.log_logit_scale.exp().clip(max=LARGEST_SCALE) * x


# ------------------------------------------------------------------------------------------ three ways in


class Stem(nn.Module):
    """The patching convolution, and a LayerNorm after it where sound is patched.

    Parameters
    ----------
    proj : torch.nn.Module
        The convolution.
    norm_layer : torch.nn.Module or None
        Over the tokens' channels.
    """

    def __init__(self, proj: nn.Module, norm_layer: nn.Module | None) -> None:
        super().__init__()
        self.proj = proj
        self.norm_layer = norm_layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Cut into patches.

        Parameters
        ----------
        x : torch.Tensor of shape (B, C, H, W) or (B, C, T, H, W)
            Filter banks, or frames.

        Returns
        -------
        torch.Tensor of shape (B, patches, width)
            Tokens.
        """
        tokens: torch.Tensor = self.proj(x).flatten(2).transpose(1, 2)
        return tokens if self.norm_layer is None else self.norm_layer(tokens)


class Positions(nn.Module):
    """Learned positions, the class token's first.

    Parameters
    ----------
    tokens, width : int
        How many positions, the class token's among them, and their channels.
    """

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(torch.randn(1, tokens, width) * width**-0.5)


class Repeat(nn.Module):
    """Show a still picture for several frames.

    Parameters
    ----------
    frames : int
        How many.
    """

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = frames

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Repeat pictures.

        Parameters
        ----------
        x : torch.Tensor of shape (B, C, H, W)
            Still pictures.

        Returns
        -------
        torch.Tensor of shape (B, C, frames, H, W)
            The same in every frame.
        """
        return x[:, :, None].expand(-1, -1, self.frames, -1, -1)


class PatchPreprocessor(nn.Module):
    """Patches of a filter bank or of a picture, a class token in front, positions added.

    Parameters
    ----------
    stem : torch.nn.Module
        Cuts (B, C, H, W) into tokens (B, patches, width).
    patches, width : int
        How many tokens the stem makes, and their channels.
    """

    def __init__(self, stem: nn.Module, patches: int, width: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.randn(1, 1, width) * width**-0.5)
        self.rgbt_stem = stem
        self.pos_embedding_helper = Positions(1 + patches, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Make tokens.

        Parameters
        ----------
        x : torch.Tensor of shape (B, C, H, W)
            Filter banks or pixels.

        Returns
        -------
        torch.Tensor of shape (B, 1 + patches, width)
            Tokens, the class token first.
        """
        tokens = self.rgbt_stem(x)  # (B, patches, W)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), tokens], dim=1)  # (B, 1 + patches, W)
        placed: torch.Tensor = tokens + self.pos_embedding_helper.pos_embed
        return placed


class TextPreprocessor(nn.Module):
    """Embeddings of token ids, positions added.

    Parameters
    ----------
    vocabulary, length, width : int
        Known tokens, longest prompt in tokens, channels.
    zero : bool
        Whether embeddings start at 0, so that a word which training never shows stays neutral: it fills a
        position and says nothing. Else they are drawn from N(0, 0.02²), as published.
    """

    mask: torch.Tensor

    def __init__(self, vocabulary: int, length: int, width: int, *, zero: bool) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.pos_embed = nn.Parameter(torch.randn(1, length, width) * 0.01)
        # Part of the published state dict. Attention is told "causal" instead of being handed the mask,
        # which says the same.
        self.register_buffer("mask", torch.full((length, length), -math.inf).triu(1))
        if zero:
            nn.init.zeros_(self.token_embedding.weight)
        else:
            nn.init.normal_(self.token_embedding.weight, std=0.02)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Embed.

        Parameters
        ----------
        ids : torch.Tensor of shape (B, n)
            Token ids, n at most `length`.

        Returns
        -------
        torch.Tensor of shape (B, n, width)
            Embedded tokens.
        """
        placed: torch.Tensor = self.token_embedding(ids) + self.pos_embed[:, : ids.shape[1]]
        return placed


class TextHead(nn.Module):
    """LayerNorm and a linear map, kept under the published name ``proj``.

    Parameters
    ----------
    width, joint_dim : int
        Channels of the trunk, and dimension of the joint space.
    """

    def __init__(self, width: int, joint_dim: int) -> None:
        super().__init__()
        self.proj = nn.Sequential(nn.LayerNorm(width, eps=1e-6), nn.Linear(width, joint_dim, bias=False))
