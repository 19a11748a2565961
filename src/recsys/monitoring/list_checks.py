"""Recommendations of this run against those of the last accepted one: what is listed, how surely, and to whom."""

from typing import Any

import numpy as np

from recsys.monitoring import measures as m
from recsys.monitoring.checks import Check, judged, mix_check, share_check, with_chance
from recsys.monitoring.options import MonitoringOptions

SCOPE = "lists"
LEAST_SHARED = 10  # customers of both samples that an overlap is said of
Profile = dict[str, Any]


def compare_lists(mine: Profile, accepted: Profile, options: MonitoringOptions) -> tuple[list[Check], list[str]]:
    """(checks, what could not be compared and why); both of `profile_lists(...)`."""
    checks, notes = [], []
    lists = (accepted["short"][1], mine["short"][1])
    if mine["contender"] == accepted["contender"]:
        fallbacks = (accepted["fallback"], mine["fallback"])
        checks.append(mix_check("fallback_mix", SCOPE, *fallbacks, lists, "lists by fallback", options))
    else:
        notes.append(f"{mine['contender']} ranks in place of {accepted['contender']}: fallbacks and scores mean "
                     "another thing and are not compared")  # fmt: skip
    if (mine["recipe"], mine["contender"]) == (accepted["recipe"], accepted["contender"]):
        checks.append(number_check("scores", mine["scores"], accepted["scores"], options))
    elif mine["recipe"] != accepted["recipe"]:
        notes.append("the recipe is not that of the accepted run: scores have another scale and are not compared")
    checks += [
        number_check("probabilities", mine["probabilities"], accepted["probabilities"], options),
        share_check("short_lists", SCOPE, accepted["short"], mine["short"], lists, "lists that are not full", options,
                    rise=True),
        share_check("listed_repeats", SCOPE, accepted["repeats"], mine["repeats"], lists,
                    "listed items that the customer had bought", options),
        mix_check("listed_categories", SCOPE, accepted["categories"], mine["categories"], lists,
                  "listed items by category", options),
        mix_check("listed_popularity", SCOPE, accepted["popularity"], mine["popularity"], lists,
                  "listed items by popularity", options),
    ]  # fmt: skip
    found = overlaps(mine["lists"], accepted["lists"])
    if len(found) < LEAST_SHARED:
        return checks, [*notes, f"{len(found)} customers are in both samples: the overlap of lists is not compared"]
    return [*checks, overlap_check(found, options)], notes


def number_check(name: str, mine: Profile, accepted: Profile, options: MonitoringOptions) -> Check:
    """PSI in bins at the accepted deciles, and the Kolmogorov-Smirnov test of the means of lists."""
    value = m.psi(accepted["counts"], m.binned(mine["values"], accepted["edges"]))
    d, chance = m.shift_p(accepted["sample"], mine["sample"])
    a, b = (float(np.median(side["values"])) if side["values"] else 0.0 for side in (accepted, mine))
    text = f"{name}: PSI {value:.3f}, KS distance of the lists' means {d:.2f}; median {b:.3g}, accepted {a:.3g}"
    return judged(options, name, SCOPE, value, with_chance(text, chance), chance)


def overlaps(mine: dict[str, list[str]], accepted: dict[str, list[str]]) -> list[tuple[float, float]]:
    """(Jaccard@10, RBO) of each customer of both samples, in the order of their hashes."""
    shared = sorted({*mine} & {*accepted})
    return [(m.jaccard(mine[c], accepted[c]), m.rank_biased_overlap(mine[c], accepted[c])) for c in shared]


def overlap_check(found: list[tuple[float, float]], options: MonitoringOptions) -> Check:
    """Mean Jaccard@10; the sentence tells RBO, which weighs the upper places more, and how many lists share nothing."""
    jaccard, rbo = np.array(found).T
    text = (
        f"lists of the same {len(found):,} customers: Jaccard@10 {jaccard.mean():.2f}, "
        f"rank-biased overlap {rbo.mean():.2f}; "
        f"{int((jaccard == 0).sum())} share no item, {int((jaccard == 1).sum())} hold the same items"
    )
    return judged(options, "list_overlap", SCOPE, float(jaccard.mean()), text)
