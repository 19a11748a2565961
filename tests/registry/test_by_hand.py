"""`recsys models`, `promote`, `rollback`: what people see and do, and what stays of it in the registry."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import yaml
from click.testing import CliRunner

from recsys.cli import main
from recsys.errors import InputError
from recsys.registry import champions, tracking
from recsys.registry.by_hand import promote_version, roll_back
from recsys.registry.champions import why_none
from recsys.registry.options import RegistryOptions
from recsys.registry.register import ROLLED_BACK, rolled_back
from recsys.registry.versions import model_versions

NOW = datetime(2024, 9, 2, 3, 4, tzinfo=UTC)


@pytest.fixture
def client(trained):
    return tracking.connect(trained.config.registry)


@pytest.fixture
def shelf(trained, client):
    """Registers the trained model again under a name of its own, once per recipe; returns the options."""
    first = client.get_model_version("recsys", str(trained.registered["version"]))

    def make(name, *recipes, **gate):
        client.create_registered_model(name)
        for recipe in recipes:
            tags = first.tags | {"recipe": recipe}
            client.create_model_version(name, first.source, first.run_id, tags=tags)
        options = trained.config.registry
        return replace(options, model_name=name, gate=replace(options.gate, fresh_process=False, **gate))

    return make


def promoted(options, *versions):
    for version in versions:
        promote_version(options, version, who="eva", now=NOW, force=True, why="test")


def test_promotion_runs_the_guardrails_and_says_who(client, shelf):
    options = shelf("hand", "r", "r")
    checks = promote_version(options, 1, who="eva", now=NOW, why="first")
    assert len(checks) > 10
    assert all(c.passed for c in checks)
    assert champions.serving(client, "hand") == 1
    tags = client.get_model_version("hand", "1").tags
    assert (tags["promoted_by"], tags["promoted_why"], tags["promoted_forced"]) == ("eva", "first", "no")
    assert tags["promoted_at"] == NOW.isoformat()
    with pytest.raises(InputError, match="version 1 of 'hand' is the champion already"):
        promote_version(options, 1, who="eva", now=NOW)
    with pytest.raises(InputError, match="'hand' has no version 7; it has 1, 2"):
        promote_version(options, 7, who="eva", now=NOW)


def test_what_fails_is_promoted_by_force_with_a_reason_alone(client, shelf):
    options = shelf("forced", "r", min_primary=0.999)
    with pytest.raises(InputError, match=r"version 1 fails 1 of \d+ guardrails: primary metric .*--force overrides"):
        promote_version(options, 1, who="eva", now=NOW)
    with pytest.raises(InputError, match="--force skips every guardrail; say why"):
        promote_version(options, 1, who="eva", now=NOW, force=True, why=" ")
    assert champions.serving(client, "forced") is None
    promoted(options, 1)
    assert champions.serving(client, "forced") == 1
    assert client.get_model_version("forced", "1").tags["promoted_forced"] == "yes"


def test_rollbacks_go_back_one_by_one(client, shelf):
    options = shelf("back", "r1", "r2", "r3")
    with pytest.raises(InputError, match="'back' has no champion to roll back from"):
        roll_back(options, who="eva", now=NOW)
    promoted(options, 1, 2, 3)
    assert champions.history(client, "back") == [1, 2, 3]
    assert roll_back(options, who="eva", now=NOW, why="odd lists") == (3, 2)
    assert roll_back(options, who="eva", now=NOW) == (2, 1)
    with pytest.raises(InputError, match="version 1 is the first champion of 'back'; there is none before it"):
        roll_back(options, who="eva", now=NOW)
    assert champions.serving(client, "back") == 1
    said = client.get_model_version("back", "3").tags[ROLLED_BACK]
    assert said == "by eva at 2024-09-02 03:04 UTC (odd lists)"
    assert rolled_back(client, "back", "r3") == said
    assert rolled_back(client, "back", "r1") == ""
    promoted(options, 3)
    assert rolled_back(client, "back", "r3") == "", "whoever promotes it by hand lifts the hold"
    assert roll_back(options, who="eva", now=NOW) == (3, 1)


def test_a_version_that_was_deleted_is_no_way_back(client, shelf):
    options = shelf("gone", "r", "r", "r")
    promoted(options, 1, 2, 3)
    client.delete_model_version("gone", "2")
    assert roll_back(options, who="eva", now=NOW) == (3, 1)


def test_a_way_back_that_does_not_load_is_refused(client, shelf, tmp_path):
    options = shelf("broken", "r")
    client.create_model_version("broken", f"{tmp_path}/deleted")
    promoted(options, 2, 1)
    with pytest.raises(InputError, match="version 2, the champion before, does not load"):
        roll_back(options, who="eva", now=NOW)
    assert champions.serving(client, "broken") == 1


def test_an_alias_that_was_moved_by_hand_is_followed(client, shelf):
    options = shelf("loose", "r", "r", "r")
    promoted(options, 1, 2)
    client.set_registered_model_alias("loose", "champion", "3")
    assert roll_back(options, who="eva", now=NOW) == (3, 2)
    assert champions.history(client, "loose") == [1, 2]


def test_a_killed_move_leaves_a_history_that_still_leads_back(client, shelf):
    """The history is written first: version 3 stands in it, and the alias never came."""
    shelf("halfway", "r", "r", "r", "r")
    for version in (1, 2):
        champions.promote(client, "halfway", version)
    client.set_registered_model_tag("halfway", champions.HISTORY, "[1, 2, 3]")
    assert champions.before(client, "halfway", 2) == 1
    champions.promote(client, "halfway", 4)
    assert champions.history(client, "halfway") == [1, 2, 4]
    client.set_registered_model_tag("halfway", champions.HISTORY, "written by hand")
    assert champions.before(client, "halfway", 4) is None


def test_the_list_says_what_serves_and_why(client, shelf):
    options = shelf("list", "r1", "r2", "r3")
    promoted(options, 1, 3)
    newest, middle, oldest = model_versions(options)
    assert [r.version for r in (newest, middle, oldest)] == [3, 2, 1]
    assert (newest.aliases, oldest.aliases, oldest.previous, middle.previous) == (["champion"], [], True, False)
    assert newest.by_hand == "forced by eva at 2024-09-02 03:04 UTC (test)"
    assert (newest.recipe, newest.serves) == ("r3", "hybrid")
    assert newest.data_until.startswith("2024-07")
    assert set(newest.metrics) == {"next basket recall@10", "cart recall@10"}
    assert newest.primary == pytest.approx(sum(newest.metrics.values()) / 2, rel=1e-4)
    with pytest.raises(InputError, match="no registered model 'nothing'"):
        model_versions(replace(options, model_name="nothing"))
    assert client is not None


def test_the_commands(trained, shelf, small_options, tmp_path, client):
    shelf("commands", "r1", "r2")
    changes = {"registry.tracking_uri": trained.config.registry.tracking_uri, "registry.model_name": "commands"}
    options = small_options(tmp_path, changes)
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(options))

    def run(*words):
        return CliRunner().invoke(main, [*words, "--config", str(tmp_path / "shop.yaml")])

    assert "version 1 of commands is the champion now" in run("promote", "1").output
    done = run("promote", "2", "--force")
    assert (done.exit_code, done.stderr) == (1, "error: --force skips every guardrail; say why with --why TEXT\n")
    assert "guardrails skipped" in run("promote", "2", "--force", "--why", "a try").output
    rows = json.loads(run("models", "--json").output)
    assert [(r["version"], r["aliases"], r["previous"]) for r in rows] == [(2, ["champion"], False), (1, [], True)]
    table = run("models").output
    assert "champion" in table
    assert "(before)" in table
    assert "a try" in table
    assert "version 1 of commands is the champion again" in run("rollback", "--why", "done").output
    assert champions.serving(client, "commands") == 1
    done = run("rollback")
    assert done.exit_code == 1
    assert "there is none before it to go back to" in done.stderr


# --- no champion

REFUSED = {"outcome": "challenger", "decision": "guardrail failed: coverage"}


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        (REFUSED, "version 2 was not promoted (guardrail failed: coverage); recsys models lists all, recsys promote 2 "
                  "makes it the champion with --force --why TEXT"),
        (REFUSED | {"decision": "this recipe was rolled back by eva"},
         "version 2 was not promoted (this recipe was rolled back by eva); recsys models lists all, recsys promote 2 "
         "makes it the champion"),
        ({"outcome": "champion"}, "version 2 was promoted, but its alias is gone; recsys promote 2"),
        ({}, "version 2 is not decided, its training was killed or still runs; train again"),
    ],
    ids=["guardrail", "rolled back", "alias gone", "undecided"],
)  # fmt: skip
def test_without_a_champion_the_latest_version_says_why(tags, said):
    assert why_none(2, tags).startswith(said)


def test_every_command_that_asks_the_champion_says_why_there_is_none(client, shelf, small_options, tmp_path):
    options = shelf("refused", "r", "r")
    for key, value in REFUSED.items():
        client.set_model_version_tag("refused", "2", key, value)
    changes = {"registry.tracking_uri": options.tracking_uri, "registry.model_name": "refused"}
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(small_options(tmp_path, changes)))
    for command in ("recommend", "score", "serve"):
        done = CliRunner().invoke(main, [command, "--config", str(tmp_path / "shop.yaml")])
        assert (done.exit_code, done.stderr.count("\n")) == (1, 1), done.output
        assert done.stderr.startswith(
            f"error: the registered model 'refused' in {options.tracking_uri} has no champion"
        )
        assert why_none(2, REFUSED) in done.stderr
    done = CliRunner().invoke(main, ["doctor", "--config", str(tmp_path / "shop.yaml")])
    line = next(line for line in done.stdout.splitlines() if line.split()[1] == "champion")
    assert line.startswith("fail")
    assert "none; version 2: guardrail failed: coverage  → recsys promote 2" in line
    promoted(options, 2)
    assert champions.require(options).version == client.get_model_version("refused", "2").version


def test_looking_for_a_champion_makes_no_store(tmp_path):
    with pytest.raises(InputError, match=r"there is no store .*no\.db; run make train first"):
        champions.require(RegistryOptions(tracking_uri=f"sqlite:///{tmp_path}/no.db"))
    assert not list(tmp_path.iterdir())
