"""Spark as an engine: what it computes comes back as the same matrices and models; pyspark is imported in use only."""
