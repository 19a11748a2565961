"""Every option of offers: what is offered, to whom it is written out, and where."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

from ..affinity import Evidence
from .bundles import BundleOptions
from .cross_sell import CrossSellOptions
from .fillers import FillerOptions
from .rules import Incentive, OfferRuleOptions
from .substitutes import SubstituteOptions
from .text_types import TextTypeOptions
from .upsell import UpsellOptions
from .upsell_fit import UpsellFitOptions

OfferExport = Literal["csv", "jsonl"]
# least and largest value of options that no section checks itself
LIMITS: dict[str, tuple[float, float]] = {
    "recent_days": (1e-3, 1e6),
    "min_item_orders": (1, 1e9),
    "spare": (0, 1000),
    "usual_items": (1, 1000),
    "shown": (1, 100),
    "keep": (1, 1e6),
    "evidence.min_joint": (5, 1e9),
    "evidence.min_lift": (0, 1e6),
    "evidence.min_adjusted_low": (0, 1e6),
    "evidence.min_taste_low": (0, 1e6),
    "evidence.max_q": (0, 1),
    "evidence.confidence": (0.5, 0.9999),
    "substitutes.below": (0, 1),
    "substitutes.confidence": (0.5, 0.9999),
    "text_types.min_explained": (0, 1),
    "cross_sell.shrink": (0, 1e9),
    "upsell_fit.ridge": (0, 1e9),
    "bundles.min_adjusted_lift": (0, 1e6),
    "bundles.min_customers": (0, 1e9),
    "fillers.pair_items": (0, 1e4),
    "rules.margin_floor": (-1e3, 0.999),
}


@dataclass(frozen=True, kw_only=True)
class KitOptions:
    """What offers are made of and how they are chosen."""

    spare: int = 2  # offers asked for beyond a list's length, for those that a rule refuses
    recent_days: float = 28.0  # an item without an order in them is in no bundle; up-sell without a model ranks by them
    usual_items: int = 5  # of a customer or a cart that an upgrade is looked for, most bought first
    evidence: Evidence = field(default_factory=Evidence)
    substitutes: SubstituteOptions = field(default_factory=SubstituteOptions)
    text_types: TextTypeOptions = field(default_factory=TextTypeOptions)
    cross_sell: CrossSellOptions = field(default_factory=CrossSellOptions)
    cross_sell_incentive: Incentive = field(default_factory=Incentive)
    upsell: UpsellOptions = field(default_factory=UpsellOptions)
    upsell_fit: UpsellFitOptions = field(default_factory=UpsellFitOptions)
    upsell_incentive: Incentive = field(default_factory=Incentive)
    bundles: BundleOptions = field(default_factory=BundleOptions)
    fillers: FillerOptions = field(default_factory=FillerOptions)
    rules: OfferRuleOptions = field(default_factory=OfferRuleOptions)


@dataclass(frozen=True, kw_only=True)
class OffersOptions(KitOptions):
    """Offers as files: `recsys offers`. docs/offers.md."""

    served: bool = True  # the registered model makes offers too
    customers: str = ""  # file of ids: a line each, or CSV or Parquet with customer_id; empty: all that are known
    min_item_orders: int = 50  # orders with an item, all time, from which its page gets offers
    shown: int = 12  # pairs, upgrades and bundles each on the playbook
    exports: tuple[OfferExport, ...] = ("csv", "jsonl")  # beside Parquet
    csv_separator: Literal["comma", "semicolon", "tab"] = "comma"
    csv_bom: bool = False  # a byte order mark, by which Excel knows UTF-8
    out: str = "offers"  # offers/latest and one folder per run; relative paths start at the working directory
    keep: int = 5  # folders of the latest runs
    hash_ids: bool = False  # customer ids as keyed hashes; the key stands in the environment variable RECSYS_ID_KEY


def options_from(kind: Any, plain: Mapping[str, Any]) -> Any:
    """Options of plain JSON values; a section of options is read as such, a list as the tuple that it was."""
    default = kind()
    values = {}
    for name in (f.name for f in fields(kind)):
        own, given = getattr(default, name), plain[name]
        section = is_dataclass(own) and not isinstance(own, type)
        values[name] = options_from(type(own), given) if section else tuple(given) if isinstance(given, list) else given
    return kind(**values)


def kit_options(options: KitOptions) -> KitOptions:
    """What the kit itself keeps, without what only its files need."""
    return KitOptions(**{f.name: getattr(options, f.name) for f in fields(KitOptions)})
