"""The log upload."""
