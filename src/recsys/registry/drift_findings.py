"""What the comparison with the last accepted run says, in sentences."""

from typing import Any

from recsys.registry.run_files import Row
from recsys.registry.wording import count, opening

ORDER = ("ok", "warn", "stop")
NOTHING = "Nothing to compare with"


def checks_of(drift: Row) -> list[dict[str, Any]]:
    """The checks of all parts in their order."""
    return [check for part in drift.get("parts", {}).values() for check in part["checks"]]


def headline(drift: Row) -> str:
    """`Against version 3 of recsys: 27 of 29 checks ok, 2 warn, 0 stop`."""
    checks = checks_of(drift)
    if not checks:
        return NOTHING
    n = {verdict: sum(c["verdict"] == verdict for c in checks) for verdict in ORDER}
    against = ", ".join(dict.fromkeys(str(p["reference"]) for p in drift["parts"].values() if p["checks"]))
    said = f"Against {against}: {n['ok']} of {len(checks)} checks ok, {n['warn']} warn, {n['stop']} stop"
    return said + (", accepted by hand" if drift.get("accepted") else "")


def told(drift: Row) -> list[str]:
    """The headline, then a sentence with its remedy for each check that warns or stops, the stops first."""
    found = [c for verdict in ("stop", "warn") for c in checks_of(drift) if c["verdict"] == verdict]
    return [f"drift: {headline(drift)}", *(f"**{c['verdict']}** {sentence(c)}" for c in found)]


def sentence(check: Row) -> str:
    """`Price level (new): 212 items cost 2.000 times …; did the currency …?`."""
    return f"{opening(check['name'])} ({check['scope']}): {check['text']}" + (
        f"; {check['remedy']}" * bool(check["remedy"])
    )


def check_finding(drift: Row, name: str) -> str:
    """The text of the named check that is furthest from ok, and its verdict."""
    found = [c for c in checks_of(drift) if c["name"] == name]
    if not found:
        return opening(name)
    hardest = max(found, key=lambda c: ORDER.index(c["verdict"]))
    text = str(hardest["text"])
    return f"{text[:1].upper()}{text[1:]}: {hardest['verdict']}"


def daily_finding(drift: Row) -> str:
    """How many orders came since the accepted run, in the words of the volume check where there is one."""
    volumes = [c for c in checks_of(drift) if c["name"] == "volume"]
    if volumes:
        return check_finding(drift, "volume")
    charts = drift["parts"]["orders"]["charts"]
    new = sum(n for day, n in charts["daily"].items() if day > charts["accepted"])
    return f"{count(new)} orders on the days since the accepted run's last"
