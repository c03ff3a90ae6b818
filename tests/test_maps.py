"""Laws of the map's file: one page, nothing to load, the cube's own numbers, and names only as data."""

from __future__ import annotations

import base64
import io
import json
import logging
import re

import folium
import geopandas as gpd
import numpy as np
import pytest
import shapely
import soundfile as sf
from fake_study import RATE, fake_base, fake_cube, fake_sites
from PIL import Image

from soundit_geo import cube as cubes
from soundit_geo.classes import ADE20K, PERCEPTIONS
from soundit_geo.errors import CRSError, CubeError, InputError, ScenarioError
from soundit_geo.lab.bench_maps import made_up_cube
from soundit_geo.maps import SiteMap, site_map
from soundit_geo.maps.assets import json_block
from soundit_geo.maps.averages import common_draws
from soundit_geo.maps.base import base_of, kind_of
from soundit_geo.maps.change import differs, half_widths, standard_error
from soundit_geo.maps.columns import columns_of
from soundit_geo.maps.hexagons import hexagons_of
from soundit_geo.maps.media import picture_webp, read_sound, spectrogram
from soundit_geo.maps.packing import pack_errors, pack_flags, pack_values
from soundit_geo.maps.surfaces import surfaces_of
from soundit_geo.maps.variables import perception_range
from soundit_geo.pss.indicators import INDICATORS
from soundit_geo.scenarios import difference

HOSTILE = [
    "<img src=x onerror=alert(1)>{{7*7}}",
    "`${alert(1)}`",
    "</script><script>alert(1)</script>",
    "{% raw %}",
    "{# x #}{{ this.__class__ }}",
    "<!-- --><b onmouseover=alert(1)>",
    "a\u2028b\u2029c & d",
    "\"'><svg onload=alert(1)>",
]


def page_of(made: SiteMap) -> str:
    return made.get_root().render()


def block(page: str, kind: str):
    """The data of a page, as a browser would read it."""
    return json.loads(
        re.search(rf'<script type="application/json" id="[^"]*-{kind}">(.*?)</script>', page, re.DOTALL)[1]
    )


def numbers(text: str, dtype: str = "<f4") -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype=dtype)


def values(packed) -> np.ndarray:
    """What the page reads from packed values: (column, n)."""
    codes = np.stack([numbers(text, "<u2") for text in packed["values"]])
    return np.where(codes == 65535, np.nan, packed["low"] + packed["step"] * codes)


def errors(packed) -> np.ndarray:
    codes = np.stack([numbers(text, "u1") for text in packed["values"]])
    return np.where(codes == 255, np.nan, packed["top"] * (codes / 254.0) ** 2)


def flags(text: str, n: int) -> np.ndarray:
    return np.unpackbits(numbers(text, "u1"), bitorder="little")[:n].astype(bool)


@pytest.fixture
def cube(tmp_path):
    return fake_cube(tmp_path, failed=["site 03"])


def test_the_map_is_a_folium_map_and_saves_one_file_that_loads_nothing(tmp_path, cube):
    made = site_map(cube, base=fake_base(), folder=tmp_path)
    assert isinstance(made, folium.Map)
    made.save(str(tmp_path / "map.html"))
    page = (tmp_path / "map.html").read_text(encoding="utf-8")
    assert not re.findall(r"<link\b|<script[^>]*\bsrc|@import|sourceMappingURL", page)
    assert not [
        url for url in re.findall(r"url\(([^)]*)\)", page) if not re.match(r"data:|#default#VML", url)
    ]
    assert "default-src 'none'" in page
    assert page.count("L.map(") >= 1
    assert page == page_of(made)  # rendering again adds nothing


