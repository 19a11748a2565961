"""Lives with planted triggers, each beside lives in which the same nearly happens."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from recsys.data.synthetic.lives import DAY, YEAR, Life

HOUR = timedelta(hours=1)
SEASON = {"Garden": "04-15"}  # category: its first day
Script = Callable[[Life], None]


def cart_left(life: Life) -> None:
    """Opened, then abandoned: found on the next day and on the one after the 24 hours."""
    life.settle()
    at = life.day(40, 300)
    life.tell("cart_open", at, item_id="P02", key="c1")
    life.tell("cart_open", at + HOUR, item_id="P03", key="c1")
    life.expect("cart_open", at + HOUR)
    life.expect("cart_abandoned", at + HOUR + DAY)


def cart_changed(life: Life) -> None:
    """Another item the day after: open twice, abandoned once."""
    life.settle()
    at = life.day(40, 300)
    life.tell("cart_open", at, item_id="P02")
    life.tell("cart_open", at + 22 * HOUR, item_id="P04")
    life.expect("cart_open", at)
    life.expect("cart_open", at + 22 * HOUR)
    life.expect("cart_abandoned", at + 22 * HOUR + DAY)


def cart_bought_at_once(life: Life) -> None:
    """Bought within the hour: no cart is open at night."""
    life.settle()
    at = life.day(40, 300)
    life.tell("cart_open", at, item_id="P02", key="c1")
    life.buy(at + HOUR, "P02")


def cart_bought_next_day(life: Life) -> None:
    """Bought after 20 hours: open, never abandoned."""
    life.settle()
    at = life.day(40, 300)
    life.tell("cart_open", at, item_id="P02", key="c1")
    life.buy(at + 20 * HOUR, "P02")
    life.expect("cart_open", at)


def cart_expired(life: Life) -> None:
    """Gone before the night."""
    life.settle()
    at = life.day(40, 300)
    life.tell("cart_open", at, item_id="P02", until=at + 2 * HOUR)


def newcomer(life: Life) -> None:
    """A first order within the year; the year after is beyond it."""
    life.buy(life.day(40, 300), "P05", "P06")


def year_later(life: Life) -> None:
    """The first order in the year before; another within 90 days of the anniversary."""
    first = life.day(60, 300).replace(year=YEAR - 1)
    life.buy(first, "P07")
    life.buy(first + 340 * DAY, "P08")


def year_later_gone(life: Life) -> None:
    """No order within 90 days of the anniversary."""
    first = life.day(60, 300).replace(year=YEAR - 1)
    life.buy(first, "P07")
    life.buy(first + 200 * DAY, "P08")


def sent_back(life: Life) -> None:
    """Everything came back within the week: nothing is in use after it."""
    life.settle()
    at = life.day(40, 300)
    life.buy(at, "P09")
    life.send_back(at + 3 * DAY, "P09")
    life.silence("returned_before", at + 3 * DAY, item="P09")


def regular(life: Life) -> None:
    """Every 20 days the same item: each next purchase is expected, one of them with little confidence."""
    life.settle()
    at = life.day(40, 120)
    for turn in range(5):
        life.buy(at, "P10")
        at += 20 * DAY
        if turn < 2:
            continue
        probability = 0.3 if turn == 3 else 0.8
        life.expected.append({"item_id": "P10", "expected_at": at, "probability": probability})
        if probability > 0.5:
            life.expect("reorder_due", at - 3 * DAY)


def stays_away(life: Life) -> None:
    """Every 10 days, then nothing for long: orders alone say when a customer has lapsed."""
    life.settle()
    at = life.day(40, 200)
    for turn in range(6):
        life.buy(at + 10 * turn * DAY, "P11")


def nearly_away(life: Life) -> None:
    """Every 10 days, and once after 20."""
    life.settle()
    at = life.day(40, 200)
    for after in (0, 10, 20, 30, 50, 60):
        life.buy(at + after * DAY, "P11")


def gardener(life: Life) -> None:
    """Bought of the season's category within 400 days of its start."""
    life.settle()
    life.buy(datetime(YEAR - 1, 5, 10, 12, tzinfo=UTC), "P20")
    life.due.add(("season", datetime(YEAR, 4, 15, tzinfo=UTC).date()))


def old_gardener(life: Life) -> None:
    """Bought of it, but too long ago."""
    life.settle("P20")


def busy_week(life: Life) -> None:
    """Ten uses every Monday, and five more in one week: half more than usual. Milestones are 10, 50 and 100."""
    life.settle()
    monday = life.day(20, 60)
    for week in range(14):
        life.tell("feature_used", monday + 7 * week * DAY, value=10, source="reports")
    for week in (0, 4, 9):
        life.expect("feature_milestone", monday + 7 * week * DAY)
    extra = monday + 72 * DAY
    life.tell("feature_used", extra, value=5, source="exports")
    life.expect("high_usage_week", extra)


