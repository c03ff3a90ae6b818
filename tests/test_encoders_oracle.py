"""Parity with ImageBind's reference code, given the same random weights and the same inputs.

The reference is no dependency: ``make oracle`` installs it into an environment of its own and runs these tests
there. Elsewhere they skip. The huge model needs about 8 GB of memory.
"""

from __future__ import annotations

import importlib
import os
import random
import sys
import types
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from imagebind_layout import BUFFERS, ENTRIES, PARAMETERS, PUBLISHED
from PIL import Image

from soundit_geo.encoders import ImageBindModel, fbanks_of, fbanks_of_file, pixels_of, tokenize
from soundit_geo.encoders.checkpoint import select

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
        message = f"ImageBind's reference package cannot be imported: {error}"
        pytest.fail(message) if os.environ.get("SOUNDIT_GEO_ORACLE") else pytest.skip(message)
    return types.SimpleNamespace(data=data, model=model)


@pytest.fixture
def fbanks_of_reference(reference, monkeypatch):
    """Filter banks by the reference, of decoded samples (n, channels) at a rate in Hz."""
    decoded = {}
    monkeypatch.setattr(reference.data, "ConstantClipsPerVideoSampler", PinnedSampler)
    monkeypatch.setattr(reference.data.torchaudio, "load", decoded.get)  # its own needs torchcodec

    def compute(sound: np.ndarray, rate: int = 16_000) -> torch.Tensor:
        decoded["sound"] = (torch.from_numpy(sound.T.copy()), rate)
        return reference.data.load_and_transform_audio_data(["sound"], "cpu")[0]

    return compute


def random_model(build, **sizes: object) -> torch.nn.Module:
    """A reference model with random weights, away from ones and zeros, so that nothing passes by luck."""
    torch.manual_seed(0)
    model = build(**sizes).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("bias") or "norm" in name:
                value.add_(0.1 * torch.randn_like(value))
    return model


def differences(theirs: torch.nn.Module, ours: ImageBindModel, *, count: int) -> dict[str, float]:
    """Largest difference of each modality's embeddings, of so many recordings and pictures."""
    torch.manual_seed(1)
    fbanks = torch.randn(count, 3, 1, 128, 204)
    ids = tokenize(["a pedestrian plaza with trees", "", "tree " * 200])
    pixels = torch.randn(count, 3, 224, 224)
    with torch.no_grad():
        expected = theirs({"audio": fbanks, "text": ids, "vision": pixels})
        given = ours(fbanks=fbanks, ids=ids, pixels=pixels)
    return {name: (expected[name] - given[name]).abs().max().item() for name in expected}


SMALL = {"joint_dim": 48}
SMALL |= {f"{part}_width": 64 for part in ("audio", "text", "vision")}
SMALL |= {f"{part}_blocks": 3 for part in ("audio", "text", "vision")}
SMALL |= {f"{part}_heads": 4 for part in ("audio", "text", "vision")}


@pytest.fixture(scope="module")
def small_reference(reference):
    parts = ("audio", "text", "vision")
    sizes = {"out_embed_dim": SMALL["joint_dim"]}
    sizes |= {f"{part}_embed_dim": SMALL[f"{part}_width"] for part in parts}
    sizes |= {f"{part}_num_blocks": SMALL[f"{part}_blocks"] for part in parts}
    sizes |= {f"{part}_num_heads": SMALL[f"{part}_heads"] for part in parts}
    return random_model(
        reference.model.ImageBindModel, **sizes, depth_num_blocks=1, thermal_num_blocks=1, imu_num_blocks=1
    )


@pytest.mark.parametrize("split", [False, True], ids=["whole", "split"])
def test_a_checkpoint_of_the_reference_gives_its_embeddings(small_reference, tmp_path, split):
    torch.save(small_reference.state_dict(), tmp_path / "imagebind.pth")
    ours = ImageBindModel.from_checkpoint(tmp_path / "imagebind.pth", **SMALL)
    if split:
        ours.save_parts(tmp_path / "parts")
        ours = ImageBindModel.from_pretrained(tmp_path / "parts")
    found = differences(small_reference, ours, count=2)
    assert set(found) == {"audio", "text", "vision"}
    assert max(found.values()) <= TOLERANCE, found


