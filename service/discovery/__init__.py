"""Which modules EVerest has: asked of it, remembered, and followed while the service runs."""
