"""Many pairs: stopping and going on, broken pictures, tables and cubes, what is written."""

from __future__ import annotations

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import shapely
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from test_pss import Colours

from soundit_geo.errors import InputError, MissingFileError, PictureError
from soundit_geo.intervals import FEWEST
from soundit_geo.pss import Judges, pss
from soundit_geo.pss import run as run_room
from soundit_geo.pss.pairs import Pairs, pair_up, pairs_from_cube, pairs_from_table
from soundit_geo.pss.place_similarity import interval_of_mean
from soundit_geo.pss.run import score_pairs


@pytest.fixture
def judges():
    return Judges(Colours("elements"), Colours("scenes"), Colours("perception"))


def flat(red):
    return np.full((4, 4, 3), red, np.uint8)


@pytest.fixture
def city(tmp_path):
    """Twenty pairs of picture files; real ones are red 0 to 19, generated ones 5 more in every second pair."""
    for side in ("real", "generated"):
        (tmp_path / side).mkdir()
        for row in range(20):
            red = row + 5 * (side == "generated" and row % 2)
            Image.fromarray(flat(red)).save(tmp_path / side / f"p{row:02d}.png")
    return pair_up(tmp_path / "real", tmp_path / "generated")


class Stop(Exception):  # noqa: N818
    pass


def same(one, other):
    assert one.labels == other.labels
    for metric, values in one.values.items():
        np.testing.assert_array_equal(values, other.values[metric])
    assert one.floor == pytest.approx(other.floor)
    assert one.interval == other.interval
    assert one.failed == other.failed
    np.testing.assert_array_equal(one.outside, other.outside)


def test_a_run_equals_the_plain_score(city, judges, tmp_path):
    plain = pss(list(city.real), list(city.generated), judges)
    kept = score_pairs(city, judges, out=tmp_path / "run", batch_size=3)
    same(plain, kept)
    assert kept.mean["pss_scene_top1"] == 0.5


def test_a_stopped_run_goes_on_and_judges_nothing_twice(city, judges, tmp_path, monkeypatch):
    monkeypatch.setattr(run_room, "PART", 6)
    whole = score_pairs(city, judges, out=tmp_path / "whole", batch_size=4)
    seen = []

    class Stopping(Colours):
        def judge(self, pictures, *, batch_size=32):
            if len(seen) == 4:
                raise Stop
            seen.append(len(pictures))
            return super().judge(pictures, batch_size=batch_size)

    stopping = Judges(Stopping("elements"), judges.scenes, judges.perception)
    with pytest.raises(Stop):
        score_pairs(city, stopping, out=tmp_path / "cut", batch_size=4)
    parts = sorted(path.name for path in (tmp_path / "cut").glob("*.parquet"))
    assert parts == ["pairs-00000.parquet", "pairs-00001.parquet"]
    seen[:] = [0] * 5  # from now on it counts on
    same(whole, score_pairs(city, stopping, out=tmp_path / "cut", batch_size=4))
    assert sum(seen) == 2 * (20 - 12)
    seen.clear()
    same(whole, score_pairs(city, stopping, out=tmp_path / "cut", batch_size=4))
    assert seen == []


@pytest.mark.parametrize("change", ["pairs", "judges"])
def test_a_folder_of_another_run_is_refused(city, judges, tmp_path, change):
    score_pairs(city, judges, out=tmp_path / "run")
    if change == "pairs":
        city = Pairs(city.labels, city.generated, city.real)
    else:
        judges = Judges(judges.elements, judges.scenes)
    with pytest.raises(InputError, match="another folder"):
        score_pairs(city, judges, out=tmp_path / "run")


class Weighted(torch.nn.Module):
    """A scene judge whose answer hangs on its weight."""

    name, world = "model", "flat pictures"

    def __init__(self, weight):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([float(weight)]))

    def judge(self, pictures, *, batch_size=32):
        return Colours("scenes").judge(pictures, batch_size=batch_size)


