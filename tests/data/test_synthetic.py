"""The synthetic shop holds what its truth tables claim, measured from its orders."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys import schemas
from recsys.data.synthetic import SyntheticOptions, SyntheticShop, changed, large, stream_orders, synthetic_shop
from recsys.errors import InputError

OPTIONS = SyntheticOptions()
TINY = SyntheticOptions(customers=30, orders_per_customer=8)


@pytest.fixture(scope="module")
def shop() -> SyntheticShop:
    return synthetic_shop(OPTIONS)


@pytest.fixture(scope="module")
def bought(shop: SyntheticShop) -> pl.DataFrame:
    return shop.orders.filter(pl.col("quantity") > 0)


def repeat_share(lines: pl.DataFrame) -> float:
    known = lines.drop_nulls("customer_id")
    return 1 - known.select("customer_id", "item_id").n_unique() / known.height


def planted_items(shop: SyntheticShop) -> set[str]:
    """All items that carry an effect of their own."""
    truth = shop.truth
    return (
        set(truth.pairs["item_a"])
        | set(truth.pairs["item_b"])
        | set(truth.substitutes["item_a"])
        | set(truth.substitutes["item_b"])
        | set(truth.cycles["item_id"])
        | set(truth.trade_ups["from_item"])
        | set(truth.trade_ups["to_item"])
    )


def orders_of(lines: pl.DataFrame) -> dict[str, set[str]]:
    """Item → its orders, the slow and plain way."""
    return {item: set(part["order_id"]) for (item,), part in lines.group_by("item_id")}


# --- the export as a whole


def test_counts_are_near_the_options(bought: pl.DataFrame) -> None:
    orders = bought.unique("order_id")
    assert orders.height == pytest.approx(8000, rel=0.1)
    assert bought.height / orders.height == pytest.approx(OPTIONS.basket_size, rel=0.05)
    assert orders["customer_id"].n_unique() == OPTIONS.customers + 1  # and null
    assert orders["customer_id"].null_count() / orders.height == pytest.approx(OPTIONS.guest_share, abs=0.01)
    assert 0.5 < repeat_share(bought) < 0.6


def test_shop_keeps_the_contracts(shop: SyntheticShop, bought: pl.DataFrame) -> None:
    schemas.Catalog.validate(shop.catalog)
    accepted = bought.with_columns(
        pl.col("ordered_at").dt.replace_time_zone("UTC"),
        pl.col("quantity").cast(pl.Float64),
        returned_at=pl.lit(None, schemas.UTC),
        returned_quantity=pl.lit(None, pl.Float64),
        store_id=pl.lit(None, pl.String),
    )
    schemas.Orders.validate(accepted.select(list(schemas.Orders.columns())))
    assert set(bought["item_id"]) <= set(shop.catalog["item_id"])
    assert shop.orders["customer_id"].drop_nulls().str.contains(r"^0\d+$").all()
    assert shop.catalog.select((pl.col("unit_cost") < pl.col("unit_price")).all()).item()


def test_same_seed_same_frames_other_seed_other_frames(shop: SyntheticShop) -> None:
    again, other = synthetic_shop(OPTIONS), synthetic_shop(replace(OPTIONS, seed=1))
    assert again.orders.equals(shop.orders)
    assert again.catalog.equals(shop.catalog)
    for name, table in vars(shop.truth).items():
        assert getattr(again.truth, name).equals(table), name
        assert not getattr(other.truth, name).equals(table), name
    assert not other.orders.equals(shop.orders)


def test_time_has_weeks_growth_and_a_span(bought: pl.DataFrame) -> None:
    at = bought.unique("order_id")["ordered_at"]
    assert at.min().date() >= OPTIONS.start
    assert at.max().date() < OPTIONS.start + timedelta(days=OPTIONS.days)
    weekday = at.dt.weekday().value_counts().sort("ordered_at")["count"]
    assert weekday[5] > 1.2 * weekday[0]  # Saturday over Monday
    steady = synthetic_shop(replace(OPTIONS, season=0.0, trend=1.0, return_share=0.0)).orders
    late = steady.unique("order_id")["ordered_at"].dt.ordinal_day() > 182
    assert late.mean() > 0.53


def test_popularity_has_a_head(bought: pl.DataFrame) -> None:
    counts = bought["item_id"].value_counts(sort=True)["count"]
    assert counts.head(30).sum() / counts.sum() > 0.35  # a tenth of the items
    assert counts.tail(150).sum() / counts.sum() < 0.3  # half of them


# --- planted effects


def test_pairs_have_their_lift(shop: SyntheticShop, bought: pl.DataFrame) -> None:
    orders, n = orders_of(bought), bought["order_id"].n_unique()
    type_of = dict(shop.catalog.select("item_id", "type").iter_rows())
    ratios = []
    for a, b, confidence, support, lift in shop.truth.pairs.iter_rows():
        assert lift == pytest.approx(confidence**2 / support)
        both = len(orders[a] & orders[b])
        assert abs(both - n * support) < 4.5 * np.sqrt(n * support)
        ratios.append(both * n / (len(orders[a]) * len(orders[b])) / lift)
        assert type_of[a] != type_of[b]
    assert len(ratios) == OPTIONS.n_pairs
    assert np.mean(ratios) == pytest.approx(1, abs=0.12)


def test_substitutes_share_customers_but_no_order(shop: SyntheticShop, bought: pl.DataFrame) -> None:
    orders = orders_of(bought)
    buyers = {item: set(part["customer_id"]) for (item,), part in bought.group_by("item_id")}
    shelf = shop.catalog.select("item_id", "type", "unit_price").rows_by_key("item_id", unique=True)
    for a, b, kind in shop.truth.substitutes.iter_rows():
        assert not orders[a] & orders[b]
        assert len(buyers[a] & buyers[b]) > 0.5 * len(buyers[a] | buyers[b])
        assert shelf[a] == shelf[b]
        assert shelf[a][0] == kind


def test_cycles_come_back_from_the_dates(shop: SyntheticShop, bought: pl.DataFrame) -> None:
    gaps = (
        bought.join(shop.truth.cycles, on=["customer_id", "item_id"])
        .sort("customer_id", "item_id", "ordered_at")
        .with_columns(gap=pl.col("ordered_at").diff().over("customer_id", "item_id").dt.total_seconds() / 86_400)
        .drop_nulls("gap")
        .with_columns(off=(pl.col("gap") - pl.col("every_days")).abs())
    )
    assert gaps["off"].max() <= 2 * OPTIONS.cycle_jitter_days + 1e-4
    mean = gaps.group_by("customer_id", "item_id").agg(pl.len(), pl.col("gap", "every_days").mean())
    assert mean.height == shop.truth.cycles.height > 40
    assert mean["len"].min() >= 2
    assert mean.select(((pl.col("gap") - pl.col("every_days")).abs() < 1).all()).item()


def test_tastes_show_in_the_baskets(shop: SyntheticShop, bought: pl.DataFrame) -> None:
    ordinary = (
        bought.filter(~pl.col("item_id").is_in(list(planted_items(shop))))
        .drop_nulls("customer_id")
        .join(shop.catalog.select("item_id", "category"), on="item_id")
    )
    total = ordinary.group_by("customer_id").agg(n=pl.len()).filter(pl.col("n") >= 40)
    seen = ordinary.group_by("customer_id", "category").agg(k=pl.len())
    table = (
        shop.truth.tastes.join(total, on="customer_id")
        .join(seen, on=["customer_id", "category"], how="left")
        .with_columns(observed=pl.col("k").fill_null(0) / pl.col("n"))
    )
    assert table["customer_id"].n_unique() > 200
    assert table.select(pl.corr("share", "observed")).item() > 0.7
    assert table["observed"].mean() == pytest.approx(table["share"].mean(), rel=0.1)


def test_customers_of_a_group_buy_alike(shop: SyntheticShop, bought: pl.DataFrame) -> None:
    group = dict(shop.truth.tastes.select("customer_id", "group").unique().iter_rows())
    table = bought.drop_nulls("customer_id").pivot(
        "item_id", index="customer_id", values="quantity", aggregate_function="len", sort_columns=True
    )
    counts = table.drop("customer_id").fill_null(0).to_numpy().astype(float)
    vectors = counts / np.linalg.norm(counts, axis=1, keepdims=True)
    groups = np.array([group[customer] for customer in table["customer_id"]])
    alike = groups[:, None] == groups[None, :]
    np.fill_diagonal(cosine := vectors @ vectors.T, np.nan)
    assert np.nanmean(cosine[alike]) > 1.4 * np.nanmean(cosine[~alike])


def test_trade_ups_switch_at_their_date(shop: SyntheticShop, bought: pl.DataFrame) -> None:
    lines = bought.with_columns(pl.col("ordered_at").dt.replace_time_zone("UTC"))
    tier = dict(shop.truth.tiers.select("item_id", "tier").iter_rows())
    steps = {("good", "better"), ("better", "best")}
    assert shop.truth.trade_ups.height >= 10
    for customer, low, high, at in shop.truth.trade_ups.iter_rows():
        own = lines.filter(pl.col("customer_id") == customer)
        before, after = own.filter(pl.col("ordered_at") < at), own.filter(pl.col("ordered_at") >= at)
        assert low in before["item_id"]
        assert low not in after["item_id"]
        assert high in after["item_id"]
        assert high not in before["item_id"]
        assert (tier[low], tier[high]) in steps


def test_better_tiers_cost_more_and_sizes_can_be_read(shop: SyntheticShop) -> None:
    tiers = shop.truth.tiers
    price = tiers.group_by("type", "amount", "unit", "tier").agg(pl.col("unit_price").mean())
    wide = price.pivot("tier", index=["type", "amount", "unit"], values="unit_price")
    assert wide.height > 40
    assert (wide["good"] < wide["better"]).all()
    assert (wide["better"] < wide["best"]).all()
    written = r"^(?:(\d+)/)?(\d+) ?(OZ|LB|CT|oz|lb|ct)$"
    parts = shop.catalog["size"].str.extract_groups(written).struct.unnest()
    packs = parts["1"].cast(pl.Int64).fill_null(1)
    assert (packs * parts["2"].cast(pl.Int64)).to_list() == tiers["amount"].to_list()
    assert parts["3"].str.to_uppercase().to_list() == tiers["unit"].to_list()
    assert packs.max() > 1
    assert parts["3"].n_unique() == 6


def test_returns_are_lines_of_their_own(shop: SyntheticShop, bought: pl.DataFrame) -> None:
    back, truth = shop.orders.filter(pl.col("quantity") <= 0), shop.truth.returns
    assert truth.height == pytest.approx(OPTIONS.return_share * bought.height, rel=0.01)
    assert back.height == truth.height
    both = (
        truth.join(bought, on=["order_id", "item_id"], validate="1:1", suffix="_bought")
        .rename({"return_order_id": "back_id"})
        .join(back, left_on=["back_id", "item_id"], right_on=["order_id", "item_id"], suffix="_back")
    )
    assert both.height == truth.height
    at = pl.col("returned_at").dt.replace_time_zone(None)
    ok = both.select(
        negative=(pl.col("quantity") == -pl.col("quantity_back")).all(),
        at_most_all=pl.col("quantity").is_between(1, pl.col("quantity_bought")).all(),
        later=(at > pl.col("ordered_at")).all(),
        on_the_date=(at == pl.col("ordered_at_back")).all(),
        same_customer=(pl.col("customer_id") == pl.col("customer_id_back")).all(),
    )
    assert all(ok.row(0)), ok
    times = bought.group_by("customer_id", "item_id").len()
    assert both.join(times, on=["customer_id", "item_id"])["len"].max() == 1


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    customers=st.integers(1, 40),
    orders=st.floats(1, 12),
    days=st.integers(28, 800),
    guests=st.floats(0, 0.9),
    reorder=st.floats(0, 0.95),
)
def test_any_options_make_a_sound_shop(
    seed: int, customers: int, orders: float, days: int, guests: float, reorder: float
) -> None:
    options = SyntheticOptions(
        seed=seed,
        customers=customers,
        orders_per_customer=orders,
        days=days,
        guest_share=guests,
        reorder_share=reorder,
    )
    lines, last = synthetic_shop(options).orders, options.start + timedelta(days=days - 1)
    assert lines.select("order_id", "item_id").is_duplicated().sum() == 0
    assert lines["unit_price"].min() > 0
    assert (lines["quantity"] != 0).all()
    assert lines["ordered_at"].dt.date().is_between(options.start, last).all()
    assert lines["customer_id"].drop_nulls().n_unique() == customers
    per_order = lines.group_by("order_id").agg(pl.col("customer_id", "ordered_at").n_unique())
    assert per_order.select(pl.col("customer_id", "ordered_at").max()).row(0) == (1, 1)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"n_pairs": 40}, "n_pairs"),
        ({"taste_categories": 50}, "taste_categories"),
        ({"basket_size": 1.0}, "basket_size"),
        ({"guest_share": 1.0}, "guest_share"),
        ({"days": 3}, "days"),
        ({"pair_confidence": (0.5, 1.5)}, "pair_confidence"),
    ],
)
def test_impossible_options_are_refused_by_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        synthetic_shop(SyntheticOptions(**changes))


# --- streamed histories


def test_one_file_is_the_shop(tmp_path: Path) -> None:
    (file,) = stream_orders(TINY, tmp_path / "history")
    shop = synthetic_shop(TINY)
    keys = ["order_id", "item_id"]
    streamed = pl.read_parquet(file).with_columns(
        pl.col("ordered_at").dt.replace_time_zone(None), pl.col("quantity").cast(pl.Int64)
    )
    assert streamed.sort(keys).equals(shop.orders.filter(pl.col("quantity") > 0).sort(keys))
    assert pl.read_parquet(tmp_path / "history/catalog.parquet").equals(shop.catalog)
    assert pl.read_parquet(tmp_path / "history/truth/pairs.parquet").equals(shop.truth.pairs)
    assert pl.read_parquet(tmp_path / "history/truth/cycles/*.parquet").equals(shop.truth.cycles)


def test_large_history_in_pieces(tmp_path: Path) -> None:
    options = replace(large(), customers=1300)  # the big shop, cut to about 200k lines
    files = stream_orders(options, tmp_path / "a", rows_per_file=40_000)
    lines = pl.read_parquet(files)
    assert lines.height == pytest.approx(1300 * 16.5 * 9.4, rel=0.1)
    assert lines["order_id"].n_unique() == pytest.approx(1300 * 16.5, rel=0.1)
    assert lines["customer_id"].n_unique() == 1300
    sizes = [pl.scan_parquet(file).select(pl.len()).collect().item() for file in files]
    assert len(sizes) == 5
    assert max(sizes) < 60_000  # bounded
    assert sum(pl.scan_parquet(f).select(pl.col("order_id").n_unique()).collect().item() for f in files) == (
        lines["order_id"].n_unique()
    )
    assert repeat_share(lines) == pytest.approx(0.6, abs=0.1)
    counts = lines["item_id"].value_counts(sort=True)["count"]
    assert counts.head(500).sum() / counts.sum() > 0.2  # one item in a hundred
    assert len(counts) > 20_000
    assert lines["ordered_at"].dtype == schemas.UTC
    again = stream_orders(options, tmp_path / "b", rows_per_file=40_000)
    assert [file.read_bytes() for file in again] == [file.read_bytes() for file in files]


def test_large_has_the_stated_size() -> None:
    options = large()
    assert options.customers * options.orders_per_customer == pytest.approx(3.4e6, rel=0.01)
    assert (options.customers, options.items) == (206_000, 50_000)


def test_stream_refuses_to_overwrite_and_leaves_nothing_unfinished(tmp_path: Path) -> None:
    stream_orders(TINY, tmp_path / "history")
    assert [path.name for path in tmp_path.iterdir()] == ["history"]
    with pytest.raises(InputError, match="exists already"):
        stream_orders(TINY, tmp_path / "history")
    with pytest.raises(InputError, match="rows_per_file"):
        stream_orders(TINY, tmp_path / "none", rows_per_file=0)
    assert not (tmp_path / "none").exists()


def test_start_date_moves_the_history() -> None:
    moved = synthetic_shop(replace(TINY, start=date(2031, 3, 1))).orders
    assert moved["ordered_at"].min().date() >= date(2031, 3, 1)


def test_any_option_can_be_set_by_name():
    options = changed(SyntheticOptions(), ("items=90", "start=2020-02-01", "pair_confidence=[0.3, 0.4]", "trend=0"))
    assert (options.items, options.start, options.pair_confidence) == (90, date(2020, 2, 1), (0.3, 0.4))
    assert options.trend == 0
    assert changed(SyntheticOptions(), ()) == SyntheticOptions()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("itens=90", r"option itens = 90: .* options are seed, customers, items"),
        ("items=many", r"option items = 'many': .* integer"),
        ("days=3", "synthetic option days is 3; it must be at least 28"),
    ],
)
def test_a_wrong_option_is_named(setting, message):
    with pytest.raises(InputError, match=message):
        changed(SyntheticOptions(), (setting,))
