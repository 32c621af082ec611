"""What was found, in plain words: what, since when, how sure, what is promised. Must never say more than that."""

from collections.abc import Iterator, Sequence

from healerd.detectors.course import Course
from healerd.detectors.diagnosis import Change, FeatureChange
from healerd.detectors.estimates import Estimate
from healerd.detectors.laws import law_said
from healerd.model import Layer
from healerd.offline.inspection.findings import Earlier, Inspection, Segment
from healerd.offline.inspection.walk import Alarm

__all__ = ["law_said", "layer_said", "number", "segment_said", "story"]

FEATURES_TOLD = 3
NEARER = 0.8
"""An earlier reference is called nearer when its distance is at most this much of the present one's."""
APART = 0.5

LAYERS = {
    Layer.HARM: "the model errs more",
    Layer.REGRET: "a stored version would have been right more often",
    Layer.QUALITY: "the data is bad",
    Layer.DRIFT: "the inputs changed",
    Layer.SCORE: "the model's outputs or scores changed",
    Layer.OPERATIONS: "a metric of operation is odd",
}


def story(found: Inspection) -> list[str]:
    """Tell the report, one paragraph a text."""
    told = [_head(found), *(_alarm(found, one) for one in found.alarms)]
    told += [text for text in (_kind(found), _course(found), _sure(found)) if text]
    told += [*_without_labels(found), *_joint(found), *_earlier(found.earlier), *_segments(found)]
    told.append(_promise(found))
    return told


def layer_said(layer: Layer) -> str:
    """Say what an alarm of a layer means."""
    return LAYERS[layer]


def number(value: float | None) -> str:
    """Write a number with four digits that count."""
    return "-" if value is None else f"{value:.4g}"


def _windows(count: int) -> str:
    return f"{count:,} window{'s' if count != 1 else ''}"


def _head(found: Inspection) -> str:
    cut = found.fitted.cut
    looked = f"{found.rows:,} rows in {_windows(len(found.windows))} of {cut} against `{found.options.reference.name}`"
    standing = sorted({one.layer for one in found.alarms if one.stands}, key=list(Layer).index)
    if standing:
        return f"{looked}: {', '.join(LAYERS[layer] for layer in standing)}."
    if found.alarms:
        return f"{looked}: there were alarms, none stands at the end."
    if any(one.stands for segment in found.segments for one in segment.alarms):
        return f"{looked}: no alarm over the whole, but in some segments."
    return f"{looked}: no alarm. Changes too small for these rows to show may be there all the same."


def _alarm(found: Inspection, one: Alarm) -> str:
    first, last = found.windows[one.first], found.windows[one.last]
    end = "and stands at the end of the file" if one.stands else f"until {last.name}"
    said = f"{LAYERS[one.layer].capitalize()}: alarm from {first.name} {end}"
    begun = found.named(one.since_at)
    if begun != first.name:
        said += f", the evidence began at {begun}"
    return f"{said}. {' '.join(_detail(found, one))}".strip()


def _detail(found: Inspection, one: Alarm) -> Iterator[str]:
    match one.layer:
        case Layer.HARM:
            if found.posterior is not None and found.fitted.error is not None:
                yield f"{_interval(found.posterior)}, {found.fitted.error.error:.1%} in the reference."
        case Layer.REGRET:
            for name, gain in found.walk.gains.items():
                yield (
                    f"`{name}` errs on {gain.mean:+.1%} fewer rows (90% between {gain.low:+.1%} and {gain.high:+.1%})."
                )
        case Layer.QUALITY:
            yield f"{'; '.join(one.reasons)}."
        case Layer.DRIFT | Layer.SCORE:
            named = [each for each in found.features if each.name in one.subjects][:FEATURES_TOLD]
            now = one.last >= found.focus.first  # of windows that are not compared only the names are known
            yield f"Most: {'; '.join(_moved(each) if now else f'`{each.name}`' for each in named)}."


def _moved(one: FeatureChange) -> str:
    return f"`{one.name}` ({law_said(one)})"


def _interval(one: Estimate) -> str:
    return f"{one.value:.1%} wrong of {one.n:,} rows ({one.level:.0%} between {one.low:.1%} and {one.high:.1%})"


def _kind(found: Inspection) -> str:
    match found.change:
        case Change.CONCEPT:
            said = "It looks like a concept shift: errors rose while no input is known to have moved"
        case Change.BOTH:
            said = "Inputs moved and errors rose: covariate drift with harm; that the one caused the other is not shown"
        case Change.COVARIATE:
            said = "It is covariate drift: inputs moved, and the errors of the labelled rows did not rise measurably"
        case Change.UNJUDGED:
            return "Inputs moved; whether that harms is unknown without labels."
        case Change.NONE:
            return ""
    expected, real = found.estimate, found.posterior
    if expected is not None and real is not None and found.change in (Change.CONCEPT, Change.BOTH):
        apart = real.low > expected.high
        said += f". The scores alone would let expect {expected.value:.1%} errors, found were {real.value:.1%}: " + (
            "what the scores mean has changed, a concept shift" if apart else "the scores explain the rise"
        )
    return f"{said}."


