"""Pair rules drawn: a network of the weightiest pairs, a heat map of the keys that most of them share."""

from collections.abc import Sequence
from functools import partial
from textwrap import wrap

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, shortest_path
from scipy.spatial.distance import squareform

from recsys.registry.figures import Plot
from recsys.registry.run_files import Row
from recsys.registry.theme import ACCENT, ACCENT_TWO, GREY, GRID, INK, MUTED, NARROW, PAPER, SINGLES
from recsys.registry.wording import count

FLAGS = ("seasonal", "promotion", "one_store", "few_customers")
EDGES, SLIM_EDGES = 32, 14  # pairs in the network, wide and narrow
KEYS, SLIM_KEYS = 22, 12  # keys in the heat map
STEP, BOX, HEAD = 0.95, (1.42, 0.44), 0.4  # inches: length of an edge; room for a name, for the title
CELL_INK = "#1f2935"  # on cells that stay light when the page is dark
HEAT = LinearSegmentedColormap.from_list("heat", ["#fbf1ea", "#f0b48a", ACCENT])


def affinity_plots(level: str, rows: Sequence[Row]) -> list[Plot]:
    """Network and heat map of a level's published pairs; none where there are none. `rows`: see docs/affinity.md."""
    measured = weightiest([row for row in rows if row["adjusted_low"]])
    if not measured:
        return []
    shown = min(EDGES, len(measured))
    note = ("A line is a pair; thicker = more joint orders. Dashed: a season, a promotion, one store or few customers. "
            "Green: by hand. A larger dot is sold in more orders.")  # fmt: skip
    heat_note = ("Numbers are size-adjusted lifts: times as many joint orders as orders of those sizes would hold by "
                 "chance. Empty: not published.")  # fmt: skip
    kinds = _plural(level)
    heading = f"{kinds.capitalize()} bought together: the {shown} weightiest of {count(len(measured))} pairs"
    return [
        Plot(key=f"network-{level}", section=level, note=note, draw=partial(network, measured),
             title=heading),
        Plot(key=f"heat-{level}", section=level, note=heat_note, draw=partial(heat_map, measured),
             title=f"How strongly: the {kinds} with the weightiest pairs"),
    ]  # fmt: skip


def weightiest(rows: Sequence[Row]) -> list[Row]:
    """Pairs by joint orders · ln(lower bound of the size-adjusted lift): many orders and a sure lift, not one alone."""
    return sorted(rows, key=lambda r: -weight(r))


def weight(row: Row) -> float:
    return float(row["joint"] * np.log(max(row["adjusted_low"] or 1e-9, 1e-9)))


def _plural(level: str) -> str:
    return {"category": "categories"}.get(level, f"{level}s")


def network(rows: Sequence[Row], width: float) -> Figure:
    """Keys as dots, pairs as lines; parts that hang together lie together."""
    rows = rows[: SLIM_EDGES if width < NARROW else EDGES]
    names = {row[side]: row[f"name_{side}"] for row in rows for side in ("a", "b")}
    keys = sorted(names)
    at = {key: n for n, key in enumerate(keys)}
    edges = np.array([(at[row["a"]], at[row["b"]]) for row in rows])
    places, height = layout(edges, len(keys), width)
    figure = Figure(figsize=(width, height + HEAD))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    ax.set_xlim(0, width)
    ax.set_ylim(0, height + HEAD)
    most = max(row["joint"] for row in rows)
    for row, (a, b) in zip(rows, edges, strict=True):
        color = SINGLES[1] if row.get("by_hand") else ACCENT_TWO if _flagged(row) else SINGLES[0]
        ax.plot(*places[[a, b]].T, color=color, lw=1 + 4 * (row["joint"] / most) ** 0.5, alpha=0.75,
                ls=(0, (2, 1)) if _flagged(row) else "-", zorder=1, solid_capstyle="round")  # fmt: skip
    sold = {row[side]: row[f"sold_{side}"] for row in rows for side in ("a", "b")}
    sizes = np.array([sold[key] for key in keys], float)
    ax.scatter(
        places[:, 0],
        places[:, 1],
        s=18 + 110 * sizes / sizes.max(),
        color=GREY,
        zorder=2,
        edgecolor=GRID,
        linewidth=0.6,
    )
    for key, (x, y) in zip(keys, places, strict=True):
        ax.text(x, y - 0.09, _short(names[key]), ha="center", va="top", fontsize=6.6, color=INK, linespacing=0.95,
                zorder=3, bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.8, "pad": 0.4})  # fmt: skip
    return figure


