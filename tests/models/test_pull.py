"""Pulling from a hub on loopback, with the faults of a real one."""

from __future__ import annotations

import shutil
import socket
import threading
from collections import namedtuple

import pytest
from filelock import FileLock
from huggingface_hub import constants

from agents.errors import Interrupted
from workers.errors import (
    EngineDenied,
    HubUnavailable,
    ModelBroken,
    ModelNotFound,
    ModelTooLarge,
    PullRunning,
)
from workers.models.pull import pull, remove
from workers.models.shelf import Shelf
from workers.settings import Settings

NAME = "phi-3.5-mini"
BIG = "cpu_and_mobile/cpu-int4-awq-block-128-acc-level-4/model.onnx.data"


@pytest.fixture
def settings(tmp_path, hub, monkeypatch):
    # huggingface_hub writes 10 MB at a time; these files are 2 MB and must be cut somewhere.
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 50_000)
    return Settings(data_dir=tmp_path / "data", hub_url=hub.url)


def test_the_folders_files_arrive_whole_and_are_pinned(hub, settings):
    seen = []
    pulled = pull("phi3.5", settings, lambda *step: seen.append(step))
    assert (pulled.uri, pulled.revision, pulled.fetched) == (f"onnx:{NAME}", hub.commit, True)
    shelf = Shelf(settings.data_dir)
    folder = shelf.path(NAME)
    assert folder == pulled.path
    assert (folder / "model.onnx.data").read_bytes() == hub.files[BIG]
    assert sorted(path.name for path in folder.iterdir()) == sorted(set(hub.fetched()))
    assert "README.md" not in hub.fetched()
    manifest = shelf.manifest(NAME)
    assert (manifest.kind, manifest.revision) == ("pulled", hub.commit)
    assert manifest.files["model.onnx.data"][0] == len(hub.files[BIG])
    done = [step[0] for step in seen]
    assert done == sorted(done)
    assert done[-1] == seen[-1][1] == pulled.size
    assert not any((settings.data_dir / "models" / ".partial").glob(f"{NAME}@*"))


def test_a_second_pull_of_the_same_commit_fetches_nothing(hub, settings):
    pull(NAME, settings)
    hub.ranges.clear()
    assert pull(f"onnx:{NAME}", settings).fetched is False
    assert hub.ranges == []


def test_a_new_commit_replaces_the_old_one(hub, settings):
    pull(NAME, settings)
    hub.commit = "b" * 40
    hub.files[BIG] = b"new" * 9000
    assert pull(NAME, settings).fetched
    assert (Shelf(settings.data_dir).path(NAME) / "model.onnx.data").read_bytes() == b"new" * 9000


def test_a_cut_connection_is_gone_on_with(hub, settings):
    hub.cut_after[BIG] = 500_000
    pull(NAME, settings)
    assert [asked for name, asked in hub.ranges if name == "model.onnx.data"] == [None, "bytes=500000-"]


def test_a_pull_that_was_stopped_is_not_listed_and_the_next_goes_on(hub, settings):
    stop = threading.Event()

    def progress(done, total, name):
        if name == "model.onnx.data" and done > 400:
            stop.set()

    with pytest.raises(Interrupted):
        pull(NAME, settings, progress, stop)
    shelf = Shelf(settings.data_dir)
    assert shelf.list() == []
    with pytest.raises(ModelNotFound):
        shelf.path(NAME)
    partial = next((settings.data_dir / "models" / ".partial").glob("*/model.onnx.data.part"))
    size = partial.stat().st_size
    assert 0 < size < len(hub.files[BIG])
    hub.ranges.clear()
    pull(NAME, settings)
    assert ("model.onnx.data", f"bytes={size}-") in hub.ranges
    assert "model.onnx" not in hub.fetched()
    assert shelf.path(NAME)


@pytest.mark.parametrize("name", ["model.onnx.data", "tokenizer.json"])
def test_a_file_that_is_not_what_the_hub_says_is_deleted_and_never_used(hub, settings, name):
    path = f"{BIG.rpartition('/')[0]}/{name}"
    hub.lie[path] = bytes(len(hub.files[path]))
    with pytest.raises(ModelBroken, match="did not arrive"):
        pull(NAME, settings)
    assert Shelf(settings.data_dir).list() == []
    assert not list((settings.data_dir / "models" / ".partial").glob(f"*/{name}*"))
    hub.lie.clear()
    assert pull(NAME, settings).fetched


