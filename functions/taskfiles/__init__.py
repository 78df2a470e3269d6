"""Task files: YAML or JSON files of tasks, parsed and checked so that every problem is reported at once."""
