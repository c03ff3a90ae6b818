"""The embedded judges: reading of pictures, independence, saving, knowledge of their world."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from soundit_geo.errors import InputError, MissingFileError, OutsideWorldWarning, PictureError, WeightsError
from soundit_geo.pss import (
    ElementJudge,
    EmbeddedElementJudge,
    EmbeddedPerceptionJudge,
    EmbeddedSceneJudge,
    Judges,
    PerceptionJudge,
    SceneJudge,
    load_judges,
)
from soundit_geo.pss.pictures import list_pictures, open_picture, to_array

ELEMENT_IDS, SCENE_IDS = (1, 2, 4, 26, 149), (319, 243, 48)


def _fresh():
    torch.manual_seed(0)
    judges = [EmbeddedElementJudge(ELEMENT_IDS), EmbeddedSceneJudge(SCENE_IDS), EmbeddedPerceptionJudge()]
    generator = torch.Generator().manual_seed(1)
    for judge in judges:  # statistics and weights as after training, so that nothing is hidden by zeros
        for module in judge.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.copy_(0.1 * torch.randn(module.num_features, generator=generator))
                module.weight.data.fill_(1.0)
        judge.eval()
    return judges


@pytest.fixture(scope="module")
def judges():
    return Judges(*_fresh())


def _smooth(count, seed):
    """Pictures of one made-up world: soft colour gradients."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 1, 32)[:, None, None]
    ends = rng.uniform(60, 200, size=(count, 2, 1, 1, 3))
    return list(
        np.broadcast_to((1 - ramp) * ends[:, 0] + ramp * ends[:, 1], (count, 32, 32, 3)).astype(np.uint8)
    )