def _flagged(row: Row) -> bool:
    return any(row.get(flag) for flag in FLAGS)


def _short(name: object, width: int = 22, lines: int = 2) -> str:
    """The name on two short lines, cut where it is longer."""
    parts = wrap(" ".join(str(name).split()), width) or [""]
    return "\n".join(parts if len(parts) <= lines else [*parts[: lines - 1], f"{parts[lines - 1][: width - 1]}…"])


def layout(edges: np.ndarray, n: int, width: float) -> tuple[np.ndarray, float]:
    """Places (n, 2) in inches and the height they need: each connected part by itself, parts in rows."""
    graph = csr_matrix((np.ones(len(edges)), edges.T), shape=(n, n))
    parts, label = connected_components(graph, directed=False)
    steps = shortest_path(graph, directed=False, unweighted=True)
    boxes = []
    for part in sorted(range(parts), key=lambda p: (-np.count_nonzero(label == p), p)):
        members = np.flatnonzero(label == part)
        own = spread_names(stretched(steps[np.ix_(members, members)]) * STEP, max(width - BOX[0], BOX[0]))
        boxes.append((members, own - own.min(axis=0)))
    places, x, y, row = np.zeros((n, 2)), 0.0, 0.0, 0.0
    for members, own in boxes:
        wide, high = own.max(axis=0) + np.add(BOX, (0.1, 0.16))
        if x and x + wide > width:
            x, y, row = 0.0, y + row, 0.0
        places[members] = own + np.array([x + BOX[0] / 2 + 0.05, y + 0.1])
        x, row = x + wide, max(row, high)
    places[:, 1] = y + row - places[:, 1]
    return places, y + row


def stretched(steps: np.ndarray, rounds: int = 200) -> np.ndarray:
    """Places (k, 2) whose distances are near `steps` (k, k): stress majorisation, weights 1 / steps² (Gansner 2004)."""
    k = len(steps)
    angle = np.arange(k) * 2 * np.pi / k
    places = np.stack([np.cos(angle), np.sin(angle)], axis=1) * max(k / 6, 0.5)
    if k == 2:
        return np.array([[0.0, 0.0], [0.0, 1.0]])
    w = np.divide(1.0, steps**2, out=np.zeros((k, k)), where=steps > 0)
    inverse = np.linalg.pinv(np.diag(w.sum(axis=1)) - w)
    for _ in range(rounds):
        gap = np.linalg.norm(places[:, None] - places[None], axis=2)
        pull = -w * np.divide(steps, gap, out=np.zeros((k, k)), where=gap > 1e-9)
        np.fill_diagonal(pull, 0)
        np.fill_diagonal(pull, -pull.sum(axis=1))
        places = inverse @ (pull @ places)
    _, axes = np.linalg.eigh(np.cov(places.T))
    return np.asarray(places @ axes[:, ::-1])  # the long side lies flat


