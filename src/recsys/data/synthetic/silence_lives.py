"""Lives in which an offer would be out of place, with the rule that refuses it, since when, and until when."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from recsys.data.synthetic.lives import DAY, Life
from recsys.data.synthetic.trigger_lives import HOUR


@dataclass(frozen=True, kw_only=True)
class SilenceDays:
    """How long rules refuse whose facts have no end of their own, in days, and how many offers a week may bring."""

    price_rise: float = 30.0
    refused: float = 75.0
    week: float = 7.0
    offers_a_week: int = 2


Script = Callable[[Life, SilenceDays], None]


def case_left_open(life: Life, _days: SilenceDays) -> None:
    """Two cases; one is solved, the other never."""
    life.settle()
    at = life.day(40, 250)
    life.tell("support_open", at, key="a")
    life.tell("support_open", at + DAY, key="b")
    life.tell("support_solved", at + 3 * DAY, key="a", value=3)
    life.silence("open_case", at, None)


def dearer_plan(life: Life, days: SilenceDays) -> None:
    """The customer's own price rose: no offer at all for a while."""
    life.settle()
    at = life.day(40, 250)
    life.tell("price_rise", at, value=0.1, source="plan")
    life.silence("price_rise", at, at + timedelta(days=days.price_rise))


def dearer_item(life: Life, days: SilenceDays) -> None:
    """One item rose in the customer's price list: that item is not offered for a while."""
    life.settle()
    at = life.day(40, 250)
    life.tell("price_rise", at, value=0.1, item_id="P16")
    life.silence("price_rise", at, at + timedelta(days=days.price_rise), item="P16")


def said_no(life: Life, days: SilenceDays) -> None:
    """Shown and refused: not again for a while."""
    life.settle()
    at = life.day(40, 250)
    life.tell("offer_shown", at, item_id="P17", source="e-mail", key="o2", value=8.0)
    life.tell("offer_refused", at + HOUR, item_id="P17", source="e-mail", key="o2", value=8.0)
    life.silence("refused_before", at + HOUR, at + HOUR + timedelta(days=days.refused), item="P17")


def heard_enough(life: Life, days: SilenceDays) -> None:
    """As many offers as a week may bring, an hour apart: silence until the first of them is a week old."""
    life.settle()
    at = life.day(40, 250)
    for turn in range(days.offers_a_week):
        life.tell("offer_shown", at + turn * HOUR, item_id="P18", source="e-mail", key=f"o{turn}", value=8.0)
    last = at + (days.offers_a_week - 1) * HOUR
    life.silence("weekly_cap", last, at + timedelta(days=days.week))


def going_away(life: Life, _days: SilenceDays) -> None:
    """Every week for half a year, then 20 days between orders: at risk, as long as it is so."""
    life.settle()
    at = life.day(10, 20)
    for week in range(24):
        life.buy(at + 7 * week * DAY, "P19")
    for turn in range(1, 3):
        life.buy(at + (161 + 20 * turn) * DAY, "P19")
    life.expect("health_peak", at + 21 * DAY)  # four orders in 28 days, a year after the first
    life.silence("at_risk", at + 210 * DAY, None)


def sent_it_back(life: Life, _days: SilenceDays) -> None:
    """An item that came back by the order lines, and one that did by an event."""
    life.settle("P21", "P22")
    at = life.day(40, 250)
    life.buy(at, "P23", "P24")
    life.send_back(at + 2 * DAY, "P23")
    life.tell("return", at + 3 * DAY, item_id="P24", value=1)
    life.silence("returned_before", at + 2 * DAY, None, item="P23")
    life.silence("returned_before", at + 3 * DAY, None, item="P24")


def has_one(life: Life, _days: SilenceDays) -> None:
    """Bought of a durable category: nobody needs two."""
    life.settle()
    at = life.day(40, 250)
    life.buy(at, "P30")
    life.silence("not_owned", at, None, item="P30")


SILENCE_LIVES: tuple[Script, ...] = (
    case_left_open, dearer_plan, dearer_item, said_no, heard_enough, going_away, sent_it_back, has_one,
)  # fmt: skip
