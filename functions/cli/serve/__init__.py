"""The command `serve`: the function on this machine, its trigger loop, and watched task files."""
