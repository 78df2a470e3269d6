"""The benchmark: one command, one table, each line beside competitors or a baseline of the same run."""
