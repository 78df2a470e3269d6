"""What the measurements are compared with: bare clients, and a function that does nothing."""