def test_every_number_in_the_page_is_the_cubes(cube):
    data = block(page_of(site_map(cube, media="none")), "data")
    for axis in ("lon", "lat"):
        np.testing.assert_allclose(numbers(data["sites"][axis], "<i4") / 1e7, cube[axis], atol=0.51e-7)
    assert data["sites"]["name"] == cube["site"].to_numpy().tolist()
    by_key = {one["key"]: one for one in data["variables"]}
    shown = {key: values(one) for key, one in by_key.items()}
    for k, name in enumerate(data["scenarios"]):
        table = cubes.to_geodataframe(cube, name, elements=ADE20K)
        for perception in PERCEPTIONS:
            step = by_key[perception]["step"]
            assert 0 < step < 10 / 65000
            np.testing.assert_allclose(shown[perception][k], table[perception], rtol=0, atol=0.501 * step)
        for indicator, one in INDICATORS.items():
            total = table[[f"share_{element}" for element in one.classes]].sum(axis=1, skipna=False)
            np.testing.assert_allclose(shown[indicator][k], total, rtol=0, atol=1e-5)
        assert np.isnan(shown["lively"][k][3])
        assert numbers(data["state"][k], "u1")[3] == cubes.FAILED
    assert data["sites"]["message"] == {"3": "site 03.wav is silent (peak -91 dBFS)"}


def test_packed_numbers_are_off_by_no_more_than_is_said():
    rng = np.random.default_rng(0)
    columns = rng.normal(3, 2, (3, 500))
    columns[1, 7] = np.nan
    span = np.nanmax(columns) - np.nanmin(columns)
    np.testing.assert_allclose(values(pack_values(columns)), columns, rtol=0, atol=span / 131_000)
    spread = rng.exponential(0.3, (2, 500))
    spread[0, 3] = np.nan
    np.testing.assert_allclose(errors(pack_errors(spread)), spread, rtol=0, atol=0.004 * np.nanmax(spread))
    some = rng.random(19) < 0.4
    assert flags(pack_flags(some), 19).tolist() == some.tolist()
    for odd in (np.full((1, 3), np.nan), np.full((1, 3), 7.0)):
        np.testing.assert_array_equal(values(pack_values(odd)), odd)


def test_changes_are_judged_as_scenarios_difference_judges_them(tmp_path):
    names = [f"s{k}" for k in range(60)]
    cube = fake_cube(tmp_path, names=names, draws=4, failed=["s3"], scenarios={"a": None, "b": "x", "c": "y"})
    cube["perception"][10, 1] = cube["perception"][10, 0]  # the same landscapes: nothing to judge from
    cube["pss_element"][:] = np.random.default_rng(1).uniform(0.4, 0.9, cube["pss_element"].shape)
    by_key = {one["key"]: one for one in columns_of(cube, "lively", (0, 1))["variables"]}
    for pair, (a, b) in {"0-1": "ab", "0-2": "ac", "1-2": "bc"}.items():
        judged = difference(cube, a, b, variables=["perception", "pss_element"])
        for name in (*PERCEPTIONS, "pss_element"):
            layer = judged.sel(percept=name) if name in PERCEPTIONS else judged
            kind = "perception" if name in PERCEPTIONS else name
            found = by_key[name]["changes"][pair]
            assert flags(found["sure"], 60).tolist() == layer[f"{kind}_significant"].to_numpy().tolist()
            error = layer[f"{kind}_se"].to_numpy()
            np.testing.assert_allclose(errors(found)[0], error, rtol=0, atol=0.004 * np.nanmax(error))
        assert 0 < int(judged["perception_significant"].sum()) < 60 * 6


def test_agreement_of_scenes_is_judged_as_scenarios_difference_judges_it(tmp_path):
    cube = fake_cube(tmp_path, names=[f"s{k}" for k in range(40)], draws=9, scenarios={"a": None, "b": "x"})
    rng = np.random.default_rng(4)
    chance = np.where(np.arange(40)[:, None] < 20, [0.95, 0.1], [0.5, 0.5])  # (site, scenario)
    agrees = rng.random(cube["pss_scene_top1"].shape) < chance[..., None]
    cube["pss_scene_top1"][:] = agrees.astype(float)
    cube["pss_scene_top1"][0, 0], cube["pss_scene_top1"][0, 1] = 1.0, 0.0  # every draw changes alike
    by_key = {one["key"]: one for one in columns_of(cube, "lively", (0, 1))["variables"]}
    found = flags(by_key["pss_scene_top1"]["changes"]["0-1"]["sure"], 40)
    judged = difference(cube, "a", "b", variables=["pss_scene_top1"])["pss_scene_top1_significant"].to_numpy()
    assert found.tolist() == judged.tolist()
    assert found[0]
    assert 0 < found.sum() < 40


