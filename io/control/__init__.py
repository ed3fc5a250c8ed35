"""The control socket: the operator's requests to the running service."""
