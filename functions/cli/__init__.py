"""The command line: commands over the store and settings of the function, or over a deployed API."""