def test_other_weights_of_the_same_name_are_another_run(city, tmp_path):
    score_pairs(city, Judges(scenes=Weighted(1)), out=tmp_path / "run")
    score_pairs(city, Judges(scenes=Weighted(1)), out=tmp_path / "run")
    with pytest.raises(InputError, match="judges"):
        score_pairs(city, Judges(scenes=Weighted(2)), out=tmp_path / "run")


def test_what_was_mended_or_drawn_again_is_judged_again(city, judges, tmp_path):
    good = city.generated[3].read_bytes()
    broken(city.generated[3], "truncated")
    first = score_pairs(city, judges, out=tmp_path / "run")
    assert list(first.failed) == ["p03"]
    city.generated[3].write_bytes(good)
    Image.fromarray(flat(200)).save(city.generated[4])
    second = score_pairs(city, judges, out=tmp_path / "run")
    same(second, score_pairs(city, judges))
    assert not second.failed
    assert first.values["pss_scene_top1"][4] == 1.0
    assert second.values["pss_scene_top1"][4] == 0.0


def test_a_damaged_part_is_judged_again_and_a_damaged_note_is_told(city, judges, tmp_path):
    whole = score_pairs(city, judges, out=tmp_path / "run")
    (tmp_path / "run" / "pairs-00000.parquet").write_bytes(b"")
    same(whole, score_pairs(city, judges, out=tmp_path / "run"))
    (tmp_path / "run" / "run.json").write_text("")
    with pytest.raises(InputError, match="damaged"):
        score_pairs(city, judges, out=tmp_path / "run")
    (tmp_path / "run" / "run.json").unlink()
    with pytest.raises(InputError, match=r"no run\.json"):
        score_pairs(city, judges, out=tmp_path / "run")


def test_draws_of_one_place_are_no_wrong_pairs_and_are_resampled_together(judges):
    """Two places that never meet, ten perfect draws each: nothing wrong scores; ten draws alike tell what one does."""
    reds = [10] * 10 + [200] * 10
    pictures = tuple(flat(red) for red in reds)
    labels = tuple(map(str, range(20)))
    apart = score_pairs(Pairs(labels, pictures, pictures, tuple("ab"[red > 100] for red in reds)), judges)
    assert apart.floor["pss_scene_top1"] == 0.0
    assert score_pairs(Pairs(labels, pictures, pictures), judges).floor["pss_scene_top1"] > 0.3
    values = np.random.default_rng(2).normal(size=8)
    drawn, names = np.repeat(values, 10), [name for name in "abcdefgh" for _ in range(10)]
    wide = interval_of_mean(values)
    assert interval_of_mean(drawn, groups=names) == pytest.approx(wide)
    assert np.diff(interval_of_mean(drawn)) < 0.5 * np.diff(wide)


def test_a_place_with_more_draws_counts_more():
    values, names = (
        np.array([0.0] * 30 + [1.0] * 10),
        [f"{row // 5}" for row in range(30)] + list("abcdefghij"),
    )
    low, high = interval_of_mean(values, groups=names)
    assert low < 0.25 < high < 10 / 16  # 0.25 is the mean of the pairs, 10/16 that of the places


def test_an_open_picture_of_a_damaged_file_is_listed(city, judges, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(city.generated[3])
    city.generated[3].write_bytes(city.generated[3].read_bytes()[:-2000])
    with Image.open(city.generated[3]) as opened:
        pairs = Pairs(("a", "b"), (city.real[0], city.real[1]), (opened, city.generated[1]))
        assert list(score_pairs(pairs, judges, out=tmp_path / "run").failed) == ["a"]


def broken(path, how):
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:40])
    elif how == "no picture":
        path.write_text("a poem")
    elif how == "absent":
        path.unlink()
    elif how == "huge":
        Image.new("1", (20_000, 20_000)).save(path)


