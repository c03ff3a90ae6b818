"""Judges around published networks: layouts, literal forwards, preparation, refusals. Weights are random."""

from __future__ import annotations

import io
import os
import pickletools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn import functional
from torchvision import transforms

from soundit_geo.classes import ADE20K, INDOOR, PLACES365
from soundit_geo.errors import InputError, MissingFileError, WeightsError
from soundit_geo.pss import ElementJudge, PerceptionJudge, SceneJudge
from soundit_geo.pss.deeplab import DeepLabV3, KeepRatio
from soundit_geo.pss.enlarging import enlarged_classes
from soundit_geo.pss.place_pulse import NETWORKS, Graded, Halved, PlacePulseJudge, SkillJudge, load_perception
from soundit_geo.pss.places import PlacesJudge, resnet50, wide_resnet18
from soundit_geo.pss.published import Squash, lay_in, name_of, read_weights
from soundit_geo.pss.segmenters import SegmentationJudge

MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _settle(network, seed=0):
    """Weights and statistics as after training, so that nothing is hidden by zeros and ones."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.copy_(0.1 * torch.randn(module.num_features, generator=generator))
            module.running_var.copy_(0.8 + 0.4 * torch.rand(module.num_features, generator=generator))
            module.weight.data.copy_(0.8 + 0.4 * torch.rand(module.num_features, generator=generator))
            module.bias.data.copy_(0.1 * torch.randn(module.num_features, generator=generator))
    return network.eval()


def _pictures(*sizes, seed=0):
    """Soft random pictures; a size is (height, width)."""
    rng = np.random.default_rng(seed)
    small = [Image.fromarray(rng.integers(0, 256, (6, 7, 3), dtype=np.uint8)) for _ in sizes]
    return [
        image.resize((width, height), Image.Resampling.BICUBIC)
        for image, (height, width) in zip(small, sizes, strict=True)
    ]


class Tiny(torch.nn.Module):
    """150 logits at a quarter, from one convolution."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(5)
        self.conv = torch.nn.Conv2d(3, 150, 5, stride=4, padding=2)

    def forward(self, pixels):
        return self.conv(pixels)


# A literal reading of the networks from their weights' names


def _bn(sd, name, x):
    return functional.batch_norm(
        x,
        sd[f"{name}.running_mean"],
        sd[f"{name}.running_var"],
        sd[f"{name}.weight"],
        sd[f"{name}.bias"],
        eps=1e-5,
    )


def _bottleneck(sd, name, x, stride=1, dilation=1):
    y = functional.relu(_bn(sd, f"{name}.bn1", functional.conv2d(x, sd[f"{name}.conv1.weight"])))
    y = functional.conv2d(y, sd[f"{name}.conv2.weight"], stride=stride, padding=dilation, dilation=dilation)
    y = functional.relu(_bn(sd, f"{name}.bn2", y))
    y = _bn(sd, f"{name}.bn3", functional.conv2d(y, sd[f"{name}.conv3.weight"]))
    if f"{name}.downsample.0.weight" in sd:
        x = _bn(
            sd, f"{name}.downsample.1", functional.conv2d(x, sd[f"{name}.downsample.0.weight"], stride=stride)
        )
    return functional.relu(x + y)


def _basic(sd, name, x, stride=1):
    y = functional.relu(
        _bn(sd, f"{name}.bn1", functional.conv2d(x, sd[f"{name}.conv1.weight"], stride=stride, padding=1))
    )
    y = _bn(sd, f"{name}.bn2", functional.conv2d(y, sd[f"{name}.conv2.weight"], padding=1))
    if f"{name}.downsample.0.weight" in sd:
        x = _bn(
            sd, f"{name}.downsample.1", functional.conv2d(x, sd[f"{name}.downsample.0.weight"], stride=stride)
        )
    return functional.relu(x + y)


