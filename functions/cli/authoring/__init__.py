"""The commands that write single tasks: `create`, `edit` and `rm`."""
