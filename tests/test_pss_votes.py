"""Votes: reading, TrueSkill, training a judge on them, and how well it agrees with people it has not met."""

from __future__ import annotations

import csv
import itertools
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from soundit_geo.classes import COMPARATIVES, PERCEPTIONS
from soundit_geo.cli import app
from soundit_geo.errors import (
    InputError,
    MissingFileError,
    PictureError,
    SounditError,
    TrainingError,
    WeightsError,
)
from soundit_geo.lab.perception import Plan, split, targets, train_perception
from soundit_geo.pss import Votes, load_judges, read_votes
from soundit_geo.pss.place_pulse import NETWORKS, load_perception
from soundit_geo.pss.votes import SETTINGS, Skills, pair_accuracy, quality_of, skills
from soundit_geo.synthetic_city.perception import perceive
from soundit_geo.synthetic_city.picture import element_share, render_picture
from soundit_geo.synthetic_city.place import SCENES, draw_place

ROWS = [("a", "b", "left", "safe"), ("b", "c", "right", "safe"), ("c", "a", "equal", "boring")]


def _write(path, header, rows, delimiter=","):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    return path


# Reading


def test_votes_are_read_in_our_columns_and_in_those_of_place_pulse(tmp_path):
    path = tmp_path / "votes.csv"
    ours = read_votes(_write(path, ("left", "right", "winner", "quality"), ROWS))
    assert ours.pictures == ("a", "b", "c")
    assert ours.left.tolist() == [0, 1, 2]
    assert ours.right.tolist() == [1, 2, 0]
    assert ours.winner.tolist() == [1, -1, 0]
    assert [PERCEPTIONS[quality] for quality in ours.quality] == ["safe", "safe", "boring"]
    words = {
        "safe": ("safer", "safety", "Safer"),
        "boring": ("more boring", "boring", "Which place looks more boring?"),
    }
    for number, (header, delimiter) in enumerate(
        (
            (("left_id", "right_id", "winner", "study_question"), ","),
            (("left", "right", "winner", "category"), ","),
            (("Left_ID", " right_id ", "WINNER", "study_question"), "\t"),
        )
    ):
        rows = [(*row[:3], words[row[3]][number]) for row in ROWS]
        read = read_votes(_write(path, header, rows, delimiter))
        for field in ("left", "right", "winner", "quality"):
            assert np.array_equal(getattr(read, field), getattr(ours, field))


def test_other_columns_their_order_and_blank_lines_do_not_matter(tmp_path):
    path = tmp_path / "votes.csv"
    path.write_text(
        "\ufeffquality,when,winner,right,left\n\nwealthy,2013,LEFT, b , a\n,,,,\n", encoding="utf-8"
    )
    votes = read_votes(path)
    assert (votes.pictures, votes.winner.tolist(), votes.quality.tolist()) == (("a", "b"), [1], [3])


@pytest.mark.parametrize("name", PERCEPTIONS)
def test_a_quality_has_several_names(name):
    for word in (name, name.upper(), COMPARATIVES[name], f"Which place looks {COMPARATIVES[name]}?"):
        assert quality_of(word) == name
    assert quality_of("cosy") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 columns for the left"),
        ("left,right,winner\na,b,left\n", "quality or study_question or category"),
        ("left,left_id,right,winner,quality\n", "2 columns for the left"),
        ("left,right,winner,quality\n", "no vote"),
        ("left,right,winner,quality\na,b,left,safe\na,b,first,safe\n", "Vote 2 was won by 'first'"),
        ("left,right,winner,quality\na,b,left,cosy\n", "Vote 1 is on 'cosy'"),
        ("left,right,winner,quality\na,a,left,safe\n", "compares 'a' with 'a'"),
        ("left,right,winner,quality\na,,left,safe\n", "name two pictures"),
        ("left,right,winner,quality\na,b,left\n", "3 cells"),
        ('left,right,winner,quality\n"a,b,left,safe\n', "no CSV"),
    ],
)
def test_what_is_no_table_of_votes_is_named(tmp_path, text, said):
    path = tmp_path / "votes.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_votes(path)


