"""Triggers: each a file of its own, which says what moment it is, what is offered then and why that works."""
