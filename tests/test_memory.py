"""The budget of memory: said before anything is read, and what blocks follow from it."""

from datetime import UTC, datetime

import pytest

from recsys import memory
from recsys.config import read_config
from recsys.errors import InputError
from recsys.memory import block_size, budget, machine_bytes, needed, require_memory
from recsys.pipeline import ingest_orders


def test_a_hundred_million_lines_fit_a_machine_of_24_gib():
    assert needed(100_000_000) < 0.8 * 24 * 2**30
    require_memory(100_000_000, 24 * 2**30 / 1e9)


def test_what_does_not_fit_is_refused_with_what_would():
    with pytest.raises(
        InputError, match=r"32,000,000 order rows need about 5\.9 GB, run\.memory_gb is 4\.0 GB"
    ) as said:
        require_memory(32_000_000, 4)
    most = int(str(said.value).split("at most ")[1].split(" rows")[0].replace(",", ""))
    require_memory(most, 4)
    with pytest.raises(InputError):
        require_memory(most + 10, 4)


def test_without_a_budget_it_is_four_fifths_of_the_machine_or_its_container(monkeypatch, tmp_path):
    whole = machine_bytes()
    assert budget(None) == pytest.approx(0.8 * whole)
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "LIMITS", (str(limit),))
    for text, expected in (("max\n", whole), ("1000000000\n", min(1e9, whole))):
        limit.write_text(text)
        assert machine_bytes() == expected


@pytest.mark.parametrize(
    ("items", "gb", "expected"), [(50_000, 6, 48), (1_000_000, 6, 4), (10**9, 6, 1), (50_000, 1, 15)]
)
def test_blocks_follow_from_the_budget(items, gb, expected):
    assert block_size(items, gb, 48) == expected


def test_a_history_too_large_stops_before_anything_is_written(tmp_path):
    orders = tmp_path / "orders.csv"
    orders.write_text("order_id,customer_id,item_id,ordered_at,quantity\n" + "1,a,x,2024-01-01,1\n" * 20_000)
    data = {"orders": {"path": str(orders)}, "catalog": {"from_orders": True}}
    run = {"store": str(tmp_path / "store"), "memory_gb": 0.6}
    with pytest.raises(InputError, match=r"20,000 order rows need about 0\.6 GB, run\.memory_gb is 0\.6 GB"):
        ingest_orders(read_config({"data": data, "run": run}), datetime(2024, 6, 1, tzinfo=UTC))
    assert not list((tmp_path / "store").glob("ingest/*"))
