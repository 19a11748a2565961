"""Package sizes as shops write them: a small grammar of ours, and prices per unit. Standard library only.

    size     = measure | packs | several
    measure  = [number] unit [container]     22 LB · 10 3/4 OZ · 1/2 GAL · PT · 8 LB BAG
             | number LB number OZ           1 LB 9 OZ
    packs    = whole "/" number unit         6/12 OZ          six of 12 oz
    several  = whole word ["/"] measure      12 PK 12 OZ      twelve of 12 oz
             | measure ["/"] whole word      30 OZ/12 CT      twelve pieces, 30 oz in all
    word     = PK | CT | PC …

What the grammar does not derive is None, never a guess: codes ("118612 8 OZ"), ranges and dashes ("80-88 CT",
"6-2 OZ"), lengths, loads, and what can be read twice ("3/4 OZ" is three quarters of an ounce or three of four ounces;
"30 CT/30 GAL" are bags for 30 gallons).
"""

import re
from dataclasses import dataclass
from typing import Literal

Unit = Literal["g", "ml", "oz", "piece"]
GRAMS_PER_OUNCE, ML_PER_FLUID_OUNCE = 28.349523125, 29.5735295625

# "oz" says neither weight nor volume; what it is compared with decides (`amount_in`)
UNITS: dict[str, tuple[Unit, float]] = {
    **dict.fromkeys(("G", "GM", "GR", "GRAM", "GRAMS"), ("g", 1.0)),
    "KG": ("g", 1000.0),
    **dict.fromkeys(("LB", "LBS"), ("g", 16 * GRAMS_PER_OUNCE)),
    "ML": ("ml", 1.0),
    "CL": ("ml", 10.0),
    **dict.fromkeys(("L", "LT", "LTR", "LITER", "LITRE"), ("ml", 1000.0)),
    "FL OZ": ("ml", ML_PER_FLUID_OUNCE),
    "PT": ("ml", 16 * ML_PER_FLUID_OUNCE),
    "QT": ("ml", 32 * ML_PER_FLUID_OUNCE),
    **dict.fromkeys(("GAL", "GA"), ("ml", 128 * ML_PER_FLUID_OUNCE)),
    **dict.fromkeys(("OZ", "OZS"), ("oz", 1.0)),
    **dict.fromkeys(("CT", "COUNT", "PC", "PCS", "EA", "EACH", "PK", "PACK"), ("piece", 1.0)),
    **dict.fromkeys(("DZ", "DOZ", "DOZEN"), ("piece", 12.0)),
}
ALONE = ("PT", "QT", "GAL", "L", "LB", "DZ", "DOZ", "DOZEN", "KG")  # one of these, where no number is written
PACKS, PIECES = ("PK", "PACK"), ("CT", "COUNT", "PC", "PCS")
CAPACITY = ("PT", "QT", "GAL", "GA")  # beside a count: what the pieces hold, not what they are
CONTAINERS = ("BAG", "BOTTLE", "BOX", "BTL", "CAN", "JAR", "POUCH", "TRAY", "TUBE", "TUB")
EITHER = {(2, 3), (3, 4), (3, 8), (5, 8), (7, 8)}  # fractions that are also packs
PARTS = (2, 3, 4, 8, 16)  # dividers of the fractions that sizes are written in