def test_changes_of_nothing_are_rarely_called_significant():
    rng = np.random.default_rng(2)
    draws = rng.normal(0, 1, (300, 50, 5))  # studies, sites, draws
    error = standard_error(draws, np.ones(draws.shape, dtype=bool))
    found = differs(draws.mean(axis=-1), error, np.full(50, 5))
    assert found.any(axis=-1).mean() < 0.1  # 5 % of studies, and chance


def test_errors_and_intervals_are_those_of_the_textbook():
    from scipy import stats

    draws = np.random.default_rng(3).normal(2, 1, (40, 6))
    counted = np.ones((40, 6), dtype=bool)
    counted[5, 3:], counted[6, 1:], counted[7] = False, False, False
    found = standard_error(draws, counted)
    np.testing.assert_allclose(found[:5], stats.sem(draws[:5], axis=1))
    np.testing.assert_allclose(found[5], stats.sem(draws[5, :3]))
    assert np.isnan(found[6:8]).all()
    low, high = stats.t.interval(0.95, 5, loc=0, scale=found[0])
    assert half_widths(6)[6] * found[0] == pytest.approx((high - low) / 2)
    assert half_widths(1) == [0.0, 0.0]


def test_means_are_over_the_draws_that_all_scenarios_share():
    ready = np.ones((4, 2, 3), dtype=bool)  # site, scenario, draw
    ready[1, 0, 2] = False  # lacks a draw: the other scenario leaves it out too
    ready[2, 1] = False  # lacks a scenario: the other keeps its own
    ready[3] = [[True, False, False], [False, True, True]]  # nothing in common: each its own
    found = common_draws(ready)
    assert found[0].all()
    assert found[1].tolist() == [[True, True, False]] * 2
    assert found[2].tolist() == [[True] * 3, [False] * 3]
    assert found[3].tolist() == [[True, False, False], [False, True, True]]


def test_scenes_and_elements_are_ranked_by_their_means_over_draws(cube):
    data = columns_of(cube, "scene", (0, 1))
    site, scenario = 5, 1
    chances: dict[int, float] = {}
    for draw in range(2):
        for rank in range(5):
            place = {"site": site, "scenario": scenario, "draw": draw, "rank": rank}
            name = int(cube["scene_class"].isel(place))
            chances[name] = chances.get(name, 0) + float(cube["scene_probability"].isel(place)) / 2
    best = sorted(chances, key=lambda name: -chances[name])[:3]
    assert [numbers(rank, "<i2")[site] for rank in data["scenes"]["id"][scenario]] == best
    assert [numbers(rank, "u1")[site] for rank in data["scenes"]["share"][scenario]] == [
        round(255 * chances[name]) for name in best
    ]
    shares = cube["element_share"].isel(site=site, scenario=scenario).mean("draw").to_series()
    best = shares.nlargest(4)
    found = [
        data["elements"]["names"][str(numbers(rank, "u1")[site])] for rank in data["elements"]["id"][scenario]
    ]
    assert found == best.index.tolist()
    assert numbers(data["elements"]["id"][0][0], "u1")[3] == 255  # failed


def test_hexagons_hold_the_sites_that_h3_says(cube):
    import h3

    levels = hexagons_of(cube["lon"].to_numpy(), cube["lat"].to_numpy())
    place = None
    for level in levels:
        cell = numbers(level["cell"], "<u4")
        place = cell if place is None else cell[place]
        corners = level["corners"]
        lat, lon = (numbers(level[axis], "<i4").reshape(-1, corners) / 1e7 for axis in ("lat", "lon"))
        for site in range(12):
            name = h3.latlng_to_cell(float(cube["lat"][site]), float(cube["lon"][site]), level["resolution"])
            expected = h3.cell_to_boundary(h3.latlng_to_cell(*h3.cell_to_latlng(name), level["resolution"]))
            if level is levels[0]:
                np.testing.assert_allclose(
                    np.c_[lat, lon].reshape(len(lat), 2, corners)[place[site]].T, expected, atol=1e-7
                )
            else:
                assert len(set(place)) < len(set(numbers(levels[0]["cell"], "<u4"))) or len(set(place)) == 1


