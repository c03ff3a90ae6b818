"""The synthetic city: deterministic, exact masks, levels that show, a city that holds together."""

import filecmp
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from shapely import Point

from soundit_geo.classes import ADE20K, PLACES365
from soundit_geo.synthetic_city.city import build_city
from soundit_geo.synthetic_city.perception import perceive
from soundit_geo.synthetic_city.picture import ELEMENT_IDS, element_share, render_picture
from soundit_geo.synthetic_city.place import LEVELS, SCENES, WEATHERS, Place, draw_place, level_range
from soundit_geo.synthetic_city.writing import write_city

places = st.builds(
    Place,
    scene=st.sampled_from(SCENES),
    weather=st.sampled_from(WEATHERS),
    hour=st.floats(0, 24),
    seed=st.integers(0, 2**31 - 1),
    **dict.fromkeys(LEVELS, st.floats(0, 1)),
)


def middle(scene, **levels):
    return Place(scene=scene, **{**dict.fromkeys(LEVELS, 0.5), **levels})


def mean_share(place, names, pictures=12):
    ids = [ELEMENT_IDS[name] for name in names]
    return np.mean(
        [element_share(render_picture(place, 64, variant)[1])[ids].sum() for variant in range(pictures)]
    )


def test_names_are_those_of_the_data_sets():
    assert all(scene in PLACES365 for scene in SCENES)
    for name, index in ELEMENT_IDS.items():
        assert ADE20K[index] == name


@given(places)
def test_any_place_can_be_drawn_and_felt(place):
    picture, mask = render_picture(place, 32)
    assert picture.shape == (32, 32, 3)
    assert picture.dtype == mask.dtype == np.uint8
    assert set(np.unique(mask)) <= set(ELEMENT_IDS.values())
    share = element_share(mask)
    assert share.sum() == pytest.approx(1)
    scores = perceive(place, share)
    assert scores.shape == (6,)
    assert ((scores >= 0) & (scores <= 10)).all()


