"""Training: the loss is its formula, and no stop, no number of processes, no way to cut a batch changes it."""

import csv
import functools
import itertools
import json
import math
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from accelerate.state import AcceleratorState
from diffusers import DDPMScheduler, DiTTransformer2DModel
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.utils.data import default_collate
from typer.testing import CliRunner

import soundit_geo as sg
from soundit_geo.cli import app
from soundit_geo.errors import InputError, MissingFileError, TrainingError, WeightsError
from soundit_geo.soundit.convert import is_dit_parameter
from soundit_geo.soundit.training import checkpoint
from soundit_geo.soundit.training.cache import Cache, CacheDescription, CacheWriter
from soundit_geo.soundit.training.config import TrainingConfig, config_from, configs, load_config
from soundit_geo.soundit.training.loop import denoising_loss, make_model, parameter_groups, train
from soundit_geo.soundit.training.stream import SampleStream, batches
from soundit_geo.soundit.transformer import SounDiTBlock, SounDiTTransformer2DModel
from soundit_geo.strict import refuse_unknown_settings
from soundit_geo.weights import preset_path

TINY = {"depth": 2, "width": 32, "heads": 2, "content_rank": 4, "expert_rank": 4, "experts": 3}
SAME = ("step", "loss", "lr", "grad_norm")


