"""The options of a run: fields, types, YAML and solved layer weights."""
