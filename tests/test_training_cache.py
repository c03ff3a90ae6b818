"""The training cache: what goes in comes out, a stop loses at most a shard, and damage is named."""

import csv
import json
import pickle

import numpy as np
import pytest
import soundfile
import torch
from diffusers import AutoencoderKL
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from soundit_geo.cli import app
from soundit_geo.encoders import ImageBindModel
from soundit_geo.errors import InputError, MissingFileError, WeightsError
from soundit_geo.soundit.autoencoder import FoldingAutoencoder
from soundit_geo.soundit.training.cache import Cache, CacheDescription, CacheWriter
from soundit_geo.soundit.training.pairs import Pair, build_cache, read_pairs

ABOUT = {
    "latent": (4, 6, 6),
    "tokens": (3, 8),
    "summary_dim": 8,
    "scenes": 2,
    "scene_dim": 10,
    "scaling_factor": 0.5,
    "shift_factor": 0.1,
    "soundscape_tokens": "clips",
    "dtype": "float32",
}


def rows(count, about, seed=0):
    draw = torch.Generator().manual_seed(seed)
    made = {name: torch.randn(count, *shape, generator=draw) for name, shape in about.shapes().items()}
    return {**made, "scene_count": torch.arange(count) % (about.scenes + 1)}


def written(folder, counts=(3, 0, 4), **changes):
    about = CacheDescription(**{**ABOUT, **changes})
    writer = CacheWriter(folder, about)
    for number, count in enumerate(counts):
        writer.write(rows(count, about, seed=number))
    return writer.finish()


# ------------------------------------------------------------------------- the format
@settings(max_examples=20, deadline=None)
@given(
    counts=st.lists(st.integers(0, 5), min_size=1, max_size=5).filter(any),
    posterior=st.booleans(),
    dtype=st.sampled_from(["float16", "bfloat16", "float32"]),
)
def test_what_is_written_is_read_row_by_row(tmp_path_factory, counts, posterior, dtype):
    cache = written(tmp_path_factory.mktemp("cache"), counts, posterior=posterior, dtype=dtype)
    kind = getattr(torch, dtype)
    expected = [rows(count, cache.description, seed=number) for number, count in enumerate(counts)]
    assert len(cache) == sum(counts)
    for name in cache.description.shapes():
        whole = torch.cat([shard[name] for shard in expected])
        came = torch.stack([cache[row][name] for row in range(len(cache))])
        assert torch.equal(came.float(), whole.float() if name == "scene_count" else whole.to(kind).float())
    assert ("latent_logvar" in cache[0]) is posterior
    with pytest.raises(IndexError):
        cache[len(cache)]


def test_a_shard_opens_with_safetensors_alone(tmp_path):
    cache = written(tmp_path)
    shard = load_file(tmp_path / "shard-00002.safetensors")
    assert torch.equal(shard["tokens"][1], cache[4]["tokens"])


def test_sizes_are_those_that_the_documentation_states():
    published = {
        "latent": (4, 32, 32),
        "summary_dim": 1024,
        "scenes": 1,
        "scene_dim": 1024,
        "dtype": "float16",
    }
    clips = CacheDescription(**{**ABOUT, **published, "tokens": (3, 1024)})
    patches = CacheDescription(**{**ABOUT, **published, "tokens": (687, 768), "soundscape_tokens": "patches"})
    assert clips.bytes_per_row() == 2 * (2 * 4096 + 3 * 1024 + 1024 + 1024) + 1
    assert round(clips.bytes_per_row() * 236_674 / 1e9, 1) == 6.3
    assert round(patches.bytes_per_row() * 236_674 / 1e9) == 255
    for about in (clips, patches):
        assert 0.98 * 128 * 2**20 < about.rows_per_shard() * about.bytes_per_row() <= 128 * 2**20


def test_a_cache_travels_to_worker_processes_as_a_name(tmp_path):
    cache = written(tmp_path)
    cache[5]  # a map is open now
    sent = pickle.dumps(cache)
    assert len(sent) < 1000
    assert torch.equal(pickle.loads(sent)[5]["tokens"], cache[5]["tokens"])  # noqa: S301 - made here


