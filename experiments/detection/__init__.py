"""What the detectors promise, measured: `python -m experiments.detection`. Must never repeat what they compute."""
