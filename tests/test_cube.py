"""Laws of the layer cube: what goes in comes out, and a kill at any moment leaves a readable store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
import warnings

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
import zarr
from fake_study import fake_cube, fake_sites
from hypothesis import given
from hypothesis import strategies as st

from soundit_geo import cube as cubes
from soundit_geo.classes import ADE20K, INDICATORS, PERCEPTIONS, PLACES365
from soundit_geo.errors import CRSError, CubeError, MissingFileError, ScenarioError, SitesError, StudyError

HOSTILE = [
    "<img src=x onerror=alert(1)>{{7*7}}",
    "`${alert(1)}`",
    "</script>",
    "{% raw %}",
    "../../etc",
    "ü 日本 😀",
]


@pytest.fixture
def cube(tmp_path):
    return fake_cube(tmp_path, attrs={"title": "a\u2028b <b>"})


def test_the_class_names_are_whole_and_in_the_order_of_their_data_sets():
    assert (len(ADE20K), len(set(ADE20K))) == (150, 150)
    assert (len(PLACES365), len(set(PLACES365))) == (365, 365)
    assert [ADE20K.index(name) for name in ("wall", "sky", "tree", "road", "sea", "river", "flag")] == [
        0,
        2,
        4,
        6,
        26,
        60,
        149,
    ]
    assert [PLACES365[k] for k in (0, 48, 364)] == ["airfield", "beach", "zen_garden"]
    assert list(PLACES365) == sorted(PLACES365)
    assert all(member in ADE20K for members in INDICATORS.values() for member in members)


def test_a_new_cube_is_valid_and_pending(tmp_path):
    sites = fake_sites(["a", "b"], tmp_path)
    cube = cubes.new_cube(sites, ["x", "y", "z"], 2, attrs={"seed": 7}, folder=tmp_path)
    assert cubes.validate(cube) is cube
    assert dict(cube.sizes) == {"site": 2, "scenario": 3, "draw": 2, "element": 150, "percept": 6, "rank": 5}
    assert (cube["status"] == cubes.PENDING).all()
    assert np.isnan(cube["perception"]).all()
    assert (cube["scene_class"] == -1).all()
    assert cube["audio"].to_numpy().tolist() == ["audio/000.wav", "audio/001.wav"]
    assert cube["photo"].to_numpy().tolist() == ["", ""]
    assert cube.xindexes["geometry"].crs == "EPSG:4326"
    assert cube.attrs["seed"] == 7


def test_any_crs_comes_in_and_degrees_come_out(tmp_path):
    degrees = fake_sites(["a", "b", "c"], tmp_path)
    cube = cubes.new_cube(degrees.to_crs(3857), ["x"], 1)
    np.testing.assert_allclose(cube["lon"], degrees.geometry.x, atol=1e-9)
    np.testing.assert_allclose(cube["lat"], degrees.geometry.y, atol=1e-9)


def test_a_cube_reads_back_identical_without_a_warning(tmp_path):
    cube = fake_cube(
        tmp_path, names=HOSTILE, scenarios={"as recorded": None, "</script> é": "{{x}}"}, failed=HOSTILE[:1]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        back = cubes.open_cube(cubes.save_cube(cube, tmp_path / "cube.zarr", sites_per_chunk=4))
    xr.testing.assert_identical(back, cube)
    assert back.xindexes["geometry"].crs == cube.xindexes["geometry"].crs
    assert [back[name].dtype for name in back.variables] == [cube[name].dtype for name in back.variables]
    xr.testing.assert_identical(cubes.open_cube(tmp_path), cube)  # a study folder will do


def test_saving_again_replaces_the_store_and_leaves_nothing_beside_it(tmp_path, cube):
    path = tmp_path / "out" / "cube.zarr"
    cubes.save_cube(cube, path)
    other = cube.isel(site=slice(0, 3))
    cubes.save_cube(other, path)
    xr.testing.assert_identical(cubes.open_cube(path), other)
    assert [one.name for one in path.parent.iterdir()] == ["cube.zarr"]


def test_written_cells_are_read_back_and_all_others_stay(tmp_path, cube):
    empty = cubes.new_cube(
        fake_sites(list(cube["site"].to_numpy()), tmp_path), ["as recorded", "plaza"], 2, attrs=cube.attrs
    )
    path = cubes.save_cube(empty, tmp_path / "c.zarr", sites_per_chunk=5)
    block = cube.isel(site=[7, 3, 4], draw=[1])
    cubes.write_cells(path, block[["perception", "scene_class", "status", "message"]])
    back = cubes.open_cube(path)
    expected = empty.copy(deep=True)
    for name in ("perception", "scene_class", "status"):
        expected[name][{"site": [7, 3, 4], "draw": [1]}] = block[name]
    xr.testing.assert_identical(back, expected)


def test_a_block_that_does_not_fit_is_refused(tmp_path, cube):
    path = cubes.save_cube(cube, tmp_path / "c.zarr")
    with pytest.raises(CubeError, match="nobody"):
        cubes.write_cells(path, cube.isel(site=[0]).drop_vars("geometry").assign_coords(site=["nobody"]))
    with pytest.raises(CubeError, match="loudness"):
        cubes.write_cells(path, cube[["perception"]].rename(perception="loudness"))
    with pytest.raises(CubeError, match="shape"):
        cubes.write_cells(path, cube[["perception"]].isel(percept=slice(0, 3)))
    with pytest.raises(MissingFileError):
        cubes.write_cells(tmp_path / "none.zarr", cube)


def test_dying_between_any_two_writes_leaves_no_done_cell_without_its_scores(tmp_path, cube, monkeypatch):
    empty = cubes.new_cube(fake_sites(list(cube["site"].to_numpy()), tmp_path), ["as recorded", "plaza"], 2)
    truth = cube["perception"].to_numpy()
    write = zarr.Array.set_orthogonal_selection
    for survived in range(9):
        path = cubes.save_cube(empty, tmp_path / "c.zarr", sites_per_chunk=2)
        left = survived

        def dying(self, *args, **kwargs):
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            return write(self, *args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(zarr.Array, "set_orthogonal_selection", dying)
            with pytest.raises(KeyboardInterrupt):
                cubes.write_cells(
                    path, cube.isel(site=slice(2, 6)).drop_vars(["audio", "photo", "prompt", "picture"])
                )
        back = cubes.open_cube(path)
        done = cubes.done(back).to_numpy()
        assert not done.any()  # status is written last
        filled = np.isfinite(back["perception"].to_numpy())
        np.testing.assert_array_equal(back["perception"].to_numpy()[filled], truth[filled])


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_kill_9_while_writing_leaves_a_readable_store_whose_done_cells_are_right(tmp_path):
    sites = fake_sites([f"s{k}" for k in range(40)], tmp_path, seconds=0.1)
    path = cubes.save_cube(cubes.new_cube(sites, ["x", "y"], 2), tmp_path / "c.zarr", sites_per_chunk=2)
    script = textwrap.dedent("""
        import sys
        from soundit_geo import cube as cubes
        path = sys.argv[1]
        whole = cubes.open_cube(path)
        print("ready", flush=True)
        while True:
            for start in range(0, 40, 2):
                block = whole.isel(site=slice(start, start + 2)).copy(deep=True)
                for k in range(2):
                    block["perception"][k] = start + k
                    block["element_share"][k] = (start + k) / 40
                block["status"][:] = cubes.DONE
                cubes.write_cells(path, block[["perception", "element_share", "status", "message"]])
                print("block", flush=True)
    """)
    seen = 0
    for wait in (0.03, 0.13, 0.31):
        process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        assert process.stdout.readline() == b"block\n"
        time.sleep(wait)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        back = cubes.open_cube(path)
        done = cubes.done(back).to_numpy()
        place = np.broadcast_to(np.arange(40)[:, None, None], done.shape)
        np.testing.assert_array_equal(
            back["perception"].to_numpy()[done], np.repeat(place[done][:, None], 6, axis=1)
        )
        np.testing.assert_array_equal(
            back["element_share"].to_numpy()[done][:, 0], (place[done] / 40).astype("f4")
        )
        assert done.sum() >= seen
        seen = done.sum()
    assert seen > 0


@given(st.lists(st.text(max_size=60), min_size=2, max_size=2, unique=True))
def test_different_names_get_different_harmless_paths(names):
    paths = [cubes.picture_path(name, "x", 0) for name in names]
    assert paths[0] != paths[1]
    for path in paths:
        parts = path.split("/")
        assert len(parts) == 3
        assert parts[0] == "pictures"
        assert all(part and not part.startswith(".") for part in parts)
        assert all(sign.isascii() and (sign.isalnum() or sign in "+-_./") for sign in path)
        assert max(map(len, parts)) < 80


BREAKS = {
    "dimension": lambda c: c.isel(draw=0),
    "variable": lambda c: c.drop_vars("perception"),
    "order": lambda c: c.assign(status=c["status"].transpose()),
    "type": lambda c: c.assign(scene_class=c["scene_class"].astype(float)),
    "elements": lambda c: c.assign_coords(element=c["element"].to_numpy()[::-1]),
    "twins": lambda c: c.drop_vars("scenario").assign_coords(scenario=["x", "x"]),
    "index": lambda c: c.drop_indexes("geometry"),
    "longitude": lambda c: c.assign_coords(lon=("site", c["lon"].to_numpy() + 200)),
    "state": lambda c: c.assign(status=c["status"] + 3),
    "hollow": lambda c: c.assign(perception=c["perception"] * np.float32("nan")),
}


@pytest.mark.parametrize("how", BREAKS)
def test_a_dataset_that_is_not_a_cube_is_refused(cube, how):
    with pytest.raises(CubeError):
        cubes.validate(BREAKS[how](cube))


def test_what_cannot_make_a_cube_is_refused_with_the_next_step(tmp_path):
    sites = fake_sites(["a", "b"], tmp_path)
    with pytest.raises(CRSError, match="set_crs"):
        cubes.new_cube(sites.set_crs(None, allow_override=True), ["x"], 1)
    with pytest.raises(SitesError, match="names"):
        cubes.new_cube(sites.set_axis(["a", "a"]), ["x"], 1)
    with pytest.raises(SitesError, match="point"):
        cubes.new_cube(sites.to_crs(3857).set_geometry(sites.to_crs(3857).buffer(10)), ["x"], 1)
    with pytest.raises(ScenarioError):
        cubes.new_cube(sites, ["x", "x"], 1)
    with pytest.raises(CubeError, match="draws"):
        cubes.new_cube(sites, ["x"], 0)
    with pytest.raises(CubeError, match="prompts"):
        cubes.new_cube(sites, ["x"], 1, pd.DataFrame({"y": ["p", "q"]}, index=["a", "b"]))


def test_opening_what_is_no_cube_says_so(tmp_path):
    with pytest.raises(MissingFileError, match="no cube"):
        cubes.open_cube(tmp_path / "none")
    (tmp_path / "folder").mkdir()
    with pytest.raises(CubeError, match="not a cube"):
        cubes.open_cube(tmp_path / "folder")
    (tmp_path / "file").write_text("text")
    with pytest.raises(CubeError, match="not a cube"):
        cubes.open_cube(tmp_path / "file")
    with pytest.raises(StudyError, match="written"):
        cubes.save_cube(fake_cube(tmp_path), tmp_path / "file" / "cube.zarr")


def test_the_wide_table_holds_the_means_over_done_draws(cube):
    cube["status"][2, 1, 0] = cubes.FAILED
    cube["perception"][2, 1, 0] = np.nan
    table = cubes.to_geodataframe(cube, "plaza", elements=["road"])
    assert isinstance(table, gpd.GeoDataFrame)
    assert table.crs == "EPSG:4326"
    assert table.index.name == "site"
    assert table["draws"].tolist() == [2, 2, 1, *[2] * 9]
    scores = cube["perception"].to_numpy()
    lively = PERCEPTIONS.index("lively")
    assert table["lively"].iloc[0] == pytest.approx(scores[0, 1, :, lively].astype(float).mean(), rel=1e-6)
    assert table["lively"].iloc[2] == scores[2, 1, 1, lively]
    np.testing.assert_allclose(
        table["share_road"].iloc[5], cube["element_share"].to_numpy()[5, 1, :, 6].mean(), rtol=1e-6
    )
    assert shapely.equals(table.geometry.to_numpy(), cube["geometry"].to_numpy()).all()
    whole = cubes.to_geodataframe(cube)
    assert whole.index.names == ["site", "scenario"]
    assert len(whole) == 24
    with pytest.raises(ScenarioError, match="as recorded"):
        cubes.to_geodataframe(cube, "forest")
    with pytest.raises(CubeError):
        cubes.to_geodataframe(cube, "plaza", elements=["unicorn"])


def test_the_summary_counts_sites_and_failures(tmp_path):
    cube = fake_cube(tmp_path, failed=["site 01"], pending=["site 05"])
    summary = cubes.summary(cube)
    assert summary["sites"].tolist() == [10, 10]
    assert summary["failed"].tolist() == [1, 1]
    one = cubes.to_geodataframe(cube, "plaza")["safe"].mean()
    assert summary.loc["plaza", "safe"] == pytest.approx(one)
    assert "pss_element" not in summary


def test_the_accessor_hands_on_to_the_free_functions(cube):
    import soundit_geo.accessors  # noqa: F401
    from soundit_geo.scenarios import difference

    xr.testing.assert_identical(
        cube.soundit.difference("plaza", "as recorded"), difference(cube, "plaza", "as recorded")
    )
    pd.testing.assert_frame_equal(cube.soundit.summary(), cubes.summary(cube))
    pd.testing.assert_frame_equal(cube.soundit.to_geodataframe("plaza"), cubes.to_geodataframe(cube, "plaza"))
    assert "plaza" in cube.soundit.map(media="none").get_root().render()
    with pytest.raises(CubeError):
        _ = xr.Dataset().soundit


def test_a_cube_opened_from_the_face_has_its_accessor(tmp_path, cube):
    cubes.save_cube(cube, tmp_path / "cube.zarr")
    code = f"import soundit_geo as sg; print(sg.open_cube({str(tmp_path)!r}).soundit.summary().shape[0])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "2\n"
    )


def test_cubes_scenarios_and_maps_work_without_torch():
    rooms = ", ".join(f"soundit_geo.{room}" for room in ("cube", "scenarios", "maps", "accessors"))
    code = f"import sys, {rooms}; print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"
