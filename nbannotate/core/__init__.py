"""What a label is, with no I/O: scheme, geometry, tables, edits and undo."""
