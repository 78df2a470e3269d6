"""Tasks that users edit by hand, shared by the JSON file store and the Bitable store.

model splits a task into what the user wrote and what the scheduler stores, and imports edits; queries answers
the queries of a store over such rows in memory.
"""
