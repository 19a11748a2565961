"""Making the kit of a moment out of what was known before it."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..affinity import count_pairs, only_evident
from ..data.histories import TrainData
from ..errors import InputError
from ..ranking.base_models import BaseModels
from ..ranking.hybrid import Hybrid
from .bundles import ShelfNow, bundles
from .cross_seller import CrossSeller
from .kit import OfferKit
from .makes import Makes, makes_of
from .options import KitOptions, kit_options
from .shelf import Shelf, shelf_of
from .substitutes import substitute_types, type_evidence
from .text_types import with_text_types
from .upsell import recent_orders
from .upsell_fit import fit_upsell
from .upsell_model import UpsellModel

if TYPE_CHECKING:
    import polars as pl

CATEGORY = 1  # column of ItemFacts.levels


def offer_kit(
    lines: "pl.DataFrame",
    data: TrainData,
    models: BaseModels,
    ranker: Hybrid,
    *,
    brands: Sequence[str | None] | None = None,
    sizes: Sequence[str | None] | None = None,
    sold_out: Collection[str] = (),
    options: KitOptions | None = None,
) -> OfferKit:
    """The kit of the moment of `data`; `lines` are its order lines (`lines_before`), `models` are fitted on it.

    ranker      of cross-sell, see `recsys.pipeline.blend_cross_sell`; the hybrid of all lists will do
    brands, sizes  of the items of `data` in their order, as the catalog writes them; None = unknown
    """
    options = options or KitOptions()
    known = data.facts.costs if data.facts.costs is not None else np.full(len(data.items), np.nan)
    costs = {item: round(float(c), 4) for item, c in zip(data.items.ids, known, strict=True) if not np.isnan(c)}
    shelf = with_text_types(shelf_of(data.items, data.facts, costs), options.text_types)
    rules = only_evident(count_pairs(lines), options.evidence)
    substitutes = substitute_types(type_evidence(data.histories, shelf.types), options.substitutes)
    recent = recent_orders(data, options.recent_days)
    now = ShelfNow(substitutes=substitutes, recent=recent, sold_out=sold_out)
    made, left_out = bundles(rules, shelf=shelf, now=now, options=options.bundles)
    nothing = [None] * len(data.items)
    makes = makes_of(shelf, brands or nothing, sizes or nothing)
    names = np.array([*data.facts.level_names[CATEGORY], ""], object)
    return OfferKit(
        CrossSeller(models, ranker, shelf, rules, data.customers, data.histories, substitutes, options.cross_sell),
        makes,
        _upsell_model(data, shelf, makes, models, options),
        recent,
        tuple(made),
        tuple(left_out),
        tuple(str(name) if name else None for name in names[data.facts.levels[:, CATEGORY]]),
        tuple(sorted(sold_out)),
        kit_options(options),
    )


def _upsell_model(
    data: TrainData, shelf: Shelf, makes: Makes, models: BaseModels, options: KitOptions
) -> UpsellModel | None:
    """None where the shop's customers never took a step up that could teach it."""
    vectors = models.scorers["content"].vectors()
    try:
        return fit_upsell(data, shelf, makes, vectors, options.upsell_fit)
    except InputError:
        return None
