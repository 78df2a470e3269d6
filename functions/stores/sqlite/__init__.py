"""The store in one SQLite file.

store is the entry; connection owns the file and its thread, schema its tables; tasks, runs and documents hold
the SQL of one table each.
"""
