"""Where the windows lie, what pools them, and one small run from a shop to its files."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from benchmarks.rolling import roll, write
from benchmarks.windows.origins import Window, at_window, windows
from benchmarks.windows.pooling import BEST_OF_EACH, POOLED, figures, pooled_pairs, pooled_records, spread
from recsys.config import Config, read_config
from recsys.errors import InputError
from recsys.evaluation.protocols import EvaluationOptions
from recsys.registry.run_files import select

NOW = datetime(2024, 9, 1, tzinfo=UTC)
OPTIONS = EvaluationOptions(resamples=400)


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def orders(first: str, last: str) -> pl.DataFrame:
    return pl.DataFrame({"ordered_at": [day(first), day(last)]})


def config(**split: object) -> Config:
    return read_config({"split": split})


# Where the windows lie.


def test_windows_go_back_from_the_configs_own():
    found = windows(orders("2017-01-01", "2017-12-31"), config(cut="2017-12-04", end="2018-01-01"), 3, 28)
    assert [w.name for w in found] == ["2017-10-09", "2017-11-06", "2017-12-04"]
    assert [w.end for w in found] == [found[1].cut, found[2].cut, day("2018-01-01")]
    apart = windows(orders("2017-01-01", "2017-12-31"), config(cut="2017-12-04", end="2018-01-01"), 2, 30)
    assert apart[0] == Window(day("2017-11-04"), day("2017-12-02"))


def test_without_a_cut_the_last_days_are_the_last_window():
    found = windows(orders("2024-01-01", "2024-06-29T12:00"), config(window_days=14), 2, 14)
    assert [(w.cut, w.end) for w in found] == [
        (day("2024-06-02"), day("2024-06-16")),
        (day("2024-06-16"), day("2024-06-30")),
    ]


@pytest.mark.parametrize(
    ("n", "every", "split", "message"),
    [
        (0, 28, {}, r"--windows 0; give at least 1"),
        (2, 27, {}, r"--every-days 27 lets windows of 28 days overlap"),
        (2, 28, {"kind": "last_basket"}, r"'last_basket' has no windows"),
        (12, 28, {"train_moments": 6}, r"first training moment of the oldest window, 2016-12-19, has no order before"),
    ],
)
def test_windows_that_cannot_be_are_refused(n, every, split, message):
    with pytest.raises(InputError, match=message):
        windows(orders("2017-01-01", "2017-12-31"), config(end="2018-01-01", **split), n, every)


def test_every_window_can_be_learned_for():
    """As many windows as fit: one more is refused, and the oldest has orders before its first training moment."""
    shop, own = orders("2017-01-01", "2017-12-31"), config(cut="2017-12-04", end="2018-01-01")
    most = next(n for n in range(1, 20) if not _fits(shop, own, n + 1))
    oldest = windows(shop, own, most, 28)[0]
    first = oldest.cut - timedelta(days=own.split.every_days * own.split.train_moments)
    assert first > day("2017-01-01") >= first - timedelta(days=28)


def _fits(shop: pl.DataFrame, own: Config, n: int) -> bool:
    try:
        return len(windows(shop, own, n, 28)) == n
    except InputError:
        return False


def test_only_the_window_differs():
    own = read_config({"title": "x", "split": {"train_moments": 3}, "ranker": {"trees": 7}})
    moved = at_window(own, Window(day("2017-11-06"), day("2017-12-04")))
    assert (moved.split.cut, moved.split.end) == (day("2017-11-06"), day("2017-12-04"))
    assert moved.split.train_moments == 3
    back = at_window(moved, Window(own.split.cut, own.split.end))  # type: ignore[arg-type]
    assert back == own


# What pools them.


def queries() -> pl.DataFrame:
    """Two windows of two customers each; als is best in the first, content in the second and over both."""
    return pl.DataFrame(
        {
            "window": ["w1", "w1", "w2", "w2"],
            "customer_id": ["x", "y", "y", "z"],
            "hybrid|cart|all|recall|10": [0.4, 0.6, 0.8, 1.0],
            "als|cart|all|recall|10": [0.5, 0.5, 0.1, 0.1],
            "content|cart|all|recall|10": [0.2, 0.2, 0.6, 0.6],
            "als|cart|all|recall|20": [0.5, 0.5, 0.5, 0.5],
            "als|cart|all|mrr|10": [0.5, 0.5, 0.5, 0.5],
        }
    )


def window_records() -> list[dict[str, object]]:
    table = queries()
    return [
        {"window": w, "contender": c, "kind": "hybrid" if c == "hybrid" else "single", "task": "cart",
         "segment": "all", "metric": "recall", "k": 10,
         "value": table.filter(pl.col("window") == w)[f"{c}|cart|all|recall|10"].mean()}
        for w in ("w1", "w2") for c in ("hybrid", "als", "content")
    ]  # fmt: skip


def test_columns_are_chosen_by_metric_and_k():
    contenders = ("hybrid", "als", "content")
    assert figures(queries(), ("recall",), 10) == [(c, "cart", "all", "recall", 10) for c in contenders]
    assert figures(queries(), ("recall", "mrr"), 20) == [("als", "cart", "all", "recall", 20)]


def test_pooled_means_are_over_the_queries_of_all_windows():
    pooled = pooled_records(queries(), figures(queries(), ("recall",), 10), OPTIONS)
    assert [(r["contender"], r["kind"], r["window"], r["n"]) for r in pooled] == [
        ("hybrid", "hybrid", POOLED, 4),
        ("als", "single", POOLED, 4),
        ("content", "single", POOLED, 4),
    ]
    np.testing.assert_allclose([r["value"] for r in pooled], [0.7, 0.3, 0.4])
    assert all(r["low"] <= r["value"] <= r["high"] for r in pooled)


def test_pooled_ratios_are_against_one_model_and_against_the_best_of_each_window():
    pooled = pooled_records(queries(), figures(queries(), ("recall",), 10), OPTIONS)
    one, each = pooled_pairs(queries(), window_records(), pooled, OPTIONS)
    assert (one["baseline"], each["baseline"]) == ("content", BEST_OF_EACH)
    assert one["ratio"] == pytest.approx(0.7 / 0.4)
    assert each["ratio"] == pytest.approx(0.7 / ((0.5 + 0.5 + 0.6 + 0.6) / 4))
    assert one["ratio_low"] < one["ratio"] < one["ratio_high"]


def test_a_query_that_was_not_asked_counts_in_no_pool():
    table = queries().with_columns(
        pl.when(pl.col("customer_id") == "z").then(float("nan")).otherwise(pl.col(r"^.*\|recall\|10$")).name.keep()
    )
    pooled = pooled_records(table, figures(table, ("recall",), 10), OPTIONS)
    assert [r["n"] for r in pooled] == [3, 3, 3]
    assert pooled[0]["value"] == pytest.approx(0.6)


def test_customers_who_come_again_are_drawn_together():
    """Each customer's value repeated in ten windows: as sure as one window, not √10 times as sure."""
    values = np.random.default_rng(0).random(60)
    one = pl.DataFrame({"window": "w", "customer_id": [f"{i:02d}" for i in range(60)], "a|t|s|recall|10": values})
    ten = pl.concat([one.with_columns(window=pl.lit(f"w{at}")) for at in range(10)])
    wide = [pooled_records(table, [("a", "t", "s", "recall", 10)], OPTIONS)[0] for table in (one, ten)]
    width = [r["high"] - r["low"] for r in wide]
    assert width[1] == pytest.approx(width[0], rel=0.02)
    other = ten.with_columns(customer_id=pl.int_range(600).cast(pl.String))
    narrow = pooled_records(other, [("a", "t", "s", "recall", 10)], OPTIONS)[0]
    assert narrow["high"] - narrow["low"] < width[0] / 2