@pytest.mark.parametrize("how", ["truncated", "no picture", "absent", "huge"])
def test_what_cannot_be_read_is_listed_and_the_run_goes_on(city, judges, tmp_path, how):
    broken(city.generated[3], how)
    result = score_pairs(city, judges, out=tmp_path / "run", batch_size=4)
    assert list(result.failed) == ["p03"]
    assert str(city.generated[3]) in result.failed["p03"]
    assert np.isnan([values[3] for values in result.values.values()]).all()
    assert all(np.isfinite(values).sum() == 19 for values in result.values.values())
    same(result, score_pairs(city, judges, out=tmp_path / "run"))
    with pytest.raises((PictureError, MissingFileError), match="p03"):
        pss(list(city.real), list(city.generated), judges)


def test_a_run_of_nothing_but_broken_pictures_ends(city, judges):
    for path in city.real:
        path.write_text("a poem")
    result = score_pairs(city, judges)
    assert len(result.failed) == 20
    assert all(np.isnan(value) for value in result.mean.values())
    json.dumps(result.to_dict(), allow_nan=False)


@pytest.mark.parametrize("mode", ["CMYK", "L", "P", "I;16", "RGBA", "LA", "1", "one pixel", "turned"])
def test_every_kind_of_picture_is_scored(judges, tmp_path, mode):
    path = tmp_path / "a.tif"
    if mode == "one pixel":
        Image.new("RGB", (1, 1), "red").save(path)
    elif mode == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("RGB", (6, 3), "red").save(path, exif=exif)
    elif mode == "I;16":
        Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(path)
    else:
        Image.new(mode, (5, 4)).save(path)
    result = score_pairs(Pairs(("a",), (path,), (path,)), judges)
    assert not result.failed
    assert result.mean["pss_element"] == 1.0


# ------------------------------------------------------------------------------------------------- where pairs are kept
def test_a_table_and_a_geodataframe_name_the_pairs(city, judges, tmp_path):
    pd.DataFrame(
        {"label": city.labels, "real": [f"real/{n}.png" for n in city.labels], "drawn": city.generated}
    ).to_csv(tmp_path / "pairs.csv", index=False)
    from_file = pairs_from_table(tmp_path / "pairs.csv", generated="drawn")
    assert from_file.labels == city.labels
    sites = gpd.GeoDataFrame(
        {"photo": city.real, "drawn": city.generated},
        index=list(city.labels),
        geometry=[shapely.Point(0, 0)] * 20,
        crs=4326,
    )
    from_sites = pairs_from_table(sites, "photo", "drawn")
    same(pss(from_file, judges=judges), pss(from_sites, judges=judges))


def test_what_a_table_lacks_is_named(tmp_path):
    table = pd.DataFrame({"real": ["a.png", None], "generated": ["b.png", "c.png"]}, index=["x", "y"])
    with pytest.raises(InputError, match=r"'photo'.*real, generated"):
        pairs_from_table(table, "photo")
    with pytest.raises(InputError, match="first: y"):
        pairs_from_table(table)
    with pytest.raises(MissingFileError):
        pairs_from_table(tmp_path / "none.csv")
    with pytest.raises(InputError, match="'x'"):
        pairs_from_table(table.iloc[[0, 0]])
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(InputError, match=r"empty.csv"):
        pairs_from_table(tmp_path / "empty.csv")
    (tmp_path / "na.csv").write_text("label,real,generated\nNA,a.png,None\n")
    assert pairs_from_table(tmp_path / "na.csv").labels == ("NA",)


def test_the_cube_of_a_study_gives_its_pairs(tmp_path):
    from fake_study import fake_cube

    cube = fake_cube(tmp_path)
    cube["photo"][0] = ""
    cube["photo"][1:] = "photo.png"
    pairs = pairs_from_cube(cube, tmp_path)
    assert all(path == tmp_path / "photo.png" for path in pairs.real)
    first, second = (str(name) for name in cube["site"].to_numpy()[:2])
    assert pairs.labels[0].startswith(second)
    assert not any(label.startswith(f"{first}/") for label in pairs.labels)
    assert set(pairs.groups) == {str(name) for name in cube["site"].to_numpy()[1:]}
    with pytest.raises(InputError, match="photo"):
        pairs_from_cube(cube.isel(site=[0]), tmp_path)


