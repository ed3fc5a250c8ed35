"""`python -m everest_system` is `everest-system`."""

import sys

from everest_system.cli import main

if __name__ == "__main__":
    sys.exit(main())