def test_the_spread_counts_each_window_once():
    rows = [{"m": "a", "v": 1.0}, {"m": "a", "v": 3.0}, {"m": "a", "v": None}, {"m": "b", "v": 5.0}]
    assert spread(rows, ["m"], "v") == [
        {"m": "a", "windows": 2, "mean": 2.0, "sd": pytest.approx(2**0.5), "min": 1.0, "max": 3.0},
        {"m": "b", "windows": 1, "mean": 5.0, "sd": None, "min": 5.0, "max": 5.0},
    ]
    assert spread([{"m": "a", "v": None}], ["m"], "v")[0]["mean"] is None


# A small run.


@pytest.fixture(scope="module")
def rolled(small_config, tmp_path_factory):
    home = tmp_path_factory.mktemp("rolled")
    return roll(small_config(home), 2, 28, 10, NOW), home


def test_a_run_judges_every_window_on_its_own_queries(rolled):
    found, home = rolled
    first, last = found["windows"]
    assert first["end"] == last["cut"]
    assert first["train_moments"] == last["train_moments"] == 2
    for task in ("next_basket", "cart"):
        here = select(found["records"], contender="hybrid", task=task, segment="all", metric="recall")
        assert [r["n"] for r in here] == [first["queries"], last["queries"], first["queries"] + last["queries"]]
        mean = sum(r["value"] * r["n"] for r in here[:2]) / here[2]["n"]
        assert here[2]["value"] == pytest.approx(mean), "pooled is the mean over all queries"
        pair = select(found["paired"], task=task, segment="all", metric="recall", window=last["cut"])[0]
        own = select(found["records"], task=task, segment="all", metric="recall", window=last["cut"])
        value = {r["contender"]: r["value"] for r in own}
        assert pair["ratio"] == pytest.approx(value["hybrid"] / value[pair["baseline"]])
    assert {r["metric"] for r in found["records"]} == {"recall", "ndcg"}
    assert len(list((home / "store" / "ingest").iterdir())) == 1, "orders are read once"


def test_a_second_run_finds_every_stage_finished(rolled, small_config):
    found, home = rolled
    before = {path: path.stat().st_ino for path in (home / "store").glob("*/*")}
    assert roll(small_config(home), 2, 28, 10, NOW) == found
    assert {path: path.stat().st_ino for path in (home / "store").glob("*/*")} == before


def test_a_run_writes_table_and_plots(rolled, tmp_path):
    found, _ = rolled
    write(found, tmp_path / "new" / "folder")
    assert {f.name for f in (tmp_path / "new" / "folder").iterdir()} == {
        "metrics.json",
        "table.md",
        "ratios.png",
        "values.png",
    }
    text = (tmp_path / "new" / "folder" / "table.md").read_text()
    row = select(found["records"], contender="hybrid", task="cart", segment="new", metric="ndcg", window=POOLED)[0]
    assert f"{row['value']:.4f} ({row['low']:.4f}" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.count("|") > 3 for line in rows)
    assert sum("**hybrid**" in line for line in rows) == 2 * 2 * 3  # metrics, tasks, segments


def test_a_length_that_was_not_judged_is_refused(small_config, tmp_path):
    with pytest.raises(InputError, match=r"--k 7 is not one of evaluation.ks = \[3, 5, 10, 20\]"):
        roll(small_config(tmp_path), 2, 28, 7, NOW)