def test_a_table_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(MissingFileError):
        read_votes(tmp_path / "absent.csv")
    (tmp_path / "votes.csv").write_bytes(b"left,right,winner,quality\n\xff\xfe,b,left,safe\n")
    with pytest.raises(InputError, match="UTF-8"):
        read_votes(tmp_path / "votes.csv")


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_votes_or_a_clear_error(tmp_path_factory, data, with_header):
    path = tmp_path_factory.mktemp("votes") / "votes.csv"
    path.write_bytes((b"left,right,winner,quality\n" if with_header else b"") + data)
    try:
        votes = read_votes(path)
    except SounditError:
        return
    assert len(votes) >= 1
    assert set(votes.winner.tolist()) <= {-1, 0, 1}
    assert max(votes.left.max(), votes.right.max()) < len(votes.pictures)


NAMES = st.text(min_size=1, max_size=12).map(str.strip).filter(bool)


@given(
    st.lists(
        st.tuples(
            NAMES, NAMES, st.sampled_from(("left", "right", "equal")), st.sampled_from(PERCEPTIONS)
        ).filter(lambda row: row[0] != row[1]),
        min_size=1,
        max_size=8,
    )
)
def test_written_votes_come_back(tmp_path_factory, rows):
    try:
        [row[0].encode() + row[1].encode() for row in rows]
    except UnicodeEncodeError:
        return
    path = _write(
        tmp_path_factory.mktemp("votes") / "votes.csv", ("left", "right", "winner", "quality"), rows
    )
    votes = read_votes(path)
    back = [
        (
            votes.pictures[left],
            votes.pictures[right],
            {1: "left", 0: "equal", -1: "right"}[won],
            PERCEPTIONS[which],
        )
        for left, right, won, which in zip(
            *(column.tolist() for column in (votes.left, votes.right, votes.winner, votes.quality)),
            strict=True,
        )
    ]
    assert back == rows


# TrueSkill


def test_settings_are_those_of_the_dataset():
    sigma = 25 / 3
    assert SETTINGS["mu"] == 25
    assert SETTINGS["sigma"] == pytest.approx(sigma)
    assert SETTINGS["beta"] ** 2 == pytest.approx(sigma**2 / 4)
    assert SETTINGS["tau"] ** 2 == pytest.approx(sigma**2 / 10_000)
    assert SETTINGS["draw_probability"] == 0.13


def test_scores_are_those_of_the_package_by_hand():
    import trueskill

    env = trueskill.TrueSkill(mu=25, sigma=25 / 3, beta=25 / 6, tau=25 / 300, draw_probability=0.13)
    a, b, c = (env.create_rating() for _ in range(3))
    a, b = env.rate_1vs1(a, b)
    c, b = env.rate_1vs1(c, b)
    b, c = env.rate_1vs1(b, c, drawn=True)
    rows = [*ROWS[:2], ("b", "c", "equal", "safe"), ROWS[2]]
    found = skills(Votes.of(rows))
    assert np.allclose(found.mu[:, 0], [a.mu, b.mu, c.mu])
    assert np.allclose(found.sigma[:, 0], [a.sigma, b.sigma, c.sigma])
    assert found.votes[:, 0].tolist() == [1, 3, 2]
    assert np.isnan(found.mu[1, 5])
    assert np.isnan(found.mu[:, 1:5]).all()
    assert found.mu[0, 5] == pytest.approx(25)
    assert found.votes[:, 5].tolist() == [1, 0, 1]


def test_one_win_by_the_published_formula():
    """Herbrich et al. 2006, two players: the gap's mean and truncated normal, written out."""
    from scipy.stats import norm

    sigma, beta, tau = 25 / 3, 25 / 6, 25 / 300
    variance = sigma**2 + tau**2
    c = np.sqrt(2 * beta**2 + 2 * variance)
    margin = norm.ppf((0.13 + 1) / 2) * np.sqrt(2) * beta / c
    v = norm.pdf(-margin) / norm.cdf(-margin)
    w = v * (v - margin)
    found = skills(Votes.of([("won", "lost", "left", "lively")]))
    assert found.mu[:, 1] == pytest.approx([25 - variance / c * v, 25 + variance / c * v], rel=1e-5)
    assert found.sigma[:, 1] == pytest.approx([np.sqrt(variance * (1 - variance / c**2 * w))] * 2, rel=1e-5)


