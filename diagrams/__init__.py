"""Drawings of the state machines, made from their tables: sources, pictures, and the path taken as text."""

from everest_system.diagrams.drawings import MEND, check, committed, write
from everest_system.diagrams.machines import MACHINES, Machine
from everest_system.diagrams.path_text import text_path
from everest_system.diagrams.picture import PictureError, picture
from everest_system.diagrams.source import dot, mermaid

__all__ = [
    "MACHINES",
    "MEND",
    "Machine",
    "PictureError",
    "check",
    "committed",
    "dot",
    "mermaid",
    "picture",
    "text_path",
    "write",
]
