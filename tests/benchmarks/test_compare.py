"""`python -m benchmarks.compare` on small files of every shape, through the real command."""

import json
import random

import polars as pl
import pytest
import yaml

from benchmarks import compare
from benchmarks.comparison.exams import exam, plan
from benchmarks.comparison.run import Protocol, run
from benchmarks.comparison.shop import FUTURE, read_history_and_future, read_merged
from recsys.config import load_config
from recsys.data.histories import IdMap

pytestmark = pytest.mark.long
FAST = [
    "split.train_moments=2", "models.als.factors=4", "models.als.iterations=2", "ranker.trees=5", "ranker.threads=1",
    "ranker.min_leaf=5", "ranker.negatives=0.5", "evaluation.resamples=20",
]  # fmt: skip
QUICK = "frequency,popularity,hybrid,TIFU-KNN,P-TopFreq"
RECORD = {"contender", "kind", "task", "segment", "metric", "k", "value", "low", "high", "n"}


def shopping(users=40, items=16, most=6, least=2, size=6, seed=0):
    """{user: baskets}: random, but everybody comes back to items near a favourite."""
    draw = random.Random(seed)

    def basket(favourite):
        wanted = [draw.choice((favourite + draw.randrange(4), draw.randrange(items))) for _ in range(size)]
        return [item % items for item in wanted[: draw.randint(1, size)]]

    return {str(u): [basket(u) for _ in range(draw.randint(least, most))] for u in range(users)}


@pytest.fixture
def files(tmp_path):
    """Writes JSON files by name; returns their paths."""

    def write(**contents):
        paths = {}
        for name, content in contents.items():
            paths[name] = str(tmp_path / f"{name}.json")
            (tmp_path / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))
        return paths

    return write


@pytest.fixture
def command(tmp_path):
    """Runs the command; returns what it wrote."""

    def go(*words, models=QUICK):
        settings = [word for setting in FAST for word in ("--set", setting)]
        compare.main([*words, *settings, "--models", models, "--out", str(tmp_path / "out")])
        assert (tmp_path / "out" / "plot.png").read_bytes()[:4] == b"\x89PNG"
        assert (tmp_path / "out" / "table.md").read_text().startswith("# Comparison")
        return json.loads((tmp_path / "out" / "metrics.json").read_text())

    return go


def value(found, contender, task="next_basket", segment="all", metric="recall", k=10):
    wanted = (contender, task, segment, metric, k)
    keys = ("contender", "task", "segment", "metric", "k")
    return next(r for r in found["records"] if tuple(r[key] for key in keys) == wanted)


def test_every_contender_on_sixteen_items(files, command):
    """With lists as long as the catalog everything is found by whoever lists everything."""
    given = files(merged=shopping())
    found = command("--merged", given["merged"], "--k", "5,16", "--tasks", "next_basket,cart,next_item",
                    models=",".join(compare.CONTENDERS))  # fmt: skip
    assert {r["contender"] for r in found["records"]} == set(compare.CONTENDERS)
    assert all(set(r) == RECORD for r in found["records"])
    kinds = {r["contender"]: r["kind"] for r in found["records"]}
    named = [kinds[name] for name in ("TIFU-KNN", "recipe-als", "als", "hybrid")]
    assert named == ["reference", "reference", "single", "hybrid"]
    assert value(found, "G-TopFreq", k=16)["value"] == 1
    assert value(found, "hybrid", k=16)["value"] == 1
    assert value(found, "P-TopFreq", segment="new", k=16)["value"] == 0
    assert {p["baseline"] for p in found["paired"]} == set(compare.CONTENDERS) - {"hybrid"}
    assert {r["metric"] for r in found["records"]} >= {"recall", "ndcg", "hit_rate", "mrr"}


def test_sentinels_and_two_files_say_the_same(files, command):
    baskets = shopping(users=20)
    given = files(
        merged=baskets,
        sentinels={user: [[-1], *own, [-1]] for user, own in baskets.items()},
        history={user: [[-1], *own[:-1], [-1]] for user, own in baskets.items()},
        future={user: [[-1], own[-1], [-1]] for user, own in baskets.items()},
        flat={user: own[-1] for user, own in baskets.items()},
    )
    paths = {name: compare.Path(path) for name, path in given.items()}
    merged = read_merged(paths["merged"])
    assert read_merged(paths["sentinels"]).orders.equals(merged.orders)
    for future in ("future", "flat"):
        assert read_history_and_future(paths["history"], paths[future]).orders.equals(merged.orders)
    two = command("--history", given["history"], "--future", given["future"], models="P-TopFreq")
    assert two == command("--merged", given["merged"], models="P-TopFreq")