def test_surfaces_come_in_degrees_or_in_their_own_crs():
    import pyproj
    import xarray as xr

    lat, lon = np.linspace(0.02, -0.02, 5), np.linspace(-0.03, 0.03, 7)
    grid = xr.DataArray(np.arange(35.0).reshape(5, 7), coords={"lat": lat, "lon": lon}, dims=("lat", "lon"))
    found = surfaces_of({"lively": grid[::-1]}, ["lively"], ["a", "b"])["lively"]
    assert (found["rows"], found["columns"], found["scenarios"]) == (5, 7, [0])
    np.testing.assert_allclose([found["north"], found["west"]], [0.025, -0.035])
    np.testing.assert_allclose(values(found)[0], np.arange(35), atol=1e-3)  # from north to south
    both = xr.concat([grid, grid + 1], dim="scenario").assign_coords(scenario=["b", "a"])
    assert surfaces_of({"lively": both}, ["lively"], ["a", "b"])["lively"]["scenarios"] == [1, 0]

    utm = pyproj.CRS("EPSG:32631")
    x, y = 400_000 + 50 * np.arange(40), 5_000_000 - 50 * np.arange(30)
    plane = xr.DataArray(
        x[None] + 0.0 * y[:, None],
        coords={"y": y, "x": x, "spatial_ref": ((), 0, utm.to_cf()), "scenario": "b"},
        dims=("y", "x"),
    )
    found = surfaces_of(
        {"safe": [plane.to_dataset(name="value"), plane.assign_coords(scenario="a")]}, ["safe"], ["a", "b"]
    )
    found = found["safe"]
    assert found["scenarios"] == [1, 0]
    rows, columns = found["rows"], found["columns"]
    lon = found["west"] + (np.arange(columns) + 0.5) * (found["east"] - found["west"]) / columns
    lat = found["north"] - (np.arange(rows) + 0.5) * (found["north"] - found["south"]) / rows
    easting = pyproj.Transformer.from_crs(4326, utm, always_xy=True).transform(*np.meshgrid(lon, lat))[0]
    shown = values(found)[0].reshape(rows, columns)
    known = np.isfinite(shown)
    assert known.mean() > 0.8
    assert np.abs(shown - easting)[known].max() < 50  # the nearest cell


def test_words_say_units_direction_and_provenance(cube):
    data = block(page_of(site_map(cube, variable="depressing", media="none")), "data")
    chosen = next(one for one in data["variables"] if one["key"] == data["variable"])
    assert chosen["words"] == "0–10, higher is more depressing"
    assert data["provenance"]["stand_in"] is True
    assert data["provenance"]["evidence"] == "stand-in model: synthetic city"
    assert "model and judges synthetic-city" in data["provenance"]["facts"]
    other = cube.assign_attrs(evidence="trained model", judges='{"a": "x", "b": "y"}')
    found = block(page_of(site_map(other, media="none")), "data")["provenance"]
    assert (found["stand_in"], found["evidence"]) == (False, "trained model")
    assert "judges x, y" in found["facts"]


@pytest.mark.parametrize(
    ("text", "ends"),
    [("0–10", (0, 10)), ("1 to 9, higher is more", (1, 9)), ("-1 to 1", (-1, 1)), ("0.5-2.5", (0.5, 2.5))],
)
def test_the_perception_scale_is_read_from_words(cube, text, ends):
    assert perception_range(cube.assign_attrs(perception_scale=text)) == ends


def test_without_words_the_scale_spans_the_scores(cube):
    low, high = perception_range(cube.assign_attrs(perception_scale=""))
    assert low <= float(cube["perception"].min()) < float(cube["perception"].max()) <= high


