"""The machine underneath: resets and boots."""
