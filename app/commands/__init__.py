"""The commands of `python -m app`, one file each, and beside them what they share."""
