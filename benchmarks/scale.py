"""Every stage of a training on larger and larger synthetic shops: wall time, CPU time, peak memory, growth.

    python -m benchmarks.scale [--customers 6400,19200,64000,206000] [--config configs/large.yaml] [--out DIR]
                               [--set section.key=value …] [--stages ingest,matrices]

6,400 customers make 1M order lines, 206,000 make 32M. Each stage runs in a process of its own, so that its peak
memory is its own; shops that DIR has are not made again. Prints a table and writes scale.json and scale.png to DIR:
seconds per million lines, and which stage bends first (grows faster than the lines do). Exits with 1 where the largest
shop took more than 12 minutes or 6 GB in any stage.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

STAGES = ("ingest", "watch orders", "matrices", "learn", "blend", "fit", "evaluate", "fit now", "package")
MINUTES, GB = 12.0, 6.0  # of the largest shop
NOW = datetime(2025, 1, 2, tzinfo=UTC)  # after the last order of the shop


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--customers", default="6400,19200,64000,206000")
    arguments.add_argument("--config", default="configs/large.yaml")
    arguments.add_argument("--set", action="append", default=[], dest="settings")
    arguments.add_argument("--stages", default=",".join(STAGES))
    arguments.add_argument("--out", type=Path, default=Path("scale"))
    arguments.add_argument("--stage", help=argparse.SUPPRESS)  # of the process of one stage
    given = arguments.parse_args()
    if given.stage:
        print(json.dumps(run_stage(given.config, given.settings, given.stage, given.out)))
        return
    found = []
    for customers in map(int, given.customers.split(",")):
        found.append(measure(customers, given))
        (given.out / "scale.json").write_text(json.dumps(found, indent=1))
        print(table(found), flush=True)
    draw(found, given.out / "scale.png")
    largest = found[-1]
    whole, most = sum(s["wall"] for s in largest["stages"]), max(s["peak_gb"] for s in largest["stages"])
    sys.exit(int(whole > 60 * MINUTES or most > GB))


def measure(customers: int, given: argparse.Namespace) -> dict[str, Any]:
    """The stages of one shop, one after the other, in an empty store."""
    from recsys.data.synthetic import large, stream_orders

    shop, folder = given.out / f"shop-{customers}", given.out / f"run-{customers}"
    if not shop.exists():
        stream_orders(replace(large(), customers=customers), shop)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    settings = [*given.settings, f"run.store={folder}/store", f"run.reports={folder}/reports",
                f"data.orders.path={shop}/orders", f"data.catalog.path={shop}/catalog.parquet",
                f"registry.tracking_uri=sqlite:///{folder}/mlflow.db"]  # fmt: skip
    stages = []
    for stage in given.stages.split(","):
        command = [sys.executable, "-m", "benchmarks.scale", "--config", given.config, "--out", str(folder)]
        command += [f"--set={s}" for s in settings] + ["--stage", stage]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        stages.append(json.loads(done.stdout.splitlines()[-1]))
        print(f"{customers:>9,} customers  {stage:<13}", " ".join(f"{k} {v:.2f}" for k, v in stages[-1].items()
                                                                 if k != "stage"), flush=True)  # fmt: skip
    facts = json.loads((Path(json.loads((folder / "at.json").read_text())["ingest"]) / "ingest.json").read_text())
    return {"customers": customers, "lines": facts["kept"], "stages": stages}


def run_stage(config_file: str, settings: list[str], stage: str, folder: Path) -> dict[str, Any]:
    """One stage in this process; where its result lies is kept in at.json."""
    from recsys import pipeline, watch
    from recsys.config import load_config

    config, file = load_config(config_file, settings), folder / "at.json"
    at = json.loads(file.read_text()) if file.exists() else {}
    place = {name: Path(path) for name, path in at.items()}
    calls = {
        "ingest": lambda: pipeline.ingest_orders(config, NOW),
        "watch orders": lambda: watch.watch_orders(config, place["ingest"], gate=False),
        "matrices": lambda: pipeline.build_matrices(config, place["ingest"]),
        "learn": lambda: pipeline.learn_moment(config, place["matrices"], "train-0"),
        "blend": lambda: pipeline.blend(config, [place["learn"]]),
        "fit": lambda: pipeline.fit_models(config, place["matrices"], pipeline.TEST),
        "evaluate": lambda: pipeline.evaluate(config, place["matrices"], place["fit"], place["blend"]),
        "fit now": lambda: pipeline.fit_models(config, place["matrices"], pipeline.NOW),
        "package": lambda: pipeline.package(config, place["matrices"], place["fit now"], place["blend"],
                                            place["evaluate"], None, pipeline.NOW),
    }  # fmt: skip
    started, cpu = time.monotonic(), time.process_time()
    done = calls[stage]()
    wall, used = time.monotonic() - started, time.process_time() - cpu
    file.write_text(json.dumps(at | {stage: str(done)}))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)
    return {"stage": stage, "wall": wall, "cpu": used, "peak_gb": peak}


def table(found: list[dict[str, Any]]) -> str:
    """Markdown: a row per stage, a column per shop with wall s · CPU s · peak GB; whole and highest peak below."""
    names = [s["stage"] for s in found[0]["stages"]]
    head = "| stage | " + " | ".join(f"{f['lines'] / 1e6:.1f}M lines" for f in found) + " |"
    rows = [head, "| --- |" + " ---: |" * len(found)]
    for at, name in enumerate(names):
        cells = (f["stages"][at] for f in found)
        rows.append(f"| {name} | " + " | ".join(f"{c['wall']:.0f} · {c['cpu']:.0f} · {c['peak_gb']:.1f}" for c in cells)
                    + " |")  # fmt: skip
    whole = (f"{sum(s['wall'] for s in f['stages']):.0f} · {sum(s['cpu'] for s in f['stages']):.0f} · "
             f"{max(s['peak_gb'] for s in f['stages']):.1f}" for f in found)  # fmt: skip
    return "\n".join([*rows, "| **all** | " + " | ".join(whole) + " |", *bends(found)])


def bends(found: list[dict[str, Any]]) -> list[str]:
    """The stages that take the most CPU per line on the largest shop beside the one before it."""
    if len(found) < 2:
        return []
    before, last = found[-2:]
    grown = last["lines"] / before["lines"]
    ratio = {b["stage"]: a["cpu"] / max(b["cpu"], 1e-9) / grown
             for a, b in zip(last["stages"], before["stages"], strict=True) if a["cpu"] > 1}  # fmt: skip
    told = ", ".join(f"{name} {r:.2f}" for name, r in sorted(ratio.items(), key=lambda row: -row[1]))
    return [f"\nCPU per line beside the shop before (1 = linear growth): {told}"]


def draw(found: list[dict[str, Any]], file: Path) -> None:
    """CPU seconds and peak memory of each stage against lines, both axes logarithmic."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    lines = [f["lines"] / 1e6 for f in found]
    for axis, key, name in zip(axes, ("cpu", "peak_gb"), ("CPU time, s", "peak memory, GB"), strict=True):
        for at, stage in enumerate(s["stage"] for s in found[0]["stages"]):
            axis.plot(lines, [max(f["stages"][at][key], 0.01) for f in found], marker="o", label=stage)
        first = max(s[key] for s in found[0]["stages"])
        axis.plot(lines, [first * n / lines[0] for n in lines], color="grey", linestyle=":", label="linear")
        axis.set(xscale="log", yscale="log", xlabel="order lines, millions", ylabel=name)
    axes[1].legend(fontsize=8)
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
