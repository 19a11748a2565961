"""Values of candidate rows (m,) seen within their own query: deviation and order."""

import numpy as np

from ..data.histories import Floats, Ints


def standardised(values: Floats, query: Ints, n_queries: int) -> Floats:
    """Mean 0 and deviation 1 within each query; 0 where a query's values are all alike."""
    count = np.maximum(np.bincount(query, minlength=n_queries), 1)
    mean = np.bincount(query, values, minlength=n_queries) / count
    centred = values - mean[query]
    deviation = np.sqrt(np.bincount(query, centred**2, minlength=n_queries) / count)
    return np.asarray(centred / np.maximum(deviation, 1e-9)[query])


def in_order(scores: Floats, values: Floats, query: Ints) -> Floats:
    """float64 (m,): each query's values, handed out anew so that they fall as the scores do; ties in their order.

    A row with the second-best score gets the second-highest value of its query, whose values stay the same as a whole.
    """
    out = np.empty(len(scores))
    out[np.lexsort((-scores, query))] = values[np.lexsort((-values, query))]
    return out
