"""Weights: presets by name, safe reading, layout."""

from __future__ import annotations

import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from soundit_geo.errors import MissingFileError, WeightsError
from soundit_geo.weights import check_layout, load_state_dict, preset_path, presets, weights_folder


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code ran')",))


def test_an_unknown_name_lists_the_known_ones(tmp_path, monkeypatch):
    (tmp_path / "presets" / "toy-town").mkdir(parents=True)
    (tmp_path / "presets" / "__pycache__").mkdir()
    monkeypatch.setattr("soundit_geo.weights.files", lambda _package: tmp_path)
    assert list(presets()) == ["toy-town"]
    with pytest.raises(WeightsError, match="toy-town"):
        preset_path("london")
    assert preset_path("toy-town") == tmp_path / "presets" / "toy-town"


def test_a_folder_is_taken_as_it_is_and_nonsense_is_refused(tmp_path):
    assert weights_folder(tmp_path) == tmp_path
    with pytest.raises(WeightsError, match="neither a preset nor a folder"):
        weights_folder(tmp_path / "absent")


def test_the_embedded_preset_is_found_by_name():
    assert (preset_path("synthetic-city") / "judges" / "scenes" / "config.json").is_file()


@pytest.mark.parametrize("ending", [".safetensors", ".pt"])
def test_tensors_come_back_as_they_were_saved(tmp_path, ending):
    state = nn.Linear(3, 2).state_dict()
    path = tmp_path / f"net{ending}"
    save_file(state, path) if ending == ".safetensors" else torch.save(
        {"state_dict": state, "epoch": 3}, path
    )
    loaded = load_state_dict(path)
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[key], state[key]) for key in state)


def test_a_pickle_that_would_run_code_is_refused_with_the_way_out(tmp_path):
    path = tmp_path / "module.pt"
    torch.save({"state_dict": {"a": Bomb()}}, path)
    with pytest.raises(WeightsError, match="safetensors"):
        load_state_dict(path)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(WeightsError, match=r"module\.pt"):
        load_state_dict(path)


def test_a_whole_module_is_refused(tmp_path):
    path = tmp_path / "whole.pt"
    torch.save(nn.Linear(2, 2), path)
    with pytest.raises(WeightsError, match="refused"):
        load_state_dict(path)


@pytest.mark.parametrize("ending", [".safetensors", ".pt"])
@pytest.mark.parametrize("content", [b"", b"not weights", b"\x00" * 64, b"PK\x03\x04 cut short"])
def test_a_damaged_file_is_refused(tmp_path, ending, content):
    path = tmp_path / f"broken{ending}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="broken"):
        load_state_dict(path)


def test_an_absent_file_and_other_contents_are_named(tmp_path):
    with pytest.raises(MissingFileError):
        load_state_dict(tmp_path / "absent.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(WeightsError, match="a list"):
        load_state_dict(tmp_path / "list.pt")
    torch.save({"a": 1}, tmp_path / "number.pt")
    with pytest.raises(WeightsError, match="'a'"):
        load_state_dict(tmp_path / "number.pt")


def test_a_layout_that_fits_is_silent():
    state = nn.Linear(3, 2).state_dict()
    check_layout(state, nn.Linear(3, 2).state_dict())


def test_a_layout_that_disagrees_names_the_keys():
    expected = nn.Linear(3, 2).state_dict()
    with pytest.raises(WeightsError) as caught:
        check_layout({"weight": torch.zeros(2, 4), "module.bias": torch.zeros(2)}, expected)
    assert "1 missing: bias" in str(caught.value)
    assert "1 unknown: module.bias" in str(caught.value)
    assert "weight is (2, 4), expected (2, 3)" in str(caught.value)
