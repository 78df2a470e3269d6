"""What a tick has room for: its time, its slots, and the limits of groups and hosts."""
