"""The terminal UI: its place; what it shows is built on `healerd.client`. Must never talk to anything else."""
