"""The fault suite in full: every fault with its figure. `python -m experiments.faults`."""