@pytest.fixture(autouse=True)
def _fresh_accelerator():
    """Accelerate keeps its precision for the life of a process."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def write_cache(folder, counts=(5, 3, 4), seed=0, **changes):
    about = CacheDescription(
        **{
            "latent": (4, 8, 8),
            "tokens": (3, 16),
            "summary_dim": 16,
            "scenes": 2,
            "scene_dim": 16,
            "scaling_factor": 0.5,
            "shift_factor": 0.1,
            "soundscape_tokens": "clips",
            "dtype": "float32",
            **changes,
        }
    )
    draw = torch.Generator().manual_seed(seed)
    writer = CacheWriter(folder, about)
    for count in counts:
        made = {name: torch.randn(count, *shape, generator=draw) for name, shape in about.shapes().items()}
        writer.write({**made, "scene_count": torch.arange(count) % 3})
    return writer.finish()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return write_cache(tmp_path_factory.mktemp("cache"))


def settings_of(cache, out, **changes):
    return config_from(
        {
            "cache": str(cache.folder),
            "out": str(out),
            "model": TINY,
            "steps": 4,
            "batch_size": 6,
            "rate": 1e-2,
            "log_every": 1,
            "save_every": 2,
            **changes,
        }
    )


def run(cache, out, **changes):
    config = settings_of(cache, out, **changes)
    train(config, progress=False)
    return lines(out)


def lines(out):
    with (Path(out) / "losses.csv").open() as file:
        return [{key: float(value) for key, value in line.items()} for line in csv.DictReader(file)]


def only(read, *keys):
    return [tuple(line[key] for key in keys or SAME) for line in read]


def last(out, name):
    return load_file(max((Path(out) / "checkpoints").glob("step-*")) / f"{name}.safetensors")


# --------------------------------------------------------------------------- samples
def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@settings(max_examples=15, deadline=None)
@given(
    processes=st.sampled_from([1, 2, 3]),
    accumulation=st.sampled_from([1, 2]),
    start=st.integers(0, 3),
    order=st.sampled_from(["rows", "shards"]),
)
def test_samples_do_not_depend_on_processes_parts_or_stops(cache, processes, accumulation, start, order):
    config = settings_of(cache, "x", batch_size=12, accumulation=accumulation, order=order)
    stream = SampleStream(cache, config)
    whole = [stream[number] for number in range(start * 12, 4 * 12)]
    shares = [list(batches(SampleStream(cache, config), start, rank, processes)) for rank in range(processes)]
    parts = [
        part for parts in zip(*shares, strict=True) for part in parts
    ]  # of each part, process by process
    came = {key: torch.cat([part[key] for part in parts]) for key in parts[0]} if parts else {}
    assert same(came, default_collate(whole) if whole else {})


def test_worker_processes_read_the_same_samples(cache):
    alone = list(batches(SampleStream(cache, settings_of(cache, "x")), 0, 0, 1))
    helped = list(batches(SampleStream(cache, settings_of(cache, "x", workers=2)), 0, 0, 1))
    assert len(alone) == len(helped) == 4
    assert all(same(one, other) for one, other in zip(alone, helped, strict=True))


@pytest.mark.parametrize("order", ["rows", "shards"])
def test_every_epoch_shows_every_row_once_in_its_own_order(cache, order):
    stream = SampleStream(cache, settings_of(cache, "x", order=order))
    epochs = [[stream.row(epoch * 12 + place) for place in range(12)] for epoch in range(4)]
    assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    other = SampleStream(cache, settings_of(cache, "x", order=order, seed=1))
    assert [other.row(place) for place in range(12)] != epochs[0]
    if order == "shards":
        shards = [[0 if row < 5 else 1 if row < 8 else 2 for row in epoch] for epoch in epochs]
        assert all(sum(a != b for a, b in itertools.pairwise(seen)) == 2 for seen in shards)


def test_a_visit_draws_latents_from_the_posterior_and_scales_them(tmp_path):
    """One row, visited often: mean and deviation are those of the posterior, prompts are visited alike."""
    one = write_cache(tmp_path, counts=(3,))
    stream = SampleStream(one, settings_of(one, "x", drop_both=0.0, drop_soundscape=0.0, drop_scene=0.0))
    visits = [stream[number] for number in range(6000) if stream.row(number) == 2]
    assert len(visits) == 2000
    latents = torch.stack([visit["latents"] for visit in visits])
    row = one[2]
    deviation = (row["latent_logvar"] / 2).exp() * 0.5
    torch.testing.assert_close(latents.std(0), deviation, rtol=0.1, atol=0.0)
    error = (latents.mean(0) - (row["latent_mean"] - 0.1) * 0.5) / deviation * 2000**0.5
    assert error.abs().max() < 4.5  # of 256 standard normal numbers
    first = torch.stack([torch.equal(visit["scene"], row["scenes"][0]) * torch.ones(()) for visit in visits])
    assert abs(first.mean().item() - 0.5) < 4 * 0.5 / 2000**0.5
    noise = torch.stack([visit["noise"] for visit in visits])
    assert abs(noise.mean().item()) < 0.01
    assert abs(noise.std().item() - 1.0) < 0.01
    times = torch.stack([visit["timestep"] for visit in visits])
    assert times.min() < 10
    assert times.max() > 989
    assert abs(times.float().mean().item() - 499.5) < 4 * 288.7 / 2000**0.5


@settings(max_examples=6, deadline=None)
@given(
    both=st.sampled_from([0.0, 0.2, 1.0]),
    sound=st.sampled_from([0.0, 0.3]),
    scene=st.sampled_from([0.0, 0.6]),
)
def test_conditions_are_dropped_jointly_and_independently(cache, both, sound, scene):
    config = settings_of(cache, "x", drop_both=both, drop_soundscape=sound, drop_scene=scene)
    stream = SampleStream(cache, config)
    prompted = [number for number in range(900) if int(cache[stream.row(number)]["scene_count"])]
    samples = [stream[number] for number in prompted]
    found = [(one["soundscape_missing"].item(), one["scene_missing"].item()) for one in samples]
    chances = {
        (True, True): both + (1 - both) * sound * scene,
        (True, False): (1 - both) * sound * (1 - scene),
        (False, True): (1 - both) * (1 - sound) * scene,
        (False, False): (1 - both) * (1 - sound) * (1 - scene),
    }
    for what, chance in chances.items():
        spread = (chance * (1 - chance) / len(found)) ** 0.5
        assert abs(found.count(what) / len(found) - chance) <= 4.5 * spread


def test_a_pair_without_a_prompt_is_never_shown_one(cache):
    stream = SampleStream(cache, settings_of(cache, "x", drop_both=0.0, drop_scene=0.0))
    for number in range(24):
        assert stream[number]["scene_missing"] or int(cache[stream.row(number)]["scene_count"])


# ------------------------------------------------------------------------------ loss
class Guess(torch.nn.Module):
    """A model that answers with the noisy latents, so that the loss can be written down."""

    def forward(self, noisy, *_, **__):
        return type("Answer", (), {"sample": noisy})


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("gamma", [None, 5.0])
def test_the_loss_is_its_formula(prediction, gamma):
    draw = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, 7, 4, 3, 3, generator=draw, dtype=torch.float64)
    time = torch.tensor([0, 1, 10, 100, 500, 900, 999])
    batch = dict.fromkeys(("tokens", "summary", "scene", "soundscape_missing", "scene_missing"))
    batch |= {"latents": clean, "noise": noise, "timestep": time}
    noising = DDPMScheduler(
        1000, beta_start=1e-4, beta_end=0.02, beta_schedule="linear", prediction_type=prediction
    )
    kept, parts = 1.0, []
    for step in range(1000):
        kept *= 1.0 - (1e-4 + (0.02 - 1e-4) * step / 999)
        for place in (time == step).nonzero().flatten().tolist():
            noisy = math.sqrt(kept) * clean[place] + math.sqrt(1 - kept) * noise[place]
            velocity = math.sqrt(kept) * noise[place] - math.sqrt(1 - kept) * clean[place]
            error = ((noisy - (noise[place] if prediction == "epsilon" else velocity)) ** 2).mean().item()
            snr = kept / (1 - kept)
            weight = min(snr, gamma or snr) / (snr if prediction == "epsilon" else snr + 1)
            parts.append(error * (weight if gamma else 1.0))
    loss = denoising_loss(Guess(), batch, noising, min_snr=gamma).item()
    assert loss == pytest.approx(sum(parts) / 7, rel=1e-4)


# --------------------------------------------------------------------------- exactness
CUTS = {"steps": 60, "save_every": 4, "log_every": 2, "accumulation": 2, "schedule": "cosine", "warmup": 5}


@pytest.mark.slow
def test_a_killed_run_goes_on_with_the_same_losses_to_the_same_weights(cache, tmp_path):
    whole = run(cache, tmp_path / "whole", **CUTS)
    config = settings_of(cache, tmp_path / "cut", **CUTS)
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config.as_dict()))
    command = [sys.executable, "-m", "soundit_geo.cli", "train", "soundit", str(tmp_path / "run.yaml"), "-q"]
    process = subprocess.Popen(command)
    losses, deadline = tmp_path / "cut" / "losses.csv", time.monotonic() + 120
    while not (losses.exists() and len(losses.read_text().splitlines()) > 5):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(lines(tmp_path / "cut"))
    assert 5 <= done < 29, "killed too late to prove anything"
    assert not (tmp_path / "cut" / "training.json").exists()

    train(config, progress=False)
    assert only(lines(tmp_path / "cut")) == only(whole)
    for name in ("weights", "average", "moments"):
        assert same(last(tmp_path / "cut", name), last(tmp_path / "whole", name))
    seconds = [line["seconds"] for line in lines(tmp_path / "cut")]
    assert seconds == sorted(seconds)


def test_parts_of_a_batch_add_up_to_the_whole(cache, tmp_path):
    whole = run(cache, tmp_path / "whole", steps=5)
    parts = run(cache, tmp_path / "parts", steps=5, accumulation=3)
    np.testing.assert_allclose(only(parts), only(whole), rtol=1e-4)
    assert whole[0]["loss"] != whole[1]["loss"]


@pytest.mark.slow
def test_two_processes_give_the_curve_of_one(cache, tmp_path):
    """Parts of two samples: the learned nulls are often used by one process only, or by none."""
    changes = {"steps": 12, "batch_size": 8, "drop_both": 0.1, "drop_soundscape": 0.0, "drop_scene": 0.0}
    one = run(cache, tmp_path / "one", **changes)
    config = settings_of(cache, tmp_path / "two", **changes, accumulation=2)
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config.as_dict()))
    program = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    program += ["-m", "soundit_geo.cli", "train", "soundit", str(tmp_path / "run.yaml"), "-q"]
    done = subprocess.run(
        program,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("transformer") == 1  # said once
    assert json.loads((tmp_path / "two" / "training.json").read_text())["processes"] == 2
    np.testing.assert_allclose(only(lines(tmp_path / "two")), only(one), rtol=2e-5)
    average = last(tmp_path / "two", "average")
    for name, value in last(tmp_path / "one", "average").items():
        pair = average[name], value
        if name.endswith("qkv.bias"):  # softmax does not see the key's bias: AdamW follows rounding there
            pair = tuple(torch.cat([bias.chunk(3)[0], bias.chunk(3)[2]]) for bias in pair)
        torch.testing.assert_close(*pair, rtol=1e-3, atol=1e-4, msg=lambda said, at=name: f"{at}: {said}")


def test_a_lone_process_of_accelerate_launch_is_told_so(cache, tmp_path, monkeypatch):
    for name in ("LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    monkeypatch.setenv("MASTER_PORT", "29500")
    with pytest.warns(sg.errors.SounditWarning, match="has started one"):
        train(settings_of(cache, tmp_path, steps=1), progress=False)


def plain_and(cache, tmp_path, **changes):
    """Losses of a plain run, and of one with other settings."""
    plain = only(run(cache, tmp_path / "plain", rate=1e-3), "loss")
    AcceleratorState._reset_state(reset_partial_state=True)
    return np.array(plain), np.array(only(run(cache, tmp_path / "changed", rate=1e-3, **changes), "loss"))


def test_gradient_checkpointing_computes_blocks_twice_and_loses_nothing(cache, tmp_path, monkeypatch):
    calls, forward = [], SounDiTBlock.forward
    monkeypatch.setattr(SounDiTBlock, "forward", lambda *given_: calls.append(1) or forward(*given_))
    plain, saved = plain_and(cache, tmp_path, gradient_checkpointing=True)
    np.testing.assert_allclose(saved, plain, rtol=1e-5)
    assert len(calls) == (1 + 2) * TINY["depth"] * 4  # once in the plain run, twice in the other; four steps


def test_bf16_keeps_its_weights_in_float32_and_its_losses_near(cache, tmp_path):
    plain, rounded = plain_and(cache, tmp_path, precision="bf16")
    assert {value.dtype for value in last(tmp_path / "changed", "weights").values()} == {torch.float32}
    np.testing.assert_allclose(rounded, plain, rtol=0.02)
    assert (rounded != plain).any()  # it was really used


def test_a_compiled_model_is_one_graph_with_the_same_losses(cache, tmp_path, monkeypatch):
    """Traced, but run by PyTorch's own kernels: to generate others takes minutes here."""
    from torch._dynamo.utils import counters

    counters.clear()
    traced = functools.partialmethod(torch.nn.Module.compile, backend="aot_eager")
    monkeypatch.setattr(SounDiTTransformer2DModel, "compile", traced)
    together = {"gradient_checkpointing": True, "precision": "bf16"}  # as in the paper's config
    plain, compiled = plain_and(cache, tmp_path, compile=True, **together)
    np.testing.assert_allclose(compiled, plain, rtol=0.02)
    assert counters["stats"]["unique_graphs"] == 1


