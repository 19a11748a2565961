"""The page: whole, self-contained, safe with any text, and refused with a reason when a file is missing."""

import json
import re
from copy import deepcopy
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from recsys.errors import InputError
from recsys.registry.findings import half_of_slots, paired_finding, standing, verdict
from recsys.registry.report import build_report, metric_table, reach_table, tiles
from recsys.registry.run_files import load_run_files
from recsys.registry.segment_findings import losses, losses_finding

VOID = {"meta", "link", "br", "input", "use", "path", "img"}


class Page(HTMLParser):
    """What a browser would see: tags, ids, addresses, text, and tags that were closed in the wrong order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.crossed: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.targets += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.crossed.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def whole(sample: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    place = tmp_path_factory.mktemp("report")
    output = build_report(sample.write(place / "run"), place / "deep" / "report.html")
    return output, output.read_text(encoding="utf-8")


def test_the_page_holds_every_section_and_the_verdict(whole: tuple[Path, str]) -> None:
    page = Page(whole[1])
    sections = {"contenders", "gain", "depth", "groups", "cold", "ranker", "reliability", "examples", "data", "run"}
    assert sections <= set(page.ids)
    assert "Hybrid finds 30.3% (29.0–31.6) of what is bought in the next basket" in page.text
    assert "1.20 (1.15–1.25) times the best single model, frequency; the interval excludes 1" in page.text
    assert "models:/recsys/7" in page.text
    assert "not for commercial decisions" in page.text


def test_the_page_needs_nothing_from_outside(whole: tuple[Path, str]) -> None:
    html = whole[1]
    assert all(target.startswith(("#", "data:")) for target in Page(html).targets)
    assert not re.search(r"https?:|@import|url\((?!#)", html)


def test_the_page_is_well_formed_small_and_alone(whole: tuple[Path, str]) -> None:
    output, html = whole
    page = Page(html)
    assert (page.crossed, page.open) == ([], [])
    assert len(page.ids) == len(set(page.ids))
    assert output.stat().st_size < 2_000_000
    assert [path.name for path in output.parent.iterdir()] == ["report.html"]


def test_every_link_within_the_page_has_its_target(whole: tuple[Path, str]) -> None:
    page = Page(whole[1])
    assert {target[1:] for target in page.targets if target.startswith("#")} <= set(page.ids)


def test_numbers_inside_figures_keep_their_decimals(whole: tuple[Path, str]) -> None:
    assert "Next basket: Brier 0.0412, reference 0.0508" in Page(whole[1]).text


def test_text_from_data_stays_text(sample: Any, tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    content = sample.metrics()
    text = json.dumps({key: content[key] for key in ("records", "paired")}).replace("user_knn", "<img src=x onerror=y>")
    content = {**content, **json.loads(text)}
    content["records"] = [r for r in content["records"] if (r["metric"], r["task"]) == ("recall", "next_basket")]
    card = sample.example(evil, "$5 & $6", cart=True)
    card["items"][0]["name"], card["items"][1]["reason"], card["cart"][0]["name"] = evil, evil, evil
    run = {**sample.run(), "shop": f"{evil}'s", "notes": [evil]}
    directory = sample.small(tmp_path / "run", metrics=content, examples=[card], run=run)
    page = Page(build_report(directory, tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert page.text.count(evil) >= 6
    assert "<img src=x onerror=y>" in page.text
    assert "Customer $5 & $6" in page.text
    assert page.crossed == []


@pytest.mark.parametrize("name", ["metrics", "ingest", "importances", "examples", "coverage", "run"])
def test_a_missing_file_is_named_and_the_last_report_stays(sample: Any, tmp_path: Path, name: str) -> None:
    directory, output = sample.write(tmp_path / "run", **{name: None}), tmp_path / "report.html"
    output.write_text("the last one")
    with pytest.raises(InputError, match=rf"{name}\.json is missing"):
        build_report(directory, output)
    assert output.read_text() == "the last one"
    assert {path.name for path in tmp_path.iterdir()} == {"run", "report.html"}


def test_a_broken_file_is_named(sample: Any, tmp_path: Path) -> None:
    directory = sample.write(tmp_path / "run")
    (directory / "calibration.json").write_text('{"cart": ')
    with pytest.raises(InputError, match=r"calibration\.json is not JSON"):
        load_run_files(directory)
    with pytest.raises(InputError, match="not a run directory"):
        load_run_files(tmp_path / "elsewhere")


def test_a_file_without_its_key_is_named(sample: Any, tmp_path: Path) -> None:
    content = sample.metrics()
    del content["primary"]
    with pytest.raises(InputError, match=r"metrics\.json has no 'primary'"):
        load_run_files(sample.write(tmp_path / "run", metrics=content))


def test_a_sparse_run_leaves_out_what_it_has_no_data_for(sample: Any, tmp_path: Path) -> None:
    run = {**sample.run(), "seconds": {}, "registered": None, "peak_memory_mb": None}
    ingest = {**sample.ingest(), "read": 0, "kept": 0, "rules": [], "rejected": 0, "checks": []}
    directory = sample.small(tmp_path / "run", examples=[], run=run, ingest=ingest)
    page = Page(build_report(directory, tmp_path / "report.html").read_text(encoding="utf-8"))
    assert not {"groups", "reliability", "examples", "run"} & set(page.ids)
    assert "Registered model none" in page.text
    assert {target[1:] for target in page.targets if target.startswith("#")} <= set(page.ids)
    assert page.crossed == []


def test_table_shows_the_primary_view_first_and_marks_the_highest(sample: Any, tmp_path: Path) -> None:
    table = metric_table(load_run_files(sample.write(tmp_path / "run")))
    assert len(table) == 9 * 2 * 3 * 3
    first = table[:9]
    assert {(row["task"], row["segment"], row["k"]) for row in first} == {("next_basket", "all", 10)}
    assert [row["contender"] for row in first if row["cells"][0].top] == ["hybrid"]
    values = [row["cells"][0].value for row in first]
    assert values == sorted(values, reverse=True)
    assert all(0 <= cell.share <= 1 for row in table for cell in row["cells"])


def test_values_that_are_not_numbers_become_dashes(sample: Any, tmp_path: Path) -> None:
    content = sample.metrics()
    lost = [r for r in content["records"] if (r["contender"], r["k"], r["metric"]) == ("als", 10, "recall")]
    for row in lost:
        row["value"] = float("nan")
    table = metric_table(load_run_files(sample.write(tmp_path / "run", metrics=content)))
    row = next(r for r in table if (r["contender"], r["k"]) == ("als", 10))
    assert (row["cells"][0].text, row["cells"][0].value) == ("–", None)


def test_tiles_say_the_key_figures(sample: Any, tmp_path: Path) -> None:
    found = {t.name: (t.value, t.note) for t in tiles(load_run_files(sample.write(tmp_path / "run")))}
    assert found["Recall@10, next basket"] == ("30.3%", "interval 29.0–31.6")
    assert found["Ratio to best single"] == ("1.20×", "1.15–1.25 against frequency")
    assert found["Queries judged"] == ("10,360", "next basket 6,150, cart 4,210")
    assert found["Data checks"] == ("2 of 3", "failed: share of items in catalog")
    assert found["Run time"] == ("4 min 50 s", "1,840 MB at most")


def test_reach_counts_items_and_the_slots_of_the_head(sample: Any, tmp_path: Path) -> None:
    coverage = {"hybrid": {"counts": [6, 2, 1, 1, 0]}, "als": {"counts": [4, 3, 3]}}
    run = {**sample.run(), "known_items": 8}
    rows = reach_table(load_run_files(sample.write(tmp_path / "run", coverage=coverage, run=run)))
    assert [(r["contender"], r["shown"], r["share"], r["half"]) for r in rows] == [
        ("hybrid", "4", "50.0%", "1"),
        ("als", "3", "37.5%", "2"),
    ]


def test_half_of_slots_of_nothing_is_nothing() -> None:
    assert half_of_slots([]) == half_of_slots([0, 0]) == 0
    assert half_of_slots([1, 1, 1, 1]) == 2


@pytest.mark.parametrize(
    ("low", "high", "side", "words"),
    [
        (1.01, 1.3, "better", "excludes 1, so chance does not explain the gain"),
        (0.8, 0.99, "worse", "lies below 1"),
        (1.0, 1.2, "undecided", "includes 1, so this may be chance"),
        (None, None, "undecided", "includes 1"),
    ],
)
def test_verdict_says_which_side_of_one(
    sample: Any, low: float | None, high: float | None, side: str, words: str
) -> None:
    content = deepcopy(sample.metrics())
    for row in content["paired"]:
        row.update(ratio=1.1, ratio_low=low, ratio_high=high)
    assert standing(content["paired"][0]) == side
    assert words in verdict(content)


def test_verdict_when_a_single_model_wins_or_nothing_was_paired(sample: Any) -> None:
    content = sample.metrics()
    assert verdict({**content, "best": "frequency"}).endswith("and no hybrid is better.")
    assert "no paired comparison" in verdict({**content, "paired": []})
    ndcg = {**content["primary"], "metric": "ndcg"}
    assert verdict({**content, "primary": ndcg}).startswith("Hybrid reaches nDCG@10 0.242 (0.231–0.253)")


def test_paired_finding_counts_wins_and_losses() -> None:
    def row(low: float, high: float) -> dict[str, Any]:
        return {"contender": "hybrid", "ratio_low": low, "ratio_high": high}

    rows = [row(1.1, 1.2), row(0.9, 1.1), row(0.7, 0.8)]
    assert paired_finding(rows, "hybrid") == "Hybrid beats the best single model in 1 of 3 comparisons and loses in 1"


def test_every_lost_group_is_named_beyond_chance_first(whole: tuple[Path, str]) -> None:
    text = Page(whole[1]).text
    assert (
        "In 10 of 17 groups the best single model finds more than the hybrid, beyond chance in 5: next basket, orders "
        "before 1; cart, orders before 1; next basket, category Dairy; cart, category Dairy; cart, cart size 1"
    ) in text
    rows = [{"ratio": 0.9, "ratio_low": 0.7, "ratio_high": 1.1}, {"ratio": 1.2, "ratio_low": 1.1, "ratio_high": 1.3},
            {"ratio": 0.95, "ratio_low": 0.91, "ratio_high": 0.99}]  # fmt: skip
    assert [row["ratio"] for row in losses(rows)] == [0.95, 0.9]
    assert losses_finding(rows[1:2]) == "In no group does the best single model find more than the hybrid"


def test_cold_start_says_what_was_found_and_where_too_few_were_asked(whole: tuple[Path, str]) -> None:
    text = Page(whole[1]).text
    assert "As if no order were known: next basket hybrid" in text
    assert "One order in fact: 9 orders in the test, too few to say." in text
    assert "First order ever: none in the test." in text
    assert (
        "cart 1.4% (0.3–2.6) by likeness of words, 0.038% by a random list, better beyond chance; next basket" in text
    )
    assert "0.038% by a random list, may be chance." in text


def test_probabilities_have_a_row_for_all_candidates_and_one_for_the_list(whole: tuple[Path, str]) -> None:
    text = Page(whole[1]).text
    for row in ("all candidates 900,000 1.3%", "first 10 of the list 42,000 1.3%"):
        assert row in text


def test_a_run_that_a_single_model_wins_without_groups_and_probabilities(sample: Any, tmp_path: Path) -> None:
    content = {**sample.metrics(), "best": "frequency"}
    content["records"] = [r for r in content["records"] if (r["metric"], r["task"]) == ("recall", "next_basket")]
    directory = sample.small(tmp_path / "run", metrics=content)
    page = Page(build_report(directory, tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "and no hybrid is better." in page.text
    assert not {"groups", "cold", "reliability"} & set(page.ids)
    assert not {"#groups", "#cold", "#reliability"} & set(page.targets)
