"""recsys: cross-sell and up-sell recommendations from a shop's order history."""

import os

# Set before polars is loaded: what its allocator frees goes back to the system at once. Else a training in one process
# holds what each stage has freed, 2 GB more at 32M order lines; it costs a fifth more time where tables are read.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")