def test_scores_follow_the_order_of_the_truth():
    rng = np.random.default_rng(0)
    names = [f"p{k:02d}" for k in range(12)]
    rows = []
    for _ in range(400):
        i, j = rng.choice(12, 2, replace=False)
        rows.append((names[i], names[j], "left" if i > j else "right", "beautiful"))
    votes = Votes.of(rows)
    found = skills(votes)
    assert np.corrcoef(found.mu[:, 2], np.arange(12))[0, 1] > 0.97
    assert (found.sigma[:, 2] < 25 / 3).all()
    accuracy, count = pair_accuracy(votes, found.mu)
    assert count.tolist() == [0, 0, 400, 0, 0, 0]
    assert accuracy[2] > 0.97
    assert np.isnan(accuracy[[0, 1, 3, 4, 5]]).all()


def test_pair_accuracy_counts_winners_and_halves_ties():
    votes = Votes.of(
        [
            ("a", "b", "left", "safe"),
            ("a", "b", "right", "safe"),
            ("b", "c", "left", "safe"),
            ("a", "c", "equal", "safe"),
            ("a", "c", "left", "boring"),
        ]
    )
    scores = np.full((3, 6), np.nan)
    scores[:, 0] = 2.0, 1.0, 1.0
    accuracy, count = pair_accuracy(votes, scores)
    assert count.tolist() == [3, 0, 0, 0, 0, 0]
    assert accuracy[0] == pytest.approx((1 + 0 + 0.5) / 3)
    assert np.isnan(accuracy[5])


def test_targets_are_standard_scores_weighted_by_what_votes_told():
    mu, sigma = np.full((3, 6), np.nan), np.full((3, 6), np.nan)
    mu[:, 0], sigma[:, 0] = (20.0, 25.0, 30.0), (25 / 3, 25 / 6, 0.0)
    target, weight, mean, spread = targets(Skills(mu, sigma, np.ones((3, 6), np.int64)))
    assert np.allclose(target[:, 0] * spread[0] + mean[0], mu[:, 0])
    assert target[:, 0].std() == pytest.approx(1)
    assert np.allclose(weight[:, 0], [0, 0.75, 1])
    assert not weight[:, 1:].any()
    assert not target[:, 1:].any()


# Training


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """Pictures of the synthetic city, and votes of a panel that sees its true perception with some noise."""
    folder = tmp_path_factory.mktemp("town")
    (folder / "images").mkdir()
    rng = np.random.default_rng(3)
    felt = []
    for number in range(72):
        place = draw_place(rng, SCENES[number % len(SCENES)])
        picture, mask = render_picture(place, size=64)
        Image.fromarray(picture).save(folder / "images" / f"p{number:02d}.png")
        felt.append(perceive(place, element_share(mask)))
    rows = []
    for quality, name in enumerate(PERCEPTIONS):
        for _ in range(400):
            i, j = rng.choice(len(felt), 2, replace=False)
            gap = felt[i][quality] - felt[j][quality] + rng.normal(0, 0.35)
            won = "equal" if abs(gap) < 0.2 else "left" if gap > 0 else "right"
            rows.append((f"p{i:02d}", f"p{j:02d}", won, name))
    _write(folder / "votes.csv", ("left", "right", "winner", "quality"), rows)
    return folder


@pytest.fixture(scope="module")
def trained(town):
    plan = Plan("mini", epochs=20, batch_size=16, rate=3e-3, held_out=0.3, seed=1)
    out = town / "judge"
    figures = train_perception(
        town / "votes.csv", town / "images", out, plan, name="town", world="synthetic city", device="cpu"
    )
    return out, figures


