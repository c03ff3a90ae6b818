"""The benches: what they compare is comparable, and what they print is what they measured."""

import json
import operator
import shlex

import numpy as np
import pytest
from typer.testing import CliRunner

from soundit_geo.cli import app
from soundit_geo.errors import InputError
from soundit_geo.lab import bench, bench_scoring
from soundit_geo.lab.memory import peak_of


def test_rounds_are_interleaved_and_no_contestant_always_goes_first():
    order = []
    runs = {name: lambda name=name: order.append(name) for name in "abc"}
    seconds = bench.interleaved(runs, rounds=3)
    assert {name: len(times) for name, times in seconds.items()} == {"a": 3, "b": 3, "c": 3}
    rounds = [order[start : start + 3] for start in range(0, len(order), 3)]
    assert len(rounds) == 5  # two of them to warm up
    assert all(sorted(names) == ["a", "b", "c"] for names in rounds)
    assert {names[0] for names in rounds} == {"a", "b", "c"}


def test_a_ratio_is_taken_within_each_round_so_that_a_slow_spell_cancels():
    seconds = {"ours": [1.0, 10.0, 2.0], "theirs": [2.0, 20.0, 4.0]}
    assert bench.ratio(seconds, "ours", "theirs") == {"ratio": 0.5, "low": 0.5, "high": 0.5}


@pytest.mark.parametrize("size", ["mini", "S/2"])
def test_the_peers_have_the_size_that_they_are_named_after(size):
    dit, pixart = bench._dit(size, bench.Setting()), bench._pixart(size, bench.Setting())
    shape = bench.SIZES[size]
    for peer in (dit, pixart):
        assert len(peer.transformer_blocks) == shape["depth"]
        assert peer.config.num_attention_heads == shape["heads"]
        assert peer.config.num_attention_heads * peer.config.attention_head_dim == shape["width"]
    assert dit.pos_embed.proj.weight.shape[0] == shape["width"]


def test_no_gate_of_the_measured_model_is_shut():
    model = bench._soundit("mini", 2, bench.Setting())
    assert all(parameter.any() for parameter in model.parameters())


def test_the_transformer_bench_prints_its_ratios():
    arguments = shlex.split("bench transformer --size mini --batch 1 --tokens 3 --rounds 1")
    printed = json.loads(CliRunner().invoke(app, arguments, catch_exceptions=False).stdout)
    for name in ("soundit / dit", "soundit / pixart", "M = 8 / M = 2"):
        assert printed[name]["ratio"] > 0
    seconds = printed["median seconds"]
    assert printed["soundit / dit"]["ratio"] == pytest.approx(seconds["soundit"] / seconds["dit"], rel=0.2)


def test_the_sampling_bench_compares_two_ways_to_the_same_latents():
    arguments = shlex.split("bench sampling --size mini --batch 1 --tokens 3 --steps 3 --rounds 1 --blocks 2")
    printed = json.loads(CliRunner().invoke(app, arguments, catch_exceptions=False).stdout)
    assert printed["blocks"] == 2
    for name in ("soundit / literal", "soundit / literal, factored"):
        assert printed[name]["ratio"] > 0
    assert printed["largest difference of the latents after two steps"] < 1e-3


def test_what_dit_has_is_about_as_large_as_dits_paper_says():
    """Peebles and Xie 2023, Table 1; theirs counts the class table and the learned variance too."""
    sizes = bench.sizes()
    for name, millions in {"S/2": 33, "B/2": 130, "L/2": 458, "XL/2": 675}.items():
        assert sizes[name]["dit"] == pytest.approx(millions * 1e6, rel=0.02)
        assert sizes[name]["parameters"] > sizes[name]["dit"]


def test_an_unknown_precision_is_refused():
    with pytest.raises(InputError, match="bfloat16"):
        bench.precision("float8")


@pytest.mark.slow
def test_the_plain_loop_sees_the_same_elements_as_the_judges(tmp_path):
    judges, networks = bench_scoring._networks("segformer-b0")
    files = bench_scoring._pictures(tmp_path, 2, (512, 512))  # of the network's own size: nothing is resized
    counts = bench_scoring._plain(files, networks[:1])
    shares = judges.elements.judge(files).share
    np.testing.assert_allclose(shares, np.stack(counts) / 512**2, atol=2e-3)


@pytest.mark.slow
def test_the_scoring_bench_prints_pictures_per_second():
    command = "bench scoring --pictures 2 --width 64 --rounds 1"
    result = CliRunner().invoke(app, shlex.split(command))
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert set(said["pictures per second"]) == {"soundit-geo", "plain loop"}
    assert min(said["pictures per second"].values()) > 0
    assert "no element network 'x'" in str(
        CliRunner().invoke(app, ["bench", "scoring", "--elements", "x"]).exception
    )


def test_the_peak_of_a_process_is_its_own_and_no_earlier_one_hides_it():
    ballast = b"x" * 300_000_000  # held by this process, not by those that it starts
    much, little = (peak_of(operator.mul, b"x", count) for count in (200_000_000, 1))
    assert 190e6 < much - little < 210e6
    assert little < len(ballast)


@pytest.mark.slow
def test_memory_of_a_scoring_run_does_not_grow_with_its_pictures():
    """Were the decoded pictures kept, 600 of 256 × 256 would take 106 MB more than 60 of them."""
    result = CliRunner().invoke(app, shlex.split("bench scoring --memory 600"))
    assert result.exit_code == 0, result.output
    peaks = json.loads(result.stdout)["peak in megabytes"]
    assert peaks["all"] - peaks["a tenth"] < 70
