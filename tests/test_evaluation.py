"""Fidelity of folders and lists: FID and KID over named features, AIS and IIS in named spaces."""

from __future__ import annotations

import json
import shutil
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn
from typer.testing import CliRunner

import soundit_geo as sg
from soundit_geo.cli import app
from soundit_geo.encoders import ImageBindModel
from soundit_geo.errors import (
    InputError,
    MissingFileError,
    OutsideWorldWarning,
    SounditError,
    WeightsError,
)
from soundit_geo.evaluation import Embeddings, Space, fidelity, load_space, looks, scoring
from soundit_geo.pss.features import InceptionFeatures, JudgeFeatures, load_features
from soundit_geo.pss.fidelity import (
    audio_image_similarity,
    frechet_distance,
    image_image_similarity,
    kernel_distance,
    similarity_floor,
)
from soundit_geo.pss.judges import load_judges
from soundit_geo.pss.pairs import Pairs
from soundit_geo.pss.places import PlacesJudge, Squash, wide_resnet18
from soundit_geo.registry import is_cached
from soundit_geo.weights import is_hub_id

RUNNER = CliRunner()


class Corner:
    """Features: the first six numbers of the picture."""

    name, world = "corner", "flat pictures"

    def __call__(self, pictures):
        pixels = np.stack([np.asarray(picture).reshape(-1)[:6] for picture in pictures])
        return pixels.astype(np.float32), np.zeros(len(pixels), bool)


class Toy:
    """In place of an encoder: a picture is its last four numbers, a recording its first four."""

    def encode_pictures(self, pictures, *, batch_size):
        assert batch_size == len(pictures)
        return torch.tensor(np.stack([np.asarray(one).reshape(-1)[-4:] for one in pictures])).float()

    def encode_soundscapes(self, sounds):
        return mock.Mock(summary=torch.tensor(np.stack([one[:4] for one in sounds])).float())


TOY = Space(Toy(), "toy")


def pictures_of(count, seed):
    return list(np.random.default_rng(seed).integers(1, 256, (count, 2, 2, 3), dtype=np.uint8))


def vectors(pictures):
    flat = np.stack(pictures).reshape(len(pictures), -1).astype(float)
    return flat[:, :6], flat[:, -4:]


@given(batch_size=st.integers(1, 9), workers=st.integers(1, 3))
def test_the_result_is_that_of_the_pure_functions_whatever_the_batch(batch_size, workers):
    real, generated = pictures_of(7, 1), pictures_of(7, 2)
    sounds = list(np.random.default_rng(3).normal(size=(7, 9)))
    found = fidelity(
        real, generated, sounds, features=Corner(), space=TOY, batch_size=batch_size, workers=workers
    )
    (f_real, e_real), (f_generated, e_generated) = vectors(real), vectors(generated)
    heard = np.stack(sounds)[:, :4].astype(np.float32)
    assert found.fid == pytest.approx(frechet_distance(f_real, f_generated))
    assert found.kid == pytest.approx(kernel_distance(f_real, f_generated))
    for form in ("win_rate", "cosine"):
        np.testing.assert_allclose(
            found.values[f"ais_{form}"], audio_image_similarity(heard, e_generated, form=form)
        )
        np.testing.assert_allclose(
            found.values[f"iis_{form}"], image_image_similarity(e_real, e_generated, form=form)
        )
        assert found.floor[f"ais_{form}"] == pytest.approx(similarity_floor(heard, e_generated, form=form))
        low, high = found.interval[f"iis_{form}"]
        assert low <= found.mean[f"iis_{form}"] <= high
    assert found.pictures == {"real": 7, "generated": 7}
    assert found.networks == {"features": "corner", "space": "toy"}
    assert found.failed == {}


def write(folder, pictures, sounds=()):
    folder.mkdir()
    for row, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"p{row:02d}.png")
    return folder


