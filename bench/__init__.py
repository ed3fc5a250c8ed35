"""Figures of the service beside those of named peers, taken in the same run."""