def _literal_deeplab(sd, x):
    for conv, bn, stride in ((0, 1, 2), (3, 4, 1), (6, 7, 1)):
        x = functional.conv2d(x, sd[f"backbone.stem.{conv}.weight"], stride=stride, padding=1)
        x = functional.relu(_bn(sd, f"backbone.stem.{bn}", x))
    x = functional.max_pool2d(x, 3, 2, 1)
    for stage, blocks, stride, first, rest in (
        (1, 3, 1, 1, 1),
        (2, 4, 2, 1, 1),
        (3, 6, 1, 1, 2),  # contracted: the first block has half the dilation of its stage
        (4, 3, 1, 2, 4),
    ):
        for block in range(blocks):
            x = _bottleneck(
                sd,
                f"backbone.layer{stage}.{block}",
                x,
                stride if block == 0 else 1,
                first if block == 0 else rest,
            )

    def branch(name, y, **how):
        y = functional.conv2d(y, sd[f"decode_head.{name}.conv.weight"], **how)
        return functional.relu(_bn(sd, f"decode_head.{name}.bn", y))

    pooled = branch("image_pool.1", x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
    parts = [pooled, branch("aspp_modules.0", x)]
    parts += [branch(f"aspp_modules.{i}", x, padding=d, dilation=d) for i, d in ((1, 12), (2, 24), (3, 36))]
    x = branch("bottleneck", torch.cat(parts, 1), padding=1)
    return functional.conv2d(x, sd["decode_head.conv_seg.weight"], sd["decode_head.conv_seg.bias"])


def _literal_resnet50_features(sd, x, prefix=""):
    x = functional.relu(
        _bn(sd, f"{prefix}bn1", functional.conv2d(x, sd[f"{prefix}conv1.weight"], stride=2, padding=3))
    )
    x = functional.max_pool2d(x, 3, 2, 1)
    for stage, blocks in ((1, 3), (2, 4), (3, 6), (4, 3)):
        for block in range(blocks):
            stride = 2 if stage > 1 and block == 0 else 1
            x = _bottleneck(sd, f"{prefix}layer{stage}.{block}", x, stride)
    return x.mean((2, 3))


# DeepLabV3


@pytest.fixture(scope="module")
def deeplab():
    torch.manual_seed(0)
    return _settle(DeepLabV3())


@pytest.fixture(scope="module")
def deeplab_file(deeplab, tmp_path_factory):
    """As OpenMMLab publishes it: nested, with settings and an auxiliary head."""
    path = tmp_path_factory.mktemp("deeplab") / "deeplabv3_r50-d8-5d0ee427.pth"
    aux = {"auxiliary_head.convs.0.conv.weight": torch.zeros(256, 1024, 3, 3)}
    meta = {"mmseg_version": "0.5.0", "CLASSES": ADE20K, "PALETTE": [[120, 120, 120]], "config": "norm_cfg"}
    torch.save({"meta": meta, "state_dict": {**deeplab.state_dict(), **aux}}, path)
    yield path
    path.unlink()


def _published_deeplab_layout():
    layout = {}

    def norm(name, width):
        layout.update(
            {f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")}
        )

    for conv, bn, fan_in, width in ((0, 1, 3, 32), (3, 4, 32, 32), (6, 7, 32, 64)):
        layout[f"backbone.stem.{conv}.weight"] = (width, fan_in, 3, 3)
        norm(f"backbone.stem.{bn}", width)
    before = 64
    for stage, blocks in ((1, 3), (2, 4), (3, 6), (4, 3)):
        narrow, wide = 64 * 2 ** (stage - 1), 256 * 2 ** (stage - 1)
        for block in range(blocks):
            name = f"backbone.layer{stage}.{block}"
            shapes = ((narrow, before, 1, 1), (narrow, narrow, 3, 3), (wide, narrow, 1, 1))
            for number, shape in enumerate(shapes, start=1):
                layout[f"{name}.conv{number}.weight"] = shape
                norm(f"{name}.bn{number}", shape[0])
            if block == 0:
                layout[f"{name}.downsample.0.weight"] = (wide, before, 1, 1)
                norm(f"{name}.downsample.1", wide)
            before = wide
    for name, shape in (
        ("image_pool.1", (512, 2048, 1, 1)),
        ("aspp_modules.0", (512, 2048, 1, 1)),
        ("aspp_modules.1", (512, 2048, 3, 3)),
        ("aspp_modules.2", (512, 2048, 3, 3)),
        ("aspp_modules.3", (512, 2048, 3, 3)),
        ("bottleneck", (512, 2560, 3, 3)),
    ):
        layout[f"decode_head.{name}.conv.weight"] = shape
        norm(f"decode_head.{name}.bn", 512)
    return {
        **layout,
        "decode_head.conv_seg.weight": (150, 512, 1, 1),
        "decode_head.conv_seg.bias": (150,),
    }


def test_deeplab_has_the_published_layout(deeplab):
    own = {
        key: tuple(value.shape)
        for key, value in deeplab.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    assert own == _published_deeplab_layout()


def test_deeplab_computes_what_its_weights_say(deeplab):
    """Wide enough for the longest dilation to reach from one place of the map to another."""
    x = torch.randn(1, 3, 97, 330, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = _literal_deeplab(deeplab.state_dict(), x)
        found = deeplab(x)
    assert found.shape == (1, 150, 13, 42)
    assert float(expected.std()) > 1e-2
    assert float((found - expected).abs().max()) <= 1e-4 * max(1.0, float(expected.abs().max()))


def test_deeplab_loads_as_published(deeplab, deeplab_file):
    loaded = DeepLabV3.from_checkpoint(deeplab_file)
    assert all(
        torch.equal(value, loaded.state_dict()[key])
        for key, value in deeplab.state_dict().items()
        if not key.endswith("num_batches_tracked")
    )
    judge = SegmentationJudge.from_checkpoint(deeplab_file)
    assert (judge.name, judge.world) == ("deeplabv3_r50-d8-5d0ee427", "ADE20K photographs")
    assert isinstance(judge.prepare, KeepRatio)
    assert isinstance(judge, ElementJudge)


def test_another_layout_is_no_deeplab(deeplab):
    sd = dict(deeplab.state_dict())
    renamed = {key.replace("decode_head.bottleneck", "decode_head.fuse"): value for key, value in sd.items()}
    reshaped = {**sd, "decode_head.conv_seg.weight": torch.zeros(19, 512, 1, 1)}
    infinite = {**sd, "decode_head.conv_seg.bias": torch.full((150,), torch.inf)}
    for wrong, said in (
        (renamed, r"missing: decode_head\.bottleneck"),
        (reshaped, r"conv_seg\.weight is \(19, 512, 1, 1\), expected \(150, 512, 1, 1\)"),
        ({**sd, "decode_head.more": torch.zeros(1)}, "unknown"),
        (infinite, "finite"),
    ):
        with pytest.raises(WeightsError, match=said):
            lay_in(deeplab, wrong)
    before_0_4 = {key: value for key, value in sd.items() if not key.endswith("num_batches_tracked")}
    lay_in(deeplab, before_0_4)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((300, 400), (512, 683)),
        ((500, 3000), (341, 2048)),
        ((1200, 900), (683, 512)),
        ((512, 512), (512, 512)),
    ],
)
def test_a_picture_keeps_its_ratio_within_the_frame(size, expected):
    (picture,) = _pictures(size)
    assert KeepRatio()(picture).shape == (3, *expected)


def test_keep_ratio_resizes_bilinearly_and_normalises():
    (picture,) = _pictures((40, 60))
    prepared = KeepRatio(90, 60)(picture)
    assert prepared.shape == (3, 60, 90)
    array = np.asarray(picture).astype(float)
    for row, column in ((0, 0), (17, 33), (59, 89), (30, 45)):
        y, x = (row + 0.5) * 40 / 60 - 0.5, (column + 0.5) * 60 / 90 - 0.5
        y, x = np.clip(y, 0, 39), np.clip(x, 0, 59)
        top, left = int(y), int(x)
        low, right = min(top + 1, 39), min(left + 1, 59)
        mixed = (1 - (y - top)) * ((1 - (x - left)) * array[top, left] + (x - left) * array[top, right]) + (
            y - top
        ) * ((1 - (x - left)) * array[low, left] + (x - left) * array[low, right])
        level = prepared[:, row, column].numpy() * np.array([58.395, 57.12, 57.375]) + [
            123.675,
            116.28,
            103.53,
        ]
        assert np.abs(level - mixed).max() <= 0.51  # rounded to whole levels


# The element judge


@pytest.fixture(scope="module")
def tiny():
    return SegmentationJudge(Tiny(), KeepRatio(96, 48), name="tiny")


def test_shares_count_the_labels_at_the_networks_resolution(tiny):
    pictures = _pictures((48, 48), (48, 96), (30, 20))
    result = tiny.judge(pictures, mask=True)
    assert np.allclose(result.share.sum(1), 1, atol=1e-6)
    assert not result.outside.any()
    assert [mask.shape for mask in result.mask] == [(48, 48), (48, 96), (30, 20)]
    for picture, share, mask in zip(pictures[:2], result.share, result.mask, strict=False):
        assert np.allclose(share, np.bincount(mask.ravel(), minlength=150) / mask.size, atol=1e-6)
        with torch.inference_mode():
            logits = tiny.network(KeepRatio(96, 48)(picture)[None])
            label = functional.interpolate(logits, picture.size[::-1], mode="bilinear", align_corners=False)[
                0
            ].argmax(0)
        assert np.array_equal(mask, label.numpy())


def test_a_mask_of_another_size_keeps_the_shares(tiny):
    (picture,) = _pictures((96, 144))
    result = tiny.judge([picture], mask=True)
    assert result.mask[0].shape == (96, 144)
    assert np.allclose(
        result.share[0], np.bincount(result.mask[0].ravel(), minlength=150) / (96 * 144), atol=1e-6
    )


def test_pictures_of_mixed_sizes_are_judged_the_same_in_any_company(tiny):
    pictures = _pictures((48, 48), (48, 60), (60, 48), (48, 48), (48, 60), *[(50, 50)] * 7)
    together = tiny.judge(pictures, batch_size=32)
    assert np.abs(together.share - tiny.judge(pictures, batch_size=1).share).max() <= 2 / (48 * 48)
    assert np.abs(together.share - tiny.judge(pictures, batch_size=3).share).max() <= 2 / (48 * 48)
    assert together.mask is None


def test_nothing_to_judge_is_an_error(tiny):
    with pytest.raises(InputError):
        tiny.judge([])
    with pytest.raises(InputError):
        tiny.judge(_pictures((8, 8)), batch_size=0)


# SegFormer and UPerNet


def _labels():
    return dict(enumerate(ADE20K))


@pytest.fixture(scope="module")
def segformer(tmp_path_factory):
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    torch.manual_seed(0)
    config = SegformerConfig(
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        id2label=_labels(),
    )
    folder = tmp_path_factory.mktemp("weights") / "segformer-tiny"
    model = _settle(SegformerForSemanticSegmentation(config))
    torch.nn.init.normal_(model.decode_head.classifier.weight)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def upernet(tmp_path_factory):
    from transformers import ConvNextConfig, UperNetConfig, UperNetForSemanticSegmentation

    torch.manual_seed(0)
    stages = ["stage1", "stage2", "stage3", "stage4"]
    backbone = ConvNextConfig(hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 1, 1], out_features=stages)
    config = UperNetConfig(
        backbone_config=backbone,
        hidden_size=16,
        auxiliary_in_channels=16,
        auxiliary_channels=8,
        id2label=_labels(),
    )
    folder = tmp_path_factory.mktemp("weights") / "upernet-tiny"
    model = _settle(UperNetForSemanticSegmentation(config))
    torch.nn.init.normal_(model.decode_head.classifier.weight)
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", ["segformer", "upernet"])
def test_transformers_networks_are_judged_as_transformers_does_it(kind, request):
    from transformers import AutoModelForSemanticSegmentation, SegformerImageProcessor

    folder = request.getfixturevalue(kind)
    pictures = _pictures((512, 512), (300, 400), (512, 512))
    judge = SegmentationJudge.from_checkpoint(folder, name="tiny")
    result = judge.judge(pictures, mask=True)

    processor = SegformerImageProcessor()
    model = AutoModelForSemanticSegmentation.from_pretrained(folder).eval()
    with torch.inference_mode():
        output = model(**processor(images=pictures, return_tensors="pt"))
    labels = processor.post_process_semantic_segmentation(output, target_sizes=[(512, 512)] * 3)
    assert len(np.unique(labels[0])) > 2
    for share, label in zip(result.share, labels, strict=True):
        expected = torch.bincount(label.flatten(), minlength=150) / 512**2
        assert np.abs(share - expected.numpy()).max() <= 1e-4
    assert (result.mask[0] != labels[0].numpy()).mean() <= 1e-4
    assert result.mask[1].shape == (300, 400)
    assert (judge.name, judge.world) == ("tiny", "ADE20K photographs")


def test_a_folder_may_prepare_pictures_otherwise(segformer, tmp_path):
    from transformers import SegformerImageProcessor

    for file in segformer.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    SegformerImageProcessor(size={"height": 64, "width": 64}).save_pretrained(tmp_path)
    judge = SegmentationJudge.from_checkpoint(tmp_path)
    assert judge.prepare(_pictures((30, 40))[0]).shape == (3, 64, 64)


def test_weights_that_were_converted_without_a_note_load_too(segformer, tmp_path):
    (tmp_path / "config.json").write_bytes((segformer / "config.json").read_bytes())
    save_file(load_file(segformer / "model.safetensors"), tmp_path / "model.safetensors")
    assert SegmentationJudge.from_checkpoint(tmp_path).name == tmp_path.name


def test_a_transformers_folder_loads_whole_or_not_at_all(segformer, tmp_path):
    config = (segformer / "config.json").read_text()
    weights = load_file(segformer / "model.safetensors")
    name = "decode_head.classifier.weight"

    def attempt(config=config, weights=weights, cut=None):
        (tmp_path / "config.json").write_text(config)
        save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
        if cut:
            whole = (tmp_path / "model.safetensors").read_bytes()
            (tmp_path / "model.safetensors").write_bytes(whole[:cut])
        return SegmentationJudge.from_checkpoint(tmp_path)

    renamed = {key.replace("classifier", "head"): value for key, value in weights.items()}
    with pytest.raises(WeightsError, match=r"classifier\.weight"):
        attempt(weights=renamed)
    with pytest.raises(WeightsError, match=r"is \(149, 16, 1, 1\), expected \(150, 16, 1, 1\)"):
        attempt(weights={**weights, name: weights[name][:149].clone()})
    with pytest.raises(WeightsError, match="finite"):
        attempt(weights={**weights, name: torch.full_like(weights[name], torch.nan)})
    with pytest.raises(WeightsError, match="cannot be loaded"):
        attempt(cut=5000)
    with pytest.raises(WeightsError, match="'mask2former'"):
        attempt(config=config.replace('"segformer"', '"mask2former"'))
    with pytest.raises(WeightsError, match="no configuration"):
        attempt(config="{")
    with pytest.raises(WeightsError, match="begin with"):
        attempt(config=config.replace('"0": "wall"', '"0": "background"'))
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"no model\.safetensors"):
        SegmentationJudge.from_checkpoint(tmp_path)
    with pytest.raises(MissingFileError):
        SegmentationJudge.from_checkpoint(tmp_path / "absent")


