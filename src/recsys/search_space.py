"""The search space: options of models and ranker with their ranges or choices, checked against the config itself."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recsys.config import Config, as_dict, read_config
from recsys.errors import InputError
from recsys.pipeline import row_options

PLACE = "tune.space"
SECTIONS = ("models", "ranker")  # other options change what is asked, so that values could not be compared
NO_HYPERPARAMETERS = ("seed", "threads")
EXAMPLE = "{ranker.trees: {low: 50, high: 400, log: true}, models.als.factors: {choices: [32, 64]}}"


@dataclass(frozen=True)
class Dimension:
    """One option that is searched: a range, both ends included, or choices, each as JSON text.

    `learns`: a change of it learns models and training rows anew; else only the ranker is trained again.
    """

    name: str
    own: Any
    kind: type
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[str, ...] = ()
    learns: bool = True

    def value(self, found: Any) -> Any:
        """The option's value out of what the sampler says: four digits of a float, never outside the range."""
        if self.choices:
            return json.loads(found)
        if found == self.own:
            return self.own
        return found if self.kind is int else min(max(float(f"{found:.4g}"), self.low), self.high)

    def found(self) -> Any:
        """What the sampler would have to say for the config's own value."""
        return json.dumps(self.own) if self.choices else self.own


def read_space(config: Config) -> list[Dimension]:
    """Every entry of tune.space, widened to hold the config's own value; InputError on any mistake."""
    if not config.tune.space:
        raise InputError(f"{PLACE} is empty: there is nothing to search; give options, e.g. {EXAMPLE}")
    config = read_config(as_dict(config))  # 60 is 60.0 where the option is a float
    return [_dimension(config, name, entry) for name, entry in config.tune.space.items()]


def with_values(config: Config, values: Mapping[str, Any], place: str = PLACE) -> Config:
    """The config with other values of `section.key` options; InputError where it has no such option or value."""
    given = as_dict(config)
    for name, value in values.items():
        at = given
        *sections, key = name.split(".")
        for section in sections:
            at = at.setdefault(section, {})
            if not isinstance(at, dict):
                raise InputError(f"{place}: unknown key {name!r}; {section} holds a value, no section")
        at[key] = value
    return read_config(given, place)


def value_of(config: Config, name: str) -> Any:
    """Value of a `section.key` option as plain JSON."""
    at: Any = as_dict(config)
    for part in name.split("."):
        at = at[part]
    return at


def _dimension(config: Config, name: str, entry: Mapping[str, Any]) -> Dimension:
    _require_hyperparameter(config, name)
    unknown = set(entry) - {"low", "high", "log", "choices"}
    if unknown or ("choices" in entry) == ("low" in entry or "high" in entry):
        said = f"holds {min(unknown)!r}" if unknown else "has neither or both"
        raise InputError(f"{PLACE}: {name} {said}; give low and high, and log: true if wanted, or choices alone")
    learns = not (name.startswith("ranker.") and name.split(".")[1] not in row_options(config))
    own = value_of(config, name)
    if "choices" in entry:
        return Dimension(name, own, str, choices=_choices(config, name, entry["choices"], own), learns=learns)
    low, high = _ends(config, name, entry)
    if type(own) is not type(low):
        raise InputError(f"{PLACE}: {name} is {own!r} in the config, outside of any range; give it choices")
    log = entry.get("log", False)
    if not isinstance(log, bool):
        raise InputError(f"{PLACE}: {name}: log = {log!r}; give true or false")
    low, high = min(low, own), max(high, own)
    if log and low <= 0:
        raise InputError(f"{PLACE}: {name} reaches down to {low:g}, which has no logarithm; give log: false")
    return Dimension(name, own, type(low), low, high, log, learns=learns)


def _require_hyperparameter(config: Config, name: str) -> None:
    section, _, key = name.partition(".")
    if section not in SECTIONS or not key:
        raise InputError(f"{PLACE} holds {name!r}; give dotted options of {' and '.join(SECTIONS)}, e.g. {EXAMPLE}")
    known = with_values(config, {name: None}, PLACE) if _is_missing(config, name) else config
    if isinstance(value_of(known, name), dict):
        raise InputError(f"{PLACE} holds {name!r}, a section; name one of its options")
    if name.rpartition(".")[2] in NO_HYPERPARAMETERS:
        raise InputError(f"{PLACE} holds {name!r}, which is no hyperparameter; leave it out")


def _is_missing(config: Config, name: str) -> bool:
    try:
        value_of(config, name)
    except (KeyError, TypeError):
        return True
    return False


def _ends(config: Config, name: str, entry: Mapping[str, Any]) -> tuple[Any, Any]:
    """Low and high as the option's own kind of number: 60 is 60.0 where the option is a float."""
    out = []
    for end in ("low", "high"):
        given = entry.get(end)
        if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
            raise InputError(f"{PLACE}: {name}: {end} = {given!r}; give a number")
        out.append(value_of(with_values(config, {name: given}), name))
    if type(out[0]) not in (int, float):
        raise InputError(f"{PLACE}: {name} is no number; give choices")
    if not out[0] < out[1]:
        raise InputError(f"{PLACE}: {name}: low = {out[0]:g} is not below high = {out[1]:g}; give low < high")
    return out[0], out[1]


def _choices(config: Config, name: str, given: Any, own: Any) -> tuple[str, ...]:
    if not isinstance(given, list | tuple) or not given:
        raise InputError(f"{PLACE}: {name}: choices = {given!r}; give a list of values")
    values = [value_of(with_values(config, {name: one}), name) for one in given]
    return tuple(dict.fromkeys(json.dumps(one) for one in [*values, own]))
