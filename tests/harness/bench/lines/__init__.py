"""What is measured: a module for each line of the table, or two."""
