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
from soundit_geo.classes import ADE20K, INDICATORS, PERCEPTIONS
from soundit_geo.errors import CRSError, CubeError, InputError, ScenarioError
from soundit_geo.maps import SiteMap, site_map
from soundit_geo.maps.base import base_of, kind_of
from soundit_geo.maps.columns import columns_of, common_draws, perception_range
from soundit_geo.maps.media import picture_uri, sound_uri
from soundit_geo.maps.page import json_block

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
    np.testing.assert_array_equal(numbers(data["sites"]["lon"], "<f8"), cube["lon"])
    np.testing.assert_array_equal(numbers(data["sites"]["lat"], "<f8"), cube["lat"])
    assert data["sites"]["name"] == cube["site"].to_numpy().tolist()
    by_key = {one["key"]: [numbers(text) for text in one["values"]] for one in data["variables"]}
    for k, name in enumerate(data["scenarios"]):
        table = cubes.to_geodataframe(cube, name, elements=ADE20K)
        for perception in PERCEPTIONS:
            np.testing.assert_allclose(by_key[perception][k], table[perception].astype("f4"), rtol=1e-6)
        greenery = table[[f"share_{element}" for element in INDICATORS["greenery"]]].sum(axis=1, skipna=False)
        np.testing.assert_allclose(by_key["greenery"][k], greenery.astype("f4"), rtol=1e-5)
        np.testing.assert_allclose(by_key["building"][k], table["share_building"].astype("f4"), rtol=1e-6)
        assert np.isnan(by_key["lively"][k][3])
        assert numbers(data["state"][k], "u1")[3] == cubes.FAILED
    assert data["sites"]["message"] == {"3": "site 03.wav is silent (peak -91 dBFS)"}


def test_means_are_over_the_draws_that_all_scenarios_share():
    ready = np.ones((2, 4, 3), dtype=bool)  # scenario, site, draw
    ready[0, 1, 2] = False  # lacks a draw: the other scenario leaves it out too
    ready[1, 2] = False  # lacks a scenario: the other keeps its own
    ready[0, 3], ready[1, 3] = [True, False, False], [False, True, True]  # nothing in common: each its own
    found = common_draws(ready)
    assert found[:, 0].all()
    assert found[:, 1].tolist() == [[True, True, False]] * 2
    assert found[:, 2].tolist() == [[True] * 3, [False] * 3]
    assert found[:, 3].tolist() == [[True, False, False], [False, True, True]]


def test_words_say_units_direction_and_provenance(cube):
    data = block(page_of(site_map(cube, variable="depressing", media="none")), "data")
    chosen = data["variables"][data["variable"]]
    assert chosen["scale"] == "0–10, higher is more depressing"
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
    for kind in ("data", "media"):
        code = re.sub(
            rf'<script type="application/json" id="[^"]*-{kind}">.*?</script>', "", code, flags=re.DOTALL
        )
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
    media = block(page_of(site_map(cube, folder=tmp_path)), "media")
    uri = media["pictures"][1][0][5]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))), dtype=float)
    drawn = np.asarray(Image.open(tmp_path / cube["picture"].to_numpy()[5, 1, 0]), dtype=float)
    assert shown.shape == drawn.shape
    assert abs(shown - drawn).mean() < 6
    assert media["pictures"][0][0][3] is None  # failed
    waveform, rate = sf.read(io.BytesIO(base64.b64decode(media["sounds"][0].partition(",")[2])))
    assert (rate, waveform.ndim, len(waveform)) == (RATE, 1, RATE)
    assert media["notes"] == [""] * 12
    assert block(page_of(site_map(cube, media="none")), "media") is None


def test_an_opened_cube_knows_its_folder(tmp_path, cube):
    cubes.save_cube(cube, tmp_path / "cube.zarr")
    media = block(page_of(site_map(cubes.open_cube(tmp_path))), "media")
    assert media["pictures"][0][0][0].startswith("data:image/webp")


def test_a_long_stereo_recording_is_cut_and_says_so(tmp_path):
    rng = np.random.default_rng(0)
    sf.write(
        tmp_path / "long.wav", rng.uniform(-0.3, 0.3, (48_000 * 75, 2)).astype("f4"), 48_000, subtype="FLOAT"
    )
    uri, note = sound_uri(tmp_path / "long.wav")
    waveform, rate = sf.read(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert (rate, waveform.shape) == (48_000, (480_000,))
    assert note == "The first 10 s of 1:15 min."


def test_media_that_cannot_be_read_are_left_out_and_logged(tmp_path, caplog):
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "text.wav").write_text("no sound")
    with caplog.at_level(logging.WARNING, "soundit_geo.maps.media"):
        assert picture_uri(tmp_path / "text.png") is None
        assert picture_uri(tmp_path / "absent.png") is None
        assert sound_uri(tmp_path / "text.wav") == (None, "This recording cannot be played.")
        assert sound_uri(tmp_path / "absent.wav")[0] is None
    assert len(caplog.records) == 4


def test_a_large_photo_is_reduced(tmp_path):
    Image.new("RGB", (3000, 1500), "teal").save(tmp_path / "photo.jpg")
    uri = picture_uri(tmp_path / "photo.jpg", edge=640)
    assert Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).size == (640, 320)


def test_an_unfinished_cube_can_be_mapped(tmp_path):
    cube = cubes.new_cube(fake_sites(["a", "b"], tmp_path), ["x"], 1)
    data = block(page_of(site_map(cube, folder=tmp_path)), "data")
    assert numbers(data["state"][0], "u1").tolist() == [cubes.PENDING] * 2
    assert np.isnan(numbers(data["variables"][0]["values"][0])).all()


def test_pss_is_offered_where_there_are_photos_and_an_element_when_asked_for(cube):
    keys = [one["key"] for one in columns_of(cube, "lively")["variables"]]
    assert not [key for key in keys if key.startswith("pss")]
    assert "flag" not in keys
    cube["pss_perception"][:] = 0.5
    found = {one["key"]: one for one in columns_of(cube, "flag")["variables"]}
    assert "lower is more alike" in found["pss_perception"]["scale"]
    assert numbers(found["flag"]["values"][0])[0] == 0


def test_tiles_and_other_layers_are_possible_and_leave_later_maps_alone(tmp_path, cube):
    before = list(folium.Map.default_js), list(folium.Map.default_css)
    with_tiles = page_of(site_map(cube, tiles="OpenStreetMap", media="none"))
    assert "tile.openstreetmap.org" in with_tiles
    assert "Content-Security-Policy" not in with_tiles
    assert "<link" not in with_tiles
    made = site_map(cube, media="none")
    folium.Marker([0, 0], popup="hello").add_to(made)
    links = re.findall(r'<script src="([^"]+)"', page_of(made))
    assert [link for link in links if "jquery" in link]
    assert not [link for link in links if "leaflet.js" in link]  # Leaflet itself is inside
    assert (list(folium.Map.default_js), list(folium.Map.default_css)) == before
    assert "leaflet.js" in folium.Map().get_root().render()


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
        site_map(cube, media="folder")
    with pytest.raises(InputError, match="side by side"):
        site_map(cube, view="swipe")
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
