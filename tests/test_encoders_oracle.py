"""Parity with ImageBind's reference code, given the same random weights and the same inputs.

The reference is no dependency. To run these tests, make an environment that has soundit-geo and its tests'
needs; in it, ``pip install --no-deps "setuptools<81" imagebind-unofficial pytorchvideo==0.1.5 iopath fvcore
yacs portalocker einops parameterized``, then ``pytest -m weights tests/test_encoders_oracle.py``. Without the
package they skip. The huge one needs about 12 GB of memory.
"""

from __future__ import annotations

import importlib
import random
import sys
import types
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from soundit_geo.encoders import (
    ImageBindModel,
    fbanks_of,
    fbanks_of_channels,
    fbanks_of_file,
    pixels_of,
    tokenize,
)

pytestmark = pytest.mark.weights

AMBIENT = Path(__file__).parents[2] / "shared" / "data" / "ambient"
TOLERANCE = 1e-4


class PinnedSampler:
    """The clip sampler of the pytorchvideo commit that ImageBind's requirements pin.

    Version 0.1.5 on PyPI is older: it divides by the number of clips instead of that number less one.
    """

    def __init__(self, clip_duration: float, clips_per_video: int) -> None:
        self.duration, self.clips, self.index = clip_duration, clips_per_video, 0

    def __call__(self, _last_clip_time, video_duration, **_unused):
        latest = Fraction(max(video_duration - self.duration, 0))
        start = Fraction(latest, max(self.clips - 1, 1)) * self.index
        index = self.index
        self.index = (index + 1) % self.clips
        return start, start + self.duration, index, 0, self.index == 0


@pytest.fixture(scope="module")
def reference():
    """The reference's modules; torchvision's lost module is put back for its import."""
    lost = "torchvision.transforms.functional_tensor"
    if lost not in sys.modules:
        found = importlib.import_module("torchvision.transforms.functional")
        module = types.ModuleType(lost)
        module.__dict__.update({k: v for k, v in vars(found).items() if not k.startswith("__")})
        sys.modules[lost] = module
    try:
        data = importlib.import_module("imagebind.data")
        model = importlib.import_module("imagebind.models.imagebind_model")
    except ImportError as error:
        pytest.skip(f"ImageBind's reference package cannot be imported: {error}")
    return types.SimpleNamespace(data=data, model=model)


@pytest.fixture
def fbanks_of_reference(reference, monkeypatch):
    """Filter banks by the reference, of a waveform (channels, n) at 16 kHz."""
    sounds = {}
    monkeypatch.setattr(reference.data, "ConstantClipsPerVideoSampler", PinnedSampler)
    monkeypatch.setattr(reference.data.torchaudio, "load", lambda key: (sounds[key].clone(), 16_000))

    def compute(waveform: np.ndarray) -> torch.Tensor:
        sounds["sound"] = torch.from_numpy(np.atleast_2d(waveform))
        return reference.data.load_and_transform_audio_data(["sound"], "cpu")[0]

    return compute


def same_weights(reference, ours: ImageBindModel, **sizes: object) -> torch.nn.Module:
    """The reference model, its weights copied into ours."""
    torch.manual_seed(0)
    theirs = reference.model.ImageBindModel(**sizes).eval()
    with torch.no_grad():  # away from ones and zeros, so that nothing passes by luck
        for name, value in theirs.named_parameters():
            if name.endswith("bias") or "norm" in name:
                value.add_(0.1 * torch.randn_like(value))
    weights = {k: v for k, v in theirs.state_dict().items() if k.split(".")[1] in ours.config.modalities}
    ours.load_state_dict(weights)
    ours.eval()
    return theirs


def differences(theirs: torch.nn.Module, ours: ImageBindModel) -> dict[str, float]:
    torch.manual_seed(1)
    fbanks = torch.randn(2, 3, 1, 128, 204)
    ids = tokenize(["a pedestrian plaza with trees", "", "tree " * 200])
    pixels = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        expected = theirs({"audio": fbanks, "text": ids, "vision": pixels})
        given = ours(fbanks=fbanks, ids=ids, pixels=pixels)
    return {name: (expected[name] - given[name]).abs().max().item() for name in expected}


def test_small_embeddings_are_the_references(reference):
    ours = ImageBindModel(
        joint_dim=48,
        audio_width=64,
        audio_blocks=3,
        audio_heads=4,
        text_width=64,
        text_blocks=3,
        text_heads=4,
        vision_width=64,
        vision_blocks=3,
        vision_heads=4,
    )
    theirs = same_weights(
        reference,
        ours,
        out_embed_dim=48,
        audio_embed_dim=64,
        audio_num_blocks=3,
        audio_num_heads=4,
        text_embed_dim=64,
        text_num_blocks=3,
        text_num_heads=4,
        vision_embed_dim=64,
        vision_num_blocks=3,
        vision_num_heads=4,
        depth_num_blocks=1,
        thermal_num_blocks=1,
        imu_num_blocks=1,
    )
    found = differences(theirs, ours)
    assert max(found.values()) <= TOLERANCE, found


