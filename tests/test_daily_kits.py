"""Which kit serves which date, and which day is the latest."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from recsys.daily_kits import KitMoments, latest_day
from recsys.errors import InputError

HOUR = timedelta(hours=1)


def test_a_kit_serves_no_date_that_began_before_it_ended() -> None:
    noon = datetime(2024, 7, 10, 12, tzinfo=UTC)
    moments = KitMoments(noon, datetime(2024, 7, 1, tzinfo=UTC), "UTC")
    assert [moments.name_for(date(2024, 7, day)) for day in (1, 9, 10, 11)] == ["test", "test", "test", "now"]
    with pytest.raises(InputError, match=r"no kit of offers may serve 2024-06-30.*--kit now"):
        moments.name_for(date(2024, 6, 30))
    assert moments.name_for(date(2024, 6, 30), "now") == "now"
    berlin = replace(moments, time_zone="Europe/Berlin")
    assert [berlin.serves("test", date(2024, 7, day)) for day in (1, 2)] == [False, True]
    with pytest.raises(InputError, match="last_basket"):
        replace(moments, test=None).name_for(date(2024, 7, 1), "test")
    assert replace(moments, test=None).name_for(date(2024, 7, 11)) == "now"


def test_the_latest_day_is_today_or_the_day_after_the_last_order() -> None:
    order = datetime(2024, 7, 10, 23, tzinfo=UTC)
    assert latest_day(order, datetime(2024, 7, 11, 4, tzinfo=UTC), "UTC") == date(2024, 7, 11)
    assert latest_day(order, datetime(2024, 9, 1, tzinfo=UTC), "UTC") == date(2024, 7, 11)
    assert latest_day(order, datetime(2024, 9, 1, tzinfo=UTC), "Europe/Berlin") == date(2024, 7, 12)
    assert latest_day(order + 5 * HOUR, datetime(2024, 7, 11, 6, tzinfo=UTC), "UTC") == date(2024, 7, 11)
