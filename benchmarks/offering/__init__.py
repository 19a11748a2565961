"""Parts of `benchmarks.offers`, each also a command of its own."""
