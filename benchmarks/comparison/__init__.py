"""The parts of `python -m benchmarks.compare`: data, moments, tuning, lists, results."""