def nearly_busy_week(life: Life) -> None:
    """Two fifths more than usual."""
    life.settle()
    monday = life.day(20, 60)
    for week in range(9):
        life.tell("feature_used", monday + 7 * week * DAY, value=1, source="reports")
    life.tell("feature_used", monday + 51 * DAY, value=0.4, source="exports")


def learner(life: Life) -> None:
    """Nine uses of one feature, ten of another, one of them without a number."""
    life.settle()
    at = life.day(40, 300)
    for turn in range(3):
        life.tell("feature_used", at + turn * DAY, value=3, source="exports")
        life.tell("feature_used", at + turn * DAY, value=3, source="reports")
    life.tell("feature_used", at + 3 * DAY, source="reports")
    life.expect("feature_milestone", at + 3 * DAY)


def filling_up(life: Life) -> None:
    """Half, three quarters, over the line, further; emptied, and over it again. Another limit stays low."""
    life.settle()
    at = life.day(40, 250)
    for turn, share in enumerate((0.5, 0.75, 0.8, 0.9, 0.4, 0.85)):
        life.tell("plan_limit", at + 5 * turn * DAY, value=share, source="storage")
        life.tell("plan_limit", at + 5 * turn * DAY, value=0.7, source="seats")
    life.expect("limit_near", at + 10 * DAY)
    life.expect("limit_near", at + 25 * DAY)


def grown(life: Life) -> None:
    """Use is up by half when the contract comes within 30 days."""
    life.settle()
    ends = life.day(200, 330)
    near = ends - 30 * DAY
    _contract(life, ends, early=near - 45 * DAY, late=near - 20 * DAY, more=3.0)
    life.expect("renewal", near)


def grown_late(life: Life) -> None:
    """Use is up a week after the contract has come within 30 days."""
    life.settle()
    ends = life.day(200, 330)
    late = ends - 23 * DAY
    _contract(life, ends, early=late - 40 * DAY, late=late, more=3.0)
    life.expect("renewal", late)


def hardly_grown(life: Life) -> None:
    """Use is up by less than a fifth."""
    life.settle()
    ends = life.day(200, 330)
    _contract(life, ends, early=ends - 75 * DAY, late=ends - 50 * DAY, more=2.3)


def _contract(life: Life, ends: datetime, early: datetime, late: datetime, more: float) -> None:
    life.tell("renewal", ends - 120 * DAY, until=ends, source="plan", key="k1")
    life.tell("feature_used", early, value=2, source="reports")
    life.tell("feature_used", late, value=more, source="reports")


def helped(life: Life) -> None:
    """A case solved well, one solved badly, one without a word."""
    life.settle()
    at = life.day(40, 250)
    for turn, satisfaction in enumerate((5, 2, None)):
        opened = at + 20 * turn * DAY
        life.tell("support_open", opened, key=f"s{turn}")
        life.tell("support_solved", opened + 2 * DAY, key=f"s{turn}", value=satisfaction)
        life.silence("open_case", opened, opened + 2 * DAY)
    life.expect("support_solved_well", at + 2 * DAY)


def praised(life: Life) -> None:
    """Five stars, three stars, and four that the shop heard of three days later."""
    life.settle("P12", "P13", "P14")
    at = life.day(40, 300)
    life.tell("review", at, item_id="P12", value=5)
    life.tell("review", at + 10 * DAY, item_id="P13", value=3)
    life.tell("review", at + 20 * DAY, item_id="P14", value=4, received_at=at + 23 * DAY)
    life.expect("good_review", at)
    life.expect("good_review", at + 23 * DAY)


def at_the_height(life: Life) -> None:
    """An order a month, then five in nine days: the fourth makes a peak, the fifth comes too soon after it.

    Five in nine days once more are as many as ever, not more.
    """
    life.settle()
    at = life.day(10, 30)
    for month in range(4):
        life.buy(at + 30 * month * DAY, "P15")
    for turn in range(5):
        life.buy(at + (125 + 2 * turn) * DAY, "P15")
        life.buy(at + (175 + 2 * turn) * DAY, "P15")
    life.expect("health_peak", at + 131 * DAY)


def of_no_consequence(life: Life) -> None:
    """The kinds that no trigger looks at."""
    life.settle()
    at = life.day(40, 300)
    life.tell("browse", at, item_id="P02", source="web")
    life.tell("search", at + HOUR, source="tea")
    life.tell("preference", at + 2 * HOUR, source="Garden", value=-1)
    life.tell("offer_shown", at + DAY, item_id="P02", source="e-mail", key="o1", until=at + 8 * DAY)
    life.tell("offer_accepted", at + 2 * DAY, item_id="P02", source="e-mail", key="o1", value=4)


TRIGGER_LIVES: tuple[Script, ...] = (
    cart_left, cart_changed, cart_bought_at_once, cart_bought_next_day, cart_expired, newcomer, year_later,
    year_later_gone, sent_back, regular, stays_away, nearly_away, gardener, old_gardener, busy_week, nearly_busy_week,
    learner, filling_up, grown, grown_late, hardly_grown, helped, praised, at_the_height, of_no_consequence,
)  # fmt: skip
