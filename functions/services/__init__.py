"""What users do to tasks, channels, keys and credits: commands and queries over a store."""
