"""Records, mappings, decisions, comparison, transformations and errors. Nothing in this package performs I/O."""
