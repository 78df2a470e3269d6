"""editable."""
