"""Pages for administrators: keys, owners, channels, and the trail of who changed what."""
