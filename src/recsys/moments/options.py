"""Every option of moments: which triggers are looked for, with which parameters."""

import re
from dataclasses import dataclass, field, fields

from recsys.data.lines import check_time_zone
from recsys.errors import InputError
from recsys.moments.daily_options import DailyOptions
from recsys.moments.reorder_model import ReorderOptions
from recsys.moments.silence.options import LIMITS as SILENCE_LIMITS
from recsys.moments.silence.options import SilenceOptions
from recsys.moments.subscriptions import SubscriptionOptions
from recsys.moments.triggers.after_purchase import AfterPurchase
from recsys.moments.triggers.cart_abandoned import CartAbandoned
from recsys.moments.triggers.cart_open import CartOpen
from recsys.moments.triggers.feature_milestone import FeatureMilestone
from recsys.moments.triggers.good_review import GoodReview
from recsys.moments.triggers.health_peak import HealthPeak
from recsys.moments.triggers.high_usage_week import HighUsageWeek
from recsys.moments.triggers.lapse import Lapse
from recsys.moments.triggers.limit_near import LimitNear
from recsys.moments.triggers.order_confirmation import OrderConfirmation
from recsys.moments.triggers.purchase_anniversary import PurchaseAnniversary
from recsys.moments.triggers.renewal import Renewal
from recsys.moments.triggers.reorder_due import ReorderDue
from recsys.moments.triggers.season import Season
from recsys.moments.triggers.support_solved_well import SupportSolvedWell
from recsys.moments.triggers.welcome import Welcome

CHANNEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,49}")
# least and largest value of what would otherwise fail late or never be found
LIMITS: dict[str, tuple[float, float]] = {
    "triggers.cart_abandoned.hours": (0, 1e4),
    "triggers.welcome.days": (0, 1e4),
    "triggers.welcome.history_days": (0, 1e4),
    "triggers.after_purchase.days": (0, 1e4),
    "triggers.reorder_due.days": (0, 1e4),
    "triggers.reorder_due.min_probability": (0, 1),
    "triggers.purchase_anniversary.active_days": (0, 1e4),
    "triggers.purchase_anniversary.history_days": (0, 1e4),
    "triggers.season.bought_days": (1, 1e4),
    "triggers.high_usage_week.times": (1, 1e6),
    "triggers.high_usage_week.weeks": (1, 520),
    "triggers.limit_near.share": (0, 1000),
    "triggers.renewal.days": (0, 1e4),
    "triggers.renewal.rise": (-1, 1e6),
    "triggers.renewal.usage_days": (1, 1e4),
    "triggers.support_solved_well.satisfaction": (1, 5),
    "triggers.good_review.stars": (1, 5),
    "triggers.health_peak.window_days": (1, 1e4),
    "triggers.health_peak.min_orders": (1, 1e6),
    "triggers.health_peak.history_days": (0, 1e4),
    "triggers.lapse.times": (0, 1e4),
    "triggers.lapse.min_orders": (2, 1e6),
    "triggers.lapse.min_days": (0, 1e4),
    "reorder.learning_rate": (1e-6, 1),
    "reorder.leaves": (2, 131072),
    "reorder.seed": (0, 2**31 - 1),
    "subscriptions.max_spread": (0, 1e3),
    "subscriptions.lapsed": (0, 1e3),
    "daily.log_keep": (1, 1e6),
    **{f"silence.{name}": ends for name, ends in SILENCE_LIMITS.items()},
}


@dataclass(frozen=True, kw_only=True)
class TriggersOptions:
    """The triggers; the name of an entry is the name of the trigger. docs/moments.md."""

    cart_open: CartOpen = field(default_factory=CartOpen)
    cart_abandoned: CartAbandoned = field(default_factory=CartAbandoned)
    order_confirmation: OrderConfirmation = field(default_factory=OrderConfirmation)
    welcome: Welcome = field(default_factory=Welcome)
    after_purchase: AfterPurchase = field(default_factory=AfterPurchase)
    reorder_due: ReorderDue = field(default_factory=ReorderDue)
    purchase_anniversary: PurchaseAnniversary = field(default_factory=PurchaseAnniversary)
    season: Season = field(default_factory=Season)
    high_usage_week: HighUsageWeek = field(default_factory=HighUsageWeek)
    limit_near: LimitNear = field(default_factory=LimitNear)
    feature_milestone: FeatureMilestone = field(default_factory=FeatureMilestone)
    renewal: Renewal = field(default_factory=Renewal)
    support_solved_well: SupportSolvedWell = field(default_factory=SupportSolvedWell)
    good_review: GoodReview = field(default_factory=GoodReview)
    health_peak: HealthPeak = field(default_factory=HealthPeak)
    lapse: Lapse = field(default_factory=Lapse)


@dataclass(frozen=True, kw_only=True)
class MomentsOptions:
    """When offers are made, and when not. docs/moments.md."""

    time_zone: str = "UTC"  # IANA name of the clock on which a day begins
    triggers: TriggersOptions = field(default_factory=TriggersOptions)
    reorder: ReorderOptions = field(default_factory=ReorderOptions)
    subscriptions: SubscriptionOptions = field(default_factory=SubscriptionOptions)
    silence: SilenceOptions = field(default_factory=SilenceOptions)
    daily: DailyOptions = field(default_factory=DailyOptions)

    def __post_init__(self) -> None:
        check_time_zone(self.time_zone, "moments.time_zone")
        for name in (f.name for f in fields(self.triggers)):
            channel = getattr(self.triggers, name).channel
            if not CHANNEL.fullmatch(channel):
                raise InputError(
                    f"moments.triggers.{name}.channel is {channel!r}; it names a file: give letters, digits, '_', '-'"
                )
