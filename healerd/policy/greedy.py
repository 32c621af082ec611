"""The policy `greedy`: the lowest posterior expected cost, whatever the rules say. Must never run in production."""

from healerd.policy.bayesian import Bayesian

__all__ = ["Greedy"]


class Greedy(Bayesian):
    """The candidate of `bayesian` with no gate before it: what the gate is worth is the difference of the two."""

    name = "greedy"
    does = "does what has the lowest expected cost, with no gate"
    experimental = True
