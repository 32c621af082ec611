"""How a feature's values moved, in words. Must never say more digits than cells can tell."""

from collections.abc import Sequence

from healerd.detectors.diagnosis import FeatureChange

__all__ = ["law_said"]

NAMES_SAID = 3
OUTSIDE_SAID = 0.02


def law_said(one: FeatureChange) -> str:
    """Say how a feature's values moved: its quartiles, or the names whose shares moved most."""
    if one.names:
        pairs = zip(one.names, one.usual, one.found, strict=True)
        moved = [f"`{name}` {usual:.1%} -> {found:.1%}" for name, usual, found in pairs if abs(found - usual) >= 0.0005]
        return ", ".join(moved[:NAMES_SAID]) or "no share moved"
    if not one.usual:
        return f"{one.missing:.0%} missing"
    usual, now = _three(one.usual), _three(one.found)
    outside = [(one.below, "below"), (one.above, "above")]
    beyond = "".join(
        f", {share:.0%} {where} the reference's range" for share, where in outside if share >= OUTSIDE_SAID
    )
    if usual == now:
        return beyond.removeprefix(", ") or f"quartiles {usual} as before"
    return f"quartiles {usual} -> {now}{beyond}"


def _three(values: Sequence[float]) -> str:
    """Three digits are what cells can tell; what is tiny beside the largest is nothing."""
    largest = max(map(abs, values))
    kept = [0.0 if abs(value) < largest / 1000 else value for value in values]
    return ", ".join(f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}" for value in kept)