def test_hostile_names_travel_only_as_escaped_data(tmp_path):
    scenarios = {name: name for name in HOSTILE}
    cube = fake_cube(tmp_path, names=HOSTILE, scenarios=scenarios, draws=1, failed=HOSTILE[:1])
    cube = cube.assign_attrs(
        dict.fromkeys(("title", "model", "judges", "evidence", "created_by"), "".join(HOSTILE))
    )
    base = {HOSTILE[0]: fake_base()["parks"].assign(name=HOSTILE[1:3], fill=HOSTILE[:2])}
    page = page_of(site_map(cube, base=base, folder=tmp_path, compare=(HOSTILE[1], HOSTILE[3])))
    data = block(page, "data")
    assert data["sites"]["name"] == HOSTILE
    assert data["scenarios"] == HOSTILE
    assert data["title"] == "".join(HOSTILE)
    assert [one["properties"]["name"] for one in data["base"][0]["features"]] == HOSTILE[1:3]
    code = page
    code = re.sub(r'<script type="application/json" id="[^"]*">.*?</script>', "", code, flags=re.DOTALL)
    code = re.sub(r"<title>.*?</title>", "", code, flags=re.DOTALL)
    for name in HOSTILE:
        assert name not in code
        assert "<" not in name or name not in page
    assert "alert(1)" not in code
    assert "49" not in re.search(r"<title>(.*?)</title>", page, re.DOTALL)[1]  # Jinja computed nothing


def test_json_cannot_end_its_block():
    text = json_block("x", {"</script><!--": "\u2028&"})
    inner = text.removeprefix('<script type="application/json" id="x">').removesuffix("</script>")
    assert not set("<>&\u2028") & set(inner)
    assert json.loads(inner) == {"</script><!--": "\u2028&"}


def test_the_pictures_and_sounds_of_each_cell_are_inside_the_page(tmp_path, cube):
    page = page_of(site_map(cube, folder=tmp_path))
    media = block(page, "media-5")
    uri = media["pictures"][1][0]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))), dtype=float)
    drawn = np.asarray(Image.open(tmp_path / cube["picture"].to_numpy()[5, 1, 0]), dtype=float)
    assert shown.shape == drawn.shape
    assert abs(shown - drawn).mean() < 6
    assert block(page, "media-3")["pictures"][0][0] is None  # failed
    waveform, rate = sf.read(io.BytesIO(base64.b64decode(media["sound"].partition(",")[2])))
    assert (rate, waveform.ndim, len(waveform)) == (RATE, 1, RATE)
    assert (media["note"], media["seconds"], media["hertz"], media["photo"]) == ("", 1.0, RATE / 2, None)
    assert "-media-0" not in page_of(site_map(cube, media="none"))


def test_media_in_a_folder_lie_beside_the_page(tmp_path, cube):
    inline = block(page_of(site_map(cube, folder=tmp_path)), "media-5")
    made = site_map(cube, folder=tmp_path, media="folder")
    target = tmp_path / "a map's <b>.html"
    made.save(target)
    beside = block(target.read_text(encoding="utf-8"), "media")[5]
    assert beside["sound"] == "a%20map%27s%20%3Cb%3E_media/5.ogg"
    assert inline["pictures"][1][0].endswith(
        base64.b64encode((tmp_path / "a map's <b>_media" / "5-1-0.webp").read_bytes()).decode()
    )
    assert target.stat().st_size < 1_000_000
    with pytest.raises(InputError, match="path"):
        made.save(io.BytesIO())


def test_an_opened_cube_knows_its_folder(tmp_path, cube):
    cubes.save_cube(cube, tmp_path / "cube.zarr")
    media = block(page_of(site_map(cubes.open_cube(tmp_path))), "media-0")
    assert media["pictures"][0][0].startswith("data:image/webp")


def test_a_long_stereo_recording_is_cut_and_says_so(tmp_path):
    rng = np.random.default_rng(0)
    sf.write(
        tmp_path / "long.wav", rng.uniform(-0.3, 0.3, (48_000 * 75, 2)).astype("f4"), 48_000, subtype="FLOAT"
    )
    sound = read_sound(tmp_path / "long.wav")
    waveform, rate = sf.read(io.BytesIO(sound.ogg))
    assert (rate, waveform.shape) == (48_000, (480_000,))
    assert sound.note == "The first 10 s of 1:15 min."