def test_p_top_freq_by_hand(files, command):
    """ann bought a twice, b and c once, and buys a and d: her own list a, b, c finds one of two; bob b finds b.

    DCG of ann 1, of bob 1. Ideal of ann at k = 1: 1 truncated, 1 + 1/log2(3) = 1.6309 full.
    """
    given = files(merged={"ann": [["a", "b"], ["a", "c"], ["a", "d"]], "bob": [["b"], ["b"]]})
    found = command("--merged", given["merged"], "--k", "1,3", "--tasks", "next_basket", models="P-TopFreq,popularity")
    assert value(found, "P-TopFreq", k=1)["value"] == pytest.approx((0.5 + 1) / 2)
    assert value(found, "P-TopFreq", metric="ndcg", k=1)["value"] == pytest.approx(1)
    full = command("--merged", given["merged"], "--k", "1,3", "--tasks", "next_basket", "--ndcg", "full",
                   models="P-TopFreq,popularity")  # fmt: skip
    assert value(full, "P-TopFreq", metric="ndcg", k=1)["value"] == pytest.approx((1 / 1.63093 + 1) / 2, rel=1e-5)


def test_bought_items_are_barred(files, command):
    """ann's next basket holds a (bought) and d (new): with a barred half of it can be found."""
    given = files(merged={"ann": [["a", "b"], ["a", "d"]], "bob": [["d"], ["d"]], "eve": [["d"], ["d", "b"]]})
    words = ("--merged", given["merged"], "--tasks", "next_basket", "--k", "9")
    free = command(*words, models="G-TopFreq")
    barred = command(*words, "--mask-bought", models="G-TopFreq")
    assert value(free, "G-TopFreq", k=9)["value"] == 1
    assert value(barred, "G-TopFreq", k=9)["value"] == pytest.approx((1 / 2 + 0 + 1 / 2) / 3)
    assert {r["segment"] for r in barred["records"]} == {"all", "new"}


def test_empty_futures_are_counted_and_left_out(files, command):
    baskets = shopping(users=20)
    gone = {"0": [], "1": [[-1], [-1]], "2": [[]]}
    future = {user: gone.get(user, [own[-1]]) for user, own in baskets.items()}
    given = files(history={user: own[:-1] for user, own in baskets.items()}, future=future)
    found = command("--history", given["history"], "--future", given["future"])
    assert value(found, "hybrid")["n"] == 17
    assert any("3 users have an empty future" in note for note in found["notes"])


def test_one_order_per_customer(files, command):
    """Nobody has an order between the first and the asked one, so the ranker has nothing to learn from: it says so."""
    given = files(merged=shopping(users=30, least=2, most=2))
    found = command("--merged", given["merged"], "--validation-basket")
    assert {r["contender"] for r in found["records"]} == set(QUICK.split(",")) - {"hybrid"}
    assert found["paired"] == []
    assert any("hybrid is left out" in note for note in found["notes"])
    assert any("TIFU-KNN keeps its usual values" in note for note in found["notes"])


def test_one_order_per_customer_with_teachers(files, command):
    """With keys the teachers' last baskets teach the ranker."""
    keys = {"item_num": 16, "train": [*range(15)], "val": [15, 16], "test": [*range(17, 30)]}
    given = files(merged=shopping(users=30, least=2, most=2), keys=keys)
    found = command("--merged", given["merged"], "--keys", given["keys"])
    assert value(found, "hybrid")["n"] == 13


def test_only_train_and_val_users_teach(files, tmp_path):
    """The models' data at the test hold their histories only; the asked ones bring their own and are no neighbours."""
    baskets = shopping(users=30)
    keys = {"train": [str(u) for u in range(15)], "val": ["15"], "test": [str(u) for u in range(16, 30)]}
    given = files(merged=baskets, keys=keys)
    words = ["--merged", given["merged"], "--keys", given["keys"], "--out", str(tmp_path)]
    arguments = compare.arguments(words)
    config = compare.configuration(arguments, (10,))
    shop = compare.read_shop(arguments, config)
    found = exam(shop, plan(shop, config)[2], config, 1, shop.keys.test)
    assert set(found.data.customers.ids) == {*keys["train"], *keys["val"]}
    assert found.data.orders.shape[0] == sum(len(baskets[u]) - 1 for u in (*keys["train"], *keys["val"]))
    queries = found.tasks(("next_basket",))["next_basket"]
    assert set(found.asked["customer_id"]) == set(keys["test"])
    assert (queries.histories.customers == -1).all()
    assert queries.histories.n_orders.tolist() == [len(baskets[u]) - 1 for u in found.asked["customer_id"]]


