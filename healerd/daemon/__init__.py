"""The only place that puts things together: judges windows, commits decisions, carries them out. See the README."""