def _course(found: Inspection) -> str:
    one: Course | None = found.course
    if one is None or one.p_sudden is None or one.start is None:
        return ""
    begun = found.windows[one.start].name
    if one.said == "unclear":
        return f"Whether it came at once or little by little cannot be told (P(sudden) = {one.p_sudden:.2f})."
    if one.said == "sudden":
        return f"It came at once, at {begun} (P(sudden) = {one.p_sudden:.2f}, a step against ramps)."
    return (
        f"It came little by little, over about {_windows(one.takes or 0)} from {begun} "
        f"(P(sudden) = {one.p_sudden:.2f}, a step against ramps)."
    )


def _sure(found: Inspection) -> str:
    chances = {
        layer: max(one.by_chance for one in found.alarms if one.layer is layer)
        for layer in sorted({one.layer for one in found.alarms}, key=list(Layer).index)
    }
    told = [f"{layer.value} {_at_most(chance)}" for layer, chance in chances.items()]
    if not told:
        return ""
    return (
        f"How sure: were nothing changed, a file of {_windows(len(found.windows))} would show that much evidence "
        f"with a probability of at most: {', '.join(told)}; under the assumptions below."
    )


def _at_most(p: float) -> str:
    return f"{p:.2g}" if p >= 1e-12 else "1e-12"


def _without_labels(found: Inspection) -> Iterator[str]:
    usual = found.fitted.error
    if found.estimate is not None:
        one = found.estimate
        beside = "" if usual is None else f", {usual.error:.1%} in the reference"
        high = "" if one.p_high is None else f"; P(above the tolerated error) = {one.p_high:.2f}"
        yield f"Without labels, by the scores: about {_interval(one)}{beside}{high}. {_marked(one)}"
    if found.absolute is not None:
        one, before = found.absolute
        yield (
            f"Without labels, by a model of the absolute error: about {number(one.value)} "
            f"({one.level:.0%} between {number(one.low)} and {number(one.high)}), {number(before)} in the reference. "
            f"{_marked(one)}"
        )
    if found.posterior is not None and found.posterior.n < found.focus.rows:
        one = found.posterior
        high = "" if one.p_high is None else f"; P(above the tolerated error) = {one.p_high:.2f}"
        yield f"By the labels there are: {_interval(one)}{high}. {_marked(one)}"


def _marked(one: Estimate) -> str:
    return f"{'; '.join(one.assumptions).capitalize()}."


def _joint(found: Inspection) -> Iterator[str]:
    if found.joint is None:
        return
    one, named = found.joint.area, [pair for pair in found.joint.importances if pair[1] > 0.005]
    told = ", ".join(f"`{name}` ({lost:.2f})" for name, lost in named[:FEATURES_TOLD])
    verdict = "cannot be told from" if one.low <= APART else "can be told from"
    yield (
        f"All features together {verdict} the reference: a classifier's area is {one.value:.2f} "
        f"({one.level:.0%} between {one.low:.2f} and {one.high:.2f}; .5 is chance)"
        + (f", mostly by {told}." if told and one.low > APART else ".")
    )


def _earlier(earlier: Sequence[Earlier]) -> Iterator[str]:
    if not earlier:
        return
    best = earlier[0]
    near = f"mean KS {best.distance:.2f} against {best.distance_now:.2f} for the present reference"
    if best.distance <= NEARER * best.distance_now:
        yield (
            f"It may be recurring: the inputs look more like `{best.name}` ({near}, {best.features} features). "
            "A model stored then may do better; only labels can show it (`--rival`)."
        )
    else:
        yield f"It is not recurring as far as inputs show: the nearest earlier reference is `{best.name}` ({near})."


def segment_said(one: Segment) -> str:
    """Say what is wrong with a segment."""
    standing = [LAYERS[each.layer] for each in one.alarms if each.stands]
    return ", ".join(standing) or ("alarms, none stands" if one.alarms else "no alarm")


def _segments(found: Inspection) -> Iterator[str]:
    worst = [one for one in found.segments if any(each.stands for each in one.alarms)]
    if found.segments:
        listed = "; ".join(f"`{one.value}`: {segment_said(one)}" for one in worst[:FEATURES_TOLD]) or "none alarms"
        yield (
            f"Segments of `{found.options.segment}` (half of the budget, split evenly over {len(found.segments)}): "
            f"{listed}."
        )


def _promise(found: Inspection) -> str:
    unit = " A window of rows counts as a day." if found.fitted.cut.window_rows is not None else ""
    return f"What is promised: {found.promise}.{unit} KS, PSI and the like are displayed, no alarm hangs on them."
