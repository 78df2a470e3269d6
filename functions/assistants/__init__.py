"""What assistants may do to tasks, by MCP: the tools, their arguments, the server of one caller."""
