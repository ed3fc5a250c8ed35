"""How many examples a property is tried with: few and always the same, or many and always others in `make soak`.

A fault that a property finds by chance is found in `make soak`, which prints the example, and not in the middle of
somebody else's change.
"""

import os
from typing import Final

IS_SOAK: Final = bool(os.environ.get("EVEREST_SYSTEM_SOAK"))
FACTOR: Final = 20


def examples(count: int) -> int:
    """So many, or more of them in `make soak`."""
    return count * FACTOR if IS_SOAK else count