# ------------------------------------------------------------------ the parts of a step
def test_the_average_follows_its_recursion(cache, tmp_path):
    changes = {"steps": 6, "save_every": 1, "keep": 10, "ema": 0.3}
    run(cache, tmp_path, **changes)
    average = dict(make_model(settings_of(cache, tmp_path, **changes), cache.description).named_parameters())
    average = {name: value.detach().double() for name, value in average.items()}
    for step, folder in enumerate(checkpoint.checkpoints(tmp_path / "checkpoints")):
        decay = 0.0 if step == 0 else min(0.3, (1 + step) / (10 + step))
        now = load_file(folder / "weights.safetensors")
        average = {name: decay * value + (1 - decay) * now[name] for name, value in average.items()}
        for name, value in load_file(folder / "average.safetensors").items():
            torch.testing.assert_close(value.double(), average[name], rtol=1e-5, atol=1e-7)
    delivered = load_file(tmp_path / "transformer" / "diffusion_pytorch_model.safetensors")
    assert same(delivered, last(tmp_path, "average"))
    assert not same(delivered, last(tmp_path, "weights"))


def test_the_rate_warms_up_and_falls_as_told(cache, tmp_path):
    read = run(cache, tmp_path, steps=10, schedule="cosine", warmup=4, rate=0.01)
    expected = [
        0.01 * s / 4 if s < 4 else 0.01 * 0.5 * (1 + math.cos(math.pi * (s - 4) / 6)) for s in range(10)
    ]
    assert [line["lr"] for line in read] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("clip", [1e-3, None])
