"""HTTP in, HTTP out: one blueprint per noun."""
