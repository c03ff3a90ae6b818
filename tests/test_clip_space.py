"""The space of CLIP and Wav2CLIP: layouts, arithmetic and preparation of both halves, and what is refused."""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import pickle
import sys
import types

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from safetensors.torch import save_file
from scipy.signal import stft
from torch.nn import functional
from typer.testing import CliRunner

from soundit_geo import registry
from soundit_geo.audio import read_recording
from soundit_geo.cli import app
from soundit_geo.encoders import CLIPEncoder, Wav2CLIP, clip, pixels_of, wav2clip
from soundit_geo.errors import AudioError, InputError, MissingFileError, WeightsError
from soundit_geo.evaluation import fidelity, load_space
from soundit_geo.pss.fidelity import audio_image_similarity, image_image_similarity

TOLERANCE = 1e-4
RUNNER = CliRunner()


# ------------------------------------------------------------------------------------------- published layouts
def norm(width):
    return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (width,)) | {
        "num_batches_tracked": ()
    }


def under(prefix, shapes):
    return {f"{prefix}.{key}": shape for key, shape in shapes.items()}


def wav2clip_layout():
    """Every name and shape of Wav2CLIP's two parts."""
    shapes = {"spectrogram.window": (512,), "conv1.weight": (64, 1, 7, 7)} | under("bn1", norm(64))
    before = 64
    for stage, width in enumerate((64, 128, 256, 512), 1):
        for block in (0, 1):
            came, name = before if block == 0 else width, f"layer{stage}.{block}"
            shapes |= {
                f"{name}.conv1.weight": (width, came, 3, 3),
                f"{name}.conv2.weight": (width, width, 3, 3),
            }
            shapes |= under(f"{name}.bn1", norm(width)) | under(f"{name}.bn2", norm(width))
            if came != width:
                shapes |= {f"{name}.downsample.0.weight": (width, came, 1, 1)}
                shapes |= under(f"{name}.downsample.1", norm(width))
        before = width
    layers = {
        f"{row}.{kind}": (512, 512)[: 2 - (kind == "bias")] for row in (0, 3) for kind in ("weight", "bias")
    }
    return under("audio_encoder", shapes) | under("audio_transform.sequential", layers)


def clip_layout(width=768, inner=3072, blocks=12):
    """Every name and shape of the vision half of CLIP with patches of 32, in transformers' layout."""
    shapes = {
        "embeddings.class_embedding": (width,),
        "embeddings.patch_embedding.weight": (width, 3, 32, 32),
        "embeddings.position_embedding.weight": (50, width),
    }
    affine = {"weight": (width,), "bias": (width,)}
    for name in ("pre_layrnorm", "post_layernorm"):
        shapes |= under(name, affine)
    for block in range(blocks):
        name = f"encoder.layers.{block}"
        shapes |= under(f"{name}.layer_norm1", affine) | under(f"{name}.layer_norm2", affine)
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= under(f"{name}.self_attn.{part}", {"weight": (width, width), "bias": (width,)})
        shapes |= under(f"{name}.mlp.fc1", {"weight": (inner, width), "bias": (inner,)})
        shapes |= under(f"{name}.mlp.fc2", {"weight": (width, inner), "bias": (width,)})
    return under("vision_model", shapes) | {"visual_projection.weight": (512, width)}


def random_weights(layout, seed=0):
    """Random numbers in a layout, small enough to pass many layers, away from zeros and ones."""
    made, generator = {}, torch.Generator().manual_seed(seed)
    for name, shape in layout.items():
        noise = torch.randn(shape, generator=generator)
        if name.endswith("num_batches_tracked"):
            made[name] = torch.tensor(7)
        elif name.endswith("window"):
            made[name] = torch.from_numpy((np.sin(np.pi * np.arange(512) / 512) ** 2).astype(np.float32))
        elif name.endswith("running_var"):
            made[name] = 1 + noise.abs()
        elif len(shape) > 1 and "position" not in name:
            made[name] = noise / np.prod(shape[1:]) ** 0.5
        else:
            made[name] = 0.1 * noise + name.endswith("weight")
    return made


