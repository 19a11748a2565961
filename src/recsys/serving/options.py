"""What one request may ask for: JSON in the column `options`, read strictly, so that nothing is guessed."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError
from ..ranking.value import OF
from .placements import PLACEMENTS, short

MAX_K = 500
MAX_TEXT = 1_000_000  # characters of one options string
MAX_AMOUNT = 1e12  # of money
MAX_THRESHOLDS = 100
KINDS = ("cross_sell", "upsell", "bundle", "filler")
LISTS_ONLY = ("owned", "value")
OF_KIND = {
    "anchor": ("cross_sell", "upsell", "bundle"),
    "thresholds": ("filler",),
    "total": ("filler",),
    "min_probability": ("cross_sell", "filler"),  # the others know none
}  # keys → kinds that they go with; min_probability goes with lists too


@dataclass(frozen=True)
class RequestOptions:
    """k: list length; exclude: item ids that may not be listed; only: ids that may be; owned: allow | exclude;
    min_probability: items less likely to be in the order are not listed, so that a list may be shorter, or empty;
    placement: where the list is shown, a name of PLACEMENTS, which sets other defaults for k and owned;
    categories_in, categories_out: names of the catalog's levels, whose items alone, or not, may be listed;
    kind: what is asked for instead of a list of items, a name of KINDS; OF_KIND says which keys go with it;
    anchor: the item that offers start from; thresholds, total: of the cart, in the shop's currency;
    given: the keys that the request names;
    value: (price | margin, weight): lists by probability · worth^weight (recsys.ranking.value); None = by score.
    """

    k: int = 10
    placement: str | None = None
    exclude: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    categories_in: tuple[str, ...] | None = None
    categories_out: tuple[str, ...] = ()
    owned: str = "allow"
    min_probability: float = 0.0
    value: tuple[str, float] | None = None
    kind: str | None = None
    anchor: str | None = None
    thresholds: tuple[float, ...] = ()
    total: float | None = None
    given: frozenset[str] = field(default=frozenset(), compare=False)


def parse_options(text: Any) -> RequestOptions:
    """RequestOptions out of a JSON object; null or an empty string asks for the defaults."""
    if text is None or text == "":
        return RequestOptions()
    if not isinstance(text, str):
        raise InputError(f"options is {type(text).__name__}; give a JSON object as a string")
    if len(text) > MAX_TEXT:
        raise InputError(f"options has {len(text)} characters; at most {MAX_TEXT} are read")
    try:
        asked = json.loads(text, object_pairs_hook=_each_key_once)
    except (ValueError, RecursionError) as error:
        raise InputError(f"options is no JSON: {error}") from None
    if not isinstance(asked, dict):
        raise InputError(f'options is a JSON {type(asked).__name__}; give an object such as {{"k": 5}}')
    unknown = sorted(set(asked) - set(_CHECKS))
    if unknown:
        raise InputError(f"options has unknown key {short(unknown[0])}; known are {', '.join(_CHECKS)}")
    read = {key: _CHECKS[key](key, value) for key, value in asked.items()}
    _check_kind(read)
    placement = PLACEMENTS.get(read.get("placement") or "")
    defaults = {"k": placement.k, "owned": placement.owned} if placement else {}
    return RequestOptions(**(defaults | read), given=frozenset(read))


def _check_kind(read: dict[str, Any]) -> None:
    """Refuse keys that the kind cannot heed."""
    kind = read.get("kind")
    for key in read:
        kinds = OF_KIND.get(key, ())
        if kind is None and kinds and key != "min_probability":
            raise InputError(f"options.{key} goes with kind {' or '.join(kinds)}; give the kind, or leave {key} out")
        if kind is not None and ((kinds and kind not in kinds) or key in LISTS_ONLY):
            raise InputError(f"options.{key} does not go with kind {kind}; leave it out")


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, n in Counter(key for key, _ in pairs).items() if n > 1)
        raise InputError(f"options has the key {short(twice)} twice; give it once")
    return found


def _list_length(key: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_K:
        raise InputError(f"options.{key} is {_short(value)}; give a whole number from 1 to {MAX_K}")
    return value


def _placement(key: str, value: Any) -> str | None:
    if value is not None and not (isinstance(value, str) and value in PLACEMENTS):
        raise InputError(f"options.{key} is {_short(value)}; give one of {', '.join(PLACEMENTS)}, or null")
    return value


def _ids(key: str, value: Any) -> tuple[str, ...]:
    return _strings(key, value, "item ids as strings")


def _ids_or_all(key: str, value: Any) -> tuple[str, ...] | None:
    return None if value is None else _ids(key, value)


def _names(key: str, value: Any) -> tuple[str, ...]:
    return _strings(key, value, "category names as strings")


def _names_or_all(key: str, value: Any) -> tuple[str, ...] | None:
    return None if value is None else _names(key, value)


def _strings(key: str, value: Any, wanted: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise InputError(f"options.{key} is {_short(value)}; give a list of {wanted}")
    return tuple(value)


def _owned(key: str, value: Any) -> str:
    if value not in ("allow", "exclude"):
        raise InputError(f'options.{key} is {_short(value)}; give "allow" or "exclude"')
    return str(value)


def _probability(key: str, value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise InputError(f"options.{key} is {_short(value)}; give a number from 0 to 1")
    return float(value)


def _value(key: str, value: Any) -> tuple[str, float] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or set(value) != {"of", "weight"} or value["of"] not in OF:
        wanted = f'{{"of": "price", "weight": 0.5}} or null; of is one of {", ".join(OF)}'
        raise InputError(f"options.{key} is {_short(value)}; give {wanted}")
    weight = _probability(f"{key}.weight", value["weight"])
    return (value["of"], weight) if weight else None


def _kind(key: str, value: Any) -> str | None:
    if value is not None and not (isinstance(value, str) and value in KINDS):
        raise InputError(
            f"options.{key} is {_short(value)}; give one of {', '.join(KINDS)}, or null for a list of items"
        )
    return value


def _item(key: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InputError(f"options.{key} is {_short(value)}; give an item id as a string, or null")
    return value


def _amounts(key: str, value: Any) -> tuple[float, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_THRESHOLDS or not all(_is_amount(v) for v in value):
        raise InputError(f"options.{key} is {_short(value)}; give 1 to {MAX_THRESHOLDS} amounts of money above 0")
    return tuple(float(v) for v in value)


def _amount(key: str, value: Any) -> float | None:
    if (value is not None and value != 0 and not _is_amount(value)) or isinstance(value, bool):
        raise InputError(f"options.{key} is {_short(value)}; give an amount of money, 0 or more, or null")
    return None if value is None else float(value)


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MAX_AMOUNT


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "k": _list_length,
    "placement": _placement,
    "exclude": _ids,
    "only": _ids_or_all,
    "categories_in": _names_or_all,
    "categories_out": _names,
    "owned": _owned,
    "min_probability": _probability,
    "value": _value,
    "kind": _kind,
    "anchor": _item,
    "thresholds": _amounts,
    "total": _amount,
}
