"""The whole configuration: each room's options composed, read from one YAML file, changed by `--set`.

Defaults live beside the code that reads them; `configs/base.yaml` is written from there (`recsys config`).
"""

import ast
import difflib
import inspect
import io
import json
import math
import textwrap
import tokenize
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pydantic
import yaml

from recsys.data.event_rows import EventsOptions
from recsys.data.ingest import DataOptions
from recsys.data.interactions import InteractionOptions
from recsys.data.splits import SplitOptions
from recsys.errors import InputError
from recsys.evaluation.protocols import EvaluationOptions
from recsys.moments.options import LIMITS as MOMENT_LIMITS
from recsys.moments.options import MomentsOptions
from recsys.monitoring.options import MonitoringOptions, require_sane
from recsys.names import require_plain_name
from recsys.offers.options import LIMITS as OFFER_LIMITS
from recsys.offers.options import OffersOptions
from recsys.pairs.options import AffinityOptions
from recsys.ranking.base_models import ModelOptions
from recsys.ranking.features import FEATURES, GROUPS
from recsys.ranking.hybrid import HybridOptions
from recsys.registry.options import RegistryOptions
from recsys.scoring.options import ScoringOptions
from recsys.spark.options import SparkOptions
from recsys.tune_options import TuneOptions

OBJECTIVES = {"lambdarank", "binary", "rank_xendcg"}  # of LightGBM; outputs are standardised per query


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where a run keeps its things; relative paths start at the working directory."""

    store: str = ".recsys"  # finished stages, reused by later runs
    reports: str = "reports"  # reports/latest and one folder per run
    memory_gb: float | None = None  # what a run may use; blocks are cut to it; null = 4/5 of the machine's
    keep_days: float = 7  # finished stages that no run has used for so long are removed
    keep_reports: int = 20  # reports of the latest runs
    hash_customers: bool = False  # customer ids in reports, MLflow and refused rows; key in RECSYS_ID_KEY


@dataclass(frozen=True, kw_only=True)
class Config:
    """Every option of a training."""

    title: str = "a shop"  # name of the shop in reports
    notes: tuple[str, ...] = ()  # said at the head of every report
    engine: Literal["local", "spark"] = "local"  # spark: ALS, pairs and batch scoring; needs recsys[spark], Java 17
    data: DataOptions = field(default_factory=DataOptions)
    events: EventsOptions = field(default_factory=EventsOptions)
    interactions: InteractionOptions = field(default_factory=InteractionOptions)
    split: SplitOptions = field(default_factory=SplitOptions)
    models: ModelOptions = field(default_factory=ModelOptions)
    ranker: HybridOptions = field(default_factory=HybridOptions)
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)
    registry: RegistryOptions = field(default_factory=RegistryOptions)
    monitoring: MonitoringOptions = field(default_factory=MonitoringOptions)
    run: RunOptions = field(default_factory=RunOptions)
    tune: TuneOptions = field(default_factory=TuneOptions)
    scoring: ScoringOptions = field(default_factory=ScoringOptions)
    affinity: AffinityOptions = field(default_factory=AffinityOptions)
    offers: OffersOptions = field(default_factory=OffersOptions)
    moments: MomentsOptions = field(default_factory=MomentsOptions)
    spark: SparkOptions = field(default_factory=SparkOptions)


def load_config(file: Path | str, settings: Sequence[str] = ()) -> Config:
    """Config out of a YAML file and `section.key=value` settings (values are YAML); InputError on any mistake."""
    path = Path(file)
    if not path.is_file():
        raise InputError(f"there is no config file {path}; see configs/ for examples, configs/base.yaml for all keys")
    try:
        given = yaml.load(path.read_text(encoding="utf-8"), _OnceLoader) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(given, dict):
        raise InputError(f"{path} holds a {type(given).__name__}; give sections such as 'data:'")
    for setting in settings:
        _set(given, setting)
    return read_config(given, str(path))


class _OnceLoader(yaml.SafeLoader):
    """YAML in which a key stands once; else the later section would silently replace the earlier one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_config(given: dict[str, Any], place: str = "config") -> Config:
    """Config out of nested dicts; unknown keys and wrong values are refused with their place."""
    _refuse_unknown(Config, given, (), place)
    try:
        reader = _reader()
        config = reader.validate_python(given)
        # once more, now with the defaults, so that 60 and 60.0 are one value to whoever names a stage by it
        config = reader.validate_python(as_dict(config))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{place}: {where} = {first['input']!r}: {first['msg']}; see configs/base.yaml") from None
    _refuse_out_of_range(config, place)
    return config