def test_two_caches_have_one_fingerprint_only_if_they_hold_the_same(tmp_path):
    one, same = written(tmp_path / "one"), written(tmp_path / "same")
    other = written(tmp_path / "other", counts=(3, 1, 3))
    assert one.fingerprint == same.fingerprint != other.fingerprint


def test_wrong_rows_and_another_description_are_refused(tmp_path):
    about = CacheDescription(**ABOUT)
    writer = CacheWriter(tmp_path, about)
    bad = {**rows(2, about), "tokens": torch.zeros(2, 4, 8)}
    with pytest.raises(InputError, match=r"\(2, 4, 8\).*\(2, 3, 8\)"):
        writer.write(bad)
    with pytest.raises(InputError, match="soundscape_tokens 'clips'"):
        CacheWriter(tmp_path, CacheDescription(**{**ABOUT, "soundscape_tokens": "patches"}))
    with pytest.raises(InputError, match="unfinished, with 0 rows"):
        Cache(tmp_path)
    with pytest.raises(InputError, match="empty"):
        writer.finish()
    writer.write(rows(1, about))
    writer.finish()
    with pytest.raises(InputError, match="complete"):
        writer.write(rows(1, about))


def cut(folder):
    path = folder / "shard-00000.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def swap(folder):
    """Another tensor of the same size in bytes."""
    path = folder / "shard-00000.safetensors"
    held = load_file(path)
    held["tokens"] = held["tokens"].reshape(3, 8, 3)
    save_file(held, path)
    index = json.loads((folder / "index.json").read_text())
    index["shards"][0]["bytes"] = path.stat().st_size
    (folder / "index.json").write_text(json.dumps(index))