def test_a_partial_file_of_other_bytes_is_noticed(hub, settings):
    with pytest.raises(Interrupted):
        pull(NAME, settings, None, _set())
    partial = settings.data_dir / "models" / ".partial" / f"{NAME}@{hub.commit[:12]}"
    partial.mkdir(parents=True, exist_ok=True)
    (partial / "model.onnx.data.part").write_bytes(b"\xff" * 5000)
    with pytest.raises(ModelBroken):
        pull(NAME, settings)
    assert pull(NAME, settings).fetched


def _set():
    event = threading.Event()
    event.set()
    return event


def test_a_model_the_repository_lacks_parts_of_is_not_published(hub, settings):
    del hub.files[BIG]
    with pytest.raises(ModelBroken, match=r"model\.onnx\.data is missing"):
        pull(NAME, settings)
    assert Shelf(settings.data_dir).list() == []


def test_too_little_disk_is_told_before_anything_is_fetched(hub, settings, monkeypatch):
    usage = namedtuple("usage", "total used free")  # noqa: PYI024
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 5, 1000))
    with pytest.raises(ModelTooLarge) as caught:
        pull(NAME, settings)
    assert caught.value.details["free"] == 1000
    assert hub.ranges == []


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (404, "RepoNotFound", ModelNotFound),
        (401, "", EngineDenied),
        (403, "GatedRepo", EngineDenied),
        (403, "", EngineDenied),
        (500, "", HubUnavailable),
        (429, "", HubUnavailable),
    ],
)
def test_each_refusal_of_the_hub_has_its_own_error(hub, settings, status, code, error):
    hub.status, hub.error_code = status, code
    with pytest.raises(error) as caught:
        pull(NAME, settings)
    assert caught.value.hint


def test_an_unreachable_hub_says_how_to_go_on(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(HubUnavailable) as caught:
        pull(NAME, Settings(data_dir=tmp_path, hub_url=f"http://127.0.0.1:{port}"))
    assert "phiq models add PATH" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("nonsense", "phiq models list"),
        ("", "phiq models list"),
        ("../../etc", "phiq models list"),
        ("phi-3.5-moe", "phiq models add PATH"),
        ("phi-3-small-8k", "PHIQ_ONNX_PROVIDER=cuda"),
        ("phi-4-multimodal", "PHIQ_ONNX_PROVIDER=cuda"),
    ],
)
def test_what_cant_be_pulled_says_why_without_asking_anyone(tmp_path, name, hint):
    with pytest.raises(ModelNotFound) as caught:
        pull(name, Settings(data_dir=tmp_path, hub_url="http://127.0.0.1:9"))
    assert hint in caught.value.hint


@pytest.mark.parametrize("name", ["phi-3-vision", "phi-3.5-vision"])
def test_models_that_see_are_asked_for_at_the_hub(tmp_path, name):
    with pytest.raises(HubUnavailable):
        pull(name, Settings(data_dir=tmp_path, hub_url="http://127.0.0.1:9"))


def test_any_folder_of_the_hub_can_be_pulled_by_its_path(hub, settings):
    folder = BIG.rpartition("/")[0]
    hub.files = {path.replace(folder, "own/folder"): data for path, data in hub.files.items()}
    # Under another repository's name the hub below has nothing: the folder must be honoured as well.
    with pytest.raises(ModelNotFound):
        pull("someone/Other-onnx/own/folder", settings)
    assert Shelf(settings.data_dir).list() == []


def test_two_pulls_of_one_model_do_not_meet(hub, settings):
    lock = FileLock(Shelf(settings.data_dir).staging(f"{NAME}.lock"))
    with lock, pytest.raises(PullRunning):
        pull(NAME, settings)


def test_remove_takes_a_pulled_model_off_the_shelf(hub, settings):
    folder = pull(NAME, settings).path
    remove("onnx:phi3.5", settings)
    assert not folder.exists()
    with pytest.raises(ModelNotFound):
        remove(NAME, settings)


@pytest.mark.parametrize("file", ["model.onnx.data", "tokenizer.json"])
@pytest.mark.parametrize("gone", [False, True])
def test_a_file_that_was_changed_after_its_pull_is_named(hub, settings, file, gone):
    path = pull(NAME, settings).path / file
    Shelf(settings.data_dir).verify(NAME)
    if gone:
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[-1] ^= 1  # its size stays: only its hash tells
        path.write_bytes(data)
    with pytest.raises(ModelBroken, match=file) as caught:
        pull(NAME, settings)
    assert caught.value.hint == f"phiq models remove {NAME}, then: phiq models pull {NAME}"
    remove(NAME, settings)
    assert pull(NAME, settings).fetched


def test_a_pulled_model_has_one_digest_over_all_its_files(hub, settings):
    pull(NAME, settings)
    assert len(Shelf(settings.data_dir).digest(NAME)) == 64
