"""Measurements that anybody can repeat: each is one command, seeded, and calls the shipped code."""
