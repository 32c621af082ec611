"""healerd keeps machine-learning models in production healthy, and shows why it was safe to act."""

__version__ = "0.1.0"
