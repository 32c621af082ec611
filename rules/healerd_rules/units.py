"""The arithmetic of types: what may be added, multiplied and compared, and what comes out.

It never reports; None means that the combination has no meaning.
"""

from healerd_rules.schema import Type

SCALAR = frozenset({Type.RATIO, Type.POINTS, Type.NUMBER, Type.COUNT})
NUMERIC = SCALAR | {Type.DURATION, Type.MONEY, Type.BYTES, Type.TIME}
_COMPARABLE = {
    frozenset({Type.RATIO, Type.NUMBER}),
    frozenset({Type.COUNT, Type.NUMBER}),
    frozenset({Type.POINTS, Type.NUMBER}),
    frozenset({Type.POINTS, Type.RATIO}),
}
_SUMS = {
    (Type.RATIO, "-", Type.RATIO): Type.POINTS,
    (Type.TIME, "-", Type.TIME): Type.DURATION,
    (Type.TIME, "-", Type.DURATION): Type.TIME,
    (Type.TIME, "+", Type.DURATION): Type.TIME,
    (Type.DURATION, "+", Type.TIME): Type.TIME,
    (Type.RATIO, "+", Type.POINTS): Type.RATIO,
    (Type.RATIO, "-", Type.POINTS): Type.RATIO,
    (Type.POINTS, "+", Type.RATIO): Type.RATIO,
    (Type.TIME, "+", Type.TIME): None,
}


def comparable(left: Type, right: Type, op: str) -> bool:
    """Whether two types may be compared; truths and texts only for equality."""
    if left in (Type.BOOL, Type.TEXT) or right in (Type.BOOL, Type.TEXT):
        return left is right and op in ("==", "!=")
    return left is right or frozenset({left, right}) in _COMPARABLE


def combine(left: Type, op: str, right: Type) -> Type | None:
    """The type of `left op right`."""
    if left not in NUMERIC or right not in NUMERIC:
        return None
    if op in "+-":
        return _sum(left, op, right)
    return _product(left, right) if op == "*" else _quotient(left, right)


def _sum(left: Type, op: str, right: Type) -> Type | None:
    if (left, op, right) in _SUMS:
        return _SUMS[left, op, right]
    if left is right:
        return left
    if left in SCALAR and right in SCALAR and Type.NUMBER in (left, right):
        return right if left is Type.NUMBER else left
    return None


def _product(left: Type, right: Type) -> Type | None:
    if Type.TIME in (left, right):
        return None
    if left in SCALAR and right in SCALAR:
        return _scaled(left, right)
    if left in SCALAR:
        return right
    return left if right in SCALAR else None


def _scaled(left: Type, right: Type) -> Type:
    if left is right:
        return left
    if Type.NUMBER in (left, right):
        return right if left is Type.NUMBER else left
    return Type.POINTS if Type.POINTS in (left, right) else Type.NUMBER


def _quotient(left: Type, right: Type) -> Type | None:
    if left is right and left is not Type.TIME:
        return Type.NUMBER
    if right in SCALAR and left is not Type.TIME:
        return left if right is Type.NUMBER or left not in SCALAR else Type.NUMBER
    return None