def _one_of(words: tuple[str, ...] | dict[str, tuple[Unit, float]]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


_DECIMAL = r"\d+\.?\d*|\.\d+"
_MEASURE = (
    rf"(?:(?:(?P<whole>\d+) )?(?P<top>\d+)/(?P<bottom>\d+)|(?P<number>{_DECIMAL}))[ -]?(?P<unit>{_one_of(UNITS)})"
)
MEASURE = re.compile(rf"{_MEASURE}(?: (?:{_one_of(CONTAINERS)}))?")
POUNDS = re.compile(rf"(?P<pounds>{_DECIMAL}) ?LBS? (?P<ounces>{_DECIMAL}) ?OZ")
PACKED = re.compile(rf"(?P<packs>\d+) ?/ ?(?P<number>{_DECIMAL}) ?(?P<unit>{_one_of(UNITS)})")
_WORD = rf"(?P<packs>\d+) ?(?P<word>{_one_of((*PACKS, *PIECES))})"
_BETWEEN = r" ?/ ?| "
FIRST = re.compile(rf"{_WORD}(?:{_BETWEEN})(?P<measure>.+)")
LAST = re.compile(rf"(?P<measure>.+?)(?:{_BETWEEN}){_WORD}")


@dataclass(frozen=True)
class PackSize:
    """What an item holds: `amount` in all, in `unit`, in `packs` packs or pieces (1 where none are named)."""

    amount: float
    unit: Unit
    packs: int = 1


def pack_size(text: str | None) -> PackSize | None:
    """The size that the text says; None where it is empty, means nothing here, or can be read twice."""
    words = " ".join((text or "").upper().split()).rstrip(".")
    if words in ALONE:
        return _sized(1.0, words)
    if words == "HALF GAL":
        return _sized(0.5, "GAL")
    if found := POUNDS.fullmatch(words):
        return _sized(float(found["pounds"]) + float(found["ounces"]) / 16, "LB")
    return _measure(words) or _several(words)


def _sized(number: float, unit: str, packs: int = 1, times: int = 1) -> PackSize | None:
    kind, amount = UNITS[unit]
    whole = kind != "piece" or float(number).is_integer()
    return PackSize(number * amount * times, kind, packs) if number > 0 and packs > 0 and whole else None


def _measure(words: str) -> PackSize | None:
    found = MEASURE.fullmatch(words)
    if not found:
        return _packed(words)
    if found["number"]:
        return _sized(float(found["number"]), found["unit"])
    top, bottom = int(found["top"]), int(found["bottom"])
    proper = 0 < top < bottom and bottom in PARTS
    if found["whole"]:
        return _sized(int(found["whole"]) + top / bottom, found["unit"]) if proper and int(found["whole"]) else None
    if top == 1:
        return _sized(top / bottom, found["unit"]) if proper else None
    return _packed(words)


def _packed(words: str) -> PackSize | None:
    """6/12 OZ: packs of a size each."""
    found = PACKED.fullmatch(words)
    if not found or UNITS[found["unit"]][0] == "piece":
        return None
    packs, number = int(found["packs"]), float(found["number"])
    return None if packs < 2 or (packs, number) in EITHER else _sized(number, found["unit"], packs, packs)


def _several(words: str) -> PackSize | None:
    """12 PK 12 OZ: packs of a size each; 9 CT/35 OZ: pieces that come to a size together."""
    for found in (FIRST.fullmatch(words), LAST.fullmatch(words)):
        measure = MEASURE.fullmatch(found["measure"]) if found else None
        if not found or not measure or UNITS[measure["unit"]][0] == "piece":
            continue
        each, packs = _measure(found["measure"]), int(found["packs"])
        if each is None or each.packs > 1 or packs < 1 or measure["unit"] in CAPACITY:
            return None
        return PackSize(each.amount * (packs if found["word"] in PACKS else 1), each.unit, packs)
    return None


# --- prices per unit


def amount_in(size: PackSize, unit: Unit) -> float | None:
    """The amount in another unit; an ounce is of weight beside grams, of volume beside millilitres, else None."""
    if size.unit == unit:
        return size.amount
    ounce = {"g": GRAMS_PER_OUNCE, "ml": ML_PER_FLUID_OUNCE}
    if size.unit == "oz" and unit in ounce:
        return size.amount * ounce[unit]
    return size.amount / ounce[size.unit] if unit == "oz" and size.unit in ounce else None


def unit_price(price: float, size: PackSize) -> float:
    """Price per 100 g, 100 ml, ounce or piece."""
    return price / size.amount * (100 if size.unit in ("g", "ml") else 1)


PER = {"g": "100 g", "ml": "100 ml", "oz": "oz", "piece": "piece"}
