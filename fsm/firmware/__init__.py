"""The firmware update."""
