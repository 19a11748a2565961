"""Silence: rules that refuse an offer out of what was known at the moment, each with its reason and its end."""
