"""Measures what the gateway costs: `python -m bench`. Not a test: numbers depend on the machine, ratios less so."""
