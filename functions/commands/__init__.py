"""The commands of the command line: what each does, whatever reads the words typed.

A command is `async (session, **options) -> exit code`.
"""
