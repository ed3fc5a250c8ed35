"""Whom we believe: certificates, revocation lists, signatures."""
