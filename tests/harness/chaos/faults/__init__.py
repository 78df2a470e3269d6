"""What is done to a run: a plan by the seed, and the places where processes die and stores fail."""