def test_a_judge_agrees_with_votes_that_it_has_not_seen(town, trained):
    out, figures = trained
    assert figures["pair_accuracy_all"] > 0.7
    assert all(share > 0.55 for share in figures["pair_accuracy"].values())
    assert json.loads((out / "figures.json").read_text()) == figures
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "figures.json", "model.safetensors"]

    # the accuracy again, from the saved judge, with the split and the count written out
    votes = read_votes(town / "votes.csv")
    order = np.random.default_rng(1).permutation(72)
    aside = {votes.pictures[row] for row in order[:22]}
    assert figures["pictures"] == {"all": 72, "learnt_from": 50, "held_out": 22}
    judge = load_judges(perception=out).perception
    names = sorted(aside)
    scores = judge.judge([town / "images" / f"{name}.png" for name in names]).scores
    at = dict(zip(names, scores, strict=True))
    hits = []
    for row in csv.DictReader((town / "votes.csv").open()):
        if {row["left"], row["right"]} <= aside and row["winner"] != "equal":
            quality = PERCEPTIONS.index(row["quality"])
            left_first = at[row["left"]][quality] > at[row["right"]][quality]
            hits.append(left_first == (row["winner"] == "left"))
    assert figures["pair_accuracy_all"] == pytest.approx(np.mean(hits), abs=1e-3)
    assert figures["votes"]["held_out"] >= len(hits) == sum(figures["votes"]["held_out_and_won"].values())


def test_the_trained_judge_carries_name_world_and_scale(trained, town):
    judges = load_judges(perception=trained[0])
    assert judges.names == {"perception": "town"}
    assert judges.worlds == {"perception": "synthetic city"}
    assert judges.perception_scale == "0 to 50 (TrueSkill μ), higher is more of the quality named"
    scores = judges.score(sorted((town / "images").iterdir())[:5])
    assert np.isfinite(scores.perception).all()
    assert ((scores.perception > 0) & (scores.perception < 50)).all()
    assert np.isnan(scores.element_share).all()


def test_the_same_seed_gives_the_same_judge(town, tmp_path):
    plan = Plan("mini", epochs=1, batch_size=32, held_out=0.3, seed=4)
    state = torch.random.get_rng_state()
    before = [
        train_perception(town / "votes.csv", town / "images", tmp_path / name, plan, device="cpu")
        for name in ("one", "two")
    ]
    assert torch.equal(torch.random.get_rng_state(), state)
    assert before[0] == before[1]
    picture = next((town / "images").iterdir())
    one, two = (load_perception(tmp_path / name).judge([picture]).scores for name in ("one", "two"))
    assert np.array_equal(one, two)
    assert load_perception(tmp_path / "one").name == "mini-one"


@given(st.integers(0, 100), st.floats(0.1, 0.6), st.integers(8, 40))
def test_no_picture_is_on_both_sides(seed, share, count):
    names = [f"{k:02d}" for k in range(count)]
    votes = Votes.of([(*pair, "left", "safe") for pair in itertools.combinations(names, 2)])
    try:
        learn, test = split(votes, Plan("mini", held_out=share, seed=seed))
    except InputError:
        assert round(share * count) < 2
        return
    sides = [set(np.concatenate([part.left, part.right]).tolist()) for part in (learn, test)]
    assert not sides[0] & sides[1]
    assert len(sides[1]) == round(share * count)


def test_qualities_without_votes_are_not_scored(town, tmp_path):
    votes = read_votes(town / "votes.csv")
    only = votes.quality == 4
    few = Votes(votes.pictures, votes.left[only], votes.right[only], votes.winner[only], votes.quality[only])
    plan = Plan("mini", epochs=1, held_out=0.4)
    figures = train_perception(few, town / "images", tmp_path / "out", plan, device="cpu")
    assert [name for name, share in figures["pair_accuracy"].items() if share is not None] == ["depressing"]
    scores = load_perception(tmp_path / "out").judge(sorted((town / "images").iterdir())[:2]).scores
    assert np.isnan(scores).all(0).tolist() == [True] * 4 + [False, True]


