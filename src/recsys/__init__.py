"""recsys: cross-sell and up-sell recommendations from a shop's order history."""
