"""Log archives: which files, which lines, and the archive that holds them."""
