"""One file holds every option; whatever is wrong in a config is refused with its place and a remedy."""

import json
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from recsys.config import LIMITS, Config, as_dict, base_yaml, load_config, read_config
from recsys.errors import InputError

CONFIGS = Path(__file__).parents[1] / "configs"


def keys(options, at=""):
    """Dotted names of all options, of a Config or of the dict of one."""
    inner = (
        options.items() if isinstance(options, dict) else [(f.name, getattr(options, f.name)) for f in fields(options)]
    )
    for key, value in inner:
        section = is_dataclass(value) or (isinstance(value, dict) and value)
        yield from keys(value, f"{at}{key}.") if section else [f"{at}{key}"]


@pytest.fixture
def written(tmp_path):
    """Writes a config file."""

    def write(text, name="c.yaml"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


def test_base_yaml_is_written_from_the_defaults():
    assert (CONFIGS / "base.yaml").read_text(encoding="utf-8") == base_yaml(), "write it anew: recsys config"
    assert load_config(CONFIGS / "base.yaml") == Config()


def test_base_yaml_names_every_option_and_its_comment():
    text = base_yaml()
    assert set(keys(yaml.safe_load(text))) == set(keys(Config()))
    assert 'kind: "window"  # window | last_basket\n' in text
    assert "    min_span_days: 28.0  # from first to last order; days are orders where time is counted in" in text


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_config_that_comes_with_the_project_can_be_read(file):
    config = load_config(file)
    assert json.dumps(as_dict(read_config(as_dict(config)))) == json.dumps(as_dict(config)), "60 is not 60.0 in a key"


def test_options_come_back_from_their_dict():
    changed = read_config(
        {
            "title": "Käse",
            "notes": ["a", "b"],
            "split": {"cut": datetime(2024, 5, 1, tzinfo=UTC), "window_days": 14},
            "data": {"orders": {"columns": {"item_id": "sku"}, "exclude": {"kind": ["gift"]}}},
            "ranker": {"drop": ["price"], "objectives": ["binary"]},
            "evaluation": {"ks": [1, 10]},
        }
    )
    plain = as_dict(changed)
    assert json.loads(json.dumps(plain)) == plain
    assert read_config(plain) == changed
    assert plain["split"]["cut"] == "2024-05-01T00:00:00+00:00"
    assert changed.evaluation.ks == (1, 10)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rankers: {}", r"unknown key 'rankers'; did you mean 'ranker'\?"),
        ("ranker: {tres: 5}", r"unknown key 'ranker\.tres'; did you mean 'ranker\.trees'\?"),
        ("models: {als: {factor: 5}}", r"'models\.als\.factor'; did you mean 'models\.als\.factors'\?"),
        ("split: {zzz: 5}", r"unknown key 'split\.zzz'; known are kind, cut, end"),
        ("ranker: {trees: many}", r"ranker\.trees = 'many': .*integer"),
        ("ranker: {trees: 1.5}", r"ranker\.trees = 1\.5"),
        ("ranker: {trees: true}", r"ranker\.trees = True; give a number"),
        ("ranker: {trees: 0}", r"ranker\.trees = 0; give a value from 1 to 100000"),
        ("ranker: {learning_rate: .nan}", r"ranker\.learning_rate = nan; give a finite number"),
        ("ranker: {learning_rate: -1}", r"ranker\.learning_rate = -1"),
        ("ranker: {drop: [prise]}", r"ranker\.drop holds 'prise'; known are "),
        ("ranker: {objectives: []}", r"ranker\.objectives is empty"),
        ("ranker: {objectives: [regression]}", r"holds 'regression'; known are binary, lambdarank, rank_xendcg"),
        ("registry: {gate: {min_primary: .inf}}", r"registry\.gate\.min_primary = inf"),
        ("interactions: {max_age_days: 0}", r"interactions\.max_age_days = 0"),
        ("split: {kind: windows}", r"split\.kind = 'windows': Input should be 'window' or 'last_basket'"),
        ("split: {cut: 20241201}", r"split\.cut = 20241201; give a date, e\.g\. 2024-12-01"),
        ("split: {cut: soon}", r"split\.cut = 'soon'"),
        ("evaluation: {ks: [5]}", r"primary_k = 10 is not one of evaluation\.ks = \[5\]"),
        ("evaluation: {ks: [0, 10]}", r"evaluation\.ks = \[0, 10\]; give lengths from 1 upwards"),
        ("evaluation: {ks: [10, 10]}", r"each once"),
        ("title: 5", r"title = 5: .*string"),
        ("notes: one", r"notes = 'one'"),
        ("data:", r"data = None"),
        ("data: [1]", r"data = \[1\]"),
        ("- a\n- b", r"holds a list; give sections such as 'data:'"),
        ("ranker: {trees: 5\n", r"c\.yaml is no YAML: "),
        ("ranker: {trees: 5}\nsplit: {}\nranker: {leaves: 3}", r"no YAML: key 'ranker' stands twice"),
        ("ranker: {trees: 5, trees: 6}", r"key 'trees' stands twice"),
    ],
)
def test_mistakes_are_named_in_one_line(written, text, said):
    with pytest.raises(InputError, match=said) as caught:
        load_config(written(text))
    assert "c.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_none_are_refused(tmp_path, written):
    for file in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(InputError, match=r"there is no config file .*see configs/"):
            load_config(file)
    (tmp_path / "latin.yaml").write_bytes("title: Käse".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin\.yaml is no YAML"):
        load_config(tmp_path / "latin.yaml")
    assert load_config(written("")) == Config() == load_config(written("# nothing yet\n"))


def test_settings_change_single_values(written):
    file = written("ranker: {trees: 7}")
    config = load_config(
        file,
        ["ranker.leaves=9", "title=My shop", "evaluation.ks=[5, 10]", "split.cut=2024-05-01", "ranker.trees=8",
         "data.orders.columns.item_id=sku", "data.orders.separator=;", "interactions.max_age_days=null"],
    )  # fmt: skip
    assert (config.ranker.trees, config.ranker.leaves, config.title) == (8, 9, "My shop")
    assert config.evaluation.ks == (5, 10)
    assert config.split.cut == datetime(2024, 5, 1, tzinfo=UTC), "a date without zone is UTC"
    assert config.data.orders.columns == {"item_id": "sku"}
    assert config.data.orders.separator == ";"
    assert config.interactions.max_age_days is None


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("ranker.trees", r"--set 'ranker\.trees': give section\.key=value"),
        ("=5", r"--set '=5': give section\.key=value"),
        ("ranker.trees=[1", r"'\[1' is no YAML value"),
        ("title.x=5", r"title holds a value, no section"),
        ("ranker.tres=5", r"did you mean 'ranker\.trees'"),
        ("ranker.trees=", r"ranker\.trees = None"),
    ],
)
def test_wrong_settings_are_refused(written, setting, said):
    with pytest.raises(InputError, match=said):
        load_config(written("title: a"), [setting])


def test_limits_name_options_and_let_the_defaults_through():
    assert set(LIMITS) <= set(keys(Config()))
    for name, (least, most) in LIMITS.items():
        *sections, key = name.split(".")
        for value in (least - 1, most + 1 if most > 1 else 1.5):
            given = {key: value}
            for section in reversed(sections):
                given = {section: given}
            with pytest.raises(InputError, match=name.replace(".", r"\.")):
                read_config(given)


def test_yaml_of_a_config_is_one():
    """What MLflow keeps as config.json can be given back as a file."""
    config = load_config(CONFIGS / "complete_journey.yaml", ["ranker.trees=3"])
    plain = as_dict(config)
    assert as_dict(read_config(yaml.safe_load(yaml.safe_dump(plain)))) == plain
    assert plain["split"]["cut"] == "2017-12-04T00:00:00+00:00", "without a zone it is UTC"