@pytest.mark.parametrize("part", ["audio", "text", "vision"])
def test_each_modality_alone_gives_the_references_embeddings(small_reference, tmp_path, part):
    torch.save(small_reference.state_dict(), tmp_path / "imagebind.pth")
    ours = ImageBindModel.from_checkpoint(tmp_path / "imagebind.pth", [part], **SMALL)
    torch.manual_seed(3)
    feeds = {
        "audio": ("fbanks", torch.randn(1, 3, 1, 128, 204)),
        "text": ("ids", tokenize(["a park"])),
        "vision": ("pixels", torch.randn(1, 3, 224, 224)),
    }
    name, feed = feeds[part]
    with torch.no_grad():
        difference = small_reference({part: feed})[part] - ours(**{name: feed})[part]
    assert difference.abs().max() <= TOLERANCE


@pytest.mark.slow
def test_huge_has_the_references_layout_and_embeddings(reference):
    theirs = random_model(reference.model.imagebind_huge)
    weights = theirs.state_dict()
    table = {key: shape for shapes in PUBLISHED.values() for key, shape in shapes.items()}
    assert {key: tuple(value.shape) for key, value in weights.items()} == table
    assert len(weights) == ENTRIES
    assert sum(value.numel() for key, value in weights.items() if key not in BUFFERS) == PARAMETERS
    assert sum(value.numel() for value in theirs.parameters()) == PARAMETERS

    with torch.device("meta"):
        ours = ImageBindModel.huge()
    ours.load_state_dict(select(weights)[0], assign=True)  # shared, so that both fit into memory
    found = differences(theirs, ours.eval(), count=1)
    assert set(found) == {"audio", "text", "vision"}
    assert max(found.values()) <= TOLERANCE, found


@pytest.mark.parametrize("seconds", [0.5, 2, 3, 5.9, 10, 61])
def test_filter_banks_are_the_references(fbanks_of_reference, seconds):
    rng = np.random.default_rng(7)
    sound = (0.1 * rng.standard_normal(round(16_000 * seconds)) + 0.3).astype(np.float32)
    sound += np.linspace(-0.2, 0.2, len(sound), dtype=np.float32)  # so that the clips' means differ
    expected = fbanks_of_reference(sound[:, None])
    torch.testing.assert_close(fbanks_of(sound), expected, atol=TOLERANCE, rtol=0)


@pytest.mark.skipif(not AMBIENT.is_dir(), reason="the ten ambient recordings are not beside the checkout")
@pytest.mark.parametrize("file", sorted(AMBIENT.glob("*.ogg")), ids=lambda file: file.stem)
def test_filter_banks_of_recordings_are_the_references(fbanks_of_reference, file):
    first, mean = (fbanks_of_file(file, channel=channel) for channel in ("first", "mean"))
    sound, rate = soundfile.read(file, dtype="float32", always_2d=True)
    torch.testing.assert_close(first, fbanks_of_reference(sound, rate), atol=TOLERANCE, rtol=0)
    mono = sound.mean(axis=1, keepdims=True)
    torch.testing.assert_close(mean, fbanks_of_reference(mono, rate), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(("rate", "seconds"), [(16_000, 3), (44_100, 5), (48_000, 7.3), (22_050, 1.1)])
def test_filter_banks_of_the_first_channel_of_stereo_are_the_references(
    fbanks_of_reference, tmp_path, rate, seconds
):
    rng = np.random.default_rng(9)
    sound = (0.1 * rng.standard_normal((round(rate * seconds), 2)) + [0.2, -0.1]).astype(np.float32)
    soundfile.write(tmp_path / "stereo.wav", sound, rate, subtype="FLOAT")
    given = fbanks_of_file(tmp_path / "stereo.wav", channel="first")
    torch.testing.assert_close(given, fbanks_of_reference(sound, rate), atol=TOLERANCE, rtol=0)


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
