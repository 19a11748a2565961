"""A published folder: whole or not there, checked against its manifest, older ones forgotten, no others touched."""

import json
import os
from datetime import UTC, datetime

import polars as pl
import pytest

from recsys.errors import InputError
from recsys.folders import damages, forget, point, published, refuse_unwritable, sweep_hidden
from recsys.scoring.asking import CUSTOMERS as CUSTOMER_COLUMNS
from recsys.scoring.options import ScoringOptions
from recsys.scoring.partitions import CUSTOMERS, ROWS
from recsys.scoring.publishing import Scored, counts, publish
from tests.scoring.test_exports import customers_of, rows_of

WHEN = datetime(2024, 9, 1, 3, tzinfo=UTC)


@pytest.fixture
def scored(tmp_path):
    """Two finished partitions of five customers, and one customer set aside."""
    partitions = []
    for at, (texts, empty) in enumerate([(["a", "=b"], ["none"]), (["c/../d", "e"], [])]):
        partition = tmp_path / "store" / str(at)
        partition.mkdir(parents=True)
        rows_of(texts).write_parquet(partition / ROWS)
        customers_of(texts, empty).write_parquet(partition / CUSTOMERS)
        partitions.append(partition)
    aside = pl.DataFrame({"customer_id": [None], "reason": ["no_id"]}, schema={"customer_id": pl.String,
                                                                              "reason": pl.String})  # fmt: skip
    return lambda key="0123456789ab", when=WHEN: Scored(key, {"model": "m"}, aside, partitions, 2, when)


def publishing(out, scored, keep=5):
    out.mkdir(exist_ok=True)
    return publish(out, ScoringOptions(k=2, keep=keep), scored, lambda: WHEN)


def test_the_manifest_tells_what_is_there(scored, tmp_path):
    folder = publishing(tmp_path / "out", scored())
    manifest = json.loads((folder / "manifest.json").read_text())
    files = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    assert {entry["path"] for entry in manifest["files"]} | {"manifest.json"} == files
    assert {entry["path"]: entry["rows"] for entry in manifest["files"]} == {
        "partitions/part-00000.parquet": 4, "partitions/part-00001.parquet": 4, "customers.parquet": 8,
        "exports/recommendations.csv": 8, "exports/recommendations_wide.csv": 4, "exports/recommendations.jsonl": 5,
    }  # fmt: skip
    assert manifest["counts"] == {
        "customers": 8, "listed": 4, "unknown_listed": 0, "fallback": {"personal": 4},
        "empty": {"nothing_allowed": 1}, "set_aside": {"no_id": 1}, "errors": {"why": 2}, "rows": 8,
    }  # fmt: skip
    assert manifest["guarded_in_csv"] == {"customer_ids": 1, "item_ids": 2}
    assert (manifest["model"], manifest["started"], manifest["finished"]) == ("m", WHEN.isoformat(), WHEN.isoformat())
    assert (tmp_path / "out" / "latest").resolve() == folder.resolve()
    assert pl.read_parquet(folder / "customers.parquet").columns == list(CUSTOMER_COLUMNS)
    assert damages(folder) == []


def test_outcomes_add_up(scored, tmp_path):
    folder = publishing(tmp_path / "out", scored())
    found = counts(pl.read_parquet(folder / "customers.parquet"))
    parts = [sum(found[name].values()) for name in ("fallback", "empty", "set_aside", "errors")]
    assert sum(parts) == found["customers"]
    assert found["listed"] == parts[0]


def test_the_same_key_is_published_once_and_damage_is_mended(scored, tmp_path):
    out = tmp_path / "out"
    first = publishing(out, scored())
    before = (first / "manifest.json").read_bytes()
    assert publishing(out, scored(when=WHEN.replace(hour=4))) == first
    assert (first / "manifest.json").read_bytes() == before
    (first / "customers.parquet").write_bytes(b"half")
    (first / "exports" / "recommendations.csv").unlink()
    assert damages(first) == [
        "exports/recommendations.csv is missing",
        "customers.parquet holds other bytes",
    ]
    assert published(out, "0123456789ab") is None
    mended = publishing(out, scored(when=WHEN.replace(hour=5)))
    assert damages(mended) == []
    assert not first.exists()
    assert [f.name for f in out.iterdir() if f.is_dir() and not f.is_symlink()] == [mended.name]


def test_a_folder_without_a_manifest_is_damaged(tmp_path):
    assert damages(tmp_path) == ["manifest.json is missing or broken"]
    (tmp_path / "manifest.json").write_text('{"files": [{"path": "x"}]}')
    assert damages(tmp_path) == ["manifest.json is missing or broken"]


def test_latest_moves_and_older_folders_go(scored, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").mkdir()
    made = [publishing(out, scored(f"{n:012x}", WHEN.replace(day=n)), keep=2) for n in (1, 2, 3)]
    assert [folder.exists() for folder in made] == [False, True, True]
    assert (out / "mine").is_dir(), "other names are not ours"
    assert (out / "latest").resolve() == made[2].resolve()
    again = publishing(out, scored(f"{2:012x}"), keep=1)
    assert again == made[1]
    assert (out / "latest").resolve() == made[1].resolve()
    assert not made[2].exists(), "the current one is kept, whatever its time"


def test_what_killed_runs_left_is_swept_and_nothing_else(tmp_path):
    dead, name = 2**22 + 7, "20240901T030000-0123456789ab"
    (tmp_path / f".{name}.{dead}" / "partitions").mkdir(parents=True)
    (tmp_path / f".{name}.old.{dead}").mkdir()
    (tmp_path / f".latest.{dead}").symlink_to("nowhere")
    kept = [f".{name}.{os.getpid()}", ".mine.12", ".lock", f".latest.{dead}x"]
    for one in kept:
        (tmp_path / one).mkdir()
    sweep_hidden(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(kept)


def test_nothing_is_seen_of_a_publication_that_fails(scored, tmp_path):
    """Half of the partitions are gone: the folder before stays, and no half of the new one is left."""
    out = tmp_path / "out"
    before = publishing(out, scored())
    (tmp_path / "store" / "1" / ROWS).unlink()
    with pytest.raises(FileNotFoundError):
        publishing(out, scored("fedcba987654"))
    assert sorted(f.name for f in out.iterdir()) == sorted([".lock", "latest", before.name])
    assert (out / "latest").resolve() == before.resolve()


def test_places_that_cannot_be_written_are_refused(tmp_path):
    (tmp_path / "file").write_text("no folder")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match=r"cannot write to scoring\.out .*; free it or set another"):
            refuse_unwritable(out, "scoring.out")
    (tmp_path / "latest").mkdir()
    with pytest.raises(InputError, match=r"latest is no link of this program"):
        refuse_unwritable(tmp_path, "scoring.out")


def test_the_pointer_is_never_missing(tmp_path):
    for target in ("a", "b"):
        (tmp_path / target).mkdir()
        point(tmp_path / "latest", target)
        assert os.readlink(tmp_path / "latest") == target
    forget(tmp_path, 1, "b")
    assert {f.name for f in tmp_path.iterdir()} == {"a", "b", "latest"}