def test_a_spectrogram_shows_a_tone_at_its_time_and_frequency():
    time = np.arange(2 * RATE) / RATE
    wave = np.where(time < 1, np.sin(2 * np.pi * 2000 * time), np.sin(2 * np.pi * 6000 * time))
    picture, top = spectrogram(wave.astype("f4"), RATE)
    assert top == RATE / 2
    light = picture.astype(int).sum(axis=-1)
    rows, columns = light.shape
    for part, hertz in ((0.25, 2000), (0.75, 6000)):
        loudest = int(light[:, round(part * columns)].argmax())
        assert (1 - loudest / (rows - 1)) * top == pytest.approx(hertz, abs=1.5 * top / rows)
    assert spectrogram(np.zeros(3, "f4"), RATE)[0].ndim == 3


def test_media_that_cannot_be_read_are_left_out_and_logged(tmp_path, caplog):
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "text.wav").write_text("no sound")
    with caplog.at_level(logging.WARNING, "soundit_geo.maps.media"):
        assert picture_webp(tmp_path / "text.png") is None
        assert picture_webp(tmp_path / "absent.png") is None
        assert read_sound(tmp_path / "text.wav") is None
        assert read_sound(tmp_path / "absent.wav") is None
    assert len(caplog.records) == 4


def test_a_large_photo_is_reduced(tmp_path):
    Image.new("RGB", (3000, 1500), "teal").save(tmp_path / "photo.jpg")
    assert Image.open(io.BytesIO(picture_webp(tmp_path / "photo.jpg", edge=640))).size == (640, 320)


def test_an_unfinished_cube_can_be_mapped(tmp_path):
    cube = cubes.new_cube(fake_sites(["a", "b"], tmp_path), ["x"], 1)
    data = block(page_of(site_map(cube, folder=tmp_path)), "data")
    assert numbers(data["state"][0], "u1").tolist() == [cubes.PENDING] * 2
    assert np.isnan(values(data["variables"][0])).all()


def test_pss_is_offered_where_there_are_photos_and_an_element_when_asked_for(cube):
    keys = [one["key"] for one in columns_of(cube, "lively", (0, 1))["variables"]]
    assert not [key for key in keys if key.startswith("pss")]
    assert "flag" not in keys
    cube["pss_perception"][:] = 0.5
    found = {one["key"]: one for one in columns_of(cube, "flag", (0, 1))["variables"]}
    assert "lower is more alike" in found["pss_perception"]["words"]
    assert values(found["flag"])[0][0] == 0


def test_tiles_and_other_layers_are_possible_and_leave_later_maps_alone(cube):
    before = list(folium.Map.default_js), list(folium.Map.default_css)
    with_tiles = page_of(site_map(cube, tiles="OpenStreetMap", media="none"))
    assert "tile.openstreetmap.org" in with_tiles
    assert "Content-Security-Policy" not in with_tiles
    assert "<link" not in with_tiles
    made = site_map(cube, media="none")
    made.add_js_link("mine", "https://example.org/mine.js")  # such a link is kept, on this map only
    assert "mine.js" in page_of(made)
    assert "mine.js" not in page_of(site_map(cube, media="none"))
    assert (list(folium.Map.default_js), list(folium.Map.default_css)) == before
    assert "leaflet.js" in folium.Map().get_root().render()


def links_of(page: str) -> list[str]:
    return re.findall(r'<(?:script|link)[^>]*(?:src|href)="([^"]+)"', page)


def test_markers_popups_and_shapes_of_folium_bring_no_link(cube, caplog):
    made = site_map(cube, media="none")
    folium.Marker([0, 0], popup="hello", tooltip="there", icon=folium.Icon(color="red")).add_to(made)
    group = folium.FeatureGroup("shapes").add_to(made)
    folium.PolyLine([[0, 0], [0.01, 0.01]]).add_to(group)
    folium.GeoJson(shapely.Point(0, 0), marker=folium.Marker(icon=folium.Icon())).add_to(group)
    folium.LayerControl().add_to(made)
    with caplog.at_level(logging.WARNING, "soundit_geo.maps"):
        assert links_of(page_of(made)) == []
    assert caplog.records == []