def test_a_teachers_labels_lie_after_what_the_models_saw(files):
    """At every moment the asked basket is none of those that the models were fitted on."""
    shop = read_merged_file(files)
    config = load_config(compare.DEFAULTS, ["split.kind=last_basket", "split.train_moments=3"])
    train, validation, test = plan(shop, config)
    asked_per_moment = []
    for moment in (*train, test):
        found = exam(shop, moment, config, 1, None)
        times = {row["order_id"]: row["ordered_at"] for row in shop.orders.iter_rows(named=True)}
        seen = dict(zip(moment.at["customer_id"], moment.at["at"], strict=True))
        assert all(times[o] >= seen[c] for c, o, _ in found.asked.iter_rows())
        asked_per_moment.append(set(found.asked["order_id"]))
    assert validation.name == train[-1].name
    assert sum(map(len, asked_per_moment)) == len(set().union(*asked_per_moment))


def read_merged_file(files):
    shop = read_merged(compare.Path(files(merged=shopping(users=12))["merged"]))
    return compare.replace(shop, items=IdMap.of(shop.orders["item_id"].unique().to_list()))


def test_time_is_one_unit_per_basket(files):
    """Counted back from the future basket, sentinels and repeats of an item taken off."""
    given = files(merged={"7": [[-1], [3, 3, 1], [2], [], [5], [-1]], "8": [[1], [2]], "9": [[4]]})
    shop = read_merged(compare.Path(given["merged"]))
    back = shop.orders.select("customer_id", "item_id", back=(pl.lit(FUTURE) - pl.col("ordered_at")).dt.total_days())
    assert back.sort("customer_id", "back", "item_id").rows() == [
        ("7", "5", 0), ("7", "2", 1), ("7", "1", 2), ("7", "3", 2), ("8", "2", 0), ("8", "1", 1),
    ]  # fmt: skip
    assert any("1 empty baskets" in note for note in shop.notes)
    assert any("1 users have no basket before" in note for note in shop.notes)


def test_next_item_shows_three_and_then_one_more(files):
    """A basket of six known items asks for the fourth, fifth and sixth; one of three asks nothing."""
    given = files(merged={"ann": [[1, 2], [1, 2, 3, 4, 5, 6]], "bob": [[3], [4, 5, 6]], "eve": [[1], [1, 2, 3, 4]]})
    shop = read_merged(compare.Path(given["merged"]))
    shop = compare.replace(shop, items=IdMap.of(shop.orders["item_id"].unique().to_list()))
    config = load_config(compare.DEFAULTS, ["split.kind=last_basket"])
    found = exam(shop, plan(shop, config)[2], config, 1, None)
    queries = found.next_item()
    assert queries.histories.cart.sum(axis=1).ravel().tolist() == [[3, 4, 5, 3]]
    assert (queries.relevant.sum(axis=1) == 1).all()
    assert queries.histories.cart.multiply(queries.relevant).nnz == 0
    assert found.step_orders().tolist() == [0, 0, 0, 1]


def test_tuning_takes_the_best_of_the_grid_before_the_test(files, command):
    given = files(merged=shopping(users=25, least=3))
    found = command("--merged", given["merged"], "--validation-basket", "--k", "3")
    assert set(found["tuned"]) == {"TIFU-KNN"}
    assert 0 < found["tuned"]["TIFU-KNN"]["recall@3"] <= 1


def test_many_orders_and_many_items(files, command):
    """Eight hundred orders of one customer beside customers of two; thousands of items, most of them sold once."""
    draw = random.Random(1)
    baskets = {"loyal": [[draw.randrange(30), draw.randrange(5000)] for _ in range(800)]}
    baskets |= {f"u{n}": [[draw.randrange(5000) for _ in range(9)] for _ in range(3)] for n in range(60)}
    found = command("--merged", files(merged=baskets)["merged"], models="TIFU-KNN,UP-CF@r,PerNIR,frequency,hybrid")
    assert value(found, "TIFU-KNN")["n"] == 61


