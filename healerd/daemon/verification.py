"""Judge what a heal or step did: by the test fixed before it, against the replaced version on the same rows.

Must never compare before with after, and never undo because labels are silent (SAFETY S11). There are two looks: one
as soon as the test has its windows and rows, one at the deadline, each at half the test's error.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from healerd.actions import World
from healerd.actions.evidence import compare, newest, newest_windows, served_error, since, thin
from healerd.columns import Predictions, take
from healerd.detectors.paired import Gain
from healerd.model import Intent, Outcome, PairedTest, Result

__all__ = ["LOOKS", "Judged", "Word", "outcome_of", "return_gain", "test_for", "verify"]

LOOKS = 2
ROWS_SHADOWED_MAX = 20_000


class Word(StrEnum):
    """What a verification says."""

    WAIT = "wait"
    BETTER = "better"
    WORSE = "worse"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A word with its numbers; `final` when no look is left. `error` is that of what was served."""

    word: Word
    gain: Gain | None = None
    error: float | None = None
    final: bool = False
    note: str = ""


def test_for(world: World, *, version: str, against: str, from_at: datetime, error_limit: float | None) -> PairedTest:
    """Fix how a change from `against` to `version` at `from_at` will be judged, and up to which error it has resolved.

    The deadline leaves the labels their horizon, the test its windows, and as many again for windows without rows.
    """
    healing, settings = world.settings.healing, world.settings
    time_s = settings.label_horizon + (2 * healing.verify_windows + 1) * settings.window
    return PairedTest(
        version=version,
        against=against,
        rows_min=healing.rows_min,
        windows_min=healing.verify_windows,
        level=healing.level,
        deadline_at=from_at + timedelta(seconds=time_s),
        from_at=from_at,
        error_limit=error_limit,
    )


def verify(intent: Intent, world: World) -> Judged:
    """Take the look that is due: rows served by the new version, the replaced one shadowed on them."""
    test = intent.test
    assert test is not None, "a test is fixed before the effect it judges"
    final = world.now >= test.deadline_at
    if intent.result.get("looks", 0) and not final:
        return Judged(word=Word.WAIT)
    # A safe model is there for bad data, and is judged on it; the others are not judged by rows that nobody can trust.
    found = since(world, test.from_at, trusted_only=intent.action != "fallback")
    rows = take(found.rows, found.rows.version == test.version)
    enough = len(rows) >= test.rows_min and len(found.windows) >= test.windows_min
    if not enough:
        note = f"{len(rows)} labelled rows in {len(found.windows)} windows, the test wants {test.rows_min} in "
        return Judged(word=Word.UNCLEAR if final else Word.WAIT, final=final, note=note + str(test.windows_min))
    gain = _shadowed(world, rows, against=test.against, level=_level_of_one_look(test.level))
    if gain is None:
        note = f"`{test.against}` gave no answer to compare with"
        return Judged(word=Word.UNCLEAR if final else Word.WAIT, final=final, note=note)
    word = Word.BETTER if gain.low > 0 else Word.WORSE if gain.high < 0 else Word.UNCLEAR
    return Judged(word=word, gain=gain, error=served_error(world, rows), final=final)


def return_gain(world: World, *, safe: str, model: str) -> Gain | None:
    """Compare the replaced `model`, in shadow, with the `safe` model that serves, once the data has been good again.

    None while the newest windows, as many as judge a candidate, are not all good or not labelled well enough, and
    where nothing is known of the model.
    """
    windows = world.settings.healing.judge_windows
    found = newest(world, windows=windows)
    rows = take(found.rows, found.rows.version == safe)
    if len(rows) < world.settings.healing.rows_min or not all(map(world.trusted, newest_windows(world, windows))):
        return None
    gain = _shadowed(world, rows, against=model, level=world.settings.healing.level)
    if gain is None:
        return None
    return replace(gain, mean=-gain.mean, low=-gain.high, high=-gain.low, p_better=1.0 - gain.p_better)


def outcome_of(intent: Intent, judged: Judged, at: datetime) -> Outcome:
    """Write down what an intent did. Without a paired comparison the result is unknown, and teaches nothing."""
    gain = judged.gain
    result = {
        Word.BETTER: Result.HEALED,
        Word.WORSE: Result.WORSE,
        Word.UNCLEAR: Result.NO_CHANGE if gain is not None else Result.UNKNOWN,
        Word.WAIT: Result.UNKNOWN,
    }[judged.word]
    return Outcome(
        intent_id=intent.id,
        at=at,
        result=result,
        gain=gain.mean if gain else None,
        gain_low=gain.low if gain else None,
        gain_high=gain.high if gain else None,
        p_better=gain.p_better if gain else None,
        n=gain.n if gain else 0,
        paired=gain is not None,
        note=judged.note,
        error=judged.error,
        error_limit=intent.test.error_limit if intent.test else None,
    )


def _shadowed(world: World, rows: Predictions, *, against: str, level: float) -> Gain | None:
    """Compare what was served with the shadow of `against`, which is wrong where it raises (SAFETY S11).

    None without one: a silence proves nothing (S4).
    """
    rows = thin(rows, ROWS_SHADOWED_MAX)
    shadow = world.outputs([against], rows)[against]
    return None if shadow is None else compare(world, rows, new=rows.output, old=shadow, level=level)


def _level_of_one_look(level: float) -> float:
    return 1.0 - (1.0 - level) / LOOKS
