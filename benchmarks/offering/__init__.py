"""The parts of `benchmarks.offers`: a module each, with `run(config, now)` that gives a Part."""