def spread_names(places: np.ndarray, width: float, rounds: int = 400) -> np.ndarray:
    """Pushed apart until no name covers another, and no wider than `width`."""
    places = places - places.min(axis=0)
    places[:, 0] *= min(1.0, width / max(places[:, 0].max(), 1e-9))
    for _ in range(rounds):
        gap = places[:, None] - places[None]
        over = np.array(BOX) - np.abs(gap)
        hit = (over > 0).all(axis=2) & ~np.eye(len(places), dtype=bool)
        if not hit.any():
            break
        turn = np.arange(len(places))
        way = np.where(gap[..., 1] == 0, np.sign(turn[:, None] - turn), np.sign(gap[..., 1]))
        places[:, 1] += (hit * way * over[..., 1]).sum(axis=1) * 0.3
    return places


def heat_map(rows: Sequence[Row], width: float) -> Figure:
    """Lifts between the keys of the weightiest pairs, like keys side by side; the lower triangle."""
    limit = SLIM_KEYS if width < NARROW else KEYS
    names = {row[side]: row[f"name_{side}"] for row in rows for side in ("a", "b")}
    keys = sorted(hanging_together(rows, limit))
    at = {key: n for n, key in enumerate(keys)}
    lifts = np.full((len(keys), len(keys)), np.nan)
    for row in rows:
        if row["a"] in at and row["b"] in at:
            lifts[at[row["a"]], at[row["b"]]] = lifts[at[row["b"]], at[row["a"]]] = row["adjusted_lift"]
    order = _alike(lifts)
    shown = np.where(np.tri(len(keys), k=-1), lifts[np.ix_(order, order)], np.nan)[1:, :-1]
    figure = Figure(figsize=(width, 1.9 + 0.3 * (len(keys) - 1)), layout="constrained")
    ax = figure.subplots()
    known = shown[np.isfinite(shown)]
    norm = LogNorm(max(known.min(), 1.0), max(known.max(), known.min() * 1.01, 1.02))
    ax.pcolormesh(np.ma.masked_invalid(shown), cmap=HEAT, norm=norm, edgecolors="none")
    for y, x in zip(*np.nonzero(np.isfinite(shown)), strict=True):
        ax.text(x + 0.5, y + 0.5, _number(shown[y, x]), ha="center", va="center", fontsize=6.5, color=CELL_INK)
    labels = [_short(names[keys[n]], 26, 1) for n in order]
    ax.set_yticks(np.arange(len(keys) - 1) + 0.5, labels[1:], fontsize=7)
    ax.set_xticks(
        np.arange(len(keys) - 1) + 0.5, labels[:-1], fontsize=7, rotation=55, ha="right", rotation_mode="anchor"
    )
    ax.tick_params(axis="x", labelcolor=MUTED, pad=3)
    ax.set_ylim(len(keys) - 1, 0)
    ax.grid(visible=False)
    return figure


def hanging_together(rows: Sequence[Row], limit: int) -> list[str]:
    """Keys from the weightiest pair on, each time the one whose pairs with those there weigh most."""
    pull: dict[str, float] = {}
    chosen: list[str] = []
    neighbours: dict[str, list[tuple[str, float]]] = {}
    for row in rows:
        for side, other in (("a", "b"), ("b", "a")):
            neighbours.setdefault(row[side], []).append((row[other], max(weight(row), 0.0)))
    starts = [row[side] for row in rows for side in ("a", "b")]
    while len(chosen) < min(limit, len(neighbours)):
        best = max(pull, key=lambda key: pull[key]) if pull else next(k for k in starts if k not in chosen)
        chosen.append(best)
        pull.pop(best, None)
        for other, much in neighbours[best]:
            if other not in chosen:
                pull[other] = pull.get(other, 0.0) + much
    return chosen


def _alike(lifts: np.ndarray) -> np.ndarray:
    """Order in which keys of strong pairs are neighbours (average linkage)."""
    if len(lifts) < 3:
        return np.arange(len(lifts))
    near = np.nan_to_num(np.log(lifts), nan=0.0)
    far = near.max() - near
    np.fill_diagonal(far, 0)
    return np.asarray(leaves_list(linkage(squareform(far, checks=False), "average", optimal_ordering=True)))


def _number(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"
