"""The fault suite in full: every fault of the design with its figure. `python -m experiments.faults`."""
