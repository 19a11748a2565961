"""What a daily run holds in memory: orders, events, kits and reorder models of the stages that it prepared."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from recsys import pipeline
from recsys.config import Config, as_dict
from recsys.daily_kits import KitMoments, latest_day, learn_reorder, load_reorder
from recsys.data.checked_store import read_checked
from recsys.data.databases import redact_all
from recsys.data.event_rows import EventRows, read_event_rows
from recsys.data.events import CheckedEvents, check_events
from recsys.data.ingest import Checked
from recsys.errors import InputError
from recsys.hashing import hash_id, key_from_environment
from recsys.moments.due import Expected
from recsys.moments.known import Known, day_start
from recsys.moments.purchases import Purchases
from recsys.moments.reorder import expecting
from recsys.moments.reorder_model import ReorderModel
from recsys.offer_kits import KitStages, make_kit
from recsys.offers.kit import OfferKit
from recsys.progress import step
from recsys.stages import read_json

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Prepared:
    """The finished stages of a range of days, as plain values: flows hand it from task to task.

    kits, reorder  by the name of the kit: folders of its stages; folder of the reorder model
    """

    first: str
    last: str
    ingested: str
    matrices: str
    kits: dict[str, dict[str, str]]
    reorder: dict[str, str]

    @property
    def days(self) -> list[date]:
        first, last = date.fromisoformat(self.first), date.fromisoformat(self.last)
        return [first + n * DAY for n in range((last - first).days + 1)]


def prepare(config: Config, first: date | None, last: date | None, now: datetime) -> Prepared:
    """Finish the stages that the days need; without days that of the latest one, see `daily_kits.latest_day`."""
    with step("ingest orders"):
        ingested = pipeline.ingest_orders(config, now)
    first, last = _range(config, ingested, first, last, now)
    with step("build matrices"):
        matrices = pipeline.build_matrices(config, ingested)
    moments = KitMoments.of(config, ingested, matrices)
    days = [first + n * DAY for n in range((last - first).days + 1)]
    names = sorted({moments.name_for(day, config.moments.daily.kit) for day in days})
    kits = {name: make_kit(config, now, name) for name in names}
    reorder = {}
    if config.moments.triggers.reorder_due.enabled:
        with step("learn reorders"):
            reorder = {name: str(learn_reorder(config, ingested, moments.until(name))) for name in names}
    plain = {name: {part: str(path) for part, path in asdict(made).items()} for name, made in kits.items()}
    return Prepared(str(first), str(last), str(ingested), str(matrices), plain, reorder)


def _range(config: Config, ingested: Path, first: date | None, last: date | None, now: datetime) -> tuple[date, date]:
    facts = read_json(ingested / "ingest.json")
    start, end = (datetime.fromisoformat(str(facts[name])) for name in ("first", "last"))
    latest = latest_day(end, now, config.moments.time_zone)
    last = last or latest
    first = first or last
    if last < first:
        raise InputError(f"the last day {last} lies before the first {first}; turn them round")
    if last > latest:
        raise InputError(
            f"nothing is known yet when {last} begins: orders end on {end:%Y-%m-%d %H:%M} UTC and it is "
            f"{now:%Y-%m-%d %H:%M} UTC; give days up to {latest}"
        )
    if day_start(first, config.moments.time_zone) <= start:
        raise InputError(f"no order lies before {first}; the first came on {start:%Y-%m-%d}, give a later day")
    return first, last


@dataclass(frozen=True)
class DailyShop:
    """Everything of the shop up to the beginning of the last day.

    known     cut by `known.on(day)`
    secret    key for hashed ids, None where ids are shown as they are
    reorder   by the name of the kit; None = too little to learn from, `no_reorder` says why
    """

    config: Config
    prepared: Prepared
    parts: Sequence[EventRows]
    known: Known
    moments: KitMoments
    purchases: Purchases
    kits: dict[str, OfferKit]
    reorder: dict[str, ReorderModel | None]
    no_reorder: dict[str, str]
    secret: bytes | None

    def kit_of(self, day: date) -> str:
        return self.moments.name_for(day, self.config.moments.daily.kit)

    def kit_on(self, day: date) -> OfferKit:
        """The day's kit. What the catalog says is sold out is so at its export, about the last order: not before."""
        kit = self.kits[self.kit_of(day)]
        ended = day_start(day + DAY, self.config.moments.time_zone) < self.moments.now
        return replace(kit, sold_out=()) if ended else kit

    def events_on(self, known: Known) -> CheckedEvents:
        """The events as a run of that morning would have judged them."""
        return _check(self.config, self.parts, known.moment, known.orders["customer_id"], known.catalog)

    def expected_on(self, known: Known, name: str) -> Expected | None:
        """What falls due, by the model beside the kit; of a kit that is ahead of the day the model is too."""
        model = self.reorder.get(name)
        if model is None:
            return None
        return expecting(self.purchases, replace(model, at=min(model.at, known.moment)))


