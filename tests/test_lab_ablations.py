"""The paper's experiments in small: what is taken out is out, all else is equal, and the table tells what was seen."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from soundit_geo.cli import app
from soundit_geo.errors import InputError
from soundit_geo.lab import ablations
from soundit_geo.lab.ablation_table import CLAIMS, markdown, orderings, table, write
from soundit_geo.lab.ablations import BASE, SAMPLING, VARIANTS, Budget, ablate, build, losses_of
from soundit_geo.lab.loop import Plan, fit
from soundit_geo.lab.preset.caches import CAPTIONS
from soundit_geo.lab.yardstick import MEASURES

pytestmark = pytest.mark.filterwarnings("ignore::soundit_geo.errors.OutsideWorldWarning")

TINY = Budget(places=12, test_places=12, steps=2, batch=4)


@pytest.fixture
def cache():
    generator = torch.Generator().manual_seed(0)

    def some(*shape):
        return torch.randn(shape, generator=generator)

    return {
        "latents": some(8, 2, 4, 16, 16).half(),
        "tokens": some(4, 3, 16),
        "summary": some(4, 16),
        "scenes": some(4, CAPTIONS, 16),
    }


def drawn(model, cache, *, scene=True):
    count = 4
    with torch.no_grad():
        return model(
            cache["latents"][:count, 0].float(),
            torch.full((count,), 500),
            cache["tokens"],
            cache["summary"],
            cache["scenes"][:, 0],
            soundscape_missing=torch.zeros(count, dtype=torch.bool),
            scene_missing=torch.full((count,), not scene),
        ).sample


def trained(name, cache, tmp_path, steps=6):
    torch.manual_seed(1)
    model = build(VARIANTS[name], cache)
    losses = losses_of(model, VARIANTS[name], cache, batch=4, seed=1)
    return fit(model, losses, Plan(steps, rate=1e-2, warmup=1, decay=0.0, average=0.1), tmp_path, name)


@pytest.mark.parametrize(
    ("name", "hears_of_the_scene"), [("full", True), ("no-slrcm", True), ("neither", False)]
)
def test_what_is_taken_out_has_no_effect_after_training(name, hears_of_the_scene, cache, tmp_path):
    model = trained(name, cache, tmp_path)
    changed = not torch.equal(drawn(model, cache), drawn(model, cache, scene=False))
    assert changed == hears_of_the_scene


def test_a_frozen_gate_stays_at_zero_and_the_others_move(cache, tmp_path):
    model = trained("no-slrcm", cache, tmp_path)
    for block in model.blocks:
        assert block.content.alpha == 0
        assert block.scene_time.beta != 0


def test_plain_cross_attention_has_one_expert_of_full_rank_and_still_hears(cache, tmp_path):
    model = trained("cross-attention", cache, tmp_path)
    assert model.blocks[0].soundscape.down.shape == (1, BASE["width"], BASE["width"])
    other = {**cache, "tokens": -cache["tokens"]}
    assert not torch.equal(drawn(model, cache), drawn(model, other))
    assert torch.equal(drawn(model, cache), drawn(model, cache, scene=False))


def test_every_variant_gets_the_same_rows_noises_and_times_and_every_seed_others(cache):
    def fed(name, seed):
        seen = []

        def model(noisy, time, *given, **missing):
            seen.append((noisy, time, *given))
            return SimpleNamespace(sample=torch.zeros_like(noisy))

        losses_of(model, VARIANTS[name], cache, batch=4, seed=seed)(torch.Generator().manual_seed(3))
        return seen[0]

    reference = fed("full", 1)
    for name in VARIANTS:
        assert all(torch.equal(one, other) for one, other in zip(reference, fed(name, 1), strict=True))
    assert not torch.equal(reference[0], fed("full", 2)[0])


def test_variants_differ_from_full_in_what_they_say():
    for name, variant in VARIANTS.items():
        said = [*variant.model, *variant.frozen, *(["blind"] if variant.blind else [])]
        said += ["tokens"] if variant.tokens != "clips" else []
        assert bool(said) == (name != "full")
        assert set(variant.model) <= set(BASE)
    assert {claim.better for claim in CLAIMS} | {claim.worse for claim in CLAIMS} <= set(VARIANTS)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("ablations")
    return out, ablate(out, budget=TINY, seeds=(1, 2), only=("full", "tokens-patches"), sampling=False)


def test_a_run_measures_every_variant_with_every_seed_and_says_what_it_is(run):
    _, result = run
    assert set(result["units"]) == {"full", "tokens-patches"}
    for units in result["units"].values():
        assert len(units) == 2
        assert all(set(unit) == set(MEASURES) for unit in units)
    assert result["evidence"] == "stand-in model: synthetic city"
    assert result["parameters"]["full"] > 1e6


def test_a_second_run_trains_nothing_and_says_the_same(run, monkeypatch):
    out, result = run

    def refuse(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(ablations, "fit", refuse)
    again = ablate(out, budget=TINY, seeds=(1, 2), only=("full", "tokens-patches"), sampling=False)
    assert again == result
    with pytest.raises(AssertionError, match="trained again"):
        ablate(out, budget=TINY, seeds=(3,), only=("full",), sampling=False)


def test_other_weights_make_a_unit_anew(run, monkeypatch, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run[0], copy)
    trained_again = []
    monkeypatch.setattr(ablations, "_made_of", lambda *_: "others")
    monkeypatch.setattr(ablations, "fit", lambda model, *_: trained_again.append(1) or model)
    monkeypatch.setattr(ablations.Yardstick, "measure", lambda *_, **__: dict.fromkeys(MEASURES, 0.5))
    anew = ablate(copy, budget=TINY, seeds=(1,), only=("full",), sampling=False)
    assert trained_again == [1]
    assert anew["units"]["full"] == [dict.fromkeys(MEASURES, 0.5)]


def test_data_of_another_size_are_not_taken(run):
    with pytest.raises(InputError, match="another city"):
        ablate(run[0], budget=Budget(places=24, test_places=12, steps=2, batch=4), seeds=(1,), only=("full",))


def test_what_has_no_effect_is_not_counted(cache, tmp_path):
    counts = {}
    for name in ("full", "no-slrcm", "no-s-adaln", "neither"):
        unit = ablations._Unit(tmp_path / name, VARIANTS[name], 1, TINY, "")
        unit.keep({}, build(VARIANTS[name], cache))
        counts[name] = unit.parameters()
    assert counts["neither"] < counts["no-slrcm"] < counts["full"]
    assert (
        counts["full"] - counts["neither"] == 2 * counts["full"] - counts["no-slrcm"] - counts["no-s-adaln"]
    )


def test_a_seed_or_variant_named_twice_counts_once(run):
    out, result = run
    again = ablate(out, budget=TINY, seeds=(1, 2, 1), only=("full", "tokens-patches", "full"), sampling=False)
    assert again == result


def test_unknown_variants_and_presets_are_refused(tmp_path):
    with pytest.raises(InputError, match="no-slrcm"):
        ablate(tmp_path, only=("no-such",))
    with pytest.raises(InputError, match="neither"):
        ablate(tmp_path, "someone/elses-model")
    with pytest.raises(InputError, match="at least one"):
        ablate(tmp_path, seeds=())


def made_up(**scores):
    units = {
        name: [dict.fromkeys(MEASURES, 0.5) | {"scene": scene, "fid": 100 * (1 - scene)} for scene in values]
        for name, values in scores.items()
    }
    names = [name for name in units if name in VARIANTS]
    return {
        "units": units,
        "groups": {name: VARIANTS[name].group for name in names},
        "words": {name: VARIANTS[name].words for name in names},
        "parameters": dict.fromkeys(names, 1_000_000),
    }


def test_the_table_has_means_and_deviations_over_seeds():
    values = [0.61, 0.7, 0.64]
    rows = table(made_up(full=values, **{"guidance 2": [0.5, 0.6, 0.7]}))
    mean, deviation = rows[0]["scene"]
    assert mean == pytest.approx(np.mean(values))
    assert deviation == pytest.approx(np.std(values, ddof=1))
    assert "0.650 ± 0.046" in markdown(rows)
    assert rows[1]["words"] == "full, guidance 2"
    assert rows[1]["parameters"] is None


def test_an_ordering_reproduces_fails_or_stays_undecided_by_its_standard_error():
    result = made_up(
        full=[0.7, 0.72, 0.71],
        **{"no-slrcm": [0.6, 0.61, 0.62], "no-s-adaln": [0.8, 0.83, 0.81], "neither": [0.6, 0.9, 0.7]},
    )
    verdicts = {(found["claim"], found["measure"]): found["verdict"] for found in orderings(result)}
    assert verdicts["SLRCM helps", "scene"] == verdicts["SLRCM helps", "fid"] == "reproduces"
    assert verdicts["S-AdaLN helps", "scene"] == "does not reproduce"
    assert verdicts["both together help", "scene"] == "undecided"
    assert not any(claim.startswith("8 experts") for claim, _ in verdicts)
    near = made_up(
        full=[0.7, 0.72, 0.71], **{"no-slrcm": [0.69, 0.7, 0.68]}
    )  # three and a half standard errors
    assert {found["verdict"] for found in orderings(near)} == {"undecided"}
    single = made_up(full=[0.9], **{"no-slrcm": [0.1]})
    assert {found["verdict"] for found in orderings(single)} == {"undecided"}


def test_results_are_written_as_json_csv_markdown_and_plots(tmp_path):
    pytest.importorskip("matplotlib")
    scores = {name: [0.5, 0.6, 0.55] for name in (*VARIANTS, *SAMPLING)}
    write(made_up(**scores), tmp_path)
    told = json.loads((tmp_path / "figures.json").read_text())
    assert told["orderings"]
    assert len((tmp_path / "table.csv").read_text().splitlines()) == 1 + len(VARIANTS) + len(SAMPLING)
    assert (tmp_path / "ablations.png").stat().st_size > 10_000


def test_the_command_prints_json(run):
    out, result = run
    arguments = [
        "--places",
        "12",
        "--test-places",
        "12",
        "--steps",
        "2",
        "--batch",
        "4",
        "--seed",
        "1",
        "--seed",
        "2",
    ]
    arguments += ["--only", "full", "--only", "tokens-patches", "--no-sampling", "--no-plots", "--quiet"]
    printed = CliRunner().invoke(app, ["lab", "ablations", "--out", str(out), *arguments])
    assert printed.exit_code == 0, printed.output
    assert json.loads(printed.stdout)["units"].keys() == result["units"].keys()
