"""Changes of the schema, in order. `0001_state` makes it; a later file changes it and never edits an earlier one."""
