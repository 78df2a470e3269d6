"""The store in Firestore.

store is the entry; client holds the connection; queries builds requests; reads and writes send them; codec
and runs_and_documents convert documents.
"""
