"""jsonfile."""
