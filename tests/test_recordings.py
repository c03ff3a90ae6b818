"""Sites come in as they stand in the source, or not at all."""

from __future__ import annotations

import csv
import os
import posixpath
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st

from soundit_geo.errors import CRSError, InputError, MissingFileError, SitesError, SounditError
from soundit_geo.recordings import read_sites, to_lonlat

EVIL = "<img src=x onerror=alert(1)>{{7*7}}"

longitudes = st.floats(-180, 180)
latitudes = st.floats(-90, 90)
names = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs"), include_characters=" "),
    min_size=1,
    max_size=20,
).filter(lambda text: text == text.strip() and text)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that pass for recordings: sites are read without decoding."""
    folder = tmp_path_factory.mktemp("root").resolve()
    (folder / "sub").mkdir()
    for name in ("a.wav", "b.wav", "c.wav", "sub/a.wav", "a.jpg"):
        (folder / name).write_bytes(b"-")
    (folder.parent / "outside.wav").write_bytes(b"-")
    return folder


def table(**columns: object) -> gpd.GeoDataFrame:
    """Three good sites in longitude and latitude, with some columns replaced or added."""
    points = columns.pop("geometry", [shapely.Point(0, 0), shapely.Point(1, 2), shapely.Point(1, 2)])
    crs = columns.pop("crs", "EPSG:4326")
    return gpd.GeoDataFrame({"audio": ["a.wav", "b.wav", "c.wav"], **columns}, geometry=points, crs=crs)


def write_csv(path: Path, rows: list[dict[str, object]], delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys(), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


# ---------------------------------------------------------------------------------------------- what comes in


@given(
    st.lists(st.tuples(names, longitudes, latitudes), min_size=1, max_size=8, unique_by=lambda row: row[0])
)
def test_any_valid_csv_comes_back_to_the_last_digit(
    root: Path, places: list[tuple[str, float, float]]
) -> None:
    rows = [{"site": site, "lon": repr(x), "lat": repr(y), "audio": "a.wav"} for site, x, y in places]
    sites = read_sites(write_csv(root / "sites.csv", rows))
    assert list(sites.index) == [site for site, _, _ in places]
    assert list(sites.geometry.x) == [x for _, x, _ in places]
    assert list(sites.geometry.y) == [y for _, _, y in places]
    assert sites.crs == "EPSG:4326"


@pytest.mark.parametrize("name", ["s.geojson", "s.gpkg", "s.parquet", "s.shp", "s.csv", "s.tsv"])
def test_every_format_gives_the_same_sites(root: Path, name: str) -> None:
    frame = table(site=["007", "NA", EVIL], scene=["a park", None, ""], noise=[1.5, 2.5, 3.5])
    path = root / name
    if path.suffix in (".csv", ".tsv"):
        flat = pd.DataFrame(frame.drop(columns="geometry")).assign(lon=frame.geometry.x, lat=frame.geometry.y)
        flat.to_csv(path, index=False, sep="," if path.suffix == ".csv" else "\t")
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path)
    sites = read_sites(path)
    assert sites.index.name == "site"
    assert list(sites.index) == ["007", "NA", EVIL]
    assert list(sites.audio) == [str(root / file) for file in ("a.wav", "b.wav", "c.wav")]
    assert list(sites.scene) == ["a park", None, None]
    assert list(sites.noise) == [1.5, 2.5, 3.5]
    assert [point.coords[0] for point in sites.geometry] == [(0, 0), (1, 2), (1, 2)]
    assert to_lonlat(sites).crs == "EPSG:4326"


@pytest.mark.parametrize(
    ("x", "y"),
    [("lon", "lat"), ("Longitude", "Latitude"), ("LON", "LAT"), ("x", "y"), ("X", "Y"), ("lng", "lat")],
)
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_coordinates_are_found_by_their_usual_names(root: Path, x: str, y: str, delimiter: str) -> None:
    path = write_csv(root / "named.csv", [{x: 3.5, y: -7.25, "audio": "a.wav"}], delimiter)
    assert read_sites(path).geometry.iloc[0].coords[0] == (3.5, -7.25)


def test_a_table_may_be_in_another_crs(root: Path) -> None:
    frame = pd.DataFrame({"east": [530_000.0], "north": [180_000.0], "audio": ["a.wav"]})
    sites = read_sites(frame, audio_root=root, lon="east", lat="north", crs="EPSG:27700")
    assert sites.crs == "EPSG:27700"
    london = to_lonlat(sites).geometry.iloc[0]
    assert abs(london.x - -0.1287) < 0.001  # Trafalgar Square, by the national grid's own tables
    assert abs(london.y - 51.5038) < 0.001


def test_the_source_is_left_as_it_was(root: Path) -> None:
    frame = table(site=["a", "b", "c"])
    before = frame.copy()
    read_sites(frame, audio_root=root)
    pd.testing.assert_frame_equal(pd.DataFrame(frame), pd.DataFrame(before))


def test_reading_sites_again_changes_nothing(root: Path) -> None:
    once = read_sites(table(scene=["x", None, "y"]), audio_root=root)
    twice = read_sites(once)
    pd.testing.assert_frame_equal(pd.DataFrame(once), pd.DataFrame(twice))


def test_relative_paths_start_at_the_folder_of_the_file(root: Path) -> None:
    path = root / "sub" / "sites.geojson"
    table(audio=["a.wav"] * 3).to_file(path)
    assert set(read_sites(path).audio) == {str(root / "sub" / "a.wav")}
    assert set(read_sites(path, audio_root=root).audio) == {str(root / "a.wav")}


def test_a_multipoint_of_one_point_is_a_point(root: Path) -> None:
    sites = read_sites(table(geometry=[shapely.MultiPoint([(1, 2)])] * 3), audio_root=root)
    assert list(sites.geometry) == [shapely.Point(1, 2)] * 3


def test_another_geometry_column_is_brought_home(root: Path) -> None:
    sites = read_sites(table().rename_geometry("where"), audio_root=root)
    assert sites.geometry.name == "geometry"


# --------------------------------------------------------------------------------------------------- identity


def test_a_named_column_gives_the_identifiers(root: Path) -> None:
    sites = read_sites(table(other=[10.0, 20.0, 30.0]), audio_root=root, site="other")
    assert list(sites.index) == ["10", "20", "30"]
    assert list(sites.other) == [10, 20, 30]


def test_a_column_site_precedes_a_named_index(root: Path) -> None:
    frame = table(site=["s1", "s2", "s3"], walk=[7, 8, 9]).set_index("walk")
    sites = read_sites(frame, audio_root=root)
    assert list(sites.index) == ["s1", "s2", "s3"]
    assert list(sites.walk) == [7, 8, 9]


def test_a_named_index_precedes_file_names(root: Path) -> None:
    sites = read_sites(table(walk=[7, 8, 9]).set_index("walk"), audio_root=root)
    assert list(sites.index) == ["7", "8", "9"]


def test_file_names_precede_numbers(root: Path) -> None:
    assert list(read_sites(table(), audio_root=root).index) == ["a", "b", "c"]
    shared = table(audio=["a.wav", "sub/a.wav", "b.wav"])
    assert list(read_sites(shared, audio_root=root).index) == ["site-001", "site-002", "site-003"]


def test_a_second_column_is_never_replaced_in_silence(root: Path) -> None:
    with pytest.raises(SitesError, match="'site' stands there already"):
        read_sites(table(site=["1", "2", "3"], other=["x", "y", "z"]), audio_root=root, site="other")
    with pytest.raises(SitesError, match="'audio' stands there already"):
        read_sites(table(wave=["a.wav"] * 3), audio_root=root, audio="wave")


# ------------------------------------------------------------------------------------------------------ paths


@given(
    st.lists(st.sampled_from(["..", ".", "sub", "a.wav", "outside.wav"]), min_size=1, max_size=7),
    st.booleans(),
)
def test_no_path_leads_out_of_the_root(root: Path, parts: list[str], rooted: bool) -> None:
    cell = ("/" if rooted else "") + "/".join(parts)
    target = posixpath.normpath(posixpath.join(str(root), cell))
    inside = target == str(root) or target.startswith(str(root) + "/")
    frame = table(audio=[cell, "a.wav", "b.wav"], site=["1", "2", "3"])
    if inside:
        sites = read_sites(frame, audio_root=root, absent="keep")
        assert sites.audio.iloc[0] == target
    else:
        with pytest.raises(SitesError, match="lies outside"):
            read_sites(frame, audio_root=root, absent="keep")


def test_a_link_out_of_the_root_is_refused_and_one_within_is_followed(root: Path) -> None:
    for name, target in (
        ("out.wav", root.parent / "outside.wav"),
        ("in.wav", root / "b.wav"),
        ("loop.wav", None),
    ):
        link = root / name
        link.unlink(missing_ok=True)
        link.symlink_to(target or link)
    with pytest.raises(SitesError, match=r"out\.wav.* lies outside"):
        read_sites(table(audio=["out.wav"] * 3), audio_root=root)
    with pytest.raises(SounditError):
        read_sites(table(audio=["loop.wav"] * 3), audio_root=root)
    sites = read_sites(table(audio=["in.wav", "a.wav", "c.wav"]), audio_root=root)
    assert sites.audio["in"] == str(root / "b.wav")


def test_photos_follow_the_rules_of_recordings(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert list(read_sites(table(photo=["a.jpg", None, ""]), audio_root=root).photo) == [
        str(root / "a.jpg"),
        None,
        None,
    ]
    with pytest.raises(SitesError, match=r"photo '\.\./x\.jpg' lies outside"):
        read_sites(table(photo=["../x.jpg", None, None]), audio_root=root, absent="keep")
    with pytest.raises(MissingFileError, match="1 of 3 photos are absent"):
        read_sites(table(photo=["no.jpg", None, None]), audio_root=root)
    assert list(read_sites(table(photo=["no.jpg", "a.jpg", None]), audio_root=root, absent="keep").photo) == [
        None,
        str(root / "a.jpg"),
        None,
    ]
    assert "no.jpg" in caplog.text


def test_kept_rows_hold_the_path_of_the_absent_recording(root: Path) -> None:
    sites = read_sites(table(audio=["a.wav", "gone.wav", "c.wav"]), audio_root=root, absent="keep")
    assert sites.audio["gone"] == str(root / "gone.wav")
    assert not Path(sites.audio["gone"]).exists()


# ------------------------------------------------------------------------------------------------ coordinates


@given(longitudes, st.floats(-85, 85))
def test_lonlat_undoes_a_projection(x: float, y: float) -> None:
    sites = gpd.GeoDataFrame(geometry=[shapely.Point(x, y)], crs="EPSG:4326")
    back = to_lonlat(sites.to_crs("EPSG:3857")).geometry.iloc[0]
    assert abs((back.x - x + 180) % 360 - 180) < 1e-9  # a longitude of -180 may come back as 180
    assert abs(back.y - y) < 1e-9


@given(st.floats(-90, 90), st.floats(90, 180, exclude_min=True), st.sampled_from([-1, 1]))
def test_swapped_axes_are_told(root: Path, x: float, y: float, sign: int) -> None:
    with pytest.raises(CRSError, match="look swapped"):
        read_sites(table(geometry=[shapely.Point(x, sign * y)] * 3), audio_root=root)


@given(st.floats(-400, 400), st.floats(-400, 400))
def test_a_latitude_out_of_range_never_passes(root: Path, x: float, y: float) -> None:
    assume(abs(x) > 180 or abs(y) > 90)
    with pytest.raises(CRSError):
        read_sites(table(geometry=[shapely.Point(x, y)] * 3), audio_root=root)


def test_metres_called_degrees_are_told(root: Path) -> None:
    with pytest.raises(CRSError, match="look projected"):
        read_sites(table(geometry=[shapely.Point(530_000, 180_000)] * 3), audio_root=root)


def test_a_good_site_among_bad_ones_does_not_hide_them(root: Path) -> None:
    points = [shapely.Point(0, 0), shapely.Point(120, 95), shapely.Point(0, 0)]
    with pytest.raises(CRSError, match=r"'b': \(120, 95\).* outside \[-90, 90\]") as caught:
        read_sites(table(geometry=points), audio_root=root)
    assert "swapped" not in str(caught.value)


def test_coincident_sites_are_normal(root: Path) -> None:
    sites = read_sites(table(geometry=[shapely.Point(1, 1)] * 3), audio_root=root)
    assert len(sites) == 3


# -------------------------------------------------------------------------------------------- what is refused

REFUSED = {
    "no crs": (lambda: table(crs=None), CRSError, "3 sites carry no CRS"),
    "polygon": (lambda: table(geometry=[shapely.box(0, 0, 1, 1)] * 3), SitesError, "no point but Polygon"),
    "line": (lambda: table(geometry=[shapely.LineString([(0, 0), (1, 1)])] * 3), SitesError, "LineString"),
    "many points": (
        lambda: table(geometry=[shapely.MultiPoint([(0, 0), (1, 1)])] * 3),
        SitesError,
        "MultiPoint",
    ),
    "no geometry": (
        lambda: table(geometry=[None, *[shapely.Point(0, 0)] * 2]),
        SitesError,
        "'a' has no geometry",
    ),
    "empty geometry": (
        lambda: table(geometry=[shapely.Point()] * 3),
        SitesError,
        "'a', 'b', 'c' has no geometry",
    ),
    "nan": (lambda: table(geometry=[shapely.Point(np.nan, 0)] * 3), SitesError, "geometry|finite"),
    "infinity": (lambda: table(geometry=[shapely.Point(np.inf, 0)] * 3), SitesError, "finite"),
    "duplicates": (lambda: table(site=["p", "q", "p"]), SitesError, "site 'p' stands more than once"),
    "duplicates of two kinds": (lambda: table(site=[1, "1", 2]), SitesError, "'1' stands more than once"),
    "gap in identifiers": (lambda: table(site=["p", None, "q"]), SitesError, "row 2: no site identifier"),
    "no audio column": (
        lambda: table().rename(columns={"audio": "wave"}),
        SitesError,
        "It has: wave, geometry",
    ),
    "empty audio": (lambda: table(audio=["a.wav", " ", None]), SitesError, "empty audio cell"),
    "absent audio": (
        lambda: table(audio=["x.wav", "a.wav", "y.wav"]),
        MissingFileError,
        r"2 of 3 .*'x.wav', 'y.wav'",
    ),
    "a folder as audio": (lambda: table(audio=["sub"] * 3), MissingFileError, "absent"),
    "nul in a path": (lambda: table(audio=["a\0.wav"] * 3), SitesError, "no usable path"),
    "endless name": (lambda: table(audio=["a" * 5000] * 3), SounditError, "absent|no usable path"),
    "no rows": (lambda: table().iloc[:0], SitesError, "holds no sites"),
    "no geometry column": (lambda: gpd.GeoDataFrame({"audio": ["a.wav"]}), SitesError, "no active geometry"),
    "table without lon": (
        lambda: pd.DataFrame({"audio": ["a.wav"], "lat": [1]}),
        SitesError,
        "no column 'lon'",
    ),
    "decimal comma": (
        lambda: pd.DataFrame({"audio": ["a.wav"], "lon": ["51,5"], "lat": [1]}),
        SitesError,
        "row 1: lon '51,5'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_table_is_refused_in_one_clear_line(root: Path, case: str) -> None:
    build, kind, words = REFUSED[case]
    with pytest.raises(kind, match=words) as caught:
        read_sites(build(), audio_root=root)
    assert "\n" not in str(caught.value)
    assert "\0" not in str(caught.value)


FILES = {
    "text.geojson": b"this is no JSON",
    "empty.geojson": b"",
    "empty.csv": b"",
    "binary.csv": bytes(range(128, 256)),
    "ragged.csv": b"lon,lat,audio\n1,2,a.wav,what\n",
    "binary.gpkg": bytes(1000),
    "text.parquet": b"PAR1 or so",
    "text.shp": b"no shapes",
    "table.json": b'{"lon": [1]}',
    "sites.docx": b"PK",
}


@pytest.mark.parametrize("name", FILES)
def test_an_unreadable_file_is_refused_in_one_clear_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name])
    with pytest.raises(SitesError, match=name) as caught:
        read_sites(path)
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=300), st.sampled_from(["x.csv", "x.geojson", "x.parquet", "x.gpkg"]))
def test_no_bytes_make_the_reader_stumble(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data)
    with pytest.raises(SounditError):
        read_sites(path)


def test_several_layers_are_not_guessed_between(root: Path) -> None:
    path = root / "layers.gpkg"
    path.unlink(missing_ok=True)
    table().to_file(path, layer="walk one")
    table().to_file(path, layer="walk two")
    with pytest.raises(SitesError, match="walk one, walk two"):
        read_sites(path)


def test_absent_things_are_called_absent(root: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.csv does not exist"):
        read_sites(root / "none.csv")
    with pytest.raises(MissingFileError, match="audio_root"):
        read_sites(table(), audio_root=root / "none")
    with pytest.raises(SitesError, match="is a folder"):
        read_sites(root)


def test_a_crs_given_must_agree_with_the_source(root: Path) -> None:
    assert read_sites(table(crs=None), audio_root=root, crs=4326).crs == "EPSG:4326"
    with pytest.raises(CRSError, match=r"EPSG:4326.*EPSG:27700"):
        read_sites(table(), audio_root=root, crs="EPSG:27700")
    with pytest.raises(CRSError, match="not a coordinate reference system"):
        read_sites(table(crs=None), audio_root=root, crs="nonsense")
    with pytest.raises(CRSError, match="carry no CRS"):
        to_lonlat(table(crs=None))


def test_a_projected_site_off_the_earth_is_refused(root: Path) -> None:
    with pytest.raises(CRSError, match="cannot be brought"):
        read_sites(table(geometry=[shapely.Point(1e9, 1e9)] * 3, crs="EPSG:27700"), audio_root=root)


def test_an_unknown_choice_is_refused(root: Path) -> None:
    with pytest.raises(InputError, match="absent='drop'"):
        read_sites(table(), audio_root=root, absent="drop")  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------- the surroundings


def test_sites_are_read_without_torch() -> None:
    code = "import sys, soundit_geo.recordings; sys.exit(any(m.startswith('torch') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False, env=os.environ).returncode == 0


def test_the_camden_soundwalk_is_read(shared_data: Path) -> None:
    sites = read_sites(shared_data / "camden" / "sites.geojson")
    assert list(sites.index) == ["CT101", "CT102", "CT103", "CT104"]
    assert len(set(sites.geometry)) == 1
    assert all(Path(path).is_file() for path in sites.audio)
    assert list(read_sites(shared_data / "camden" / "sites.geojson", site="GroupID").index) == list(
        sites.index
    )