def test_gradients_are_clipped_to_the_norm_and_logged_before(cache, tmp_path, clip):
    """After one step Adam's first moment is a tenth of the gradient that it was given."""
    norm = run(cache, tmp_path, steps=1, save_every=1, clip=clip)[0]["grad_norm"]
    moments = [value for name, value in last(tmp_path, "moments").items() if name.startswith("exp_avg/")]
    given_norm = 10 * torch.cat([value.flatten() for value in moments]).norm().item()
    assert norm > 0.01
    assert given_norm == pytest.approx(clip or norm, rel=1e-3)


@pytest.fixture(scope="module")
def dit(tmp_path_factory):
    """A DiT of random weights, as diffusers saves it."""
    folder = tmp_path_factory.mktemp("dit")
    torch.manual_seed(0)
    model = DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=16, in_channels=4, out_channels=8, num_layers=2,
        sample_size=8, patch_size=2, num_embeds_ada_norm=10,
    )  # fmt: skip
    first, second = model.transformer_blocks
    second.norm1.emb.load_state_dict(first.norm1.emb.state_dict())  # DiT has one for all blocks
    model.save_pretrained(folder)
    return folder


def moved(out, start):
    return {
        name: (value - start[name]).abs().max().item()
        for name, value in last(out, "weights").items()
        if (value - start[name]).abs().max() > 0
    }


