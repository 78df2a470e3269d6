"""Days on which a task does not run (dates, weekdays, holidays), and what becomes of their occurrences."""
