"""A synthetic shop with planted truth, for tests, notebooks and benchmarks of any size."""

from recsys.data.synthetic.bad_csv import write_csv
from recsys.data.synthetic.dirt import as_text, dirty
from recsys.data.synthetic.options import SyntheticOptions, changed, large
from recsys.data.synthetic.shop import SyntheticShop, Truth, synthetic_shop
from recsys.data.synthetic.stream import stream_orders

__all__ = [
    "SyntheticOptions",
    "SyntheticShop",
    "Truth",
    "as_text",
    "changed",
    "dirty",
    "large",
    "stream_orders",
    "synthetic_shop",
    "write_csv",
]
