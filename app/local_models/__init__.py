"""Model files on this machine: where they lie and what their headers say. Nothing here loads one or asks a network."""