@cache
def _reader() -> pydantic.TypeAdapter[Config]:
    """Made once: that takes longer than reading."""
    return pydantic.TypeAdapter(Config)


# least and largest value of what would otherwise fail late or silently; null is let through
LIMITS: dict[str, tuple[float, float]] = {
    "data.sufficiency.max_rejected_share": (0, 1),
    "events.max_late_days": (0, 1e5),
    "interactions.min_item_orders": (1, 1e9),
    "interactions.max_age_days": (1, 1e6),
    "split.window_days": (1, 1e5),
    "split.train_moments": (1, 100),
    "split.max_queries": (100, 1e9),
    "split.every_days": (1, 1e5),
    "models.popularity.days": (1e-3, 1e6),
    "models.frequency.half_life": (1e-3, 1e6),
    "models.frequency.days": (1e-3, 1e6),
    "models.tifu_knn.k": (1, 1e6),
    "models.tifu_knn.groups": (1, 1e6),
    "models.tifu_knn.within": (0, 1),
    "models.tifu_knn.over": (0, 1),
    "models.tifu_knn.alpha": (0, 1),
    "models.als.factors": (1, 4096),
    "models.als.regularization": (0, 1e9),
    "models.als.alpha": (0, 1e9),
    "models.als.iterations": (1, 1e4),
    "models.als.seed": (0, 2**31 - 1),
    "models.basket_knn.k": (1, 1e6),
    "models.basket_knn.half_life": (1e-3, 1e6),
    "models.type_knn.shrink": (0, 1e9),
    "models.type_knn.half_life": (1e-3, 1e6),
    "models.type_knn.days": (1e-3, 1e6),
    "models.content.half_life": (1e-3, 1e6),
    "models.content.neighbours": (1, 1e5),
    "models.content.max_features": (1, 1e8),
    "models.content.min_df": (1, 1e8),
    "models.content.max_df": (1e-6, 1),
    "models.item_knn.shrink": (0, 1e9),
    "models.item_knn.half_life": (1e-3, 1e6),
    "models.item_knn.min_joint": (1, 1e9),
    "models.item_knn.recent_half_life": (1e-3, 1e6),
    "models.user_knn.k": (1, 1e6),
    "models.user_knn.half_life": (1e-3, 1e6),
    "ranker.per_cart_source": (1, 1e4),
    "ranker.per_history_source": (1, 1e4),
    "ranker.negatives": (1e-6, 1),
    "ranker.trees": (1, 1e5),
    "ranker.reader_share": (1e-3, 1),
    "ranker.leaves": (2, 131072),
    "ranker.depth": (0, 1000),
    "ranker.reranked": (1, 1e9),
    "ranker.learning_rate": (1e-6, 1),
    "ranker.min_leaf": (1, 1e9),
    "ranker.threads": (1, 1024),
    "ranker.seed": (0, 2**31 - 1),
    "evaluation.resamples": (1, 1e6),
    "evaluation.level": (0.5, 0.9999),
    "evaluation.seed": (0, 2**31 - 1),
    "evaluation.examples": (0, 1000),
    "registry.gate.margin": (0, 0.5),
    "registry.gate.stale_days": (0, 1e5),
    "registry.gate.min_primary": (0, 1),
    "registry.gate.min_coverage": (0, 1),
    "registry.gate.min_of_popularity": (0, 10),
    "registry.gate.min_of_single": (0, 10),
    "registry.gate.min_of_group": (0, 10),
    "registry.gate.max_p50_ms": (0.1, 1e6),
    "registry.gate.max_p99_ms": (0.1, 1e6),
    "registry.gate.requests": (1, 1e5),
    "registry.gate.max_size_mb": (0.1, 1e6),
    "registry.gate.fresh_seconds": (1, 1e5),
    "run.memory_gb": (0.1, 1e5),
    "run.keep_days": (0, 1e5),
    "spark.parts": (1, 1e5),
    "run.keep_reports": (1, 1e6),
    "scoring.k": (1, 1e6),
    "scoring.partition_rows": (1, 1e9),
    "scoring.workers": (1, 256),
    "scoring.keep": (1, 1e6),
    "affinity.months": (1, 1200),
    "affinity.keep": (1, 1e6),
    "affinity.evidence.min_joint": (1, 1e9),
    "affinity.evidence.min_customers": (0, 1e9),
    "affinity.evidence.min_support": (0, 1),
    "affinity.evidence.min_lift": (0, 1e6),
    "affinity.evidence.min_adjusted_low": (0, 1e6),
    "affinity.evidence.min_taste_low": (0, 1e6),
    "affinity.evidence.max_q": (0, 1),
    "affinity.evidence.confidence": (0.5, 0.9999),
    "affinity.flags.min_share": (0, 1),
    "affinity.flags.min_odds": (1, 1e6),
    "affinity.flags.max_q": (0, 1),
    "affinity.flags.season_months": (1, 11),
    "affinity.flags.season_days": (1, 1e5),
    "affinity.flags.discount": (1e-3, 0.999),
    "affinity.flags.usual_weeks": (1, 1000),
    "affinity.flags.min_effective": (1, 1e9),
    **{f"offers.{name}": ends for name, ends in OFFER_LIMITS.items()},
    **{f"moments.{name}": ends for name, ends in MOMENT_LIMITS.items()},
    "tune.minutes": (0, 1e6),
    "tune.trials": (1, 1e6),
    "tune.validation_moments": (1, 100),
    "tune.models_every": (1, 1e6),
    "tune.seed": (0, 2**31 - 1),
}