def test_dits_part_can_be_frozen_or_learn_at_its_own_rate(cache, tmp_path, dit):
    """Adam's first step moves a weight by the rate, whatever the gradient."""
    changes = {"start": "dit", "weights": str(dit), "steps": 1, "save_every": 1, "drop_both": 0.3}
    start = dict(make_model(settings_of(cache, "x", **changes), cache.description).named_parameters())
    start = {name: value.detach() for name, value in start.items()}
    run(cache, tmp_path / "frozen", **changes, old_rate=0.0)
    frozen = moved(tmp_path / "frozen", start)
    assert frozen
    assert not any(is_dit_parameter(name) for name in frozen)
    assert not any(is_dit_parameter(name.partition("/")[2]) for name in last(tmp_path / "frozen", "moments"))
    run(cache, tmp_path / "slow", **changes, old_rate=1e-4)
    slow = moved(tmp_path / "slow", start)
    old = [value for name, value in slow.items() if is_dit_parameter(name)]
    new = [value for name, value in slow.items() if not is_dit_parameter(name)]
    assert max(old) == pytest.approx(1e-4, rel=0.01)
    assert max(new) == pytest.approx(1e-2, rel=0.01)


def test_a_frozen_run_goes_on_as_well(cache, tmp_path, dit):
    changes = {"start": "dit", "weights": str(dit), "old_rate": 0.0}
    whole = run(cache, tmp_path / "whole", steps=6, **changes)
    run(cache, tmp_path / "cut", steps=4, **changes)
    assert only(run(cache, tmp_path / "cut", steps=6, **changes)) == only(whole)


def test_a_run_may_start_from_a_trained_model(cache, tmp_path):
    run(cache, tmp_path / "first", steps=3)
    changes = {"start": "soundit", "weights": str(tmp_path / "first")}
    model = make_model(settings_of(cache, "x", **changes), cache.description)
    assert same(dict(model.named_parameters()), last(tmp_path / "first", "average"))
    with pytest.raises(InputError, match="depth is 2, the settings say 3"):
        make_model(settings_of(cache, "x", **changes, model={**TINY, "depth": 3}), cache.description)
    with pytest.raises(WeightsError, match="cannot be loaded"):
        make_model(settings_of(cache, "x", start="soundit", weights=str(tmp_path)), cache.description)


def test_without_a_rate_of_its_own_the_old_part_learns_as_the_rest(cache):
    config = settings_of(cache, "x")
    model = make_model(config, cache.description)
    (group,) = parameter_groups(config, model)
    assert len(group["params"]) == len(list(model.parameters()))


# ------------------------------------------------------------------------- what remains
def test_checkpoints_are_whole_few_and_hold_no_pickle(cache, tmp_path):
    (tmp_path / "checkpoints" / "step-00000099.part").mkdir(parents=True)  # of an earlier kill
    run(cache, tmp_path, steps=9, save_every=2, keep=2)
    left = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert left == ["step-00000008", "step-00000009"]
    files = [path for path in tmp_path.rglob("*") if path.is_file() and "tfevents" not in path.name]
    assert {path.suffix for path in files} == {".safetensors", ".json", ".csv"}


def test_losses_go_to_tensorboard_too(cache, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = run(cache, tmp_path, steps=3)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3]
    assert [event.value for event in events.Scalars("loss")] == pytest.approx([line["loss"] for line in read])


