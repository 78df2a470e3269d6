"""What the scheduler knows of its own troubles: it was late, a clock was wrong, notices were lost."""
