"""`python -m everest_system.diagrams` makes the committed drawings anew; `make diagrams` calls it."""

import sys

from everest_system.diagrams.drawings import write
from everest_system.diagrams.picture import PictureError

if __name__ == "__main__":
    try:
        write()
    except (PictureError, OSError) as error:
        sys.exit(str(error))