def test_a_line_is_the_mean_since_the_line_before(cache, tmp_path):
    each = only(run(cache, tmp_path / "each", steps=5, save_every=4), "step", "loss")
    pairs = only(run(cache, tmp_path / "pairs", steps=5, save_every=4, log_every=2), "step", "loss")
    losses = [loss for _, loss in each]
    means = [(losses[0] + losses[1]) / 2, (losses[2] + losses[3]) / 2, losses[4]]
    assert [step for step, _ in pairs] == [2, 4, 5]
    assert [loss for _, loss in pairs] == pytest.approx(means, rel=1e-6)


def test_a_constant_run_can_be_made_longer(cache, tmp_path):
    whole = run(cache, tmp_path / "whole", steps=6)
    run(cache, tmp_path / "short", steps=3)
    assert only(run(cache, tmp_path / "short", steps=6)) == only(whole)


def test_a_finished_run_is_left_as_it_is(cache, tmp_path):
    first = run(cache, tmp_path)
    model = load_file(tmp_path / "transformer" / "diffusion_pytorch_model.safetensors")
    assert run(cache, tmp_path) == first
    assert same(load_file(tmp_path / "transformer" / "diffusion_pytorch_model.safetensors"), model)


def test_settings_that_change_the_losses_are_named_when_a_run_goes_on(cache, tmp_path):
    run(cache, tmp_path / "run", steps=2)
    with pytest.raises(TrainingError, match=r"rate was 0\.01, is 0\.02; seed was 0, is 5"):
        run(cache, tmp_path / "run", rate=0.02, seed=5)
    other = write_cache(tmp_path / "other", seed=1)
    with pytest.raises(TrainingError, match="the cache held other rows"):
        run(other, tmp_path / "run")
    moved_cache = Cache(shutil.copytree(cache.folder, tmp_path / "moved"))
    run(moved_cache, tmp_path / "run", steps=3, accumulation=2, keep=1)
    train(settings_of(cache, tmp_path / "run", rate=0.02), resume=False, progress=False)
    assert [line["lr"] for line in lines(tmp_path / "run")] == [0.02] * 4


def test_cache_and_model_must_fit(cache, tmp_path):
    for model, message in (
        ({**TINY, "token_dim": 8}, "token_dim is 8, the cache has 16"),
        ({**TINY, "sample_size": 16}, "sample_size is 16, the cache has 8"),
        ({"size": "huge"}, "there are mini"),
        ({**TINY, "wdith": 3}, "no setting 'wdith'"),
    ):
        with pytest.raises(InputError, match=message):
            train(settings_of(cache, tmp_path, model=model), progress=False)
    wide = write_cache(tmp_path / "wide", latent=(4, 8, 12))
    with pytest.raises(InputError, match=r"\(4, 8, 12\).*square"):
        train(settings_of(wide, tmp_path), progress=False)
    with pytest.raises(MissingFileError, match="train cache"):
        train(config_from({"cache": str(tmp_path / "nowhere"), "out": str(tmp_path)}), progress=False)


def test_a_full_disk_stops_the_run_before_it_begins_and_later_keeps_what_there_is(
    cache, tmp_path, monkeypatch
):
    class Usage:
        free = 1000

    run(cache, tmp_path, steps=2)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.shutil, "disk_usage", lambda _: Usage)
        with pytest.raises(TrainingError, match=r"does not fit .* Make space"):
            run(cache, tmp_path, steps=4)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", full)
        with pytest.raises(TrainingError, match="No space left"):
            run(cache, tmp_path, steps=4)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000002"]
    assert only(run(cache, tmp_path, steps=4)) == only(run(cache, tmp_path / "whole", steps=4))


