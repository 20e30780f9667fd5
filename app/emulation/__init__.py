"""Tools for models that have none: tool calls written as text, and read from text. Pure and incremental."""