@pytest.mark.parametrize(
    ("labels", "real", "generated", "said"),
    [
        (("a",), (), (), "at least one"),
        (("a", "b"), (1, 2), (1,), "equally many"),
        (("a",), (1, 2), (1, 2), "1 labels"),
        (("a", "a"), (1, 2), (1, 2), "'a'"),
    ],
)
def test_pairs_that_do_not_pair_are_refused(labels, real, generated, said):
    with pytest.raises(InputError, match=said):
        Pairs(labels, real, generated)


# ------------------------------------------------------------------------------------------------------- the result
def test_results_are_written_as_table_or_whole(city, judges, tmp_path):
    result = score_pairs(city, judges)
    csv = pd.read_csv(result.save(tmp_path / "deep" / "scores.csv"), index_col="label")
    parquet = pd.read_parquet(result.save(tmp_path / "scores.parquet"))
    whole = json.loads(result.save(tmp_path / "scores.json").read_text())
    assert list(csv.index) == list(parquet.index) == [one["label"] for one in whole["per_pair"]]
    np.testing.assert_allclose(csv["pss_perception"], parquet["pss_perception"])
    assert set(parquet["judge_scenes"]) == {"colours"}
    about = json.loads(pq.read_schema(tmp_path / "scores.parquet").metadata[b"soundit_geo"])
    assert about["floor"] == whole["floor"]
    assert whole["interval"]["pss_scene_top1"][0] < 0.5 < whole["interval"]["pss_scene_top1"][1]
    with pytest.raises(InputError, match="xlsx"):
        result.save(tmp_path / "scores.xlsx")


@pytest.mark.parametrize("ending", [".json", ".csv", ".parquet"])
def test_a_result_that_cannot_be_written_leaves_the_older_one_as_it_was(
    city, judges, tmp_path, monkeypatch, ending
):
    path = tmp_path / f"scores{ending}"
    result = score_pairs(city, judges)
    before = result.save(path).read_bytes()

    def torn(*args, **_options):
        next(one for one in args if isinstance(one, type(path))).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "write_text", torn)
    monkeypatch.setattr(pd.DataFrame, "to_csv", torn)
    monkeypatch.setattr(pq, "write_table", torn)
    with pytest.raises(InputError, match="No space left"):
        result.save(path)
    assert path.read_bytes() == before
    assert sorted(one.name for one in tmp_path.glob("*scores*")) == [path.name]


def test_a_result_is_seen_whole_or_not_at_all(city, judges, tmp_path, monkeypatch):
    result = score_pairs(city, judges)
    path, seen = tmp_path / "scores.csv", []
    write = pd.DataFrame.to_csv

    def watched(frame, target):
        write(frame, target)
        seen.append(path.exists())

    monkeypatch.setattr(pd.DataFrame, "to_csv", watched)
    result.save(path)
    assert seen == [False]
    assert path.exists()


@given(st.lists(st.integers(-50, 50), max_size=30), st.integers(0, 3))
def test_the_interval_lies_within_the_range_and_leaves_gaps_out(values, gaps):
    low, high = interval_of_mean(np.array([*values, *[np.nan] * gaps], float))
    if len(values) < FEWEST or len(set(values)) == 1:
        assert np.isnan([low, high]).all()
    else:
        assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
        assert (low, high) == interval_of_mean(np.array(values, float))


def test_the_interval_covers_the_truth_with_few_places_too():
    """Plain percentiles hold it in about 88 of 100 samples of eight."""
    rng = np.random.default_rng(0)
    ends = [interval_of_mean(rng.normal(size=8), seed=seed) for seed in range(400)]
    assert 0.92 <= np.mean([low <= 0 <= high for low, high in ends]) <= 0.98


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        low, high = interval_of_mean(rng.exponential(size=60), seed=seed)
        covered += low <= 1.0 <= high
    assert 0.87 <= covered / 200 <= 0.99
