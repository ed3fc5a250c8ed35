"""The commands of `everest-system`, a file each; what a command needs is imported when it runs."""
