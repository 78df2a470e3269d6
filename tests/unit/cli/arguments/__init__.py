"""What commands take: points in time and filters."""
