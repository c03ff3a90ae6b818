"""DiT's weights in SounDiT: the same prediction from either layout, and what bad checkpoints get."""

from __future__ import annotations

import json
import re

import pytest
import torch
from diffusers import DiTTransformer2DModel
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch.nn import functional
from typer.testing import CliRunner

from soundit_geo.cli import app
from soundit_geo.errors import InputError, MissingFileError, WeightsError
from soundit_geo.soundit.convert import from_dit, is_dit_parameter
from soundit_geo.soundit.transformer import SounDiTTransformer2DModel

SMALL = {"token_dim": 6, "summary_dim": 5, "scene_dim": 7, "experts": 3, "expert_rank": 2, "content_rank": 2}
TOLERANCE = 1e-4

# ------------------------------------------- DiT as its paper and code have it, in plain functions of tensors


def sines(positions, width):
    """(n,) to (n, width): all sines, then all cosines."""
    angles = positions[:, None] / 10000 ** (torch.arange(width // 2).double() / (width // 2))
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def positions_of(grid, width):
    """(1, grid², width), the position across first, then the one down; patches row by row."""
    down, across = torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij")
    halves = [sines(axis.flatten().double(), width // 2) for axis in (across, down)]
    return torch.cat(halves, dim=1)[None].float()


def dit_weights(depth=2, width=16, patch=2, channels=4, grid=16, labels=5, learned=True, std=0.1):
    """Random weights under the names of DiT's own checkpoint."""
    generator = torch.Generator().manual_seed(0)
    layers = {
        "x_embedder.proj": (width, channels, patch, patch),
        "t_embedder.mlp.0": (width, 256),
        "t_embedder.mlp.2": (width, width),
    }
    for n in range(depth):
        layers[f"blocks.{n}.attn.qkv"] = (3 * width, width)
        layers[f"blocks.{n}.attn.proj"] = (width, width)
        layers[f"blocks.{n}.mlp.fc1"] = (4 * width, width)
        layers[f"blocks.{n}.mlp.fc2"] = (width, 4 * width)
        layers[f"blocks.{n}.adaLN_modulation.1"] = (6 * width, width)
    layers["final_layer.linear"] = (patch * patch * channels * (2 if learned else 1), width)
    layers["final_layer.adaLN_modulation.1"] = (2 * width, width)
    weights = {"pos_embed": positions_of(grid, width)}
    weights["y_embedder.embedding_table.weight"] = torch.randn(labels, width, generator=generator)
    for name, shape in layers.items():
        weights[f"{name}.weight"] = std * torch.randn(shape, generator=generator)
        weights[f"{name}.bias"] = std * torch.randn(shape[0], generator=generator)
    return weights


def dit(w, x, t, label, heads):
    """DiT's forward, one equation a line; all channels that the head predicts."""

    def linear(x, name):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x):
        return (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-6).sqrt()

    width, channels, p, _ = w["x_embedder.proj.weight"].shape
    batch, _, size, _ = x.shape
    g = size // p
    patches = x.reshape(batch, channels, g, p, g, p).permute(0, 2, 4, 1, 3, 5).reshape(batch, g * g, -1)
    tokens = patches @ w["x_embedder.proj.weight"].reshape(width, -1).T + w["x_embedder.proj.bias"]
    tokens = tokens + w["pos_embed"]
    angles = t[:, None].double() * 10000 ** (-torch.arange(128).double() / 128)
    waves = torch.cat([angles.cos(), angles.sin()], dim=1).float()
    c = linear(functional.silu(linear(waves, "t_embedder.mlp.0")), "t_embedder.mlp.2")
    c = functional.silu(c + w["y_embedder.embedding_table.weight"][label])[:, None]
    depth = sum(name.endswith("attn.qkv.weight") for name in w)
    for n in range(depth):
        b = f"blocks.{n}"
        shift1, scale1, gate1, shift2, scale2, gate2 = linear(c, f"{b}.adaLN_modulation.1").chunk(6, dim=-1)
        h = linear(norm(tokens) * (1 + scale1) + shift1, f"{b}.attn.qkv")
        q, k, v = h.reshape(batch, g * g, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
        scores = (q @ k.transpose(-1, -2) / (width // heads) ** 0.5).softmax(dim=-1)
        tokens = tokens + gate1 * linear((scores @ v).transpose(1, 2).flatten(2), f"{b}.attn.proj")
        h = functional.gelu(linear(norm(tokens) * (1 + scale2) + shift2, f"{b}.mlp.fc1"), approximate="tanh")
        tokens = tokens + gate2 * linear(h, f"{b}.mlp.fc2")
    shift, scale = linear(c, "final_layer.adaLN_modulation.1").chunk(2, dim=-1)
    out = linear(norm(tokens) * (1 + scale) + shift, "final_layer.linear")
    out = out.reshape(batch, g, g, p, p, -1)  # the channel runs fastest
    return out.permute(0, 5, 1, 3, 2, 4).reshape(batch, -1, size, size)


def port_model(depth=2, heads=2, head_dim=8, grid=16, std=0.1, **settings):
    """diffusers' DiT with random weights, the same embedders in each block."""
    patch = settings.get("patch_size", 2)
    model = DiTTransformer2DModel(
        num_layers=depth,
        num_attention_heads=heads,
        attention_head_dim=head_dim,
        sample_size=grid * patch,
        **{"num_embeds_ada_norm": 4, "out_channels": 8, **settings},
    )
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data = std * torch.randn(parameter.shape, generator=generator)
    for block in model.transformer_blocks[1:]:
        block.norm1.emb.load_state_dict(model.transformer_blocks[0].norm1.emb.state_dict())
    return model.eval()


def port_state(w):
    """The same DiT under diffusers' names."""
    depth = sum(name.endswith("attn.qkv.weight") for name in w)
    state = {}
    for kind in ("weight", "bias"):
        state[f"pos_embed.proj.{kind}"] = w[f"x_embedder.proj.{kind}"]
        state[f"proj_out_1.{kind}"] = w[f"final_layer.adaLN_modulation.1.{kind}"]
        state[f"proj_out_2.{kind}"] = w[f"final_layer.linear.{kind}"]
        for n in range(depth):
            theirs, ours = f"transformer_blocks.{n}", f"blocks.{n}"
            q, k, v = w[f"{ours}.attn.qkv.{kind}"].chunk(3)
            state |= {
                f"{theirs}.attn1.to_q.{kind}": q.clone(),
                f"{theirs}.attn1.to_k.{kind}": k.clone(),
                f"{theirs}.attn1.to_v.{kind}": v.clone(),
                f"{theirs}.attn1.to_out.0.{kind}": w[f"{ours}.attn.proj.{kind}"],
                f"{theirs}.ff.net.0.proj.{kind}": w[f"{ours}.mlp.fc1.{kind}"],
                f"{theirs}.ff.net.2.{kind}": w[f"{ours}.mlp.fc2.{kind}"],
                f"{theirs}.norm1.linear.{kind}": w[f"{ours}.adaLN_modulation.1.{kind}"],
                f"{theirs}.norm1.emb.timestep_embedder.linear_1.{kind}": w[f"t_embedder.mlp.0.{kind}"],
                f"{theirs}.norm1.emb.timestep_embedder.linear_2.{kind}": w[f"t_embedder.mlp.2.{kind}"],
            }
    table = w["y_embedder.embedding_table.weight"]
    for n in range(depth):
        state[f"transformer_blocks.{n}.norm1.emb.class_embedder.embedding_table.weight"] = table
    return state


def scene_and_sound(model, batch):
    """Any conditions, for a fresh model must not hear them; some are missing."""
    c = model.config
    return {
        "soundscape_tokens": torch.randn(batch, 3, c.token_dim),
        "soundscape_summary": torch.randn(batch, c.summary_dim),
        "scene": torch.randn(batch, c.scene_dim),
        "soundscape_missing": torch.arange(batch) % 2 == 0,
        "scene_missing": torch.arange(batch) % 3 == 0,
    }


def predictions_agree(model, expected, x, t):
    with torch.no_grad():
        ours = model.eval()(x, t, **scene_and_sound(model, len(x))).sample
    torch.testing.assert_close(ours, expected[:, : x.shape[1]], rtol=0, atol=TOLERANCE)


def same_parameters(one, other):
    ours, theirs = dict(one.named_parameters()), dict(other.named_parameters())
    assert all(torch.equal(ours[name], theirs[name]) for name in ours if is_dit_parameter(name))


# ------------------------------------------------------------------------------- the same prediction as DiT's


@settings(max_examples=30)
@given(
    depth=st.integers(1, 3),
    heads=st.sampled_from([1, 2, 3]),
    head_dim=st.sampled_from([4, 8]),
    patch=st.sampled_from([1, 2, 4]),
    channels=st.integers(1, 4),
    labels=st.integers(1, 4),
    learned=st.booleans(),
    times=st.lists(st.integers(0, 999), min_size=1, max_size=3),
)
def test_from_dits_own_checkpoint_it_predicts_what_dit_predicts_for_the_null_class(
    depth, heads, head_dim, patch, channels, labels, learned, times
):
    weights = dit_weights(depth, heads * head_dim, patch, channels, 16, labels, learned)
    model = from_dit(weights, heads=heads, **SMALL)
    t, x = torch.tensor(times), torch.randn(len(times), channels, 16 * patch, 16 * patch)
    predictions_agree(model, dit(weights, x, t, label=labels - 1, heads=heads), x, t)


@settings(max_examples=30)
@given(
    depth=st.integers(1, 3),
    heads=st.sampled_from([1, 2, 3]),
    head_dim=st.sampled_from([4, 8]),
    patch=st.sampled_from([1, 2, 4]),
    channels=st.integers(1, 4),
    classes=st.integers(1, 4),
    learned=st.booleans(),
    eps=st.sampled_from([1e-5, 1e-6]),
    times=st.lists(st.integers(0, 999), min_size=1, max_size=3),
)
def test_from_diffusers_dit_it_predicts_what_that_predicts_for_the_null_class(
    depth, heads, head_dim, patch, channels, classes, learned, eps, times
):
    theirs = port_model(
        depth,
        heads,
        head_dim,
        patch_size=patch,
        in_channels=channels,
        out_channels=channels * (2 if learned else 1),
        num_embeds_ada_norm=classes,
        norm_eps=eps,
    )
    t, x = torch.tensor(times), torch.randn(len(times), channels, 16 * patch, 16 * patch)
    with torch.no_grad():
        expected = theirs(x, t, torch.full((len(t),), classes)).sample
    predictions_agree(from_dit(theirs, **SMALL), expected, x, t)


@pytest.mark.parametrize("grid", [1, 2, 3, 8, 20])
def test_positions_count_patches_at_every_size_as_dits_do(grid):
    weights, t = dit_weights(grid=grid), torch.tensor([7])
    x = torch.randn(1, 4, 2 * grid, 2 * grid)
    predictions_agree(from_dit(weights, heads=2, **SMALL), dit(weights, x, t, label=4, heads=2), x, t)
    theirs = port_model(grid=grid)
    with torch.no_grad():
        expected = theirs(x, t, torch.tensor([4])).sample
    predictions_agree(from_dit(theirs, **SMALL), expected, x, t)


@pytest.mark.slow
def test_at_the_real_size_s_2_it_predicts_what_diffusers_dit_predicts():
    theirs = port_model(12, 6, 64, std=0.03, num_embeds_ada_norm=1000)
    model = from_dit(theirs, "S/2")
    x, t = torch.randn(2, 4, 32, 32), torch.tensor([20, 800])
    with torch.no_grad():
        expected = theirs(x, t, torch.tensor([1000, 1000])).sample
    predictions_agree(model, expected, x, t)


def test_a_saved_conversion_predicts_the_same(tmp_path):
    weights = dit_weights()
    from_dit(weights, heads=2, **SMALL).save_pretrained(tmp_path)
    x, t = torch.randn(2, 4, 32, 32), torch.tensor([1, 999])
    expected = dit(weights, x, t, label=4, heads=2)
    predictions_agree(SounDiTTransformer2DModel.from_pretrained(tmp_path), expected, x, t)


# ---------------------------------------------------------------------------------- every way to hand a DiT over


def write(path, weights, **others):
    save_file(weights, path) if path.suffix == ".safetensors" else torch.save({**weights, **others}, path)
    return path


@pytest.mark.parametrize("name", ["dit.pt", "dit.safetensors"])
def test_a_file_gives_what_the_state_dict_gives(tmp_path, name):
    weights = dit_weights()
    same_parameters(
        from_dit(write(tmp_path / name, weights), heads=2, **SMALL), from_dit(weights, heads=2, **SMALL)
    )


def test_of_a_training_checkpoint_the_averaged_weights_are_taken(tmp_path):
    averaged = dit_weights()
    raw = {f"module.{key}": value + 1 for key, value in averaged.items()}
    path = write(tmp_path / "0050000.pt", {"model": raw, "ema": averaged, "opt": {"state": {}}})
    same_parameters(from_dit(path, heads=2, **SMALL), from_dit(averaged, heads=2, **SMALL))


def test_both_layouts_of_one_dit_give_one_model_once_the_arithmetic_is_dits():
    weights = dit_weights()
    ported = from_dit(
        port_state(weights), heads=2, sample_size=32, norm_eps=1e-6, frequency_shift=0.0, **SMALL
    )
    model = from_dit(weights, heads=2, **SMALL)
    same_parameters(ported, model)
    unlike = {key for key in model.config if model.config[key] != ported.config[key]}
    assert {key for key in unlike if not key.startswith("_")} == set()


@pytest.mark.parametrize("shard", ["1GB", "10KB"])
def test_a_folder_of_diffusers_gives_what_its_model_gives(tmp_path, shard):
    theirs = port_model()
    theirs.save_pretrained(tmp_path / "transformer", max_shard_size=shard)
    assert (len(list((tmp_path / "transformer").glob("*.safetensors"))) > 1) == (shard == "10KB")
    model = from_dit(theirs, **SMALL)
    same_parameters(from_dit(tmp_path / "transformer", **SMALL), model)
    (tmp_path / "model_index.json").write_text("{}")
    again = from_dit(tmp_path, **SMALL)  # a pipeline's folder
    same_parameters(again, model)
    assert (again.config.norm_eps, again.config.frequency_shift, again.config.heads) == (1e-5, 1.0, 2)


def test_a_folder_in_pytorchs_format_with_saved_positions_is_read(tmp_path):
    theirs = port_model()
    theirs.save_config(tmp_path)
    state = {
        **theirs.state_dict(),
        "pos_embed.pos_embed": theirs.pos_embed.pos_embed,
    }  # as older versions did
    torch.save(state, tmp_path / "diffusion_pytorch_model.bin")
    same_parameters(from_dit(tmp_path, **SMALL), from_dit(theirs, **SMALL))


def test_half_precision_is_taken_as_near_as_it_is():
    weights = dit_weights()
    half = from_dit({key: value.half() for key, value in weights.items()}, heads=2, **SMALL)
    whole = from_dit(weights, heads=2, **SMALL)
    for (name, ours), theirs in zip(half.named_parameters(), whole.parameters(), strict=True):
        assert ours.dtype is torch.float32
        if is_dit_parameter(name):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_what_is_converted_is_left_as_it_was():
    weights = dit_weights()
    before = {key: value.clone() for key, value in weights.items()}
    from_dit(weights, heads=2, **SMALL)
    assert weights.keys() == before.keys()
    assert all(torch.equal(weights[key], before[key]) for key in before)


def test_the_parameters_named_dits_are_those_of_its_checkpoint():
    model = from_dit(dit_weights(), heads=2, **SMALL)
    ours = {name for name, _ in model.named_parameters() if is_dit_parameter(name)}
    assert ours == dit_weights().keys() - {"pos_embed", "y_embedder.embedding_table.weight"}
    assert not is_dit_parameter("blocks.0.soundscape.value.weight")
    assert not is_dit_parameter("blocks.0.attn.qkv.weight.more")


# ------------------------------------------------------------------------------------- what bad checkpoints get

FLAT = dit_weights(depth=1, width=8, grid=16)
PORT = port_state(FLAT)
GIVEN = {"heads": 2, "sample_size": 32, **SMALL}


@pytest.mark.parametrize("layout", [FLAT, PORT], ids=["dit", "diffusers"])
@pytest.mark.parametrize("fault", ["gone", "renamed", "reshaped", "grown", "nan", "infinite", "integer"])
def test_one_key_amiss_is_named_in_either_layout(layout, fault):
    for key, value in layout.items():
        weights = {name: other for name, other in layout.items() if name != key}
        if fault == "renamed":
            weights[f"{key}_"] = value
        elif fault == "reshaped":
            weights[key] = value[None]
        elif fault == "grown":
            weights[key] = torch.cat([value, value[..., :1]], dim=-1)
        elif fault in ("nan", "infinite"):
            weights[key] = value.clone()
            weights[key].view(-1)[-1] = float("nan" if fault == "nan" else "-inf")
        elif fault == "integer":
            weights[key] = value.int()
        with pytest.raises(WeightsError, match=re.escape(key)):
            from_dit(weights, **GIVEN)


@settings(max_examples=40)
@given(data=st.data(), ending=st.sampled_from([".pt", ".safetensors"]))
def test_a_file_cut_short_anywhere_is_refused(data, ending, tmp_path_factory):
    path = write(tmp_path_factory.mktemp("cut") / f"dit{ending}", FLAT)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(WeightsError, match="dit"):
        from_dit(path, **GIVEN)


class Writer:
    """What a pickle of it does when it is read as Python reads pickles."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", ["dit.pt", "dit.safetensors", "diffusion_pytorch_model.bin"])
def test_no_code_from_a_checkpoint_runs(tmp_path, name, zipped):
    path, target = tmp_path / name, tmp_path / "written"
    torch.save({**FLAT, "evil": Writer(target)}, path, _use_new_zipfile_serialization=zipped)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(WeightsError, match=re.escape(name)):
        from_dit(tmp_path if name.endswith(".bin") else path, **GIVEN)
    assert not target.exists()
    torch.load(path, weights_only=False)["evil"].close()
    assert target.exists(), "the pickle was harmless, and the test shows nothing"


def test_another_size_than_asked_is_refused_with_both():
    with pytest.raises(WeightsError, match=r"depth is 1, asked for 12; width is 8, asked for 384"):
        from_dit(FLAT, "S/2", **SMALL)
    with pytest.raises(WeightsError, match="patch_size is 2, asked for 4"):
        from_dit(FLAT, heads=2, patch_size=4)
    with pytest.raises(WeightsError, match="sample_size is 32, asked for 64"):
        from_dit(FLAT, heads=2, sample_size=64)
    with pytest.raises(WeightsError, match="heads is 2, asked for 4"):
        from_dit(port_model(), heads=4)


def test_a_depth_that_no_dit_has_needs_the_number_of_heads():
    weights = dit_weights(depth=2, width=384, grid=16)  # an S/2 that lost its last ten blocks
    with pytest.raises(WeightsError, match=r"2 blocks of width 384.*cut short"):
        from_dit(weights, **SMALL)
    assert from_dit(weights, heads=6, **SMALL).config.depth == 2


def test_settings_that_belong_to_other_weights_are_refused(tmp_path):
    port_model().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for change, message in (
        ({"num_layers": 3}, "depth is 2, its config.json says 3"),
        ({"num_attention_heads": 3}, "width is 16, its config.json says 24"),
        ({"norm_type": "layer_norm"}, "norm_type is 'layer_norm', expected 'ada_norm_zero'"),
        ({"activation_fn": "geglu"}, "activation_fn"),
    ):
        (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(WeightsError, match=message):
            from_dit(tmp_path, **SMALL)


@pytest.mark.parametrize("content", ["", "{", "[1]", "null", "\x00"])
def test_settings_that_are_none_are_refused(tmp_path, content):
    port_model().save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(WeightsError, match=r"config\.json"):
        from_dit(tmp_path)


def test_incomplete_folders_and_absent_files_are_missing(tmp_path):
    with pytest.raises(MissingFileError, match=r"absent\.pt"):
        from_dit(tmp_path / "absent.pt")
    with pytest.raises(MissingFileError, match=r"config\.json"):
        from_dit(tmp_path)
    port_model().save_config(tmp_path)
    with pytest.raises(MissingFileError, match=r"diffusion_pytorch_model\.safetensors"):
        from_dit(tmp_path)


def test_a_missing_shard_is_noticed(tmp_path):
    port_model().save_pretrained(tmp_path, max_shard_size="10KB")
    sorted(tmp_path.glob("*.safetensors"))[1].unlink()
    with pytest.raises(WeightsError, match="missing"):
        from_dit(tmp_path, **SMALL)


def test_blocks_that_disagree_on_the_timestep_are_refused():
    theirs = port_model()
    theirs.transformer_blocks[1].norm1.emb.timestep_embedder.linear_1.bias.data[0] += 0.01
    with pytest.raises(
        WeightsError, match=r"transformer_blocks\.1\.norm1\.emb\.timestep_embedder\.linear_1\.bias"
    ):
        from_dit(theirs, **SMALL)


def test_learned_positions_are_refused():
    with pytest.raises(WeightsError, match=r"pos_embed.*differ by 0\.00"):
        from_dit({**FLAT, "pos_embed": FLAT["pos_embed"] + 2e-3}, **GIVEN)


def test_unknown_sizes_and_settings_are_refused_by_name():
    with pytest.raises(InputError, match=r"'XL/3'.*XL/2"):
        from_dit(FLAT, "XL/3")
    with pytest.raises(InputError, match=r"'expert'.*experts_per_sample"):
        from_dit(FLAT, heads=2, expert=3)
    with pytest.raises(InputError, match="multiple"):
        from_dit(FLAT, heads=3)


def test_weights_of_another_network_are_no_dit():
    for state in ({}, torch.nn.Linear(2, 2).state_dict(), {"blocks.99999.x": torch.zeros(1)}):
        with pytest.raises(WeightsError, match="is no DiT"):
            from_dit(state)


# ------------------------------------------------------------------------------------------- the command line


def command(*arguments):
    return CliRunner().invoke(app, ["weights", "convert-dit", *map(str, arguments)])


def test_the_command_writes_a_model_and_counts_its_parameters(tmp_path):
    path, out = write(tmp_path / "dit.pt", FLAT), tmp_path / "out"
    sizes = ["--token-dim", 6, "--summary-dim", 5, "--scene-dim", 7, "--expert-rank", 2, "--content-rank", 2]
    done = command(path, "--out", out, "--heads", 2, "--experts", 3, *sizes)
    assert done.exit_code == 0, done.output
    model = SounDiTTransformer2DModel.from_pretrained(out)
    same_parameters(model, from_dit(FLAT, **GIVEN))
    assert sorted(load_file(out / "diffusion_pytorch_model.safetensors")) == sorted(model.state_dict())
    counts = [int(number.replace(",", "")) for number in re.findall(r"([\d,]+) parameters", done.output)]
    names = FLAT.keys() - {"pos_embed", "y_embedder.embedding_table.weight"}
    variance = (FLAT["final_layer.linear.weight"].numel() + FLAT["final_layer.linear.bias"].numel()) // 2
    assert counts[0] == sum(FLAT[name].numel() for name in names) - variance
    assert sum(counts) == sum(value.numel() for value in model.parameters())


def test_the_command_gives_the_same_file_again_and_another_with_another_seed(tmp_path):
    path = write(tmp_path / "dit.pt", FLAT)
    files = []
    for name, seed in (("one", 0), ("two", 0), ("other", 1)):
        assert command(path, "--out", tmp_path / name, "--heads", 2, "--seed", seed).exit_code == 0
        files.append((tmp_path / name / "diffusion_pytorch_model.safetensors").read_bytes())
    assert files[0] == files[1] != files[2]


def test_the_command_writes_nothing_from_a_checkpoint_that_does_not_fit(tmp_path):
    path = write(tmp_path / "dit.pt", {**FLAT, "more": torch.zeros(1)})
    done = command(path, "--out", tmp_path / "out", "--heads", 2)
    assert isinstance(done.exception, WeightsError)
    assert "1 unknown: more" in str(done.exception)
    assert not (tmp_path / "out").exists()
