"""Weights: presets by name, safe reading, layout."""

from __future__ import annotations

import argparse
import io
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save, save_file
from torch import nn

from soundit_geo.errors import MissingFileError, WeightsError
from soundit_geo.weights import (
    check_finite,
    check_layout,
    load_state_dict,
    preset_path,
    presets,
    refuse_disagreement,
    weights_folder,
)


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


def test_code_in_a_file_misnamed_safetensors_does_not_run(tmp_path):
    path = tmp_path / "pickle.safetensors"
    for content in (pickle.dumps(Bomb()), pickle.dumps({"a": Bomb()}, protocol=2)):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=r"pickle\.safetensors"):
            load_state_dict(path)
    torch.save({"a": Bomb()}, path)
    with pytest.raises(WeightsError, match=r"pickle\.safetensors"):
        load_state_dict(path)


def test_what_a_pickle_asks_for_is_named(tmp_path):
    path = tmp_path / "module.pt"
    torch.save({"a": Bomb()}, path)
    with pytest.raises(WeightsError, match=r"asks for (builtins\.)?exec"):
        load_state_dict(path)


def test_settings_in_a_namespace_may_stand_beside_the_weights_but_nothing_hides_in_them(tmp_path):
    path, state = tmp_path / "dit.pt", nn.Linear(3, 2).state_dict()
    torch.save({"ema": state, "args": argparse.Namespace(model="DiT-XL/2", lr=1e-4)}, path)
    assert load_state_dict(path).keys() == state.keys()
    torch.save({"ema": state, "args": argparse.Namespace(model=Bomb())}, path)
    with pytest.raises(WeightsError, match="refused"):
        load_state_dict(path)


def test_averaged_weights_come_before_raw_ones_unless_told_otherwise(tmp_path):
    path = tmp_path / "run.pt"
    torch.save(
        {key: {"a": torch.tensor([float(n)])} for n, key in enumerate(("state_dict", "model", "ema"))}, path
    )
    assert load_state_dict(path)["a"] == 2
    assert load_state_dict(path, nested=["model"])["a"] == 1
    with pytest.raises(WeightsError, match="dict under 'state_dict'"):
        load_state_dict(path, nested=[])


def test_a_tensor_named_model_is_a_tensor(tmp_path):
    torch.save({"model": torch.ones(2), "ema": torch.zeros(1)}, tmp_path / "net.pt")
    assert load_state_dict(tmp_path / "net.pt").keys() == {"model", "ema"}


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_prefixes_of_wrappers_are_dropped_where_all_names_have_them(tmp_path, prefix):
    path = tmp_path / "net.safetensors"
    save_file({f"{prefix}a": torch.ones(1), f"{prefix}b.module.c": torch.ones(1)}, path)
    assert load_state_dict(path).keys() == {"a", "b.module.c"}
    save_file({f"{prefix}a": torch.ones(1), "b": torch.ones(1)}, path)
    assert load_state_dict(path).keys() == {f"{prefix}a", "b"}


def saved(**how):
    buffer = io.BytesIO()
    torch.save({"ema": {"a": torch.ones(3, 2), "b": torch.ones(2).half()}, "epoch": 3}, buffer, **how)
    return buffer.getvalue()


FILES = {
    "zip.pt": saved(),
    "legacy.pt": saved(_use_new_zipfile_serialization=False),
    "net.safetensors": save({"a": torch.ones(3, 2), "b": torch.ones(2).half()}),
}


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@settings(max_examples=200)
@given(data=st.data(), name=st.sampled_from(sorted(FILES)))
def test_a_file_with_bytes_changed_gives_named_tensors_or_one_kind_of_error(data, name, tmp_path_factory):
    content = bytearray(FILES[name])
    for place, byte in data.draw(
        st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), min_size=1, max_size=4)
    ):
        content[place] = byte
    path = tmp_path_factory.mktemp("changed") / name
    path.write_bytes(content)
    try:
        loaded = load_state_dict(path)
    except WeightsError as error:
        assert name in str(error)  # noqa: PT017 - both outcomes are lawful
    else:
        assert all(isinstance(key, str) and isinstance(loaded[key], torch.Tensor) for key in loaded)


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


def test_of_many_keys_the_first_are_named_and_all_are_counted():
    with pytest.raises(WeightsError) as caught:
        refuse_disagreement(missing=list("abcde"), unknown=[], reshaped=["x is (1,)"], source="The file")
    assert str(caught.value).startswith(
        "The file does not fit the network: 5 missing: a, b, c …; 1 of another shape: x is (1,)."
    )
    refuse_disagreement(missing=[], unknown=[], reshaped=[])


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2]
)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_one_number_that_is_not_finite_is_found_and_its_tensor_named(dtype, bad):
    sound = {"a": torch.ones(2, 3).to(dtype), "empty": torch.zeros(0), "b": torch.zeros(()).to(dtype)}
    check_finite(sound.items())
    spoilt = torch.ones(2, 3)
    spoilt[1, 2] = bad
    with pytest.raises(WeightsError, match=r"1 weights are no finite.*: spoilt\."):
        check_finite({**sound, "spoilt": spoilt.to(dtype)}.items())


@pytest.mark.parametrize("value", [torch.ones(2).int(), torch.ones(2).bool(), torch.ones(2).cfloat()])
def test_whole_and_complex_numbers_are_no_weights(value):
    with pytest.raises(WeightsError, match=r"odd \(torch\."):
        check_finite([("odd", value)])
    with pytest.raises(WeightsError, match="sparse"):
        check_finite([("odd", torch.ones(2).to_sparse())])
