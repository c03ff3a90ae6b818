"""Laws of the cube's own files: netCDF and zarr hold it whole, and other programs read the same values."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import netCDF4
import numpy as np
import pyproj
import pytest
import shapely
import xarray as xr
import xvec
import zarr
from fake_study import fake_cube, fake_sites
from hypothesis import given, settings
from random_cubes import random_cubes

from soundit_geo import cube as cubes
from soundit_geo.classes import ADE20K, PERCEPTIONS, PLACES365
from soundit_geo.errors import CubeError, InputError, StudyError

KINDS = ("nc", "zarr")


@pytest.fixture
def cube(tmp_path):
    return fake_cube(tmp_path, names=["a", "ü 日本", "c"], failed=["c"], attrs={"title": "a\u2028b <b>"})


def check_same(back, cube):
    """Identical in values, names, attributes, types, and the CRS of its index."""
    xr.testing.assert_identical(back, cube)
    assert {name: back[name].dtype for name in back.variables} == {
        name: cube[name].dtype for name in cube.variables
    }
    assert {key: type(value) for key, value in back.attrs.items()} == {
        key: type(value) for key, value in cube.attrs.items()
    }
    assert back.xindexes["geometry"].equals(cube.xindexes["geometry"])
    assert back.xindexes["geometry"].crs == pyproj.CRS("EPSG:4326")
    for name in ("status", "scene_class"):
        assert back[name].attrs["flag_values"].dtype == back[name].dtype


@pytest.mark.parametrize("kind", KINDS)
def test_a_cube_reads_back_identical(tmp_path, cube, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        back = cubes.open_cube(cubes.export_cube(cube, tmp_path / f"cube.{kind}"))
    check_same(back, cube)
    assert back.encoding["source"] == str(tmp_path / f"cube.{kind}")


@given(random_cubes())
@settings(max_examples=25)
def test_any_cube_reads_back_identical_from_netcdf(cube):
    with tempfile.TemporaryDirectory() as folder:
        check_same(cubes.open_cube(cubes.save_netcdf(cube, Path(folder) / "cube.nc")), cube)


@given(random_cubes())
@settings(max_examples=8)
def test_any_cube_reads_back_identical_from_zarr(cube):
    with tempfile.TemporaryDirectory() as folder:
        check_same(cubes.open_cube(cubes.save_cube(cube, Path(folder) / "cube.zarr")), cube)


def test_netcdf_is_written_alike_by_h5netcdf(tmp_path, cube):
    pytest.importorskip("h5py")
    with xr.set_options(netcdf_engine_order=("h5netcdf", "netcdf4", "scipy")):
        path = cubes.save_netcdf(cube, tmp_path / "cube.nc")
        check_same(cubes.open_cube(path), cube)
    with netCDF4.Dataset(path) as file:
        np.testing.assert_array_equal(file["perception"][:].filled(np.nan), cube["perception"])


def test_netcdf4_reads_the_same_values_and_the_words_of_cf(tmp_path, cube):
    path = cubes.save_netcdf(cube, tmp_path / "cube.nc")
    with netCDF4.Dataset(path) as file:
        file.set_auto_mask(False)
        for name in set(cube.variables) - {"geometry"}:
            np.testing.assert_array_equal(file[name][:], cube[name].to_numpy())
            assert tuple(file[name].dimensions) == cube[name].dims
        assert file.Conventions == "CF-1.11"
        assert "featureType" not in file.ncattrs()  # CF 9.1: without a time there is none
        assert file["site"].cf_role == "timeseries_id"
        for name, words in {
            "lon": ("longitude", "degrees_east"),
            "lat": ("latitude", "degrees_north"),
        }.items():
            assert (file[name].standard_name, file[name].units) == words
            assert "_FillValue" not in file[name].ncattrs()
        assert pyproj.CRS.from_cf(dict(file["spatial_ref"].__dict__)) == pyproj.CRS("EPSG:4326")
        for name in cube.data_vars:
            variable = file[name]
            assert variable.grid_mapping == "spatial_ref"
            beside = variable.coordinates.split()
            assert {"lon", "lat", "site"} <= set(beside) <= set(file.variables)
            for coordinate in beside:  # CF 5: a subset of the variable's own dimensions
                assert set(file[coordinate].dimensions) <= set(variable.dimensions)
            assert variable.long_name
            assert getattr(variable, "units", "1") == "1"


def test_netcdf_describes_its_points_as_cf_wants_geometries(tmp_path, cube):
    with netCDF4.Dataset(cubes.save_netcdf(cube, tmp_path / "cube.nc")) as file:
        container = file[file["perception"].geometry]
        assert container.geometry_type == "point"
        for node, coordinate, axis in zip(
            container.node_coordinates.split(), ("lon", "lat"), "XY", strict=True
        ):
            assert file[node].axis == axis
            assert file[coordinate].nodes == node
            np.testing.assert_array_equal(file[node][:], cube[coordinate])
            assert file[node].dimensions == ("site",)  # CF 7.5: one node each needs no node_count


@pytest.mark.parametrize("kind", KINDS)
def test_flags_are_numbers_of_the_variable_s_type_and_say_what_ids_mean(tmp_path, cube, kind):
    path = cubes.export_cube(cube, tmp_path / f"cube.{kind}")
    with xr.open_dataset(
        path, **({} if kind == "nc" else {"engine": "zarr", "consolidated": False})
    ) as plain:
        words = plain["scene_class"].attrs
        meanings = dict(
            zip(np.array(words["flag_values"]).tolist(), words["flag_meanings"].split(), strict=True)
        )
        assert len(set(meanings.values())) == 1 + len(PLACES365)
        assert meanings[-1] == "none"
        assert all(meanings[k] == name.replace("/", ".") for k, name in enumerate(PLACES365))
        assert all(
            set(word) <= set("_-.+@") | {sign for sign in word if sign.isalnum()}
            for word in meanings.values()
        )
        words = plain["status"].attrs
        assert dict(zip(words["flag_meanings"].split(), words["flag_values"], strict=True)) == {
            "pending": cubes.PENDING,
            "done": cubes.DONE,
            "failed": cubes.FAILED,
        }


@pytest.mark.parametrize("kind", KINDS)
def test_plain_xarray_and_xvec_open_a_cube(tmp_path, cube, kind):
    path = cubes.export_cube(cube, tmp_path / f"cube.{kind}")
    options = {} if kind == "nc" else {"engine": "zarr", "consolidated": False}
    with xr.open_dataset(path, decode_coords="all", **options) as plain:
        plain.load()
    lively = plain["perception"].sel(site="ü 日本", scenario="plaza", draw=1, percept="lively")
    assert lively == cube["perception"][1, 1, 1, PERCEPTIONS.index("lively")]
    points = plain.assign_coords(geometry=("site", shapely.points(plain["lon"], plain["lat"])))
    crs = pyproj.CRS.from_cf(plain["spatial_ref"].attrs)
    indexed = points.set_xindex("geometry", xvec.GeometryIndex, crs=crs)
    assert indexed.xindexes["geometry"].equals(cube.xindexes["geometry"])
    found = indexed.sel(geometry=cube["geometry"].to_numpy()[2].buffer(1e-6), method="intersects")
    assert found["site"].to_numpy().tolist() == ["c"]
    decoded = plain.xvec.decode_cf()
    assert shapely.equals_exact(decoded["geometry"].to_numpy(), cube["geometry"].to_numpy()).all()


def test_zarr_itself_reads_the_same_values(tmp_path, cube):
    store = zarr.open_group(cubes.save_cube(cube, tmp_path / "cube.zarr"), mode="r", use_consolidated=False)
    for name in set(cube.variables) - {"geometry"}:
        np.testing.assert_array_equal(store[name][:], cube[name].to_numpy())
    assert store["status"].attrs["flag_values"] == [0, 1, 2]
    assert pyproj.CRS.from_cf(dict(store["spatial_ref"].attrs)) == pyproj.CRS("EPSG:4326")


def test_a_cube_of_the_older_layout_still_opens(tmp_path, cube):
    """Before netCDF, a store had no geometry container, no references, and its flags were text."""
    older = cube.drop_vars("geometry").copy(deep=True)
    for variable in older.variables.values():
        variable.attrs.pop("flag_values", None)
    older["status"].attrs["flag_values"] = "0, 1, 2"
    del older["scene_class"].attrs["flag_meanings"]
    older["lon"].attrs = {"standard_name": "longitude", "units": "degrees_east"}
    older["lat"].attrs = {"standard_name": "latitude", "units": "degrees_north"}
    words = {**pyproj.CRS("EPSG:4326").to_cf(), "long_name": "EPSG:4326"}
    older = older.assign_coords(spatial_ref=((), np.int32(0), words))
    older.to_zarr(tmp_path / "cube.zarr", zarr_format=3, consolidated=False)
    check_same(cubes.open_cube(tmp_path / "cube.zarr"), cube)
    block = cube.isel(site=[1], draw=[0])[["perception", "status"]].copy(deep=True)
    block["perception"][:] = 3
    cubes.write_cells(tmp_path / "cube.zarr", block)
    assert (cubes.open_cube(tmp_path / "cube.zarr")["perception"][1, :, 0] == 3).all()


def test_attributes_that_computing_dropped_are_in_the_file_again(tmp_path, cube):
    bare = cube.copy()
    for variable in bare.variables.values():
        variable.attrs = {}
    check_same(cubes.open_cube(cubes.save_netcdf(bare, tmp_path / "cube.nc")), cube)


def test_units_that_contradict_the_schema_are_refused(cube):
    cube["element_share"].attrs["units"] = "%"
    with pytest.raises(CubeError, match="'%'; expected '1'"):
        cubes.validate(cube)


def test_a_file_of_another_crs_is_refused(tmp_path, cube):
    path = cubes.save_netcdf(cube, tmp_path / "cube.nc")
    with netCDF4.Dataset(path, "a") as file:
        file["spatial_ref"].setncatts(pyproj.CRS("EPSG:4258").to_cf())
    with pytest.raises(CubeError, match="EPSG:4326"):
        cubes.open_cube(path)


@pytest.mark.parametrize("kind", [*KINDS, "csv"])
@pytest.mark.parametrize("wrong", ["a\0b", "a\ud800", None])
def test_a_text_that_files_would_cut_or_break_is_refused(tmp_path, cube, kind, wrong):
    cube["message"][1] = wrong
    with pytest.raises(CubeError, match="message"):
        cubes.export_cube(cube, tmp_path / f"cube.{kind}")
    assert not (tmp_path / f"cube.{kind}").exists()


@pytest.mark.parametrize("wrong", [None, True, {"a": 1}])
def test_an_attribute_that_netcdf_cannot_hold_is_refused(tmp_path, cube, wrong):
    cube.attrs["note"] = wrong
    with pytest.raises(CubeError, match="note"):
        cubes.save_netcdf(cube, tmp_path / "cube.nc")


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path, cube, monkeypatch):
    def dying(*args, **kwargs):
        raise OSError(28, "No space left on device")

    for kind, method in (("nc", "to_netcdf"), ("zarr", "to_zarr")):
        path = cubes.export_cube(cube, tmp_path / "out" / f"cube.{kind}")
        with monkeypatch.context() as patch:
            patch.setattr(xr.Dataset, method, dying)
            with pytest.raises(StudyError, match="No space left"):
                cubes.export_cube(cube.isel(site=[0]), path)
        check_same(cubes.open_cube(path), cube)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["cube.nc", "cube.zarr"]


def test_writing_again_replaces_a_cube_but_nothing_else(tmp_path, cube):
    small = cube.isel(site=[0])
    for kind in KINDS:
        cubes.export_cube(cube, tmp_path / f"cube.{kind}")
        check_same(cubes.open_cube(cubes.export_cube(small, tmp_path / f"cube.{kind}")), small)
    folder = tmp_path / "photos.zarr"
    folder.mkdir()
    (folder / "dear.jpg").write_text("mine")
    with pytest.raises(StudyError, match="no cube"):
        cubes.save_cube(cube, folder)
    with pytest.raises(StudyError, match="folder"):
        cubes.save_netcdf(cube, folder)
    assert (folder / "dear.jpg").read_text() == "mine"
    with pytest.raises(InputError, match="is the cube that is exported"):
        cubes.export_cube(cubes.open_cube(tmp_path / "cube.zarr"), tmp_path / "cube.zarr")


def test_what_is_no_cube_is_refused(tmp_path, cube):
    (tmp_path / "text.nc").write_text("not a netCDF file")
    with pytest.raises(CubeError, match="neither"):
        cubes.open_cube(tmp_path / "text.nc")
    xr.Dataset({"a": ("x", [1.0])}).to_netcdf(tmp_path / "other.nc")
    with pytest.raises(CubeError, match="lacks"):
        cubes.open_cube(tmp_path / "other.nc")
    path = cubes.save_netcdf(cube, tmp_path / "cut.nc")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(CubeError, match="not a cube"):
        cubes.open_cube(path)
    path = cubes.save_cube(cube, tmp_path / "cut.zarr")
    chunk = max((path / "scenario").rglob("c/*"), key=lambda file: file.stat().st_size)
    chunk.write_bytes(b"no chunk at all" + chunk.read_bytes()[4:])
    with pytest.raises(CubeError, match="not a cube"):
        cubes.open_cube(path)


def test_a_cube_keeps_the_scenarios_asked_for(tmp_path, cube):
    with pytest.raises(InputError, match="all elements"):
        cubes.export_cube(cube, tmp_path / "one.nc", elements=["tree"])
    path = cubes.export_cube(cube, tmp_path / "one.nc", scenarios=["plaza"])
    check_same(cubes.open_cube(path), cube.sel(scenario=["plaza"]))


def test_what_else_a_cube_holds_is_kept(tmp_path):
    cube = cubes.new_cube(fake_sites(["a", "b"], tmp_path), ["x"], 1)
    cube = cube.assign(
        level=("site", [-31.5, np.nan], {"long_name": "level", "units": "dB"}),
        time=("site", np.array(["2024-05-01T06:30", "2024-05-02"], dtype="datetime64[ns]")),
    )
    for kind in KINDS:
        xr.testing.assert_identical(cubes.open_cube(cubes.export_cube(cube, tmp_path / f"c.{kind}")), cube)
    assert cube["element"].to_numpy().tolist() == list(ADE20K)
