"""The station in virtual time."""