@pytest.mark.slow
def test_huge_embeddings_are_the_references(reference):
    with torch.device("meta"):
        ours = ImageBindModel.huge()
    ours = ours.to_empty(device="cpu")
    theirs = same_weights(
        reference,
        ours,
        out_embed_dim=1024,
        text_embed_dim=1024,
        text_num_blocks=24,
        text_num_heads=16,
        vision_embed_dim=1280,
        vision_num_blocks=32,
        vision_num_heads=16,
        depth_num_blocks=1,
        thermal_num_blocks=1,
        imu_num_blocks=1,
    )
    found = differences(theirs, ours)
    assert max(found.values()) <= TOLERANCE, found


@pytest.mark.parametrize("seconds", [0.5, 2, 3, 5.9, 10, 61])
def test_filter_banks_are_the_references(fbanks_of_reference, seconds):
    rng = np.random.default_rng(7)
    sound = (0.1 * rng.standard_normal(round(16_000 * seconds)) + 0.3).astype(np.float32)
    sound += np.linspace(-0.2, 0.2, len(sound), dtype=np.float32)  # so that the clips' means differ
    expected = fbanks_of_reference(sound)
    torch.testing.assert_close(fbanks_of(sound), expected, atol=TOLERANCE, rtol=0)


@pytest.mark.skipif(not AMBIENT.is_dir(), reason="the ten ambient recordings are not beside the checkout")
@pytest.mark.parametrize("file", sorted(AMBIENT.glob("*.ogg")), ids=lambda file: file.stem)
def test_filter_banks_of_recordings_are_the_references(fbanks_of_reference, file):
    from torchaudio.functional import resample

    sound, rate = soundfile.read(file, dtype="float32", always_2d=True)
    channels = resample(torch.from_numpy(sound.T.copy()), rate, 16_000).numpy()
    expected = fbanks_of_reference(channels)
    torch.testing.assert_close(fbanks_of_channels(channels), expected, atol=TOLERANCE, rtol=0)
    mono = channels.mean(axis=0)
    torch.testing.assert_close(fbanks_of_file(file), fbanks_of_reference(mono), atol=1e-3, rtol=0)


def strings(count: int) -> list[str]:
    rng = random.Random(11)
    words = (
        "a the Park plaza, street! CAFÉ naïve 3rd 12:30 don't we're O'Neill's it's ---- ... <b> # @ _x_ π ß İ"
    )
    pieces = [
        *words.split(),
        *(
            "😀",
            "🚲🌳",
            "👩‍👩‍👧",
            "🇬🇧",
            "&amp;",
            "&amp;amp;",
            "&lt;p&gt;",
            "&nbsp;",
            "&#233;",
            "&#x1F600;",
            "&#28;",
        ),
        *("cafÃ©", "â€œquotedâ€\x9d", "公園", "парк", "حديقة", "ｆｕｌｌ", "ﬁne", "e\u0301"),
        *("\t", "\n\n", "\u00a0", "\u2003", "\u200b", "\x1c", "\x85", "", "antidisestablishmentarianism" * 3),
        *("<|startoftext|>", "<|endoftext|>", "<start_of_text>", "<end_of_text>", "<|END", "|>"),
    ]
    made = ["", " ", "\n", *pieces, " ".join(pieces), "tree " * 75, "tree " * 76, "tree " * 500]
    while len(made) < count:
        made.append(rng.choice(["", " ", "  "]).join(rng.choices(pieces, k=rng.randint(1, 60))))
    return made


def test_tokens_are_the_references(reference):
    prompts = strings(500)
    tokenizer = reference.data.SimpleTokenizer(bpe_path=reference.data.return_bpe_path())
    expected = torch.stack([tokenizer(prompt) for prompt in prompts])
    given = tokenize(prompts)
    different = [prompts[row] for row in range(len(prompts)) if not torch.equal(expected[row], given[row])]
    assert not different


@pytest.mark.parametrize(
    ("mode", "size"),
    [("RGB", (400, 300)), ("RGB", (223, 517)), ("L", (224, 224)), ("RGBA", (90, 60)), ("P", (300, 301))],
)
def test_pixels_are_the_references(reference, tmp_path, mode, size):
    rng = np.random.default_rng(5)
    picture = Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)).convert(mode)
    picture.save(tmp_path / "picture.png")
    expected = reference.data.load_and_transform_vision_data([tmp_path / "picture.png"], "cpu")[0]
    with Image.open(tmp_path / "picture.png") as opened:
        torch.testing.assert_close(pixels_of(opened), expected, atol=TOLERANCE, rtol=0)