def test_training_may_start_from_weights_for_other_outputs(town, tmp_path):
    torch.manual_seed(0)
    other = NETWORKS["mini"].make()
    given = {key: value for key, value in other.state_dict().items() if not key.startswith("14.")}
    save_file(
        {**given, "14.weight": torch.zeros(1000, 128), "14.bias": torch.zeros(1000)},
        tmp_path / "start.safetensors",
    )
    plan = Plan("mini", epochs=1, rate=1e-9, decay=0.0, held_out=0.3)
    out = tmp_path / "out"
    figures = train_perception(
        town / "votes.csv", town / "images", out, plan, start=tmp_path / "start.safetensors", device="cpu"
    )
    assert figures["start"] == "start.safetensors"
    kept = load_perception(out).network.state_dict()
    assert torch.allclose(kept["0.weight"], given["0.weight"], atol=1e-6)
    with pytest.raises(WeightsError, match="does not fit"):
        train_perception(
            town / "votes.csv",
            town / "images",
            tmp_path / "wrong",
            Plan("densenet121"),
            start=tmp_path / "start.safetensors",
        )


def test_densenet_takes_torchvisions_names_old_and_new(tmp_path):
    from soundit_geo.lab.perception import _start_from

    torch.manual_seed(0)
    network, other = NETWORKS["densenet121"].make(), NETWORKS["densenet121"].make()
    assert network.classifier.out_features == 6
    old = {}
    for key, value in other.state_dict().items():
        for part in ("norm1", "norm2", "conv1", "conv2"):
            key = key.replace(f".{part}.", f".{part[:-1]}.{part[-1]}.")  # noqa: PLW2901
        old[key] = value
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    save_file(old, tmp_path / "densenet121.safetensors")
    _start_from(network, tmp_path / "densenet121.safetensors")
    key = "features.denseblock4.denselayer16.conv2.weight"
    assert torch.equal(network.state_dict()[key], other.state_dict()[key])
    assert not torch.equal(network.classifier.weight, other.classifier.weight)


def test_densenet_goes_from_votes_to_a_saved_judge_that_scores_a_picture(tmp_path):
    """The paper's network for Place Pulse, one step of training, then everything from the disk."""
    rng = np.random.default_rng(5)
    for row in range(6):
        Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(tmp_path / f"p{row}.png")
    pairs = [(f"p{one}", f"p{other}") for one in range(6) for other in range(one)]
    rows = [
        (*pair, ("left", "right")[number % 2], name)
        for number, pair in enumerate(pairs)
        for name in PERCEPTIONS
    ]
    _write(tmp_path / "votes.csv", ("left", "right", "winner", "quality"), rows)
    plan = Plan("densenet121", epochs=1, batch_size=4, held_out=0.34)
    out = tmp_path / "judge"
    figures = train_perception(tmp_path / "votes.csv", tmp_path, out, plan, name="dense", device="cpu")
    assert figures["pictures"] == {"all": 6, "learnt_from": 4, "held_out": 2}
    torch.manual_seed(plan.seed)
    untrained = NETWORKS["densenet121"].make().classifier.weight
    saved = load_file(out / "model.safetensors")
    assert not torch.allclose(saved["classifier.weight"], untrained)

    judges = load_judges(perception=out)
    assert judges.names == {"perception": "dense"}
    scores = judges.score([tmp_path / "p0.png", tmp_path / "p1.png"]).perception
    network = NETWORKS["densenet121"].make().eval()
    network.load_state_dict(saved)
    config = json.loads((out / "config.json").read_text())
    for score, name in zip(scores, ("p0", "p1"), strict=True):
        pixels = np.asarray(
            Image.open(tmp_path / f"{name}.png").resize((224, 224), Image.Resampling.BILINEAR)
        )
        shown = (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        with torch.inference_mode():
            output = network(torch.from_numpy(shown).permute(2, 0, 1)[None].float())[0].numpy()
        np.testing.assert_allclose(score, config["mean"] + np.array(config["spread"]) * output, atol=1e-3)


def test_what_cannot_be_trained_is_refused_before_it_begins(town, tmp_path):
    votes, images, plan = town / "votes.csv", town / "images", Plan("mini", epochs=1, held_out=0.3)
    with pytest.raises(MissingFileError, match="no folder"):
        train_perception(votes, tmp_path / "absent", tmp_path / "out", plan)
    few = Votes.of([("p00", "p01", "left", "safe"), ("p01", "p02", "right", "safe")])
    with pytest.raises(InputError, match="none is left"):
        train_perception(few, images, tmp_path / "out", plan)
    strange = Votes.of([("p00", "elsewhere", "left", "safe")])
    with pytest.raises(InputError, match="elsewhere"):
        train_perception(strange, images, tmp_path / "out", plan)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "config.json").touch()
    with pytest.raises(TrainingError, match="already"):
        train_perception(votes, images, tmp_path / "full", plan)
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="cannot be written"):
        train_perception(votes, images, tmp_path / "file", plan)
    for wrong in ({"network": "vgg"}, {"epochs": 0}, {"held_out": 1.0}, {"rate": float("nan")}, {"seed": -1}):
        with pytest.raises(InputError):
            Plan(**{"network": "mini", **wrong})


