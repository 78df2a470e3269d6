"""Moving: what other schedulers keep becomes tasks, and what one store keeps goes into another, whole."""
