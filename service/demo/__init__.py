"""The demonstration: a whole station on one machine."""