def test_absent_pictures_may_be_left_out(town, tmp_path, caplog):
    rows = [tuple(row.values()) for row in csv.DictReader((town / "votes.csv").open())]
    votes = Votes.of([("a lost one", "p03", "left", "safe"), *rows])
    plan = Plan("mini", epochs=1, held_out=0.3)
    figures = train_perception(votes, town / "images", tmp_path / "out", plan, skip_absent=True, device="cpu")
    assert figures["votes"]["all"] == len(rows)
    assert figures["pictures"]["all"] == 72
    assert "a lost one" in caplog.text


def test_a_name_that_fits_two_pictures_is_refused(town, tmp_path):
    for name in ("p00.png", "p00.jpg", "p01.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    votes = Votes.of([("p00", "p01", "left", "safe")])
    with pytest.raises(InputError, match=r"p00\.jpg or p00\.png"):
        train_perception(votes, tmp_path, tmp_path / "out", Plan("mini"))


def test_a_loss_that_is_not_finite_stops_the_training(town, tmp_path):
    with pytest.raises(TrainingError, match="lower rate"):
        train_perception(
            town / "votes.csv",
            town / "images",
            tmp_path / "out",
            Plan("mini", epochs=50, rate=1e30, decay=0.5, batch_size=8, held_out=0.3),
            device="cpu",
        )
    assert not (tmp_path / "out" / "config.json").exists()


def test_the_command_trains_and_reports(town, tmp_path):
    out = tmp_path / "judge"
    command = [
        "train",
        "perception",
        "--votes",
        town / "votes.csv",
        "--images",
        town / "images",
        "--out",
        out,
    ]
    options = [
        "--network",
        "mini",
        "--epochs",
        "1",
        "--held-out",
        "0.3",
        "--quiet",
        "--device",
        "cpu",
        "--name",
        "x",
    ]
    result = CliRunner().invoke(app, [*map(str, command), *options])
    assert result.exit_code == 0, result.output
    assert "held-out votes" in result.output
    assert "depressing" in result.output
    assert load_perception(out).name == "x"
    again = CliRunner().invoke(app, [*map(str, command), *options])
    assert isinstance(again.exception, TrainingError)


def test_a_picture_that_cannot_be_read_is_told_before_the_training(tmp_path, monkeypatch):
    from soundit_geo.lab import perception

    names = [f"p{row}" for row in range(12)]
    for name in names:
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png")
    (tmp_path / "p11.png").write_text("a poem")
    rows = [f"{a},{b},left,safe" for a in names for b in names if a != b]
    (tmp_path / "votes.csv").write_text("\n".join(["left,right,winner,quality", *rows]) + "\n")
    monkeypatch.setattr(perception, "_fit", lambda *_: pytest.fail("trained first"))
    with pytest.raises(PictureError, match="p11"):
        perception.train_perception(tmp_path / "votes.csv", tmp_path, tmp_path / "out")