def test_what_is_broken_is_listed_and_the_rest_is_as_if_it_had_not_been_there(tmp_path):
    real, generated = pictures_of(12, 4), pictures_of(12, 5)
    sounds = [tmp_path / f"{row}.npy" for row in range(12)]
    left = write(tmp_path / "real", real)
    right = write(tmp_path / "generated", generated)
    (left / "p03.png").write_text("a poem")
    whole = (right / "p07.png").read_bytes()
    (right / "p07.png").write_bytes(whole[: len(whole) // 2])

    class Deaf(Toy):
        def encode_soundscapes(self, paths):
            if paths[0].stem == "10":
                raise sg.errors.AudioError("10 is silent.")
            return super().encode_soundscapes([np.arange(4) ** int(paths[0].stem) % 7 + 1.0])

    found = fidelity(left, right, sounds, features=Corner(), space=Space(Deaf(), "deaf"), batch_size=5)
    assert list(found.failed) == ["p03", "p07", "p10"]
    assert "p03.png" in found.failed["p03"]
    assert found.failed["p10"] == "No AIS: 10 is silent."
    good = [row for row in range(12) if row not in (3, 7)]
    rest = fidelity(
        [real[row] for row in good],
        [generated[row] for row in good],
        features=Corner(),
        space=TOY,
    )
    assert found.fid == pytest.approx(rest.fid)
    assert found.kid == pytest.approx(rest.kid)
    for form in ("win_rate", "cosine"):
        np.testing.assert_allclose(found.values[f"iis_{form}"][good], rest.values[f"iis_{form}"])
        assert np.isnan(found.values[f"iis_{form}"][[3, 7]]).all()
        assert found.floor[f"iis_{form}"] == pytest.approx(rest.floor[f"iis_{form}"])
        assert np.isnan(found.values[f"ais_{form}"]).nonzero()[0].tolist() == [3, 7, 10]
    assert found.pictures == {"real": 10, "generated": 10}


def test_without_a_space_the_sides_need_not_pair(tmp_path):
    real, generated = pictures_of(9, 6), pictures_of(5, 7)
    left, right = write(tmp_path / "real", real), write(tmp_path / "generated", generated)
    (left / "extra.png").write_text("a poem")
    found = fidelity(left, right, features=Corner(), space=None)
    assert found.fid == pytest.approx(frechet_distance(vectors(real)[0], vectors(generated)[0]))
    assert found.pictures == {"real": 9, "generated": 5}
    assert list(found.failed) == [f"real: {left / 'extra.png'}"]
    assert found.labels == ()
    assert np.isnan(found.mean["iis_win_rate"])
    assert found.to_dict()["mean"]["ais_cosine"] is None
    with pytest.raises(InputError, match="FID and KID alone need no pairs"):
        fidelity(left, right, features=Corner(), space=TOY)


def test_each_picture_is_decoded_once(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(looks, "open_picture", lambda path: opened.append(path) or Image.open(path))
    left, right = (write(tmp_path / side, pictures_of(6, 8)) for side in "ab")
    fidelity(left, right, features=Corner(), space=TOY, batch_size=4)
    assert sorted(opened) == sorted([*left.iterdir(), *right.iterdir()])


def test_pairs_of_one_place_are_no_wrong_pairs():
    real, generated = pictures_of(6, 9), pictures_of(6, 10)
    places = ("a", "a", "b", "b", "c", "c")
    labels = tuple("uvwxyz")
    found = fidelity(Pairs(labels, tuple(real), tuple(generated), places), features=Corner(), space=TOY)
    left, right = vectors(real)[1], vectors(generated)[1]
    assert found.labels == labels
    for form in ("win_rate", "cosine"):
        expected = similarity_floor(left, right, form=form, groups=places)
        assert found.floor[f"iis_{form}"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda a, b: fidelity(a, b[:2], features=Corner(), space=TOY), "equally many"),
        (lambda a, _: fidelity(a, features=Corner(), space=TOY), "no generated"),
        (lambda a, b: fidelity(a, b, [np.ones(4)], features=Corner(), space=TOY), "1 recordings for 3"),
        (lambda a, b: fidelity(a, b, a, features=Corner(), space=None), "Without a space"),
        (lambda a, b: fidelity(a[:1], b[:1], features=Corner(), space=TOY), "at least two"),
        (lambda _, b: fidelity([], b, features=Corner(), space=None), "0 of 0 real"),
        (lambda a, b: fidelity(a, b, features=Corner(), space=TOY, batch_size=0), "batch_size is 0"),
        (lambda a, b: fidelity(a, b, features="incept", space=None), "inception-fid"),
        (lambda a, b: fidelity(a, b, features=Corner(), space="clip"), "imagebind-huge"),
        (lambda a, b: fidelity(a, b, device="abacus", space=None), "abacus"),
        (lambda a, _: fidelity(a, ["no.png"] * 3, features=Corner(), space=TOY), "no picture at no.png"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, match):
    with pytest.raises(SounditError, match=match):
        call(pictures_of(3, 11), pictures_of(3, 12))


def test_recordings_are_found_by_stem(tmp_path):
    left, right = (write(tmp_path / side, pictures_of(3, seed)) for side, seed in (("a", 1), ("b", 2)))
    folder = tmp_path / "sounds"
    folder.mkdir()
    for name in ("p00.wav", "p01.ogg", "p02.wav", "more.wav"):
        (folder / name).touch()

    class Named(Toy):
        def encode_soundscapes(self, paths):
            return super().encode_soundscapes([np.eye(4)[int(paths[0].stem[1:])] + 1])

    found = fidelity(left, right, folder, features=Corner(), space=Space(Named(), "named"))
    expected = audio_image_similarity(np.eye(4)[:3] + 1, vectors(pictures_of(3, 2))[1], form="cosine")
    np.testing.assert_allclose(found.values["ais_cosine"], expected)
    (folder / "p01.wav").touch()  # two of one stem
    with pytest.raises(InputError, match="p01"):
        fidelity(left, right, folder, features=Corner(), space=TOY)
    with pytest.raises(MissingFileError):
        fidelity(left, right, tmp_path / "absent", features=Corner(), space=TOY)


# --------------------------------------------------------------------------------------------------- honesty
def test_the_bias_of_fid_is_told_below_the_advised_number_and_below_the_width(monkeypatch):
    few = fidelity(pictures_of(5, 1), pictures_of(6, 2), features=Corner(), space=None)
    assert "not more than the 6 features" in few.notes[0]
    assert "10,000" in few.notes[0]
    more = fidelity(pictures_of(9, 1), pictures_of(8, 2), features=Corner(), space=None)
    assert "9 real and 8 generated" in more.notes[0]
    assert "not more than" not in more.notes[0]
    assert more.notes[0] in more.to_dict()["notes"]
    assert more.notes[0] in str(more)
    monkeypatch.setattr(scoring, "ENOUGH", 8)
    assert fidelity(pictures_of(9, 1), pictures_of(8, 2), features=Corner(), space=None).notes == ()
    assert fidelity(pictures_of(9, 1), pictures_of(5, 2), features=Corner(), space=None).notes != ()


def test_a_kernel_distance_of_some_pictures_is_on_average_that_of_all(monkeypatch):
    real, generated = pictures_of(14, 3), pictures_of(12, 4)
    whole = fidelity(real, generated, features=Corner(), space=None).kid
    monkeypatch.setattr(scoring, "KERNEL_PICTURES", 6)
    parts = [
        fidelity(real, generated, features=Corner(), space=None, seed=seed, workers=1).kid
        for seed in range(150)
    ]
    assert abs(np.mean(parts) - whole) < 4 * np.std(parts) / np.sqrt(len(parts))


def test_a_stand_in_says_so_and_photographs_lie_outside_its_world(shared_data):
    folder = shared_data / "soundit_samples"
    with pytest.warns(OutsideWorldWarning, match="no evidence"):
        found = sg.fidelity(folder / "photo", folder / "generated", folder / "audio")
    assert len(found.labels) == 9
    assert any("procedural city alone" in note for note in found.notes)
    assert any("outside the world" in note for note in found.notes)
    assert set(found.networks.values()) == {"synthetic-city"}
    assert np.isfinite(list(found.mean.values())).all()


# ------------------------------------------------------------------------------------------- a simulated truth
@pytest.fixture
def city(repository):
    """The sample city: 36 sites, three of each of twelve scenes, with the sound that belongs to the view."""
    return repository / "sample_data"


def test_half_a_city_is_nearer_to_the_other_half_than_to_noise(city):
    photos = sorted((city / "photos").iterdir())
    noise = list(np.random.default_rng(1).integers(0, 256, (18, 64, 64, 3), dtype=np.uint8))
    one, two = photos[::2], photos[1::2]
    other = fidelity(one, two, space=None)
    with pytest.warns(OutsideWorldWarning):
        foreign = fidelity(one, noise, space=None)
    assert 0 < other.fid < foreign.fid
    assert other.kid < foreign.kid


def test_the_views_of_a_city_fit_their_own_sounds(city):
    own = fidelity(city / "photos", city / "photos", city / "audio")
    assert own.fid == pytest.approx(0, abs=1e-6)
    assert own.mean["ais_win_rate"] > 0.8
    assert own.floor["ais_win_rate"] < 0.5
    assert own.interval["ais_win_rate"][0] > own.floor["ais_win_rate"]
    assert own.mean["ais_cosine"] > own.floor["ais_cosine"]
    assert own.mean["iis_cosine"] == pytest.approx(1)


# --------------------------------------------------------------------------------------------------- features
def places(seed):
    torch.manual_seed(seed)
    network = wide_resnet18()
    return PlacesJudge(network, Squash(64), name="random"), network.fc


def embedded(_):
    judge = load_judges("synthetic-city").scenes
    return judge, judge.head


@pytest.mark.parametrize("make", [places, embedded])
def test_features_are_what_the_last_layer_decides_on(make):
    judge, last = make(1)
    pictures = [Image.fromarray(one).resize((90, 70)) for one in pictures_of(5, 13)]
    features, outside = JudgeFeatures(judge)(pictures)
    assert features.shape == (5, last.in_features)
    logits = features @ last.weight.detach().numpy().T + last.bias.detach().numpy()
    said = judge.judge(pictures)
    probability = np.sort(torch.tensor(logits).softmax(-1).numpy(), axis=1)[:, ::-1][:, :5]
    np.testing.assert_allclose(probability, said.probability, atol=1e-5)
    np.testing.assert_array_equal(outside, said.outside)
    assert not last._forward_pre_hooks


def test_a_judge_without_a_linear_layer_has_no_features():
    judge = PlacesJudge(nn.Sequential(nn.Conv2d(3, 365, 1)), Squash(8), name="flat")
    with pytest.raises(InputError, match="no linear layer"):
        JudgeFeatures(judge)


@pytest.fixture(scope="module")
def inception(tmp_path_factory):
    """torch-fidelity's own network on random weights, as loud in its last layer as in its first; and its file."""
    room = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    network_of = room.FeatureExtractorInceptionV3
    with (
        mock.patch.object(room, "load_state_dict_from_url"),
        mock.patch.object(network_of, "load_state_dict"),
    ):
        network = network_of("own", ["2048"])
    torch.manual_seed(5)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save(network.state_dict(), path)
    return network, path


def views(count, seed, size=(40, 56)):
    rng = np.random.default_rng(seed)
    return [
        np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BICUBIC))
        for one in rng.integers(0, 256, (count, 5, 7, 3), dtype=np.uint8)
    ]


def test_inception_gives_the_features_of_torch_fidelity(inception):
    network, path = inception
    pictures = [*views(1, 1), *views(1, 2, (30, 31)), *views(1, 3)]
    ours = InceptionFeatures.from_checkpoint(path)
    features, outside = ours(pictures)
    assert ours.name == "weights"
    assert not outside.any()
    for row, picture in enumerate(pictures):
        theirs = network(torch.tensor(picture).permute(2, 0, 1)[None])[0][0].numpy()
        assert theirs.std() > 0
        np.testing.assert_allclose(features[row], theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max())


def test_fid_and_kid_are_those_of_torchmetrics(inception):
    """Its network reads the same file; 24 of the features, for its matrix root over 2,048 takes minutes."""
    fid_room = pytest.importorskip("torchmetrics.image.fid")
    kid_room = pytest.importorskip("torchmetrics.image.kid")
    _, path = inception

    class Some(nn.Module):
        num_features = 24

        def __init__(self):
            super().__init__()
            self.all = fid_room.NoTrainInceptionV3("theirs", ["2048"], str(path), antialias=False)

        def forward(self, pixels):
            seen.append(self.all(pixels)[:, :24].double())
            return seen[-1]

    class OurSome:
        name, world, all = "some", "", InceptionFeatures.from_checkpoint(path)

        def __call__(self, pictures):
            features, outside = self.all(pictures)
            return features[:, :24], outside

    seen = []
    metric = fid_room.FrechetInceptionDistance(Some())
    real, generated = views(4, 4), views(4, 5)
    del seen[:]  # it tries the network when it is made
    for side, is_real in ((real, True), (generated, False)):
        pixels = torch.tensor(np.stack(side)).permute(0, 3, 1, 2)
        metric.update(pixels, real=is_real)
    ours = fidelity(real, generated, features=OurSome(), space=None)
    assert ours.fid == pytest.approx(metric.compute().item(), rel=1e-3)
    assert ours.kid == pytest.approx(kid_room.poly_mmd(*seen).item(), rel=1e-3, abs=1e-6)


def test_an_inception_file_that_is_unsafe_damaged_or_another_network_s_is_refused(tmp_path):
    pytest.importorskip("torch_fidelity")
    for name, held, match in (
        ("unsafe", {"fc.bias": mock.call}, "could run code"),
        ("cut", {"fc.bias": torch.zeros(1008)}, "Conv2d_1a_3x3"),
        ("nan", {"fc.bias": torch.full((1008,), torch.nan)}, r"fc\.bias"),
    ):
        torch.save(held, tmp_path / f"{name}.pth")
        with pytest.raises(WeightsError, match=match):
            InceptionFeatures.from_checkpoint(tmp_path / f"{name}.pth")


def test_absent_weights_are_named_with_the_command_that_brings_them(tmp_path, monkeypatch):
    monkeypatch.setenv("SOUNDIT_GEO_CACHE", str(tmp_path))
    for name, load in (
        ("inception-fid", load_features),
        ("resnet50-places365", load_features),
        ("imagebind-huge", load_space),
    ):
        with pytest.raises(MissingFileError, match=f"soundit-geo weights pull {name}"):
            load(name)


@pytest.mark.weights
def test_published_features_of_the_nine_pairs(shared_data):
    if not is_cached("wideresnet18-places365"):
        pytest.skip("wideresnet18-places365 is not in the cache")
    folder = shared_data / "soundit_samples"
    found = fidelity(folder / "photo", folder / "generated", features="wideresnet18-places365", space=None)
    shuffled = fidelity(folder / "photo", folder / "photo", features="wideresnet18-places365", space=None)
    assert found.networks["features"] == "wideresnet18-places365"
    assert found.fid > shuffled.fid == pytest.approx(0, abs=1e-3)
    assert len(found.notes) == 1


# ----------------------------------------------------------------------------------------------------- spaces
def test_embeddings_are_matched_by_label_and_need_no_model(tmp_path):
    rng = np.random.default_rng(14)
    arrays = dict(zip(("generated", "real", "sounds"), rng.normal(size=(3, 6, 5)), strict=True))
    left, right = (write(tmp_path / side, pictures_of(6, seed)) for side, seed in (("a", 1), ("b", 2)))
    plain = fidelity(left, right, features=Corner(), space=Embeddings("clip", **arrays))
    np.testing.assert_allclose(
        plain.values["ais_win_rate"], audio_image_similarity(arrays["sounds"], arrays["generated"])
    )
    folder = tmp_path / "wav2clip"
    folder.mkdir()
    order = rng.permutation(6)
    for side, array in arrays.items():
        np.save(folder / f"{side}.npy", array[order])
    (folder / "labels.txt").write_text("".join(f"p{row:02d}\n" for row in order))
    read = fidelity(left, right, features=Corner(), space=folder)
    assert read.networks["space"] == "wav2clip"
    with pytest.raises(InputError, match="wav2clip"):
        fidelity(left, right, [np.ones(4)] * 6, features=Corner(), space=folder)
    assert read.mean == pytest.approx(plain.mean)
    (folder / "sounds.npy").unlink()
    mute = fidelity(left, right, features=Corner(), space=folder)
    assert np.isnan(mute.mean["ais_cosine"])
    assert mute.mean["iis_cosine"] == pytest.approx(plain.mean["iis_cosine"])
    (folder / "labels.txt").write_text("".join(f"q{row}\n" for row in order))
    with pytest.raises(InputError, match="no row for 6 of 6 pairs"):
        fidelity(left, right, features=Corner(), space=folder)


@pytest.mark.parametrize(
    "arrays",
    [
        {"generated": np.ones((3, 2))},
        {"generated": np.ones((3, 2)), "real": np.ones((3, 4))},
        {"generated": np.ones(3), "real": np.ones(3)},
        {"generated": np.full((3, 2), "a"), "real": np.full((3, 2), "a")},
        {"generated": np.ones((3, 2)), "real": np.ones((3, 2)), "labels": ("a", "a", "b")},
    ],
)
def test_unusable_embeddings_are_refused(arrays):
    with pytest.raises(InputError, match="odd"):
        Embeddings("odd", **arrays)


def test_embeddings_of_another_number_of_pairs_and_files_that_need_unpickling_are_refused(tmp_path):
    space = Embeddings("clip", np.ones((4, 2)), real=np.ones((4, 2)))
    with pytest.raises(InputError, match="4 rows for 3 pairs"):
        fidelity(pictures_of(3, 1), pictures_of(3, 2), features=Corner(), space=space)
    with pytest.raises(MissingFileError, match=r"generated\.npy"):
        Embeddings.read(tmp_path)
    np.save(tmp_path / "generated.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read"):
        Embeddings.read(tmp_path)


def test_a_space_is_opened_from_a_preset_a_pipeline_or_a_saved_model(tmp_path):
    torch.manual_seed(2)
    small = ImageBindModel.mini(modalities=("audio", "vision"), vision_blocks=1, audio_blocks=1).eval()
    small.save_pretrained(tmp_path / "saved")
    small.save_parts(tmp_path / "pipeline" / "encoder")
    picture = pictures_of(1, 1)
    expected = small.encode_pictures(picture).numpy()
    for name in ("saved", "pipeline"):
        space = load_space(tmp_path / name)
        assert (space.name, space.stand_in) == (name, False)
        np.testing.assert_allclose(space.pictures(picture), expected, atol=1e-6)
    assert load_space("synthetic-city").stand_in
    (tmp_path / "saved" / "config.json").write_text("{")
    with pytest.raises(WeightsError, match="cannot be loaded"):
        load_space(tmp_path / "saved")


def test_a_mistyped_path_is_no_hub_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network was asked"))
    (tmp_path / "runs").mkdir()
    for load in (load_space, sg.SounDiTPipeline.from_pretrained):
        with pytest.raises(MissingFileError, match="runs/absent"):
            load("runs/absent")
    with pytest.raises(WeightsError, match="runs/absent: there is no such folder"):
        ImageBindModel.from_pretrained("runs/absent")
    assert is_hub_id("owner/name")
    assert not is_hub_id("runs/name")


# -------------------------------------------------------------------------------------------- the command line
def test_the_command_prints_writes_and_tells_what_failed(city, tmp_path):
    shutil.copytree(city / "photos", tmp_path / "drawn")
    sides = ("--real", str(city / "photos"), "--generated", str(tmp_path / "drawn"), "--quiet")
    done = RUNNER.invoke(app, ["fidelity", *sides, "--sounds", str(city / "audio")])
    assert done.exit_code == 0, done.output
    assert "biased upwards" in done.stdout
    victim = min((tmp_path / "drawn").iterdir())
    victim.write_text("a poem")
    out = tmp_path / "result" / "fidelity.json"
    done = RUNNER.invoke(app, ["fidelity", *sides, "--json", "--out", str(out)])
    assert done.exit_code == 1
    answer = json.loads(done.stdout)
    assert answer == json.loads(out.read_text())
    assert list(answer["failed"]) == [victim.stem]
    assert victim.stem in done.stderr
    assert answer["pictures"] == {"real": 35, "generated": 35}
    assert answer["mean"]["ais_cosine"] is None
    assert any("biased upwards" in note for note in answer["notes"])
    for wrong in ([], ["--real", "x"], [*sides, "--pairs", "x.csv"], [*sides, "--out", "x.csv"]):
        assert isinstance(RUNNER.invoke(app, ["fidelity", *wrong]).exception, SounditError)


def test_the_command_takes_pairs_and_sounds_from_a_table(city, tmp_path):
    rows = [
        {"label": path.stem, "real": path, "generated": path, "sound": city / "audio" / f"{path.stem}.ogg"}
        for path in sorted((city / "photos").iterdir())[:8]
    ]
    table = tmp_path / "pairs.csv"
    pd.DataFrame(rows).to_csv(table, index=False)
    done = RUNNER.invoke(app, ["fidelity", "--pairs", str(table), "--json", "--quiet"])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert [one["label"] for one in answer["per_pair"]] == [row["label"] for row in rows]
    assert answer["mean"]["ais_win_rate"] > answer["floor"]["ais_win_rate"]
    pd.DataFrame(rows).drop(columns="sound").to_csv(table, index=False)
    done = RUNNER.invoke(app, ["fidelity", "--pairs", str(table), "--json", "--quiet"])
    assert json.loads(done.stdout)["mean"]["ais_win_rate"] is None
