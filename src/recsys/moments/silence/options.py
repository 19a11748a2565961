"""Every option of silence: a section for each rule, in the order in which the rules are asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from recsys.errors import InputError

Level = Literal["item", "type", "category", "department"]


@dataclass(frozen=True, kw_only=True)
class Switch:
    """A rule of silence."""

    enabled: bool = True  # whether the rule is asked


@dataclass(frozen=True, kw_only=True)
class OpenCase(Switch):
    """No offer while a support case of the customer is open."""

    days: float | None = None  # after which a case that was never solved counts no longer; null = never


@dataclass(frozen=True, kw_only=True)
class PriceRise(Switch):
    """No offer shortly after a price rise: of the customer's, of the item's, or of all."""

    days: float = 30.0  # of silence after it
    least: float = 0.0  # rise as a share, above which it counts


@dataclass(frozen=True, kw_only=True)
class AtRisk(Switch):
    """No offer to a customer who orders much less than before: keep first, sell later."""

    recent_days: float = 42.0  # days whose orders are compared
    usual_days: float = 182.0  # days before them that say what is usual
    below: float = 0.5  # share of the usual orders; fewer put a customer at risk
    min_orders: int = 6  # in the usual days; fewer say nothing


@dataclass(frozen=True, kw_only=True)
class WeeklyCap(Switch):
    """At most so many offers to a customer in some days."""

    days: float = 7.0
    at_most: int = 2  # offers shown by all channels together
    channels: Mapping[str, int] = field(default_factory=dict)  # channel: at most so many of its own


@dataclass(frozen=True, kw_only=True)
class InStock(Switch):
    """No item that is out of stock."""


@dataclass(frozen=True, kw_only=True)
class RefusedBefore(Switch):
    """Not what was refused, and later only from another angle: another item, reason or price."""

    days: float = 75.0  # of silence about the item
    same_days: float = 365.0  # of silence about it for the same reason at no lower price; at least `days`
    cheaper: float = 0.05  # share of the refused price that a lower one is another angle from


@dataclass(frozen=True, kw_only=True)
class ReturnedBefore(Switch):
    """Not what the customer sent back."""

    days: float | None = None  # of silence about the item; null = for good


@dataclass(frozen=True, kw_only=True)
class NotOwned(Switch):
    """Not what lasts and was bought already."""

    durable: tuple[str, ...] = ()  # departments, categories or types that nobody needs twice
    level: Level = "type"  # what was bought stands for all of its item, type, category or department


@dataclass(frozen=True, kw_only=True)
class KnownPrice(Switch):
    """No hidden cost: where prices are shown, not an offer whose all-in price is unknown."""

    channels: tuple[str, ...] | None = None  # that show prices; null = all


@dataclass(frozen=True, kw_only=True)
class MarginFloor(Switch):
    """Not below a margin, where all costs are known."""

    floor: float = 0.0  # least (price - cost) / price


@dataclass(frozen=True, kw_only=True)
class PriceGuard(Switch):
    """Nothing far dearer than what the customer spends."""

    enabled: bool = False  # whether the rule is asked
    times: float = 3.0  # the median value of the customer's orders, that an offer may cost


@dataclass(frozen=True, kw_only=True)
class OnePerCategory(Switch):
    """A contact names each category once."""

    level: Level = "category"
    kinds: tuple[str, ...] = ("cross_sell", "filler")  # that it holds for


@dataclass(frozen=True, kw_only=True)
class ItemsPerList(Switch):
    """Too many choices paralyse."""

    at_most: int = 3  # items in a list: of one kind, customer and anchor


@dataclass(frozen=True, kw_only=True)
class OffersPerContact(Switch):
    """One relevant suggestion is service, three are harassment."""

    at_most: int = 1  # lists in a contact: what a customer gets of a channel at one moment


@dataclass(frozen=True, kw_only=True)
class CrossSellFirst(Switch):
    """Cross-sell before up-sell for new customers, the reverse for established ones: an order of offers, no refusal."""

    new_orders: int = 3  # orders of a customer; fewer are new


@dataclass(frozen=True, kw_only=True)
class SilenceOptions:
    """When not to speak. docs/silence.md."""

    open_case: OpenCase = field(default_factory=OpenCase)
    price_rise: PriceRise = field(default_factory=PriceRise)
    at_risk: AtRisk = field(default_factory=AtRisk)
    weekly_cap: WeeklyCap = field(default_factory=WeeklyCap)
    in_stock: InStock = field(default_factory=InStock)
    refused_before: RefusedBefore = field(default_factory=RefusedBefore)
    returned_before: ReturnedBefore = field(default_factory=ReturnedBefore)
    not_owned: NotOwned = field(default_factory=NotOwned)
    known_price: KnownPrice = field(default_factory=KnownPrice)
    margin_floor: MarginFloor = field(default_factory=MarginFloor)
    price_guard: PriceGuard = field(default_factory=PriceGuard)
    one_per_category: OnePerCategory = field(default_factory=OnePerCategory)
    items_per_list: ItemsPerList = field(default_factory=ItemsPerList)
    offers_per_contact: OffersPerContact = field(default_factory=OffersPerContact)
    cross_sell_first: CrossSellFirst = field(default_factory=CrossSellFirst)

    def __post_init__(self) -> None:
        wrong = [name for name, most in self.weekly_cap.channels.items() if most < 0]
        if wrong:
            raise InputError(f"silence.weekly_cap.channels has {wrong[0]}: {self.weekly_cap.channels[wrong[0]]}; "
                             "give 0 or more offers")  # fmt: skip


# least and largest value; null is let through
LIMITS: dict[str, tuple[float, float]] = {
    "open_case.days": (0, 1e5),
    "price_rise.days": (0, 1e5),
    "price_rise.least": (0, 100),
    "at_risk.recent_days": (1, 1e4),
    "at_risk.usual_days": (1, 1e5),
    "at_risk.below": (0, 1),
    "at_risk.min_orders": (1, 1e6),
    "weekly_cap.days": (1e-3, 1e4),
    "weekly_cap.at_most": (0, 1e6),
    "refused_before.days": (0, 1e5),
    "refused_before.same_days": (0, 1e5),
    "refused_before.cheaper": (0, 1),
    "returned_before.days": (0, 1e5),
    "margin_floor.floor": (-1e3, 0.999),
    "price_guard.times": (0, 1e6),
    "items_per_list.at_most": (1, 1e4),
    "offers_per_contact.at_most": (1, 1e4),
    "cross_sell_first.new_orders": (0, 1e6),
}
