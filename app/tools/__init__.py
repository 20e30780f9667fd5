"""Tools that the gateway itself can run: plain annotated functions, their JSON-schema definitions, and their limits."""