# Places365


@pytest.fixture(scope="module")
def wide():
    torch.manual_seed(0)
    return _settle(wide_resnet18())


def test_the_wide_network_computes_what_its_weights_say(wide):
    sd = wide.state_dict()
    x = torch.randn(2, 3, 64, 80, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        y = functional.relu(_bn(sd, "bn1", functional.conv2d(x, sd["conv1.weight"], stride=2, padding=3)))
        for stage in (1, 2, 3, 4):
            y = _basic(sd, f"layer{stage}.0", y, 1 if stage == 1 else 2)
            y = _basic(sd, f"layer{stage}.1", y)
        expected = functional.linear(y.mean((2, 3)), sd["fc.weight"], sd["fc.bias"])
        found = wide(x)
    assert float(expected.std()) > 1e-2
    assert float((found - expected).abs().max()) <= 1e-4 * max(1.0, float(expected.abs().max()))


def test_the_wide_network_looks_at_14_by_14_places(wide):
    seen = []
    hook = wide.layer4.register_forward_hook(lambda _m, _i, output: seen.append(tuple(output.shape)))
    with torch.inference_mode():
        wide(torch.zeros(1, 3, 224, 224))
    hook.remove()
    assert seen == [(1, 512, 14, 14)]
    assert sum(parameter.numel() for parameter in wide.parameters()) == 11_363_757


def test_resnet50_of_places_computes_what_its_weights_say():
    torch.manual_seed(0)
    network = _settle(resnet50())
    sd = network.state_dict()
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = functional.linear(_literal_resnet50_features(sd, x), sd["fc.weight"], sd["fc.bias"])
        found = network(x)
    assert float((found - expected).abs().max()) <= 1e-4 * max(1.0, float(expected.abs().max()))


@pytest.mark.parametrize(("size", "resize"), [(224, None), (224, 256), (384, None)])
def test_pictures_are_squashed_as_torchvision_does_it(size, resize):
    steps = [
        transforms.Resize((resize or size,) * 2),
        transforms.CenterCrop(size),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, SPREAD),
    ]
    for picture in _pictures((300, 400), (100, 37), (256, 256)):
        assert torch.allclose(Squash(size, resize)(picture), transforms.Compose(steps)(picture), atol=1e-6)