SMALL = {"hidden_size": 96, "intermediate_size": 128, "num_hidden_layers": 2}


@pytest.fixture
def small(monkeypatch):
    """CLIP's vision half narrow and short; the rest, the heads among it, stays."""
    monkeypatch.setattr(clip, "VIT_B32", clip.VIT_B32 | SMALL)


def clip_file(path, seed=0, changes=(), **extra):
    held = random_weights(clip_layout(96, 128, 2), seed) | dict(changes) | extra
    torch.save(held, path) if path.suffix != ".safetensors" else save_file(held, path)
    return path


def wav2clip_file(path, seed=1, changes=()):
    torch.save(random_weights(wav2clip_layout(), seed) | dict(changes), path)
    return path


def sound_of(samples, seed=3):
    rng = np.random.default_rng(seed)
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(samples) / 16_000)
    return (tone + 0.05 * rng.standard_normal(samples)).astype(np.float32)


def picture_of(width, height, seed=4):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_names_and_shapes_are_the_published_ones():
    ours = {key: tuple(value.shape) for key, value in Wav2CLIP().state_dict().items()}
    assert ours == wav2clip_layout()
    telling = registry.find("wav2clip").files[0].layout
    assert {key: ours[key] for key in telling} == dict(telling)
    with torch.device("meta"):
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

        theirs = CLIPVisionModelWithProjection(CLIPVisionConfig(**clip.VIT_B32)).state_dict()
    assert {key: tuple(value.shape) for key, value in theirs.items()} == clip_layout()
    assert sum(value.numel() for value in theirs.values()) == 87_849_216  # as OpenAI's ViT-B/32 has


# ----------------------------------------------------------------------------------------- what sounds become
def standardised(sound):
    """Log power spectrogram by scipy (257, T), each sound by itself, with Hann's window as rounded in the file."""
    padded = np.pad(sound.astype(np.float64), 256, mode="reflect")
    window = (np.sin(np.pi * np.arange(512) / 512) ** 2).astype(np.float32).astype(np.float64)
    _, _, spectrum = stft(
        padded, window=window, nperseg=512, noverlap=512 - 353, boundary=None, padded=False, detrend=False
    )
    level = np.log(np.abs(spectrum * window.sum()) ** 2 + 1e-7)
    return torch.from_numpy((level - level.mean()) / (level.std(ddof=1) + 1e-9)).float()


def literal_wav2clip(weights, sound):
    """ResNet18 and two layers written out over the published names."""

    def normed(x, name):
        held = [
            weights[f"audio_encoder.{name}.{part}"]
            for part in ("running_mean", "running_var", "weight", "bias")
        ]
        return functional.batch_norm(x, *held)

    def convolved(x, name, stride):
        kernel = weights[f"audio_encoder.{name}.weight"]
        return functional.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)

    x = standardised(sound)[None, None]
    x = normed(convolved(x, "conv1", 2), "bn1").relu()
    x = functional.max_pool2d(x, 3, stride=2, padding=1)
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = normed(convolved(x, f"{name}.conv1", stride), f"{name}.bn1").relu()
            y = normed(convolved(y, f"{name}.conv2", 1), f"{name}.bn2")
            if stride == 2:
                x = normed(convolved(x, f"{name}.downsample.0", 2), f"{name}.downsample.1")
            x = (x + y).relu()
    first, last = (
        [weights[f"audio_transform.sequential.{row}.{part}"] for part in ("weight", "bias")] for row in (0, 3)
    )
    return functional.linear(functional.linear(x.mean((2, 3)), *first).relu(), *last)[0]


@pytest.fixture(scope="module")
def hearing(tmp_path_factory):
    """Wav2CLIP out of a file that also holds what only its training needed, and its weights."""
    beside = {
        "image_transform.sequential.0.weight": torch.zeros(512, 512),
        "loss_fn_i.logit_scale": torch.ones(()),
    }
    path = wav2clip_file(tmp_path_factory.mktemp("wav2clip") / "Wav2CLIP.pt", changes=beside)
    return Wav2CLIP.from_checkpoint(path), random_weights(wav2clip_layout(), 1)


