"""The commands that write single tasks."""