def test_our_sources_by_window_and_by_last_basket(small_options, tmp_path, command):
    options = small_options(tmp_path)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(options))
    words = ("--config", str(tmp_path / "config.yaml"), "--k", "10")
    window = command(*words, "--validation-basket", "--tasks", "next_basket,cart,next_item")
    assert set(window["tuned"]) == {"TIFU-KNN"}
    last = command(*words, "--split", "last-basket", "--min-item-orders", "2")
    assert value(last, "hybrid")["n"] > value(window, "hybrid")["n"] > 20
    assert any("2 orders or more" in note for note in last["notes"])


def test_the_seed_decides_and_nothing_else(files):
    shop = read_merged_file(files)
    config = load_config(compare.DEFAULTS, ["split.kind=last_basket", *FAST])
    protocol = Protocol(names=("als", "hybrid"), min_basket=1)
    assert run(shop, config, protocol).records == run(shop, config, protocol).records


BAD = {
    "no JSON": ({"merged": "{"}, ["--merged", "merged"], "is no JSON"),
    "a list": ({"merged": [[1]]}, ["--merged", "merged"], "holds a list"),
    "no users": ({"merged": {}}, ["--merged", "merged"], "empty object"),
    "baskets are no lists": ({"merged": {"ann": [1, 2]}}, ["--merged", "merged"], "'ann'"),
    "an item is null": ({"merged": {"ann": [[None], [1]]}}, ["--merged", "merged"], "item None"),
    "a sentinel inside": ({"merged": {"ann": [[1], [-1], [2]]}}, ["--merged", "merged"], "-1"),
    "a user twice": ({"merged": '{"ann": [[1],[2]], "ann": [[1]]}'}, ["--merged", "merged"], "'ann' twice"),
    "one basket each": ({"merged": {"ann": [[1]], "bob": [[2]]}}, ["--merged", "merged"], "no user has a basket"),
    "no future at all": ({"merged": {"ann": [[1, 2], []]}}, ["--merged", "merged"], "nobody can be asked"),
    "a user without a future": (
        {"history": {"ann": [[1]], "bob": [[2]]}, "future": {"ann": [[1]]}},
        ["--history", "history", "--future", "future"], "'bob'",
    ),
    "a user without a history": (
        {"history": {"ann": [[1]]}, "future": {"ann": [[1]], "eve": [[1]]}},
        ["--history", "history", "--future", "future"], "'eve'",
    ),
    "two futures": (
        {"history": {"ann": [[1]]}, "future": {"ann": [[1], [2]]}},
        ["--history", "history", "--future", "future"], "more than one basket",
    ),
    "no such file": ({}, ["--merged", "nowhere.json"], "cannot be read"),
    "no data": ({}, [], "no data to compare on"),
    "half a pair": ({"history": {"ann": [[1]]}}, ["--history", "history"], "go together"),
    "an unknown model": ({"merged": {"ann": [[1], [2]]}}, ["--merged", "merged", "--models", "tifu"], "'tifu'"),
    "an unknown task": ({"merged": {"ann": [[1], [2]]}}, ["--merged", "merged", "--tasks", "cat"], "'cat'"),
    "no list length": ({"merged": {"ann": [[1], [2]]}}, ["--merged", "merged", "--k", "0"], "--k"),
    "a window without times": ({"merged": {"ann": [[1], [2]]}}, ["--merged", "merged", "--split", "window"], "times"),
    "an unknown key": (
        {"merged": {"ann": [[1], [2]]}, "keys": {"train": ["ann"], "tset": ["ann"]}},
        ["--merged", "merged", "--keys", "keys"], "'tset'",
    ),
    "a strange user": (
        {"merged": {"ann": [[1], [2]]}, "keys": {"train": ["ann"], "test": ["zoe"]}},
        ["--merged", "merged", "--keys", "keys"], "'zoe'",
    ),
    "asked and teaching": (
        {"merged": {"ann": [[1], [2]]}, "keys": {"train": ["ann"], "test": ["ann"]}},
        ["--merged", "merged", "--keys", "keys"], "'ann'",
    ),
    "nobody teaches": (
        {"merged": {"ann": [[1], [2]]}, "keys": {"test": ["ann"]}},
        ["--merged", "merged", "--keys", "keys"], "train or val",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_1(files, tmp_path, capsys, case):
    contents, words, told = BAD[case]
    paths = files(**contents)
    with pytest.raises(SystemExit) as stop:
        compare.main([*(paths.get(word, word) for word in words), "--out", str(tmp_path / "out")])
    said = capsys.readouterr().err.strip()
    assert stop.value.code == 1
    assert said.startswith("error: ")
    assert told in said
    assert "\n" not in said
    assert not (tmp_path / "out").exists()
