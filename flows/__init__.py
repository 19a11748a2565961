"""Prefect flows: each reads aloud as one sentence; the work is done in recsys."""
