"""Claims of the docs, each reproduced by one command; not part of the test run."""