@given(places)
def test_a_place_looks_the_same_every_time_and_its_variants_differ(place):
    first, again, other = (render_picture(place, 32, variant)[0] for variant in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_mask_fits_the_colours():
    """Inside one element of a plain scene the colours hardly vary; across elements they do."""
    place = Place("beach", 0, 0, 0.2, 0.8, 0, weather="clear", hour=12, seed=4)
    picture, mask = render_picture(place, 256)
    sand, sea = (picture[mask == ELEMENT_IDS[name]].astype(float) for name in ("sand", "sea"))
    assert np.abs(np.median(sand, 0) - np.median(sea, 0)).max() > 50
    near = np.abs(sand - np.median(sand, 0)).max(axis=1) < 30
    assert near.mean() > 0.95


@pytest.mark.parametrize(
    ("scene", "level", "names"),
    [
        ("street", "traffic", ("car", "bus", "truck")),
        ("highway", "traffic", ("car", "bus", "truck")),
        ("park", "greenery", ("tree",)),
        ("plaza", "people", ("person",)),
        ("beach", "water", ("sea",)),
        ("river", "water", ("river",)),
        ("street", "building_height", ("building",)),
    ],
)
def test_more_of_a_level_shows_as_more_of_its_elements(scene, level, names):
    low, high = (mean_share(middle(scene, **{level: value}), names) for value in (0.1, 1.0))
    assert high > low * 1.1


@pytest.mark.parametrize(
    ("level", "names", "scenes"),
    [
        (
            "traffic",
            ("car", "bus", "truck"),
            ("street", "residential_neighborhood", "highway", "construction_site"),
        ),
        (
            "greenery",
            ("tree", "grass", "plant", "field"),
            ("street", "highway", "park", "river", "field/wild"),
        ),
        ("water", ("sea", "river", "water", "fountain"), ("plaza", "park", "beach", "harbor", "river")),
        ("people", ("person",), ("street", "plaza", "park", "beach", "market/outdoor")),
    ],
)
def test_one_level_turned_up_at_a_fixed_seed_shows_step_by_step(level, names, scenes):
    ids = [ELEMENT_IDS[name] for name in names]
    for scene in scenes:
        steps = np.linspace(*level_range(scene, level), 5)
        rises = []
        for seed in range(4):
            place = replace(draw_place(np.random.default_rng(seed), scene), seed=seed)
            places = [replace(place, **{level: float(step)}) for step in steps]
            rises.append(
                np.diff([element_share(render_picture(place, 64)[1])[ids].sum() for place in places])
            )
        assert (np.array(rises) >= 0).mean() >= 0.8, scene
        assert (np.sum(rises, axis=1) > 0).all(), scene


def test_variants_show_one_place_and_places_differ():
    rng = np.random.default_rng(2)
    drawn = [draw_place(rng, scene, weather="clear", hour=12.0) for scene in SCENES for _ in range(4)]
    first, second = (
        np.array([element_share(render_picture(place, 64, variant)[1]) for place in drawn])
        for variant in (0, 1)
    )
    unit = [shares / np.linalg.norm(shares, axis=1, keepdims=True) for shares in (first, second)]
    assert (unit[0] * unit[1]).sum(axis=1).mean() >= 0.95
    distance = np.abs(first[:, None] - first[None]).sum(axis=2)
    np.fill_diagonal(distance, np.inf)
    assert distance.min() > 0.01


KEYS = {
    "street": ("road", "building", "sidewalk", "car"),
    "residential_neighborhood": ("road", "house", "grass"),
    "highway": ("road", "fence", "car"),
    "plaza": ("floor", "building", "person"),
    "park": ("grass", "tree", "path"),
    "forest_path": ("tree", "path", "plant"),
    "beach": ("sea", "sand"),
    "harbor": ("water", "boat", "building", "tower"),
    "river": ("river", "grass", "tree"),
    "field/wild": ("field", "tree", "mountain"),
    "market/outdoor": ("awning", "person", "building"),
    "construction_site": ("tower", "earth", "truck", "building"),
}


def test_every_scene_shows_what_makes_it_and_the_city_has_many_classes():
    rng = np.random.default_rng(0)
    seen = np.zeros(150)
    for scene in SCENES:
        for _ in range(20):
            share = element_share(render_picture(draw_place(rng, scene), 64)[1])
            assert all(share[ELEMENT_IDS[name]] > 0 for name in KEYS[scene]), scene
            seen += share > 0
    assert set(np.flatnonzero(seen)) == set(ELEMENT_IDS.values())


def test_night_is_darker_than_noon():
    noon, night = (
        render_picture(Place("plaza", 0, 0.3, 0.5, 0, 0.5, hour=hour))[0].mean() for hour in (12, 23)
    )
    assert night < 0.75 * noon


def test_traffic_depresses_and_water_pleases():
    def scores(place):
        return np.mean(
            [perceive(place, element_share(render_picture(place, 64, v)[1])) for v in range(8)], axis=0
        )

    quiet, busy = scores(middle("street", traffic=0.0)), scores(middle("street", traffic=1.0))
    assert busy[4] > quiet[4]
    assert busy[2] < quiet[2]
    dry, wet = scores(middle("river", water=0.1)), scores(middle("river", water=1.0))
    assert wet[2] > dry[2]


@pytest.mark.parametrize(
    "change", [{"scene": "moon"}, {"traffic": 1.2}, {"water": -0.1}, {"weather": "snow"}, {"hour": 25.0}]
)
def test_impossible_places_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        Place(**{**middle("park").as_dict(), **change})


# -------------------------------------------------------------------------- city
def test_the_city_is_the_same_for_a_seed_and_its_sites_stand_where_they_should():
    city, again, other = build_city(36, 7), build_city(36, 7), build_city(36, 8)
    assert city.sites.equals(again.sites)
    assert city.places == again.places
    assert not city.sites.geometry.equals(other.sites.geometry)
    assert city.sites.crs == "EPSG:4326"
    assert city.sites.total_bounds.min() > -0.03
    assert city.sites.total_bounds.max() < 0.03
    sea = city.coast.union_all()
    assert not any(sea.contains(point) for point in city.sites.geometry)
    forest = city.parks.set_index("name").geometry["Hillwood Forest"]
    wooded = [name for name, place in city.places.items() if place.scene == "forest_path"]
    assert wooded
    assert all(forest.covers(Point(city.sites.geometry[name])) for name in wooded)


def test_neighbours_of_one_scene_are_alike():
    city = build_city(480, 1)
    rows = [(name, place) for name, place in city.places.items() if place.scene == "residential_neighborhood"]
    points = np.array([city.sites.geometry[name].coords[0] for name, _ in rows])
    greenery = np.array([place.greenery for _, place in rows])
    distance = np.hypot(*(points[:, None] - points[None]).T)
    np.fill_diagonal(distance, np.inf)
    nearest = np.abs(greenery - greenery[distance.argmin(axis=1)]).mean()
    anyone = np.abs(greenery[:, None] - greenery[None]).mean()
    assert nearest < 0.5 * anyone


def test_draws_stay_within_the_scene_and_cover_all_twelve():
    rng = np.random.default_rng(0)
    assert {draw_place(rng).scene for _ in range(300)} == set(SCENES)


def test_a_written_city_can_be_written_again_bit_for_bit(tmp_path):
    from soundit_geo.recordings import read_sites

    write_city(tmp_path / "a", 13, 3, masks=True, workers=1)
    write_city(tmp_path / "b", 13, 3, masks=True, workers=2)
    names = sorted(
        str(path.relative_to(tmp_path / "a")) for path in (tmp_path / "a").rglob("*") if path.is_file()
    )
    same, different, missing = filecmp.cmpfiles(tmp_path / "a", tmp_path / "b", names, shallow=False)
    assert (sorted(same), different, missing) == (names, [], [])
    sites = read_sites(tmp_path / "a" / "sites.geojson")
    assert len(sites) == 13
    assert sites["photo"].notna().all()


@pytest.mark.slow
def test_the_committed_sample_is_what_the_command_makes(tmp_path, repository):
    """Byte for byte, but for the sounds: another processor rounds a sine otherwise, and the codec carries that on."""
    write_city(tmp_path, 36, 7)
    committed = repository / "sample_data"
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    sounds = [name for name in names if name.endswith(".ogg")]
    assert len(sounds) == 36
    _, different, missing = filecmp.cmpfiles(
        tmp_path, committed, [name for name in names if name not in sounds], shallow=False
    )
    assert (different, missing) == ([], [])
    for name in sounds:
        (ours, rate), (theirs, same) = (soundfile.read(folder / name) for folder in (tmp_path, committed))
        assert rate == same
        assert ours.shape == theirs.shape
        assert np.square(ours - theirs).mean() < 1e-2 * np.square(theirs).mean()
    assert sum(path.stat().st_size for path in committed.rglob("*") if path.is_file()) < 8e6
