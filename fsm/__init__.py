"""The core: messages, machines and tables; facts come in, orders leave, nothing else."""
