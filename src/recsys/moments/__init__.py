"""When to make an offer and when to be silent: what was known at a moment, triggers, reorders, silence."""
