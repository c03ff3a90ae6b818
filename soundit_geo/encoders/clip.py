"""CLIP ViT-B/32 for pictures, beside it Wav2CLIP for sounds: one space for both.

Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021 (arXiv
2103.00020). The network is transformers'; what it is fed is that of `soundit_geo.encoders.preprocessing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn

from soundit_geo.encoders.imagebind import SoundscapeEmbeds
from soundit_geo.encoders.preprocessing import pixels_of, sequence_of
from soundit_geo.encoders.wav2clip import Wav2CLIP
from soundit_geo.errors import InputError
from soundit_geo.weights import check_finite, check_layout, load_state_dict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

VIT_B32: dict[str, Any] = {
    "image_size": 224,
    "patch_size": 32,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "projection_dim": 512,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}
"""The one size that Wav2CLIP was trained against, as transformers' `CLIPVisionConfig` takes it."""

_PARTS = ("vision_model.", "visual_projection.")  # the file also holds CLIP's text half
_POSITIONS = ".position_ids"  # 0 to 49, which old files hold


class CLIPEncoder(nn.Module):
    """Pictures and, where they are compared, sounds into CLIP's space.

    Parameters
    ----------
    vision : transformers.CLIPVisionModelWithProjection
        Of the pictures.
    audio : Wav2CLIP, optional
        Of the sounds.
    """

    def __init__(self, vision: nn.Module, audio: Wav2CLIP | None = None) -> None:
        super().__init__()
        self.vision, self.audio = vision, audio

    @classmethod
    def from_checkpoints(cls, clip: str | Path, wav2clip: str | Path | None = None) -> Self:
        """Load the published weights.

        Parameters
        ----------
        clip : str or pathlib.Path
            ``pytorch_model.bin`` or ``model.safetensors`` of openai/clip-vit-base-patch32, whole or the vision
            half alone, in transformers' layout.
        wav2clip : str or pathlib.Path, optional
            See `Wav2CLIP.from_checkpoint`; not needed for pictures alone.

        Returns
        -------
        CLIPEncoder
            In evaluation mode, on the CPU, in float32.

        Raises
        ------
        MissingFileError
            If a file does not exist.
        WeightsError
            If a file is damaged, would have to run code, or entries are missing, unknown, of another shape or not
            finite; the message names the first of them.
        """
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

        entries = {
            key: value
            for key, value in load_state_dict(clip).items()
            if key.startswith(_PARTS) and not key.endswith(_POSITIONS)
        }
        vision = CLIPVisionModelWithProjection(CLIPVisionConfig(**VIT_B32))
        check_layout(entries, vision.state_dict())
        check_finite(entries.items())
        vision.load_state_dict(entries)
        audio = Wav2CLIP.from_checkpoint(wav2clip) if wav2clip is not None else None
        return cls(vision, audio).float().eval()

    @torch.no_grad()
    def encode_pictures(self, pictures: Sequence[Any], *, batch_size: int = 32) -> Tensor:
        """Embed pictures.

        Parameters
        ----------
        pictures : sequence of PIL.Image.Image or array of shape (H, W, 3)
            Pictures of any size, or sRGB pixels as uint8.
        batch_size : int
            Pictures in memory at once; changes nothing but rounding.

        Returns
        -------
        torch.Tensor of shape (B, 512)
            Of any length, as CLIP gives them. No gradient.

        Raises
        ------
        PictureError
            If a picture cannot be used.
        InputError
            If `pictures` is no sequence of pictures.
        """
        images = sequence_of(pictures, "pictures")
        device = next(self.vision.parameters()).device
        parts = []
        for start in range(0, len(images), batch_size):
            pixels = torch.stack([pixels_of(image) for image in images[start : start + batch_size]])
            parts.append(self.vision(pixel_values=pixels.to(device)).image_embeds)
        return torch.cat(parts)

    @torch.no_grad()
    def encode_soundscapes(self, soundscapes: Sequence[Any]) -> SoundscapeEmbeds:
        """Embed recordings, each as a whole and by itself.

        Parameters
        ----------
        soundscapes : sequence of path or array of shape (n,)
            As `Wav2CLIP.embed` takes them; lengths may differ.

        Returns
        -------
        SoundscapeEmbeds
            The summary (B, 512), and it again as the one token of each recording. No gradient.

        Raises
        ------
        AudioError, MissingFileError
            If a recording cannot be used.
        InputError
            If this encoder holds no Wav2CLIP, or `soundscapes` is no sequence of recordings.
        """
        if self.audio is None:
            raise InputError(
                "This encoder was loaded without Wav2CLIP and hears nothing. Load it with both files."
            )
        summary = torch.stack([self.audio.embed(one) for one in sequence_of(soundscapes, "soundscapes")])
        return SoundscapeEmbeds(summary[:, None], summary)