def test_a_diverged_run_stops_and_keeps_its_last_checkpoint(tmp_path):
    held = write_cache(tmp_path / "cache", counts=(12,))
    shard = tmp_path / "cache" / "shard-00000.safetensors"
    values = load_file(shard)
    values["latent_mean"][7] = math.inf
    save_file(values, shard)
    with pytest.raises(TrainingError, match="diverged"):
        run(held, tmp_path / "run", steps=40, save_every=1, batch_size=1)
    saved = checkpoint.checkpoints(tmp_path / "run" / "checkpoints")
    assert all(
        value.isfinite().all() for path in saved for value in load_file(path / "weights.safetensors").values()
    )


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("name", ["weights", "average", "moments"])
def test_damaged_and_foreign_checkpoints_are_refused(cache, tmp_path, name):
    run(cache, tmp_path, steps=2)
    file = tmp_path / "checkpoints" / "step-00000002" / f"{name}.safetensors"
    held = load_file(file)
    first = next(iter(held))
    for content, message in (
        (pickle.dumps(Evil(tmp_path / "evil")), "no intact safetensors"),
        (file.read_bytes()[:-7], "no intact safetensors"),
    ):
        file.write_bytes(content)
        with pytest.raises(WeightsError, match=message):
            run(cache, tmp_path)
    assert not (tmp_path / "evil").exists()
    save_file({key: value for key, value in held.items() if key != first}, file)
    with pytest.raises(WeightsError, match=f"1 missing: {first}"):
        run(cache, tmp_path)
    for text in ("[", '{"step": 2}'):
        (file.parent / "state.json").write_text(text)
        with pytest.raises(WeightsError, match="Remove it to go on"):
            run(cache, tmp_path)


# ------------------------------------------------------------------------------ config
def test_packed_configs_name_known_settings_and_a_known_model():
    assert configs() == ["mini", "paper"]
    for name in configs():
        config = load_config(name)
        model = {key: value for key, value in config.model.items() if key != "size"}
        refuse_unknown_settings(SounDiTTransformer2DModel, model)
    paper = load_config("paper")
    assert (paper.rate, paper.batch_size, paper.ema, paper.model["size"]) == (1e-4, 256, 0.9999, "XL/2")
    assert (paper.precision, paper.start, paper.prediction_type) == ("bf16", "dit", "epsilon")


def test_the_mini_config_makes_the_embedded_model():
    about = CacheDescription(
        latent=(4, 16, 16), tokens=(3, 128), summary_dim=128, scenes=1, scene_dim=128, scaling_factor=1.0,
        shift_factor=0.0, soundscape_tokens="clips",
    )  # fmt: skip
    ours = dict(make_model(load_config("mini"), about).config)
    embedded = json.loads((Path(preset_path("synthetic-city")) / "transformer" / "config.json").read_text())
    assert {key: ours[key] for key in embedded if not key.startswith("_")} == {
        key: value for key, value in embedded.items() if not key.startswith("_")
    }


