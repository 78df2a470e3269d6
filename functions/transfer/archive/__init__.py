"""Archives: everything in a store as one file of JSON lines, exported and restored."""