def _refuse_out_of_range(config: Config, place: str) -> None:
    for name, (least, most) in LIMITS.items():
        value: Any = config
        for part in name.split("."):
            value = getattr(value, part)
        if value is not None and not least <= value <= most:
            raise InputError(f"{place}: {name} = {value}; give a value from {least:g} to {most:g}")
    require_plain_name(config.registry.model_name, f"{place}: registry.model_name")
    require_plain_name(config.registry.experiment, f"{place}: registry.experiment")
    _refuse_wrong_ks(config.evaluation, place)
    require_sane(config.monitoring, place)
    _refuse_unknown_names("ranker.objectives", config.ranker.objectives, OBJECTIVES, place)
    _refuse_unknown_names("ranker.of_new", config.ranker.of_new, OBJECTIVES, place)
    _refuse_unknown_names("ranker.drop", config.ranker.drop, {*GROUPS, *FEATURES}, place)
    if not config.ranker.objectives:
        raise InputError(f"{place}: ranker.objectives is empty; give some of {', '.join(sorted(OBJECTIVES))}")


def _refuse_wrong_ks(options: EvaluationOptions, place: str) -> None:
    ks = list(options.ks)
    if options.primary_k not in ks:
        raise InputError(f"{place}: evaluation.primary_k = {options.primary_k} is not one of evaluation.ks = {ks}")
    if min(ks) < 1 or len(set(ks)) < len(ks):
        raise InputError(f"{place}: evaluation.ks = {ks}; give lengths from 1 upwards, each once")


def _refuse_unknown_names(name: str, given: Sequence[str], known: Collection[str], place: str) -> None:
    for one in given:
        if one not in known:
            raise InputError(f"{place}: {name} holds {one!r}; known are {', '.join(sorted(known))}")


