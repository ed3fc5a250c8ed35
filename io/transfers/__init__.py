"""Transfers in both directions over libcurl."""
