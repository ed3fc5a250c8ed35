"""EVerest's presence."""