def _noise(count, seed):
    return list(np.random.default_rng(seed).integers(0, 256, (count, 128, 128, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def settled():
    """A scene judge with random weights that has seen the world of gradients."""
    judge = _fresh()[1]
    with torch.inference_mode():
        features = torch.cat([judge.features(judge.pixels(_smooth(200, seed))) for seed in range(12)])
    judge.fit_world(features)
    return judge


def test_the_embedded_judges_are_judges(judges):
    assert isinstance(judges.elements, ElementJudge)
    assert isinstance(judges.scenes, SceneJudge)
    assert isinstance(judges.perception, PerceptionJudge)
    assert judges.names == dict.fromkeys(("elements", "scenes", "perception"), "synthetic-city")
    assert set(judges.worlds.values()) == {"synthetic city"}
    assert judges.perception_scale == "0 to 10, higher is more of the quality named"


def test_scores_have_their_shapes_and_ranges(judges):
    scores = judges.score(_noise(5, 0), batch_size=2)
    assert scores.element_share.shape == (5, 150)
    assert np.allclose(scores.element_share.sum(1), 1)
    assert set(np.flatnonzero(scores.element_share.sum(0))) <= set(ELEMENT_IDS)
    assert scores.scene_class.shape == scores.scene_probability.shape == (5, 5)
    assert (np.sort(scores.scene_class[:, :3], axis=1) == sorted(SCENE_IDS)).all()
    assert (scores.scene_class[:, 3:] == -1).all()
    assert np.allclose(scores.scene_probability.sum(1), 1)
    assert (np.diff(scores.scene_probability, axis=1) <= 0).all()
    assert scores.perception.shape == (5, 6)
    assert ((scores.perception > 0) & (scores.perception < 10)).all()
    assert not scores.outside.any()


def test_shares_count_the_mask(judges):
    result = judges.elements.judge(_noise(2, 1), mask=True)
    assert result.mask.shape == (2, 128, 128)
    for share, mask in zip(result.share, result.mask, strict=True):
        assert np.allclose(share, np.bincount(mask.ravel(), minlength=150) / mask.size)


def test_the_mask_lies_on_the_picture():
    """A network of known weights: darkness is element 4, light is element 2, at full resolution."""
    judge = EmbeddedElementJudge((4, 2), hidden=16).eval()
    with torch.no_grad():
        for parameter in judge.head.parameters():
            parameter.zero_()
        convolution, norm, _, logits, _ = judge.head
        norm.weight.fill_(1.0)
        for cell in range(16):  # red of each pixel of the 4×4 cell, then its logit for class 1
            convolution.weight[cell, 32 + cell, 1, 1] = 1.0
            logits.weight[16 + cell, cell] = 1.0
        logits.bias[16:] = -0.1
    light = np.random.default_rng(0).integers(0, 2, (128, 128)).astype(bool)
    picture = np.repeat((255 * light[:, :, None]).astype(np.uint8), 3, axis=2)
    mask = judge.judge([picture], mask=True).mask[0]
    assert np.array_equal(mask, np.where(light, 2, 4))


def test_a_picture_is_judged_the_same_in_any_company(judges):
    pictures = _noise(5, 2)
    together, alone = judges.score(pictures), judges.score([pictures[3]])
    by_ones = judges.score(pictures, batch_size=1)
    for field in ("element_share", "scene_probability", "perception"):
        assert np.allclose(getattr(together, field)[3], getattr(alone, field)[0], atol=1e-4)
        assert np.allclose(getattr(together, field), getattr(by_ones, field), atol=1e-4)


def test_judging_leaves_training_mode_and_statistics_alone():
    for judge in _fresh():
        judge.train()
        before = {key: value.clone() for key, value in judge.state_dict().items()}
        judge.judge(_noise(2, 3))
        assert judge.training
        assert all(torch.equal(value, before[key]) for key, value in judge.state_dict().items())


def test_every_parameter_can_learn():
    for judge in _fresh():
        judge.train()
        (judge(torch.randn(2, 3, 128, 128)) ** 2).mean().backward()
        assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in judge.parameters())


def test_forward_and_judge_agree(judges):
    pictures = _noise(3, 4)
    with torch.inference_mode():
        pixels = judges.scenes.pixels(pictures)
        assert pixels.shape == (3, 3, 128, 128)
        assert float(pixels.min()) >= -1
        assert float(pixels.max()) <= 1
        top = judges.scenes(pixels).argmax(1)
        felt = judges.perception(pixels)
    assert judges.scenes.judge(pictures).classes[:, 0].tolist() == [SCENE_IDS[i] for i in top]
    assert np.allclose(judges.perception.judge(pictures).scores, felt, atol=1e-5)


def test_saved_judges_come_back_the_same(tmp_path, judges, settled):
    kept = Judges(judges.elements, settled, judges.perception)
    for level in ("elements", "scenes", "perception"):
        getattr(kept, level).save_pretrained(tmp_path / "judges" / level)
    assert (tmp_path / "judges" / "scenes" / "diffusion_pytorch_model.safetensors").is_file()
    pictures = _noise(3, 5)
    for folder in (tmp_path, tmp_path / "judges"):
        loaded = load_judges(folder)
        assert loaded.scenes.knows_world
        assert not loaded.scenes.training
        with pytest.warns(OutsideWorldWarning):
            again = loaded.score(pictures)
        with pytest.warns(OutsideWorldWarning):
            before = kept.score(pictures)
        for field in vars(before):
            assert np.array_equal(getattr(again, field), getattr(before, field))


def test_an_unknown_set_names_the_known_ones():
    with pytest.raises(WeightsError, match="synthetic-city"):
        load_judges("paper-of-next-year")


def test_a_folder_without_judges_says_what_is_absent(tmp_path, judges):
    judges.scenes.save_pretrained(tmp_path / "scenes")
    with pytest.raises(WeightsError, match="elements, perception"):
        load_judges(tmp_path)


def test_a_damaged_judge_is_refused(tmp_path, judges):
    for level in ("elements", "scenes", "perception"):
        getattr(judges, level).save_pretrained(tmp_path / level)
    (tmp_path / "scenes" / "diffusion_pytorch_model.safetensors").write_bytes(b"cut short")
    with pytest.raises(WeightsError, match="scenes"):
        load_judges(tmp_path)


def test_an_unfitted_judge_flags_nothing(judges):
    assert not judges.scenes.knows_world
    assert not judges.scenes.judge(_noise(2, 6)).outside.any()


def test_a_judge_knows_its_world_from_another(settled):
    assert settled.judge(_smooth(300, 99)).outside.mean() <= 0.02
    assert settled.judge(_noise(20, 7)).outside.all()


def test_the_distance_is_mahalanobis():
    judge = _fresh()[1]
    rng = torch.Generator().manual_seed(3)
    features = torch.randn(4000, 576, generator=rng) * torch.linspace(0.5, 2, 576) + 3
    groups = torch.arange(4000) % 3
    features[:, 0] += 20 * groups
    judge.fit_world(features, groups)
    for group in range(3):
        assert torch.allclose(judge.feature_mean[group, 1:], torch.full((575,), 3.0), atol=0.3)
        assert judge.feature_mean[group, 0] == pytest.approx(3 + 20 * group, abs=0.2)
    covariance = np.linalg.inv(judge.feature_precision.double().numpy())
    offset = (features[:5, None] - judge.feature_mean).double().numpy()
    expected = [min(np.sqrt(o @ np.linalg.solve(covariance, o)) for o in row) for row in offset]
    assert np.allclose(judge.distance(features[:5]), expected, rtol=1e-3)
    between = judge.feature_mean.mean(0, keepdim=True) + 10 * torch.eye(576)[:1]
    assert judge.distance(between) > judge.distance(features[:50]).median() / 2


@pytest.mark.parametrize(
    ("features", "groups"),
    [
        (torch.zeros(3000, 7), None),
        (torch.zeros(1000, 576), None),
        (torch.full((3000, 576), torch.nan), None),
        (torch.randn(3000, 576), torch.zeros(2999, dtype=torch.long)),
        (torch.randn(3000, 576), torch.full((3000,), 3)),
        (torch.randn(3000, 576), torch.zeros(3000, dtype=torch.long)),
    ],
)
def test_a_world_cannot_be_fitted_to_nonsense(features, groups):
    with pytest.raises(InputError):
        _fresh()[1].fit_world(features, groups)


def test_one_warning_per_call_names_count_and_judge(settled, judges):
    mixed = Judges(judges.elements, settled, judges.perception)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scores = mixed.score([*_smooth(3, 0), *_noise(4, 8)], batch_size=2)
    assert scores.outside.tolist() == [False] * 3 + [True] * 4
    assert [entry.category for entry in caught] == [OutsideWorldWarning]
    assert "4 of 7" in str(caught[0].message)
    assert "scenes (synthetic-city" in str(caught[0].message)
    assert "elements" not in str(caught[0].message)


def test_a_level_without_judge_is_not_scored(judges):
    scores = Judges(scenes=judges.scenes).score(_noise(2, 9))
    assert np.isnan(scores.element_share).all()
    assert np.isnan(scores.perception).all()
    assert (scores.scene_class[:, 0] >= 0).all()
    empty = Judges().score(_noise(2, 9))
    assert (empty.scene_class == -1).all()
    assert Judges().perception_scale == ""


def test_nothing_to_judge_is_an_error(judges):
    with pytest.raises(InputError):
        judges.score([])
    with pytest.raises(InputError):
        judges.score(_noise(1, 0), batch_size=0)
    with pytest.raises(InputError):
        judges.scenes.judge([])


@pytest.mark.parametrize("classes", [(), (1, 1), (-1,), (365,)])
def test_classes_are_distinct_known_ids(classes):
    with pytest.raises(InputError):
        EmbeddedSceneJudge(classes)
    with pytest.raises(InputError):
        EmbeddedElementJudge(classes)


def test_paths_pictures_and_arrays_are_read_alike(tmp_path):
    array = _noise(1, 10)[0]
    Image.fromarray(array).save(tmp_path / "a.png")
    for form in (array, Image.fromarray(array), tmp_path / "a.png", str(tmp_path / "a.png")):
        assert np.array_equal(to_array([form], 128)[0], array)


def test_shrinking_keeps_the_mean_of_each_cell():
    array = np.random.default_rng(0).integers(0, 256, (256, 384, 3), dtype=np.uint8)
    cells = array.reshape(128, 2, 128, 3, 3).mean(axis=(1, 3))
    assert np.abs(to_array([array], 128)[0] - cells).max() <= 1.0


def test_odd_pictures_become_upright_rgb(tmp_path):
    rgba = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert open_picture(rgba).getpixel((0, 0)) == (255, 255, 255)
    deep = Image.fromarray(np.full((8, 8), 0x80FF, np.uint16))
    assert open_picture(deep).getpixel((0, 0)) == (0x80,) * 3
    for mode in ("L", "P", "CMYK", "LA", "1", "F"):
        assert open_picture(Image.new(mode, (5, 7))).mode == "RGB"
    turned = Image.new("RGB", (10, 20))
    turned.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    upright = open_picture(tmp_path / "turned.png")
    assert upright.size == (20, 10)
    assert upright.getpixel((19, 0)) == (255, 255, 255)


def test_what_is_no_picture_is_named(tmp_path):
    with pytest.raises(MissingFileError, match="absent"):
        open_picture(tmp_path / "absent.png")
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(PictureError, match=r"text\.png"):
        open_picture(tmp_path / "text.png")
    Image.fromarray(_noise(1, 0)[0]).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:2000])
    with pytest.raises(PictureError, match=r"cut\.jpg"):
        open_picture(tmp_path / "cut.jpg")
    for array in (np.zeros((4, 4)), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(PictureError, match=r"uint8 \(H, W, 3\)"):
            open_picture(array)


def test_a_folder_lists_its_pictures_by_stem(tmp_path):
    with pytest.raises(MissingFileError):
        list_pictures(tmp_path / "absent")
    with pytest.raises(PictureError, match="no picture"):
        list_pictures(tmp_path)
    for name in ("b.png", "a.JPG", "notes.txt", ".hidden.png"):
        (tmp_path / name).touch()
    assert list(list_pictures(tmp_path)) == ["a", "b"]
    (tmp_path / "a.png").touch()
    with pytest.raises(PictureError, match="once"):
        list_pictures(tmp_path)
