"""Values that commands take: points in time as they are typed, and filters of lists."""