def _as_python_2(path):
    """Rewrite an old-format checkpoint the way Python 2 wrote them: byte strings in place of text."""
    torch.save(torch.load(path, weights_only=True), path, _use_new_zipfile_serialization=False)
    source, target = io.BytesIO(path.read_bytes()), io.BytesIO()
    for _ in range(5):  # magic number, protocol, system, object, storage keys
        start = source.tell()
        marks = [(op.name, at) for op, _, at in pickletools.genops(source)]
        end = source.tell()
        raw = source.getvalue()
        for (name, at), (_, after) in zip(marks, [*marks[1:], ("", end)], strict=True):
            piece = raw[at:after]
            if name == "BINUNICODE":
                piece = b"U" + bytes([len(piece) - 5]) + piece[5:]
            target.write(piece)
        assert start < end
    path.write_bytes(target.getvalue() + source.read())


def test_the_scene_judge_reads_the_published_file(wide, tmp_path):
    path = tmp_path / "wideresnet18_places365.pth.tar"
    kept = {
        f"module.{key}": value
        for key, value in wide.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    torch.save({"state_dict": kept, "epoch": 70, "arch": "wideresnet18", "best_prec1": 54.0}, path)
    _as_python_2(path)
    assert b"X\x0a\x00\x00\x00state_dict" not in path.read_bytes()
    judge = PlacesJudge.from_checkpoint(path)
    assert (judge.name, judge.world) == ("wideresnet18_places365", "Places365 photographs")
    assert isinstance(judge, SceneJudge)
    pictures = _pictures((300, 400), (224, 224), (90, 100))
    result = judge.judge(pictures)
    with torch.inference_mode():
        probability = wide(torch.stack([Squash(224)(picture) for picture in pictures])).softmax(-1)
    assert np.array_equal(result.classes, probability.topk(5).indices.numpy())
    assert np.allclose(result.probability, probability.topk(5).values.numpy(), atol=1e-6)
    assert np.allclose(result.indoor, probability[:, sorted(INDOOR)].sum(-1).numpy(), atol=1e-6)
    assert result.classes.dtype == np.int16
    assert not result.outside.any()
    alone = judge.judge(pictures, batch_size=1)
    assert np.array_equal(alone.classes, result.classes)
    assert np.allclose(alone.indoor, result.indoor, atol=1e-5)


def test_the_ordinary_resnet18_is_not_taken_for_the_wide_one(wide, tmp_path):
    path = tmp_path / "resnet18_places365.pth.tar"
    torch.save({"state_dict": wide.state_dict(), "arch": "resnet18"}, path)
    with pytest.raises(WeightsError, match="resnet18"):
        PlacesJudge.from_checkpoint(path)
    with pytest.raises(InputError, match="wideresnet18"):
        PlacesJudge.from_checkpoint(path, network="resnet18")


def test_indoor_and_outdoor_scenes():
    assert len(INDOOR) == 160
    for name in ("airplane_cabin", "kitchen", "market/indoor", "subway_station/platform", "youth_hostel"):
        assert PLACES365.index(name) in INDOOR
    for name in ("alley", "street", "plaza", "market/outdoor", "beach", "zen_garden"):
        assert PLACES365.index(name) not in INDOOR
    odd = [name for number, name in enumerate(PLACES365) if name.endswith("/indoor") and number not in INDOOR]
    assert odd == ["bus_station/indoor"]  # so the authors' table has it
    assert not any(number in INDOOR for number, name in enumerate(PLACES365) if name.endswith("/outdoor"))


# Perception


@pytest.fixture(scope="module")
def graded():
    torch.manual_seed(0)
    network = _settle(Graded())
    torch.nn.init.normal_(network.fc4.weight, std=0.5)
    return network


def test_the_graded_network_computes_what_its_weights_say(graded):
    sd = graded.state_dict()
    assert not [key for key in sd if key.startswith(("resnet50.fc.", "grades"))]
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        y = _literal_resnet50_features(sd, x, "resnet50.")
        for layer in ("fc1", "fc2", "fc3"):
            y = functional.relu(functional.linear(y, sd[f"{layer}.weight"], sd[f"{layer}.bias"]))
        share = functional.linear(y, sd["fc4.weight"], sd["fc4.bias"]).softmax(-1)
        expected = 1 * share[:, 0] + 3 * share[:, 1] + 5 * share[:, 2] + 7 * share[:, 3] + 9 * share[:, 4]
        found = graded(x)
    assert float(share.std()) > 1e-2
    assert float((found - expected).abs().max()) <= 1e-4
    widths = [tuple(sd[f"fc{number}.weight"].shape) for number in (1, 2, 3, 4)]
    assert widths == [(1024, 2048), (512, 1024), (128, 512), (5, 128)]


def test_published_perception_is_known_by_its_files(graded, tmp_path):
    for name in ("safer.pth", "placepulse-resnet50-boring.pth"):
        torch.save(graded.state_dict(), tmp_path / name)
    judge = load_perception(tmp_path, name="two")
    assert isinstance(judge, PerceptionJudge)
    assert (judge.name, judge.world, judge.scale) == ("two", "Place Pulse 2.0 street views", (1.0, 9.0))
    pictures = _pictures((300, 400), (50, 60))
    scores = judge.judge(pictures).scores
    with torch.inference_mode():
        expected = graded(torch.stack([Squash(224)(picture) for picture in pictures])).numpy()
    assert np.allclose(scores[:, 0], expected, atol=1e-4)
    assert np.allclose(scores[:, 5], expected, atol=1e-4)
    assert np.isnan(scores[:, 1:5]).all()
    assert np.allclose(judge.judge(pictures, batch_size=1).scores[:, 0], scores[:, 0], atol=1e-4)
    given = PlacePulseJudge.from_checkpoint({"wealthy": tmp_path / "safer.pth"})
    assert given.qualities == ("wealthy",)
    torch.save(graded.state_dict(), tmp_path / "safe.pth")
    with pytest.raises(WeightsError, match="second"):
        load_perception(tmp_path)
    (tmp_path / "safe.pth").rename(tmp_path / "epoch7.pth")
    with pytest.raises(WeightsError, match=r"epoch7\.pth does not say"):
        load_perception(tmp_path / "epoch7.pth")


def test_the_halved_network_is_read_after_conversion(tmp_path):
    torch.manual_seed(0)
    network = Halved().eval()
    shapes = {
        key: tuple(value.shape) for key, value in network.state_dict().items() if "head" in key.split(".")
    }
    assert shapes["model.heads.head.0.weight"] == (512, 768)
    assert shapes["model.heads.head.2.weight"] == (256, 512)
    assert shapes["model.heads.head.4.weight"] == (2, 256)
    assert network.state_dict()["model.encoder.pos_embedding"].shape == (1, 577, 768)
    save_file(network.state_dict(), tmp_path / "lively.safetensors")
    judge = load_perception(tmp_path / "lively.safetensors")
    assert judge.scale == (0.0, 10.0)
    (picture,) = _pictures((30, 40))
    with torch.inference_mode():
        logits = network.model(Squash(384)(picture)[None])
    expected = 10 * float(torch.sigmoid(logits[0, 1] - logits[0, 0]))
    assert judge.judge([picture]).scores[0, 1] == pytest.approx(expected, abs=1e-4)


def _skill_config(**changes):
    return {
        "format": "soundit-geo perception judge, 1",
        "network": "mini",
        "qualities": ["safe", "boring"],
        "mean": [25.0] * 6,
        "spread": [3.0, 1, 1, 1, 1, 500.0],
        "name": "ours",
        "world": "a town",
        **changes,
    }


def test_a_trained_judge_scores_on_trueskills_scale(tmp_path):
    import json

    torch.manual_seed(0)
    network = _settle(NETWORKS["mini"].make())
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(_skill_config()))
    judge = load_perception(tmp_path)
    assert isinstance(judge, PerceptionJudge)
    assert (judge.name, judge.world, judge.scale, judge.unit) == ("ours", "a town", (0, 50), "TrueSkill μ")
    pictures = _pictures((30, 40), (64, 64), (100, 20))
    scores = judge.judge(pictures).scores
    with torch.inference_mode():
        output = network(torch.stack([Squash(64)(picture) for picture in pictures])).numpy()
    assert np.allclose(scores[:, 0], 25 + 3 * output[:, 0], atol=1e-4)
    assert np.isnan(scores[:, 1:5]).all()
    assert ((scores[:, 5] >= 0) & (scores[:, 5] <= 50)).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"network": "resnet18"},
        {"qualities": ["cosy"]},
        {"qualities": []},
        {"mean": [1.0] * 5},
        {"spread": ["x"] * 6},
        {"mean": None},
        {"spread": [float("nan")] * 6},
    ],
)
def test_a_malformed_configuration_is_refused(changes):
    with pytest.raises(WeightsError):
        SkillJudge(_skill_config(**changes))
    with pytest.raises(WeightsError, match="lacks world"):
        SkillJudge({key: value for key, value in _skill_config().items() if key != "world"})