@pytest.mark.parametrize("samples", [4_000, 16_001, 160_000])
def test_sounds_are_embedded_as_by_the_equations_written_out(hearing, samples):
    model, weights = hearing
    sound, seen = sound_of(samples), []
    exact = copy.deepcopy(model).double()  # the logarithm of next to nothing costs float32 its last digits
    exact.audio_encoder.conv1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        exact(torch.from_numpy(sound).double()[None])
    torch.testing.assert_close(seen[0][0, 0].float(), standardised(sound), atol=TOLERANCE, rtol=0)
    expected = literal_wav2clip(weights, sound)
    assert expected.std() > 0.05
    torch.testing.assert_close(model.embed(sound), expected, atol=TOLERANCE, rtol=0)


def test_a_recording_is_heard_alike_alone_and_among_louder_ones(hearing):
    model, _ = hearing
    sound = sound_of(16_000)
    with torch.no_grad():
        together = model(torch.from_numpy(np.stack([sound, 3 * sound_of(16_000, 9), sound])))
    torch.testing.assert_close(together[0], model.embed(sound), atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(together[2], together[0], atol=TOLERANCE, rtol=0)
    assert (together[1] - together[0]).abs().max() > 100 * TOLERANCE


def test_files_are_heard_as_mono_at_16_khz_and_not_beyond_ten_minutes(hearing, tmp_path, monkeypatch):
    model, _ = hearing
    stereo = np.stack([sound_of(66_150), 0.5 * sound_of(66_150, 8)], axis=1)
    soundfile.write(tmp_path / "walk.wav", stereo, 44_100, subtype="FLOAT")
    mono = read_recording(tmp_path / "walk.wav").waveform
    assert len(mono) == 24_000
    torch.testing.assert_close(model.embed(tmp_path / "walk.wav"), model.embed(mono), atol=TOLERANCE, rtol=0)
    monkeypatch.setattr(wav2clip, "LONG_SECONDS", 1)
    for given in (tmp_path / "walk.wav", str(tmp_path / "walk.wav"), mono):
        torch.testing.assert_close(model.embed(given), model.embed(mono[:16_000]), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    "sound", [np.zeros(16_000, np.float32), sound_of(3_999), sound_of(8_000)[None], np.full(8_000, np.nan)]
)
def test_what_cannot_be_heard_is_refused(hearing, sound):
    with pytest.raises(AudioError, match="waveform"):
        hearing[0].embed(sound)


# --------------------------------------------------------------------------------------- what pictures become
@pytest.mark.parametrize("size", [(224, 224), (400, 300), (300, 401), (223, 517), (640, 427), (50, 60)])
def test_pictures_are_prepared_as_by_open_clip(size):
    from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
    from open_clip.transform import image_transform

    prepare = image_transform(224, is_train=False, mean=OPENAI_DATASET_MEAN, std=OPENAI_DATASET_STD)
    picture = picture_of(*size)
    torch.testing.assert_close(pixels_of(picture), prepare(picture), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("size", [(224, 224), (400, 300), (1001, 333), (50, 60)])
def test_pictures_with_an_even_margin_are_prepared_as_by_transformers(size):
    transformers = pytest.importorskip("transformers", minversion="5")
    picture = picture_of(*size)
    expected = transformers.CLIPImageProcessorPil()(images=picture, return_tensors="pt")["pixel_values"][0]
    torch.testing.assert_close(pixels_of(picture), expected, atol=TOLERANCE, rtol=0)


def literal_clip(weights, pixels, heads=12, blocks=2):
    """CLIP's vision half written out over transformers' names."""

    def linear(x, name):
        return functional.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def normed(x, name):
        return functional.layer_norm(
            x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-5
        )

    stem = "vision_model.embeddings"
    cut = functional.conv2d(pixels, weights[f"{stem}.patch_embedding.weight"], stride=32)
    x = cut.flatten(2).transpose(1, 2)
    x = torch.cat([weights[f"{stem}.class_embedding"].expand(len(x), 1, -1), x], 1)
    x = normed(x + weights[f"{stem}.position_embedding.weight"], "vision_model.pre_layrnorm")
    for block in range(blocks):
        name = f"vision_model.encoder.layers.{block}"
        y = normed(x, f"{name}.layer_norm1")
        query, key, value = (
            linear(y, f"{name}.self_attn.{part}_proj").unflatten(-1, (heads, -1)).transpose(1, 2)
            for part in "qkv"
        )
        mixed = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(-1) @ value
        x = x + linear(mixed.transpose(1, 2).flatten(2), f"{name}.self_attn.out_proj")
        y = linear(normed(x, f"{name}.layer_norm2"), f"{name}.mlp.fc1")
        x = x + linear(y * (1.702 * y).sigmoid(), f"{name}.mlp.fc2")
    return normed(x[:, 0], "vision_model.post_layernorm") @ weights["visual_projection.weight"].T


TEXT_HALF = {"text_model.final_layer_norm.bias": torch.zeros(512), "logit_scale": torch.ones(())}
TEXT_HALF |= {"vision_model.embeddings.position_ids": torch.arange(50)[None]}


@pytest.mark.parametrize(("name", "beside"), [("pytorch_model.bin", TEXT_HALF), ("model.safetensors", {})])
def test_pictures_are_embedded_as_by_the_equations_written_out(small, tmp_path, name, beside):
    model = CLIPEncoder.from_checkpoints(clip_file(tmp_path / name, changes=beside))
    pictures = [picture_of(300, 200, 1), np.asarray(picture_of(224, 224, 2)), picture_of(90, 400, 3)]
    pixels = torch.stack([pixels_of(picture) for picture in pictures])
    expected = literal_clip(random_weights(clip_layout(96, 128, 2)), pixels)
    assert expected.std(0).mean() > 100 * TOLERANCE
    for batch_size in (1, 2, 32):
        given = model.encode_pictures(pictures, batch_size=batch_size)
        torch.testing.assert_close(given, expected, atol=TOLERANCE, rtol=0)
    with pytest.raises(InputError, match="without Wav2CLIP"):
        model.encode_soundscapes([sound_of(8_000)])


# ---------------------------------------------------------------------------------------- files that are wrong
def whole(half, path, **changes):
    return (clip_file if half == "clip" else wav2clip_file)(path, changes=changes)


def read(half, path):
    return CLIPEncoder.from_checkpoints(path) if half == "clip" else Wav2CLIP.from_checkpoint(path)


@pytest.mark.parametrize(
    ("half", "name"),
    [("clip", "visual_projection.weight"), ("wav2clip", "audio_transform.sequential.3.weight")],
)
def test_a_wrong_file_is_refused_and_what_is_wrong_is_named(small, tmp_path, half, name):
    path = whole(half, tmp_path / "good.pt")
    assert read(half, path)

    held = torch.load(path)
    cases = {
        "another shape": (held | {name: torch.zeros(512, 3)}, rf"{name} is \(512, 3\), expected \(512, "),
        "missing": ({key: value for key, value in held.items() if key != name}, f"1 missing: {name}"),
        "unknown": (held | {f"{name}.more": torch.zeros(2)}, f"1 unknown: {name}.more"),
        "not finite": (held | {name: torch.full_like(held[name], torch.nan)}, f"no finite .*{name}"),
        "another model": ({"fc.weight": torch.zeros(3)}, "another model's file"),
        "no tensors": ({"note": "a poem"}, "expected named tensors"),
    }
    for case, (wrong, match) in cases.items():
        torch.save(wrong, tmp_path / "wrong.pt")
        with pytest.raises(WeightsError, match=match):
            pytest.fail(f"{case}: {read(half, tmp_path / 'wrong.pt')}")
    content = path.read_bytes()
    (tmp_path / "cut.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match="no intact"):
        read(half, tmp_path / "cut.pt")
    (tmp_path / "cut.safetensors").write_bytes(content[:100])
    with pytest.raises(WeightsError, match="safetensors"):
        read(half, tmp_path / "cut.safetensors")
    (tmp_path / "unsafe.pt").write_bytes(pickle.dumps({"fc": os.getcwd}))
    with pytest.raises(WeightsError, match="could run code"):
        read(half, tmp_path / "unsafe.pt")
    with pytest.raises(MissingFileError, match=r"none\.pt"):
        read(half, tmp_path / "none.pt")


def test_a_scripted_module_is_refused(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "ViT-B-32.pt")
    with pytest.raises(WeightsError, match="TorchScript"):
        CLIPEncoder.from_checkpoints(tmp_path / "ViT-B-32.pt")


# ------------------------------------------------------------------------------------- the space and its cache
@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SOUNDIT_GEO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def brought(small, tmp_path, monkeypatch):
    """Both halves as if they lay in the cache, CLIP's narrow."""
    files = {
        "clip-vit-b32": clip_file(tmp_path / "pytorch_model.bin"),
        "wav2clip": wav2clip_file(tmp_path / "Wav2CLIP.pt"),
    }

    def cached(name):
        if not files[name].is_file():
            raise MissingFileError(name)
        return files[name]

    monkeypatch.setattr(registry, "cached", cached)
    return files


def test_what_is_absent_is_told_at_once_with_the_command(cache):
    with pytest.raises(MissingFileError, match="weights pull clip-vit-b32 wav2clip "):
        load_space("clip-wav2clip")
    with pytest.raises(MissingFileError, match=r"weights pull clip-vit-b32 \("):
        load_space("clip-wav2clip", sounds=False)
    with pytest.raises(MissingFileError, match="clip-wav2clip"):
        load_space("clip")


def test_without_sounds_the_pictures_half_suffices(brought):
    brought["wav2clip"].unlink()
    space = load_space("clip-wav2clip", sounds=False)
    assert (space.name, space.stand_in) == ("clip-wav2clip", False)
    assert space.pictures([picture_of(60, 40)]).shape == (1, 512)
    with pytest.raises(MissingFileError, match=r"lacks wav2clip in .* Without sounds clip-vit-b32 suffices"):
        load_space("clip-wav2clip")


class Mean:
    """Features: mean red, green and blue."""

    name, world = "mean", "any"

    def __call__(self, pictures):
        found = np.stack([np.asarray(picture).mean((0, 1)) for picture in pictures])
        return found.astype(np.float32), np.zeros(len(found), bool)


def test_ais_and_iis_are_those_of_the_embeddings_and_a_broken_recording_is_listed(brought, tmp_path):
    real, generated = ([picture_of(64, 48, seed) for seed in range(first, first + 7)] for first in (10, 20))
    sounds = [tmp_path / f"{row}.wav" for row in range(7)]
    for row, path in enumerate(sounds):
        soundfile.write(path, sound_of(8_000 + 1_000 * row, row), 16_000, subtype="FLOAT")
    sounds[2].write_text("a poem")
    found = fidelity(real, generated, sounds, features=Mean(), space="clip-wav2clip", batch_size=3)
    assert found.networks["space"] == "clip-wav2clip"
    assert next(iter(found.failed.values())).startswith("No AIS: 2.wav")
    seen = random_weights(clip_layout(96, 128, 2))
    left, right = (
        literal_clip(seen, torch.stack([pixels_of(one) for one in side])).numpy()
        for side in (real, generated)
    )
    heard = np.full((7, 512), np.nan)
    for row in (0, 1, 3, 4, 5, 6):
        sound = read_recording(sounds[row]).waveform
        heard[row] = literal_wav2clip(random_weights(wav2clip_layout(), 1), sound).numpy()
    for form in ("win_rate", "cosine"):
        np.testing.assert_allclose(
            found.values[f"ais_{form}"], audio_image_similarity(heard, right, form=form), atol=TOLERANCE
        )
        np.testing.assert_allclose(
            found.values[f"iis_{form}"], image_image_similarity(left, right, form=form), atol=TOLERANCE
        )


def test_the_command_measures_in_this_space(brought, tmp_path):
    for side, first in (("real", 30), ("drawn", 40)):
        (tmp_path / side).mkdir()
        for row in range(6):
            picture_of(64, 48, first + row).save(tmp_path / side / f"{row}.png")
    (tmp_path / "heard").mkdir()
    for row in range(6):
        soundfile.write(tmp_path / "heard" / f"{row}.wav", sound_of(8_000, row), 16_000)
    sides = ["--real", tmp_path / "real", "--generated", tmp_path / "drawn", "--space", "clip-wav2clip"]
    scenes = tmp_path / "scenes.pth"
    from soundit_geo.pss.places import wide_resnet18

    torch.manual_seed(5)
    torch.save(wide_resnet18().state_dict(), scenes)
    sides += ["--features", scenes, "--json", "--quiet"]
    done = RUNNER.invoke(app, ["fidelity", *map(str, sides), "--sounds", str(tmp_path / "heard")])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["networks"]["space"] == "clip-wav2clip"
    assert all(-1 <= answer["mean"][f"{measure}_cosine"] <= 1 for measure in ("ais", "iis"))
    brought["wav2clip"].unlink()
    deaf = json.loads(RUNNER.invoke(app, ["fidelity", *map(str, sides)]).stdout)
    assert deaf["mean"]["ais_cosine"] is None
    assert deaf["mean"]["iis_cosine"] == pytest.approx(answer["mean"]["iis_cosine"])


def test_files_that_the_user_fetched_are_taken_or_refused_by_what_they_are(cache, tmp_path):
    """CLIP's is known by its hash, Wav2CLIP's by its layout."""
    listed = RUNNER.invoke(app, ["weights", "list", "--json"])
    rows = {row["name"]: row for row in json.loads(listed.stdout)}
    assert {rows[name]["licence"] for name in ("clip-vit-b32", "wav2clip")} == {"MIT"}

    right = wav2clip_file(tmp_path / "Wav2CLIP.pt")
    done = RUNNER.invoke(app, ["weights", "import", "wav2clip", str(right)])
    assert done.exit_code == 0, done.output
    assert Wav2CLIP.from_checkpoint(registry.cached("wav2clip"))
    other = clip_file(tmp_path / "pytorch_model.bin")
    for name, match in (("wav2clip", "does not fit"), ("clip-vit-b32", "expected 605,247,071")):
        with pytest.raises(WeightsError, match=match):
            registry.import_file(name, other)
    with pytest.raises(MissingFileError, match=r"weights pull clip-vit-b32 \("):
        load_space("clip-wav2clip")


# ------------------------------------------------------------------------------------------ the reference's code
@pytest.fixture(scope="module")
def reference():
    """Wav2CLIP's reference package, which imports librosa for what is not used here."""
    lost = "librosa"
    if importlib.util.find_spec(lost) is None:
        sys.modules[lost] = types.ModuleType(lost)
    try:
        yield importlib.import_module("wav2clip")
    except ImportError as error:
        message = f"Wav2CLIP's reference package cannot be imported: {error}"
        pytest.fail(message) if os.environ.get("SOUNDIT_GEO_ORACLE") else pytest.skip(message)
    finally:
        if not hasattr(sys.modules.get(lost), "__file__"):
            sys.modules.pop(lost, None)


@pytest.mark.weights
@pytest.mark.parametrize("samples", [4_000, 16_000, 80_001, 160_000])
def test_layout_spectrogram_and_embeddings_are_the_references(reference, hearing, samples):
    model, weights = hearing
    extractor = importlib.import_module("wav2clip.model.encoder").ResNetExtractor
    theirs = extractor(checkpoint=weights, scenario="frozen", transform=True).eval()
    assert {
        f"audio_{key}": tuple(value.shape) for key, value in theirs.state_dict().items()
    } == wav2clip_layout()
    seen = []
    for network in (theirs.encoder, model.audio_encoder):
        network.conv1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    sound = sound_of(samples)
    expected = torch.from_numpy(reference.embed_audio(sound, theirs)[0])
    torch.testing.assert_close(model.embed(sound), expected, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(seen[1], seen[0], atol=TOLERANCE, rtol=0)
