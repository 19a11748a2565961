"""What MLflow is told of the orders: a profile of all, or source and digest alone where that would take too much."""

from types import SimpleNamespace

import polars as pl
import pytest

from recsys.registry import log_training


@pytest.mark.parametrize(("profiled", "rows"), [(10, 3), (2, None)])
def test_many_orders_are_named_and_not_read(tmp_path, monkeypatch, profiled, rows):
    monkeypatch.setattr(log_training, "PROFILED", profiled)
    file = tmp_path / "orders.parquet"
    pl.DataFrame({"item_id": ["a", "b", "c"]}).write_parquet(file)
    found = log_training._dataset(SimpleNamespace(orders=file, data_digest="d" * 64, name="shop"))
    assert (found.name, found.digest) == ("shop", "d" * 36)
    assert str(file) in str(found.source.to_dict())
    profile = getattr(found, "profile", None)
    assert (profile or {}).get("num_rows") == rows