def as_dict(options: Any) -> dict[str, Any]:
    """Options as plain JSON values."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(options), default=_plain))
    return plain


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a config")


def _set(given: dict[str, Any], setting: str) -> None:
    name, equals, value = setting.partition("=")
    if not equals or not name.strip():
        raise InputError(f"--set {setting!r}: give section.key=value, e.g. --set ranker.trees=100")
    *sections, key = name.strip().split(".")
    for section in sections:
        inner = given.setdefault(section, {})
        if not isinstance(inner, dict):
            raise InputError(f"--set {setting!r}: {section} holds a value, no section")
        given = inner
    try:
        given[key] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise InputError(f"--set {setting!r}: {value!r} is no YAML value; put it in quotes") from None


def _refuse_unknown(kind: Any, given: Any, at: tuple[str, ...], place: str) -> None:
    if not is_dataclass(kind) or not isinstance(given, dict):
        return
    hints = get_type_hints(kind)
    known = [f.name for f in fields(kind)]
    for key, value in given.items():
        name = ".".join((*at, str(key)))
        if key not in known:
            close = difflib.get_close_matches(str(key), known, 1, 0.5)
            hint = f"did you mean {'.'.join((*at, close[0]))!r}?" if close else f"known are {', '.join(known)}"
            raise InputError(f"{place}: unknown key {name!r}; {hint}")
        _refuse_guesses(hints[key], value, name, place)
        _refuse_unknown(hints[key], value, (*at, str(key)), place)


def _refuse_guesses(hint: Any, value: Any, name: str, place: str) -> None:
    """What pydantic would turn into a number or a time without asking: true = 1, 5 = 1970, and no number at all."""
    kinds = set(get_args(hint)) if get_origin(hint) is UnionType else {hint}
    numeric = isinstance(value, int | float)
    if isinstance(value, bool) and kinds & {int, float}:
        raise InputError(f"{place}: {name} = {value}; give a number")
    if numeric and datetime in kinds:
        raise InputError(f"{place}: {name} = {value}; give a date, e.g. 2024-12-01")
    if numeric and not math.isfinite(value):
        raise InputError(f"{place}: {name} = {value}; give a finite number, or null where the option allows it")


def base_yaml() -> str:
    """configs/base.yaml: every option with its default and its comment."""
    head = "# Every option and its default, written by `recsys config`; a config file names only what differs.\n"
    return head + "\n".join(_yaml_lines(Config(), 0)) + "\n"


def _yaml_lines(options: Any, depth: int) -> Iterator[str]:
    notes, hints = _comments(type(options)), get_type_hints(type(options))
    for f in fields(options):
        value, pad = getattr(options, f.name), "  " * depth
        if is_dataclass(value):
            about = (inspect.getdoc(type(value)) or "").split("\n")[0]
            yield f"{pad}{f.name}:  # {about}"
            yield from _yaml_lines(value, depth + 1)
        else:
            choices = get_args(hints[f.name]) if get_origin(hints[f.name]) is Literal else ()
            words = [" | ".join(choices), notes.get(f.name, "")]
            note = "  # " + "; ".join(w for w in words if w) if any(words) else ""
            if isinstance(value, dict) and value:  # an entry a line
                yield f"{pad}{f.name}:{note}"
                yield from (f"{pad}  {key}: {json.dumps(entry, ensure_ascii=False)}" for key, entry in value.items())
                continue
            yield f"{pad}{f.name}: {json.dumps(value, default=_plain, ensure_ascii=False)}{note}"


def _comments(kind: type) -> dict[str, str]:
    """Comment of each field, from the source of the class and its bases."""
    out: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        source = textwrap.dedent(inspect.getsource(base))
        found: dict[int, str] = {}
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                found[token.start[0]] = token.string.lstrip("# ").strip()
        body = next(n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ClassDef)).body
        for node in body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.end_lineno:
                lines = range(node.lineno, node.end_lineno + 1)
                out[node.target.id] = " ".join(found[i] for i in lines if i in found)
    return out
