"""What cooldowns and limits have to do with each other, whatever the log says.

It never reads a log.
"""

from collections.abc import Mapping

from healerd_rules.program import BoundTerms, RestTerms
from healerd_rules.schema import ActionDecl
from healerd_rules.terms import Bit, Key, Rails, Thing, implies


def always(terms: RestTerms | BoundTerms, action: ActionDecl) -> bool:
    """Limits that bar whatever the log says: of nothing at all, or of less money than the action costs."""
    if isinstance(terms, RestTerms):
        return False
    if terms.kind == "money":
        return action.cost is not None and action.cost > terms.amount
    return not terms.share and terms.amount < 1


def relations(key: Key, things: Mapping[Key, Thing]) -> list[Bit]:
    """A cooldown or limit that is looser than another bars only where the other does."""
    found = []
    for other, thing in things.items():
        if other[0] == "bars" and other != key:
            mine = things[key]
            assert isinstance(mine, Rails), "a truth"
            assert isinstance(thing, Rails), "a truth"
            if _bars_less(key, other):
                found.append(implies(mine.t, thing.t))
            if _bars_less(other, key):
                found.append(implies(thing.t, mine.t))
    return found


def _bars_less(key: Key, other: Key) -> bool:
    _, counted, terms, action = key
    _, counted_too, other_terms, action_too = other
    if action != action_too or not (counted_too is None or (counted is not None and counted <= counted_too)):
        return False
    if isinstance(terms, RestTerms) and isinstance(other_terms, RestTerms):
        within = terms.per == other_terms.per or (terms.per == "pipeline" and other_terms.per is None)
        return within and terms.windows == other_terms.windows and terms.length_s <= other_terms.length_s
    if isinstance(terms, BoundTerms) and isinstance(other_terms, BoundTerms):
        alike = (terms.kind, terms.share, terms.windows, terms.per) == (
            other_terms.kind,
            other_terms.share,
            other_terms.windows,
            other_terms.per,
        )
        return alike and terms.amount >= other_terms.amount and terms.period_s <= other_terms.period_s
    return False