def open_shop(config: Config, prepared: Prepared) -> DailyShop:
    """Load what was prepared, and the events as they are now."""
    secret = key_from_environment() if config.moments.daily.hash_ids else None
    with step("load orders and events"):
        checked = read_checked(Path(prepared.ingested) / "checked")
        end = day_start(prepared.days[-1], config.moments.time_zone)
        lines = checked.orders.filter(pl.col("ordered_at") < end)
        customers = lines["customer_id"].drop_nulls().unique()
        parts = [_with_ids(part, customers, secret) for part in read_event_rows(config.events)]
        events = _check(config, parts, end, customers, checked.catalog).events
        known = Known.of(lines, events, checked.catalog, end)
    with step("load the kit"):
        kits = {name: KitStages(**{part: Path(at) for part, at in made.items() if part != "name"}, name=name).load()
                for name, made in prepared.kits.items()}  # fmt: skip
        loaded = {name: load_reorder(Path(at)) for name, at in prepared.reorder.items()}
    return DailyShop(
        config, prepared, parts, known,
        KitMoments.of(config, Path(prepared.ingested), Path(prepared.matrices)),
        Purchases.of(lines, checked.catalog), kits,
        {name: model for name, (model, _) in loaded.items()}, {name: why for name, (_, why) in loaded.items() if why},
        secret,
    )  # fmt: skip


def events_of(config: Config, checked: Checked, now: datetime, secret: bytes | None) -> tuple[pl.DataFrame, str]:
    """The events known at `now` (schemas.EVENTS), and a digest of what they were read from."""
    customers = checked.orders["customer_id"].drop_nulls().unique()
    parts = [_with_ids(part, customers, secret) for part in read_event_rows(config.events)]
    return _check(config, parts, now, customers, checked.catalog).events, events_digest(config, parts)


def events_digest(config: Config, parts: Sequence[EventRows]) -> str:
    """Digest of the options and of the content of the files."""
    return digest_of([redact_all(as_dict(config.events)), [part.source.digests for part in parts]])


def digest_of(facts: Any) -> str:
    """20 hexadecimal digits of plain JSON."""
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=10).hexdigest()


def _check(
    config: Config, parts: Sequence[EventRows], at: datetime, customers: pl.Series, catalog: pl.DataFrame
) -> CheckedEvents:
    return check_events(parts, config.events, now=at, customers=customers.unique(), items=catalog["item_id"])


def _with_ids(part: EventRows, customers: pl.Series, secret: bytes | None) -> EventRows:
    """Hashed ids back to the ids of the orders, as outcomes bear the id that the offer bore."""
    if secret is None:
        return part
    ids = customers.to_list()
    own = {hash_id(one, secret): one for one in ids}
    return part._replace(rows=part.rows.with_columns(pl.col("customer_id").replace(own)))


def rejected_columns(parts: Sequence[EventRows]) -> set[str]:
    """Columns of the sources that name the customer."""
    return {part.mapping["customer_id"] for part in parts if "customer_id" in part.mapping}


def stages_of(prepared: Prepared, name: str) -> dict[str, Any]:
    """Names of the stages on which a day with that kit rests."""
    reorder = prepared.reorder.get(name)
    return {
        "orders": Path(prepared.ingested).name,
        "kit": Path(prepared.kits[name]["packaged"]).name,
        "reorder": Path(reorder).name if reorder else None,
    }
