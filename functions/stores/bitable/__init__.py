"""The store that is a table in Feishu Bitable.

store is the entry; client calls Feishu; table reads and writes records; tasks, runs and documents hold one
table each; cells and rows convert; lease elects the one process that ticks; setup makes the tables.
"""
