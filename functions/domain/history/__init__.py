"""A task's past, kept small: counts of hours and days, incidents, and what charts are made of."""
