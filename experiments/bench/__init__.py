"""Speed claims as ratios against a named peer, measured in one process. Must never compare across machines."""
