"""The files of a model are those that were packaged, or it is not loaded."""

import json
import shutil
from pathlib import Path

import pytest

from recsys.data.manifest import MANIFEST, verify_manifest, write_manifest
from recsys.errors import InputError
from recsys.serving.recommender import Recommender


@pytest.fixture
def packaged(tmp_path) -> Path:
    (tmp_path / "models" / "als").mkdir(parents=True)
    (tmp_path / "models" / "als" / "factors.npy").write_bytes(b"\x93NUMPY")
    (tmp_path / "items.json").write_text('["1", "2"]')
    (tmp_path / "empty").write_text("")
    write_manifest(tmp_path)
    return tmp_path


def test_what_was_packaged_is_accepted_wherever_it_lies(packaged, tmp_path_factory):
    verify_manifest(packaged)
    moved = tmp_path_factory.mktemp("other") / "model"
    shutil.copytree(packaged, moved)
    verify_manifest(moved)
    named = json.loads((moved / MANIFEST).read_text())["files"]
    assert sorted(named) == ["empty", "items.json", "models/als/factors.npy"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda d: (d / "items.json").write_text('["1", "3"]'), r"changed: items\.json"),
        (lambda d: (d / "empty").write_text(" "), "changed: empty"),
        (lambda d: (d / "models/als/factors.npy").unlink(), r"missing: models/als/factors\.npy"),
        (lambda d: (d / "models/als/extra.py").write_text("1"), r"additional: models/als/extra\.py"),
        (lambda d: (d / "items.json").rename(d / "items2.json"), r"missing: items\.json; additional: items2\.json"),
        (lambda d: (d / "empty2").symlink_to(d / "empty"), "is a link"),
        (lambda d: (d / MANIFEST).unlink(), "has no manifest.json"),
        (lambda d: (d / MANIFEST).write_text("{"), "cannot be read"),
        (lambda d: (d / MANIFEST).write_text('{"algorithm": "md5", "files": {}}'), "no manifest of sha256"),
        (lambda d: (d / MANIFEST).write_text("[]"), "cannot be read"),
    ],
)
def test_every_difference_is_named(packaged, damage, said):
    damage(packaged)
    with pytest.raises(InputError, match=said):
        verify_manifest(packaged)


def test_a_recommender_with_a_changed_file_is_not_loaded(fitted, tmp_path):
    fitted.recommender.save(tmp_path)
    Recommender.load(tmp_path)
    booster = next((tmp_path / "hybrid").rglob("*.txt"))
    booster.write_text(booster.read_text().replace("0", "1", 1))
    with pytest.raises(InputError, match=f"changed: {booster.relative_to(tmp_path)}"):
        Recommender.load(tmp_path)
