"""The store: snapshots, outbox and history in one SQLite file."""