def test_networks_of_two_kinds_are_not_mixed(graded):
    with pytest.raises(InputError, match="nothing"):
        PlacePulseJudge({}, name="none")
    with pytest.raises(InputError, match="cosy"):
        PlacePulseJudge({"cosy": graded}, name="odd")


# What is not to be trusted


class _Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize(
    "load",
    [
        SegmentationJudge.from_checkpoint,
        PlacesJudge.from_checkpoint,
        lambda path: PlacePulseJudge.from_checkpoint({"safe": path}),
    ],
    ids=["elements", "scenes", "perception"],
)
def test_pickled_modules_are_refused_with_the_way_to_convert_them(load, tmp_path):
    whole = tmp_path / "whole.pth"
    torch.save(Tiny(), whole)
    with pytest.raises(WeightsError, match=r"sandbox.*state_dict.*safetensors"):
        load(whole)
    ran = tmp_path / "ran"
    evil = tmp_path / "evil.pth"
    torch.save({"state_dict": {"conv.weight": _Evil(str(ran))}}, evil)
    with pytest.raises(WeightsError, match="run code"):
        load(evil)
    assert not ran.exists()
    torch.save({"state_dict": {"conv.weight": torch.zeros(100, 100)}}, whole)
    whole.write_bytes(whole.read_bytes()[:3000])
    with pytest.raises(WeightsError, match="intact"):
        load(whole)
    save_file({"conv.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="does not fit"):
        load(tmp_path / "other.safetensors")
    with pytest.raises(MissingFileError):
        load(tmp_path / "absent.pth")


def test_a_folder_with_one_file_stands_for_the_file(tmp_path):
    with pytest.raises(WeightsError, match="0 files"):
        read_weights(tmp_path)
    save_file({"a": torch.zeros(2)}, tmp_path / "one.safetensors")
    assert list(read_weights(tmp_path)) == ["a"]
    save_file({"a": torch.zeros(2)}, tmp_path / "two.safetensors")
    with pytest.raises(WeightsError, match="2 files"):
        read_weights(tmp_path)
    assert name_of(Path("x") / "resnet50_places365.pth.tar") == "resnet50_places365"


# Real weights


@pytest.mark.weights
def test_real_scenes_of_the_authors_photographs(shared_data):
    from soundit_geo.pss import scene_overlap
    from soundit_geo.registry import cached

    try:
        path = cached("wideresnet18-places365")
    except MissingFileError:
        pytest.skip("wideresnet18-places365 is not in the cache")
    judge = PlacesJudge.from_checkpoint(path)
    folder = shared_data / "soundit_samples"
    photos = {file.stem: file for file in sorted((folder / "photo").iterdir())}
    drawn = {file.stem: file for file in (folder / "generated").iterdir()}
    real, generated = judge.judge(list(photos.values())), judge.judge([drawn[stem] for stem in photos])
    top = {stem: PLACES365[row[0]] for stem, row in zip(photos, real.classes, strict=True)}
    assert (top["143305"], top["330594"], top["35339"]) == ("highway", "promenade", "field/cultivated")
    assert (real.indoor < 0.5).all()
    assert np.mean(scene_overlap(real.classes, generated.classes, 5)) >= 0.75


@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31 - 1)
)
def test_classes_of_enlarged_logits_are_those_of_all_logits_enlarged(h, w, height, width, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = (
        torch.randn(5, h, w, generator=generator) + torch.arange(5)[:, None, None] / 2
    )  # some cells agree
    full = functional.interpolate(
        logits[None].double(), (height, width), mode="bilinear", align_corners=False
    )[0]
    found = enlarged_classes(logits, (height, width))
    assert found.shape == (height, width)
    torch.testing.assert_close(full.gather(0, found[None])[0], full.amax(0), atol=1e-5, rtol=0)


def test_mixed_precision_is_named_and_near(graded):
    pictures = _pictures((48, 48), (60, 40))
    judge = PlacePulseJudge({"safe": graded}, name="random")
    plain = judge.judge(pictures).scores
    mixed = judge.hasten(precision="bfloat16").judge(pictures).scores
    assert judge.name == "random (bfloat16)"
    assert not np.array_equal(plain, mixed, equal_nan=True)
    np.testing.assert_allclose(mixed, plain, atol=0.1)
    with pytest.raises(InputError, match="bfloat16"):
        judge.hasten(precision="float8")


def test_a_compiled_network_judges_the_same():
    pictures = _pictures((48, 48), (48, 96))
    judge = SegmentationJudge(Tiny(), KeepRatio(96, 48), name="tiny")
    plain = judge.judge(pictures).share
    np.testing.assert_allclose(judge.hasten(compiled=True).judge(pictures).share, plain, atol=1e-3)
