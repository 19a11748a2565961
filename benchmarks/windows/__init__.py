"""Several test windows of one shop: where they lie, and what their figures say together."""
