"""Item factors by MLlib's implicit ALS, as close to the objective of `recsys.models.als` as it can be brought.

Both minimise, over all customers u and items i, with p = 1 where u bought i and 0 elsewhere,

    Σ c_ui (p_ui - x_u·y_i)² + Σ_u a_u |x_u|² + Σ_i b_i |y_i|²        c_ui = 1 + alpha · damped count

The confidences are the same numbers: MLlib's are 1 + alpha · |rating|, the rating is the damped count. The penalties
are not: ours is a_u = b_i = λ, MLlib's (ALS-WR; Zhou et al. 2008) is a_u = μ n_u and b_i = μ n_i, with n the number of
cells of a row or column. Since x·s and y/s give the same products, only the product of the two penalties has a meaning
for the scores; at the mean numbers of cells n̄_u = cells / customers and n̄_i = cells / items it is ours where

    μ = λ / √(n̄_u n̄_i) = λ √(customers · items) / cells

The optimum of ours has Σ|x|² = Σ|y|². The factors of MLlib are scaled to that, so that λ means the same when customers
are folded in. What stays different: rows with many cells are held back more, rows with few less.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from recsys.data.histories import Floats, Ints
from recsys.models.als import Als

if TYPE_CHECKING:
    from pyspark.ml.recommendation import ALSModel
    from pyspark.sql import DataFrame


def fit_als(cells: "DataFrame", model: Als, n_items: int, blocks: int) -> Als:
    """A fitted model of the same hyperparameters; `cells` as `lines.cells` makes them."""
    return replace(model).with_items(item_factors(cells, model, n_items, blocks))


def item_factors(cells: "DataFrame", model: Als, n_items: int, blocks: int) -> Floats:
    """float32 (n_items, factors); zeros for an item that no customer bought."""
    from pyspark.sql import functions as fn

    fitted = solve(cells, model, blocks)
    at, found = collected(fitted.itemFactors)
    square = fn.aggregate("features", fn.lit(0.0), lambda total, x: total + x * x)
    users = fitted.userFactors.agg(fn.sum(square)).collect()[0][0]
    out = np.zeros((n_items, model.factors), np.float32)
    out[at] = found * balance(users, float(np.square(found, dtype=np.float64).sum()))
    return out


def solve(cells: "DataFrame", model: Als, blocks: int) -> "ALSModel":
    """MLlib's own model of the customers' and items' factors, customers' updated last."""
    from pyspark.ml.recommendation import ALS
    from pyspark.sql import functions as fn

    damped = fn.log1p("count") if model.damping == "log" else fn.col("count")
    ratings = cells.select("customer", "item", damped.cast("float").alias("rating")).persist()
    try:
        return ALS(
            rank=model.factors,
            maxIter=model.iterations,
            regParam=weighted_regularization(ratings, model.regularization),
            alpha=model.alpha,
            implicitPrefs=True,
            numUserBlocks=blocks,
            numItemBlocks=blocks,
            userCol="customer",
            itemCol="item",
            ratingCol="rating",
            seed=model.seed,
        ).fit(ratings)
    finally:
        ratings.unpersist()


def weighted_regularization(ratings: "DataFrame", regularization: float) -> float:
    """MLlib's μ for our λ."""
    from pyspark.sql import functions as fn

    found = ratings.agg(fn.count("*"), fn.count_distinct("customer"), fn.count_distinct("item"))
    n_cells, customers, items = found.collect()[0]
    return float(regularization * np.sqrt(customers * items) / max(n_cells, 1))


def balance(users: float, items: float) -> np.float32:
    """By what to multiply item factors, so that Σ|x|² = Σ|y|² once customers' are divided by it."""
    return np.float32((users / items) ** 0.25) if users > 0 and items > 0 else np.float32(1)


def collected(factors: "DataFrame") -> tuple[Ints, Floats]:
    """Positions (m,) and factors (m, rank) of MLlib's table of id and features."""
    table = factors.toArrow()
    values = table.column("features").combine_chunks()
    flat = values.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    return table.column("id").to_numpy(), flat.reshape(table.num_rows, -1)