def test_links_that_will_not_load_offline_are_named_once(cube, caplog):
    from folium.plugins import MarkerCluster

    made = site_map(cube, media="none")
    MarkerCluster([[0, 0], [0.001, 0.001]]).add_to(made)
    sign = folium.Icon(icon="tree", prefix="fa")
    folium.GeoJson(shapely.Point(0, 0), marker=folium.Marker(icon=sign)).add_to(made)
    with caplog.at_level(logging.WARNING, "soundit_geo.maps"):
        links = links_of(page_of(made))
        page_of(made)
    assert len(caplog.records) == 1
    assert len(links) == 4  # the plugin's script and two styles, the font of the sign
    assert {"leaflet.markercluster.js", "all.min.css"} <= {link.rpartition("/")[2] for link in links}
    for link in links:
        assert link in caplog.text


def test_a_notebook_shows_the_map(cube):
    shown = site_map(cube, media="none")._repr_html_()
    assert shown.lstrip().startswith("<div")
    assert "<iframe srcdoc=" in shown


def test_what_a_map_cannot_show_is_refused(tmp_path, cube):
    with pytest.raises(CubeError, match="lively"):
        site_map(cube, variable="loudness")
    with pytest.raises(ScenarioError, match="as recorded"):
        site_map(cube, compare=("as recorded", "forest"))
    with pytest.raises(ScenarioError, match="two scenarios"):
        site_map(cube, compare="as recorded")
    with pytest.raises(InputError, match="inline"):
        site_map(cube, media="online")
    with pytest.raises(InputError, match="side by side"):
        site_map(cube, view="both")
    with pytest.raises(InputError, match="surface of"):
        site_map(cube, surfaces={"loudness": cube["lon"]})
    with pytest.raises(InputError, match="lat and lon"):
        site_map(cube, surfaces={"lively": cube["lon"]})
    with pytest.raises(InputError, match="DataArray"):
        site_map(cube, surfaces={"lively": np.zeros((3, 3))})
    with pytest.raises(CRSError, match="set_crs"):
        site_map(cube, base={"parks": fake_base()["parks"].set_crs(None, allow_override=True)})
    with pytest.raises(InputError, match="GeoDataFrame"):
        site_map(cube, base={"parks": "parks.geojson"})


def test_base_layers_come_in_any_crs_and_go_out_in_degrees_without_other_columns():
    parks = fake_base()["parks"].assign(secret=[1, 2], fill=["#fff", None])
    layer = base_of({"parks": parks.to_crs(3857)})[0]
    assert layer["kind"] == "park"
    back = gpd.GeoDataFrame.from_features(layer["features"], crs=4326)
    assert (shapely.hausdorff_distance(back.geometry.array, parks.geometry.array) < 1e-6).all()
    assert layer["features"][0]["properties"] == {"name": "Long Meadow", "fill": "#fff"}
    assert layer["features"][1]["properties"] == {"name": "Spring Garden"}
    assert base_of({"empty": parks.iloc[:0]})[0]["features"] == []


def test_layers_are_known_by_their_names():
    assert [kind_of(name) for name in ("coast", "Districts", "river", "parks", "roads", "x")] == [
        "sea", "district", "river", "park", "road", "other",
    ]  # fmt: skip


def test_a_thousand_missing_pictures_are_not_a_thousand_lines(tmp_path, caplog):
    cube = made_up_cube(50)
    with caplog.at_level(logging.WARNING, "soundit_geo.maps.media"):
        site_map(cube, folder=tmp_path, media="inline").save(tmp_path / "map.html")
    assert len(caplog.records) == 6
    assert "295 more" in caplog.text  # 50 sites × 3 scenarios × 2 draws


def test_a_tile_layer_that_folium_cannot_use_is_refused():
    with pytest.raises(InputError, match=r"'nonsense'.*OpenStreetMap"):
        site_map(made_up_cube(10), tiles="nonsense", media="none")
