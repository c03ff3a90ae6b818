"""Wav2CLIP: sounds into the space of CLIP's pictures, in the layout of its published weights.

Source: Wu et al., "Wav2CLIP: Learning Robust Audio Representations From CLIP", ICASSP 2022 (arXiv 2110.11499), and
its reference code, version 0.1.0.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torchaudio.transforms import Spectrogram
from torchvision.models.resnet import BasicBlock, ResNet

from soundit_geo.audio import RATE, read_recording
from soundit_geo.encoders.preprocessing import LONG_SECONDS, checked_waveform
from soundit_geo.weights import check_finite, check_layout, load_state_dict

WIDTH = 512
"""Dimension of the space, that of CLIP ViT-B/32."""

_WINDOW, _HOP = 512, 353  # samples of a frame and between frames: 32 ms and 22 ms
_PARTS = ("audio_encoder.", "audio_transform.")  # the file also holds what only its training needed
_COUNTERS = ".num_batches_tracked"  # of no use once trained


class AudioEncoder(ResNet):
    """ResNet18 over the log power spectrogram of each recording."""

    def __init__(self) -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2])
        self.spectrogram = Spectrogram(n_fft=_WINDOW, hop_length=_HOP)
        self.conv1 = nn.Conv2d(
            1, 64, kernel_size=7, stride=2, padding=3, bias=False
        )  # one channel, not three
        self.fc = nn.Identity()

    def forward(self, waveforms: Tensor) -> Tensor:
        """Features of recordings.

        Parameters
        ----------
        waveforms : torch.Tensor of shape (B, n)
            Mono sound at 16 kHz.

        Returns
        -------
        torch.Tensor of shape (B, 512)
            Means over time and frequency of the last maps.

        Notes
        -----
        The reference takes mean and deviation over all recordings of a batch, so that what one gives depends on
        its neighbours. Here each has its own, as in the reference where it comes alone.
        """
        power = self.spectrogram(waveforms[:, None])  # (B, 1, 257, T)
        level = torch.log(power + 1e-7)  # (B, 1, 257, T)
        deviation, mean = torch.std_mean(level, dim=(1, 2, 3), keepdim=True)
        return super().forward((level - mean) / (deviation + 1e-9))  # (B, 512)


class Wav2CLIP(nn.Module):
    """Sounds into CLIP's space: the encoder of sounds, then the two layers that were trained against pictures."""

    def __init__(self) -> None:
        super().__init__()
        layers = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Dropout(0.1), nn.Linear(WIDTH, WIDTH))
        self.audio_encoder = AudioEncoder()
        self.audio_transform = nn.Sequential(OrderedDict(sequential=layers))  # named as published

    @classmethod
    def from_checkpoint(cls, path: str | Path) -> Self:
        """Load the published weights.

        Parameters
        ----------
        path : str or pathlib.Path
            ``Wav2CLIP.pt``, or the same as ``.safetensors``. Of other parts than the two of the network nothing is
            taken, as the reference does.

        Returns
        -------
        Wav2CLIP
            In evaluation mode, on the CPU, in float32.

        Raises
        ------
        MissingFileError
            If there is no such file.
        WeightsError
            If the file is damaged, would have to run code, or entries are missing, unknown, of another shape or
            not finite; the message names the first of them.
        """
        model = cls()
        entries, expected = (
            {
                key: value
                for key, value in every.items()
                if key.startswith(_PARTS) and not key.endswith(_COUNTERS)
            }
            for every in (load_state_dict(path), model.state_dict())
        )
        check_layout(entries, expected)
        check_finite(entries.items())
        model.load_state_dict(entries, strict=False)  # nothing but the counters is absent
        return model.eval()

    def forward(self, waveforms: Tensor) -> Tensor:
        """Embed recordings of one length; gradients flow.

        Parameters
        ----------
        waveforms : torch.Tensor of shape (B, n)
            Mono sound at 16 kHz, in -1 to 1, at least 0.25 s.

        Returns
        -------
        torch.Tensor of shape (B, 512)
            Of any length: they are compared by their cosines.
        """
        return self.audio_transform(self.audio_encoder(waveforms))

    @torch.no_grad()
    def embed(self, recording: Any) -> Tensor:
        """Embed one recording as a whole.

        Parameters
        ----------
        recording : path or array of shape (n,)
            An audio file, or mono sound at 16 kHz in -1 to 1, at least 0.25 s. Of several channels the mean is
            heard, of a recording beyond ten minutes the first ten.

        Returns
        -------
        torch.Tensor of shape (512,)
            No gradient.

        Raises
        ------
        AudioError
            If it cannot be used.
        MissingFileError
            If there is no such file.
        """
        if isinstance(recording, (str, Path)):
            recording = read_recording(recording, seconds=LONG_SECONDS).waveform
        waveform = checked_waveform(recording)[: LONG_SECONDS * RATE]
        return self(waveform[None].to(self.audio_encoder.conv1.weight.device))[0]
