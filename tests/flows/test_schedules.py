"""prefect.yaml is read as both ways of running read it, names what exists, and the documents name all of it."""

import asyncio
import inspect
import re
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from prefect.cli.deploy._models import PrefectYamlModel
from prefect.server.schemas.schedules import CronSchedule

from flows.hooks import tell_failure
from flows.schedules import read_plan
from recsys.config import load_config
from recsys.errors import InputError

ROOT = Path(__file__).parents[2]
FILE = ROOT / "prefect.yaml"
PLAN = read_plan(FILE)


@pytest.fixture(params=PLAN, ids=lambda one: one.name)
def planned(request):
    return request.param


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_prefects_own_reader_and_ours_read_the_same():
    theirs = PrefectYamlModel.model_validate(yaml.safe_load(FILE.read_text())).deployments
    assert [one.name for one in theirs] == [one.name for one in PLAN]
    assert [one.parameters for one in theirs] == [one.parameters for one in PLAN]
    assert [s.cron for one in theirs for s in one.schedules] == [s.cron for one in PLAN for s in one.schedules]
    for one, two in zip(theirs, PLAN, strict=True):
        assert one.concurrency_limit.limit == two.limit.limit == 1
        assert one.concurrency_limit.collision_strategy == two.limit.collision_strategy.value
        assert one.concurrency_limit.grace_period_seconds == two.limit.grace_period_seconds
        assert one.work_pool.name == "recsys"
        assert one.description
        assert one.tags


def test_the_flow_takes_the_parameters_and_the_config_exists(planned):
    flow = planned.flow()
    assert Path(planned.entrypoint.partition(":")[0]).is_file()
    assert set(planned.parameters) <= set(inspect.signature(flow.fn).parameters)
    flow.validate_parameters(planned.parameters)
    load_config(planned.parameters["config"], planned.parameters["settings"])


def test_every_run_has_a_limit_of_time_and_failures_are_told(planned):
    assert 0 < planned.parameters["max_hours"] < 24
    flow = planned.flow()
    for hooks in (flow.on_failure_hooks, flow.on_crashed_hooks, flow.on_cancellation_hooks):
        assert [hook.__name__ for hook in hooks] == [tell_failure.__name__]
    assert flow.retries in (0, None), "a second try of the whole flow would double its time; tasks are tried again"


def test_cron_fires_once_a_night_also_when_clocks_change(planned):
    (schedule,) = planned.schedules
    zone = ZoneInfo(schedule.timezone)
    scheduler = CronSchedule(cron=schedule.cron, timezone=schedule.timezone)
    times = asyncio.run(scheduler.get_dates(365, start=datetime(2026, 1, 1, tzinfo=zone)))
    local = [at.astimezone(zone) for at in times]
    assert len({at.date() for at in local}) == 365
    minute, hour, *_ = schedule.cron.split()
    assert {(at.hour, at.minute) for at in local} == {(int(hour), int(minute))}


def test_serve_gets_what_the_file_says(planned):
    made = planned.deployment()
    assert (made.name, made.entrypoint, made.tags) == (planned.name, planned.entrypoint, planned.tags)
    assert made.concurrency_limit == 1
    assert made.concurrency_options.collision_strategy == planned.limit.collision_strategy
    assert [one.schedule.cron for one in made.schedules] == [one.cron for one in planned.schedules]
    assert [one.schedule.timezone for one in made.schedules] == [one.timezone for one in planned.schedules]
    assert made.parameters == planned.parameters


def test_the_documents_name_every_deployment_with_its_time():
    text = (ROOT / "docs" / "operations.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| `([^`]+)` \|", text, re.MULTILINE))
    assert rows == {one.name: one.schedules[0].cron for one in PLAN}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"timeout": 5}, "has the key 'timeout'"),
        ({"schedules": [{"cron": "30 3 * * *"}]}, "no timezone"),
        ({"schedules": [{"cron": "30 25 * * *", "timezone": "UTC"}]}, "five fields"),
        ({"schedules": [{"cron": "30 3 * * *", "timezone": "Mars/Base"}]}, "time zone"),
        ({"schedules": [{"interval": 5, "timezone": "UTC"}]}, "has the key 'interval'"),
        ({"entrypoint": None}, "has no entrypoint"),
        ({"concurrency_limit": {"limit": 1, "collision_strategy": "WAIT"}}, "concurrency_limit"),
    ],
)
def test_what_would_not_be_done_is_refused(tmp_path, change, said):
    entry = {"name": "x", "entrypoint": "flows/train.py:train"} | change
    (tmp_path / "p.yaml").write_text(yaml.safe_dump({"deployments": [entry]}))
    with pytest.raises(InputError, match=said):
        read_plan(tmp_path / "p.yaml")


def test_a_file_that_is_none_is_named(tmp_path):
    with pytest.raises(InputError, match="start in the root"):
        read_plan(tmp_path / "none.yaml")
    (tmp_path / "p.yaml").write_text("- 1")
    with pytest.raises(InputError, match="no list of deployments"):
        read_plan(tmp_path / "p.yaml")