def test_changes_are_laid_over_a_file(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("cache: a\nout: b\nrate: 1e-3\nmodel: {size: S/2}\n")
    config = load_config(path, ["out=c", "model.experts=4", "clip=null", "betas=[0.9, 0.95]", "steps=7"])
    assert (config.out, config.rate, config.clip, config.betas, config.steps) == (
        "c",
        1e-3,
        None,
        (0.9, 0.95),
        7,
    )
    assert config.model == {"size": "S/2", "experts": 4}


BAD = {
    "learning_rate=1": "Unknown settings: learning_rate",
    "rate=fast": "rate is 'fast'; expected float",
    "rate=-1": "expected above 0",
    "rate=.nan": "expected above 0",
    "steps=1.5": "steps is 1.5; expected int",
    "steps=0": "expected at least 1",
    "precision=fp8": "float32, bf16",
    "drop_both=1.5": "between 0 and 1",
    "betas=[1]": "betas",
    "model=3": "expected dict",
    "start=dit": "weights None",
    "weights=x": "'fresh' goes without weights",
    "old_rate=0": "has no old part",
    "save_every=75": "multiple of log_every",
    "accumulation=7": "shared out among 7",
    "sample_every=10": "needs a pipeline",
    "compile=maybe": "expected bool",
    "nothing": "expected key=value",
    "rate=[": "no YAML",
    "optimiser.rate=1": "only model",
    "cache=null": "cache must be set",
}


@pytest.mark.parametrize("change", BAD)
def test_bad_settings_are_refused_by_name(tmp_path, change):
    path = tmp_path / "run.yaml"
    path.write_text("cache: a\nout: b\n")
    with pytest.raises(InputError) as caught:
        load_config(path, [change])
    assert BAD[change] in str(caught.value)


def test_files_that_are_no_settings_are_refused(tmp_path):
    with pytest.raises(MissingFileError, match="mini, paper"):
        load_config("midi")
    path = tmp_path / "run.yaml"
    for text, message in (
        ("- a\n", "holds list"),
        ("a: [", "no readable YAML"),
        ("!!python/object:os.x {}", "YAML"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            load_config(path)


def test_settings_made_in_python_are_checked_as_well():
    with pytest.raises(InputError, match="steps is 0"):
        TrainingConfig(cache="a", out="b", steps=0)


def test_a_batch_that_cannot_be_shared_out_is_refused_in_one_line(cache, tmp_path):
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(settings_of(cache, tmp_path / "run").as_dict()))
    done = CliRunner().invoke(
        app, ["train", "soundit", str(tmp_path / "run.yaml"), "--set", "accumulation=4"]
    )
    assert isinstance(done.exception, InputError)


# -------------------------------------------------------------------------- end to end
@pytest.fixture(scope="module")
def city(tmp_path_factory):
    """A cache of four places of the synthetic city, made with the embedded preset."""
    from soundit_geo.synthetic_city.picture import render_picture
    from soundit_geo.synthetic_city.place import SCENES, draw_place
    from soundit_geo.synthetic_city.sound import render_sound

    folder, rng = tmp_path_factory.mktemp("city"), np.random.default_rng(0)
    lines_ = ["audio,image,scene"]
    for number, scene in enumerate(SCENES[:4]):
        place = draw_place(rng, scene)
        Image.fromarray(render_picture(place, 128)[0]).save(folder / f"{number}.png")
        soundfile.write(folder / f"{number}.wav", render_sound(place), 16000)
        lines_.append(f"{number}.wav,{number}.png,{'a street' if number else ''}")
    (folder / "pairs.csv").write_text("\n".join(lines_) + "\n")
    done = CliRunner().invoke(
        app, ["train", "cache", str(folder / "pairs.csv"), "--out", str(folder / "cache"), "--quiet"]
    )
    assert done.exit_code == 0, done.output
    return Cache(folder / "cache")


@pytest.mark.slow
def test_four_places_are_learned_and_the_result_opens_as_a_pipeline(city, tmp_path):
    """From pairs to pictures. On a fixed batch the loss falls far below 1, that of guessing no velocity at all."""
    changes = {
        "pipeline": "synthetic-city",
        "prediction_type": "v_prediction",
        "model": {**TINY, "width": 64},
        "steps": 120,
        "batch_size": 16,
        "rate": 1e-2,
        "warmup": 5,
        "schedule": "cosine",
        "ema": 0.8,
        "log_every": 40,
        "save_every": 120,
        "sample_every": 120,
        "samples": 2,
        "sample_steps": 3,
    }
    config = settings_of(city, tmp_path, **changes)
    train(config, progress=False)

    stream = SampleStream(city, settings_of(city, "x", seed=99))
    batch = default_collate([stream[number] for number in range(64)])
    noising = DDPMScheduler(
        1000, beta_start=1e-4, beta_end=0.02, beta_schedule="linear", prediction_type="v_prediction"
    )
    trained = SounDiTTransformer2DModel.from_pretrained(tmp_path / "transformer")
    with torch.no_grad():
        before = denoising_loss(make_model(config, city.description), batch, noising).item()
        after = denoising_loss(trained, batch, noising).item()
    assert after < 0.75 * before

    pipeline = sg.SounDiTPipeline.from_pretrained(tmp_path)
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    pipeline.set_progress_bar_config(disable=True)
    wave = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    assert pipeline([wave], ["a street"], num_inference_steps=2).images[0].size == (128, 128)
    assert Image.open(tmp_path / "samples" / "step-00000120.png").size == (256, 128)
    about = json.loads((tmp_path / "training.json").read_text())
    assert about["config"]["steps"] == 120
    assert about["pictures_seen"] == 120 * 16
    assert about["cache"] == city.fingerprint
    assert {"soundit-geo", "torch"} <= about["versions"].keys()


def test_looking_at_samples_changes_nothing(city, tmp_path):
    changes = {"model": TINY, "samples": 2, "sample_steps": 2, "pipeline": "synthetic-city"}
    blind = run(city, tmp_path / "blind", **changes)
    looked = run(city, tmp_path / "looked", **changes, sample_every=1)
    assert only(looked) == only(blind)
    assert len(list((tmp_path / "looked" / "samples").iterdir())) == 4


def test_a_pipeline_of_another_autoencoder_is_refused(cache, tmp_path):
    with pytest.raises(InputError, match="they are not the same"):
        run(cache, tmp_path, pipeline="synthetic-city", model={**TINY})