DAMAGE = {
    "absent": (
        lambda folder: (folder / "shard-00000.safetensors").unlink(),
        "shard-00000.safetensors is absent",
    ),
    "cut": (cut, "has .* bytes; the index says"),
    "swapped": (swap, r"tokens has shape \[3, 8, 3\], the index says \[3, 3, 8\]"),
    "index": (lambda folder: (folder / "index.json").write_text("{"), "no index"),
    "renamed": (
        lambda folder: (folder / "index.json").write_text(
            (folder / "index.json").read_text().replace("summary_dim", "summary_width")
        ),
        "no index .*summary_width",
    ),
    "foreign": (
        lambda folder: (folder / "index.json").write_text('{"format": "x", "version": 7}'),
        "'x', version 7",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_named(tmp_path, kind):
    written(tmp_path)
    damage, message = DAMAGE[kind]
    damage(tmp_path)
    with pytest.raises(WeightsError, match=message):
        Cache(tmp_path)[0]


def test_verifying_finds_one_turned_bit(tmp_path):
    cache = written(tmp_path)
    cache.verify()
    path = tmp_path / "shard-00002.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="shard-00002"):
        Cache(tmp_path).verify()


def test_an_absent_cache_is_named(tmp_path):
    with pytest.raises(MissingFileError, match="soundit-geo train cache"):
        Cache(tmp_path / "nowhere")


# ------------------------------------------------------------------------------ pairs
@pytest.fixture(scope="module")
def parts():
    torch.manual_seed(0)
    vae = FoldingAutoencoder(fine_channels=8, coarse_channels=8, encoder_blocks=1, decoder_blocks=1)
    vae.register_to_config(scaling_factor=0.5, shift_factor=0.25)
    encoder = ImageBindModel.mini(text_zero_embedding=False, audio_blocks=1, text_blocks=1)
    return {"vae": vae.eval(), "encoder": encoder.eval()}


@pytest.fixture(scope="module")
def listing(tmp_path_factory):
    """Seven pairs, of which numbers 2 and 5 cannot be used."""
    folder, rng = tmp_path_factory.mktemp("pairs"), np.random.default_rng(0)
    for number in range(7):
        soundfile.write(folder / f"{number}.wav", rng.normal(0, 0.1, 16000), 16000)
        Image.fromarray(rng.integers(0, 255, (40, 64, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    soundfile.write(folder / "2.wav", np.zeros(16000), 16000)
    (folder / "5.png").write_bytes(b"no picture")
    lines = ["audio,image,scene,scene_2"]
    lines += [
        f"{n}.wav,{n}.png,{'a park' if n != 3 else ''},{'a quay' if n in (1, 6) else ''}" for n in range(7)
    ]
    (folder / "pairs.csv").write_text("\n".join(lines) + "\n")
    return folder / "pairs.csv"


def test_rows_hold_what_autoencoder_and_encoder_say(tmp_path, parts, listing):
    cache = build_cache(
        read_pairs(listing), tmp_path, **parts, size=32, dtype="float32", batch_size=4, progress=False
    )
    assert [number for number, _ in cache.skipped] == [2, 5]
    kept = [0, 1, 3, 4, 6]
    assert [int(cache[row]["scene_count"]) for row in range(5)] == [1, 2, 0, 1, 2]
    assert (cache.description.scaling_factor, cache.description.shift_factor) == (0.5, 0.25)
    with torch.inference_mode():
        for row, number in enumerate(kept):
            came = cache[row]
            heard = parts["encoder"].encode_soundscapes([listing.parent / f"{number}.wav"], "clips")
            torch.testing.assert_close(came["tokens"], heard.tokens[0], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(came["summary"], heard.summary[0], atol=1e-5, rtol=1e-5)
            photo = Image.open(listing.parent / f"{number}.png")  # 64 × 40: the middle square is 40 × 40
            small = photo.resize((32, 32), Image.Resampling.LANCZOS, box=(12, 0, 52, 40))
            small = np.asarray(small, dtype=np.float32)
            pixels = torch.from_numpy(small / 127.5 - 1).permute(2, 0, 1)[None]
            posterior = parts["vae"].encode(pixels).latent_dist
            torch.testing.assert_close(came["latent_mean"], posterior.mean[0], atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(came["latent_logvar"], posterior.logvar[0], atol=1e-4, rtol=1e-4)
        read = parts["encoder"].encode_scenes(["a park", "a quay"])
        torch.testing.assert_close(cache[1]["scenes"], read, atol=1e-5, rtol=1e-5)
    assert not cache[2]["scenes"].any()
    with (tmp_path / "skipped.csv").open() as file:
        why = {int(line["pair"]): line["why"] for line in csv.DictReader(file)}
    assert "silent" in why[2]
    assert "5.png" in why[5]


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("calls", [2, 3, 5])
def test_a_stopped_cache_goes_on_and_is_the_same(tmp_path, parts, listing, calls):
    """Two pairs at a time, two per shard; the encoder fails at its n-th batch."""
    pairs, same = read_pairs(listing), {"size": 32, "batch_size": 2, "rows_per_shard": 2, "progress": False}
    whole = build_cache(pairs, tmp_path / "whole", **parts, **same)
    heard = []

    class Failing:
        def encode_soundscapes(self, files, tokens):
            heard.append(files)
            if len(heard) > calls:
                raise StoppedError
            return parts["encoder"].encode_soundscapes(files, tokens)

        def encode_scenes(self, prompts):
            return parts["encoder"].encode_scenes(prompts)

    with pytest.raises(StoppedError):
        build_cache(pairs, tmp_path / "cut", vae=parts["vae"], encoder=Failing(), **same)
    with pytest.raises(InputError, match="unfinished"):
        Cache(tmp_path / "cut")
    (tmp_path / "cut" / "shard-00009.safetensors").write_bytes(b"half a shard")  # never in the index
    again = build_cache(pairs, tmp_path / "cut", **parts, **same)
    assert again.fingerprint == whole.fingerprint
    assert again.skipped == whole.skipped
    with pytest.raises(InputError, match="another cache, with source"):
        build_cache(pairs[:-1], tmp_path / "cut", **parts, **same)


def test_an_autoencoder_without_a_posterior_keeps_latents_alone(tmp_path, parts, listing):
    from diffusers import AutoencoderTiny

    tiny = AutoencoderTiny(
        encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8), num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
    ).eval()  # fmt: skip
    cache = build_cache(
        read_pairs(listing)[:2], tmp_path, vae=tiny, encoder=parts["encoder"], size=32, progress=False
    )
    assert not cache.description.posterior
    assert cache[0]["latent_mean"].shape == (4, 16, 16)


def test_lists_of_pairs_are_checked(tmp_path):
    path = tmp_path / "pairs.csv"
    with pytest.raises(MissingFileError):
        read_pairs(path)
    for text, message in (("audio,photo\n1,2\n", "image must be there"), ("audio,image\n", "lists no pairs")):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_pairs(path)
    path.write_bytes(b"audio,image\n\xff\xfe,1\n")
    with pytest.raises(InputError, match="UTF-8"):
        read_pairs(path)
    path.write_text("audio,image,scene\na.wav,/b.png, a park \nc.wav,d.png\n")
    assert read_pairs(path) == [
        Pair(tmp_path / "a.wav", type(tmp_path)("/b.png"), ("a park",)),
        Pair(tmp_path / "c.wav", tmp_path / "d.png"),
    ]


def test_a_cache_of_nothing_but_bad_pairs_is_refused(tmp_path, parts, listing):
    with pytest.raises(InputError, match="would be empty"):
        build_cache(read_pairs(listing)[2:3], tmp_path, **parts, size=32, progress=False)


def test_the_command_makes_a_cache_with_the_preset_and_says_what_it_left_out(tmp_path, listing):
    done = CliRunner().invoke(
        app,
        [
            "train",
            "cache",
            str(listing),
            "--out",
            str(tmp_path),
            "--verify",
            "--quiet",
            "--tokens",
            "patches",
        ],
    )
    assert done.exit_code == 1
    assert "5 pairs in 1 shards" in done.output
    assert "pair 2 left out" in done.output
    about = Cache(tmp_path).description
    assert (about.latent, about.soundscape_tokens, about.vae) == ((4, 16, 16), "patches", "synthetic-city")
    again = CliRunner().invoke(
        app, ["train", "cache", str(listing), "--out", str(tmp_path), "--quiet", "--tokens", "patches"]
    )
    assert again.exit_code == 1


def test_the_command_takes_another_autoencoder_and_encoder(tmp_path, parts, listing):
    from diffusers import AutoencoderKL

    vae = AutoencoderKL(
        block_out_channels=(8, 8), norm_num_groups=4, sample_size=16, scaling_factor=0.18215,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )  # fmt: skip
    vae.save_pretrained(tmp_path / "vae")
    parts["encoder"].save_pretrained(tmp_path / "encoder")
    command = ["train", "cache", str(listing), "--out", str(tmp_path / "cache"), "--quiet"]
    others = ["--vae", str(tmp_path / "vae"), "--encoder", str(tmp_path / "encoder"), "--no-posterior"]
    done = CliRunner().invoke(app, [*command, *others])
    assert done.exit_code == 1, done.output
    about = Cache(tmp_path / "cache").description
    assert (about.latent, about.scaling_factor, about.posterior) == ((4, 8, 8), 0.18215, False)
    assert about.encoder == str(tmp_path / "encoder")
    missing = CliRunner().invoke(app, [*command[:-1], *others[:1], str(tmp_path / "none"), *others[2:]])
    assert isinstance(missing.exception, WeightsError)


def test_an_autoencoder_with_a_renamed_parameter_is_refused_in_one_line(tmp_path):
    vae = AutoencoderKL(block_out_channels=(32,), sample_size=8)
    vae.save_pretrained(tmp_path / "vae")
    file = tmp_path / "vae/diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    weights["decoder.conv_in.banana"] = weights.pop("decoder.conv_in.weight")
    save_file(weights, file, metadata={"format": "pt"})
    (tmp_path / "pairs.csv").write_text("audio,image\na.wav,a.png\n")
    arguments = ["train", "cache", str(tmp_path / "pairs.csv"), "--vae", str(tmp_path / "vae")]
    done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "cache")])
    assert isinstance(done.exception, WeightsError)
    assert "decoder.conv_in.weight" in str(done.exception)
    assert "decoder.conv_in.banana" in str(done.exception)
