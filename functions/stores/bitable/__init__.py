"""bitable."""
