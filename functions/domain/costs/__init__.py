"""What runs may cost and have cost: credits of owners, budgets of tasks, and the bill of an installation."""
