"""The store in JSON files that users edit and commit.

store is the entry; files holds file access, the lock and the thread; tasks, runs and documents hold one file
each.
"""
