"""The demo's data: flights from New York in 2013, and the script that made it; never a model."""
