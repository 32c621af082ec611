"""What people may change through the control API: one row a verb, with who may, and what they must have seen.

Must never act by itself: each row calls the core, which applies the guards. Two principles fill the table. Who may:
stopping and asking need an operator, letting things run an approver, changing what may run an admin. What they must
have seen: whatever loosens names the revision it was decided on, and is refused when that has moved on; whatever stops
is never refused for being out of date (SAFETY S8: a veto before the deadline always wins).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from healerd.client.views import (
    did_you_mean,
    one_of,
    pipeline_revision,
    plain,
    require_pipeline,
    require_reason,
    stage_of,
)
from healerd.daemon.people import Person
from healerd.daemon.ports import Core
from healerd.decision.stages import LADDER, MAY_PROMOTE
from healerd.errors import ConfigError, Conflict, NotAllowed
from healerd.model import EVERYTHING, AnswerKind, Intent, Stage

__all__ = ["MUTATIONS", "Ask", "Mutation", "carry_out"]

STOPS = (AnswerKind.VETO, AnswerKind.DENY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a person asks for. `on` is the id or name in the path, `seen` the revision that they decided on."""

    person: Person
    on: str
    reason: str
    seen: str | None
    options: Mapping[str, str]
    pipelines: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One verb of the API. `revision` gives what must have been seen; None says that nothing need be.

    `at_once` says that it does not wait for a tick that runs: what stops must not come too late because of it.
    """

    path: str
    options: tuple[str, ...] = ()
    at_once: bool = False
    needs: Callable[[Core, Ask], str]
    revision: Callable[[Core, Ask], str | None]
    act: Callable[[Core, Ask], Any]


def carry_out(mutation: Mutation, core: Core, ask: Ask) -> Any:
    """Check the reason, the role and what was seen, then act.

    Raises ConfigError, NotAllowed, NotFound or Conflict, and then nothing has happened.
    """
    require_reason(ask.reason)
    needed = mutation.needs(core, ask)
    if not ask.person.may(needed):
        raise NotAllowed(f"`{ask.person.name}` is not {_a(needed)}; the `roles` of the configuration say who is")
    _require_seen(mutation.revision(core, ask), ask.seen)
    return plain(mutation.act(core, ask))


def _require_seen(current: str | None, seen: str | None) -> None:
    if current is None:
        return
    if seen is None:
        raise ConfigError(f"`if_rev` is needed: it stands at revision `{current}`; look at it, then say so")
    if seen != current:
        raise Conflict(f"it has changed from revision `{seen}` to `{current}` since you looked; look again")


def _a(role: str) -> str:
    return f"an {role}" if role[0] in "aeiou" else f"a {role}"


def _always(role: str) -> Callable[[Core, Ask], str]:
    return lambda core, ask: role


def _unseen(core: Core, ask: Ask) -> None:
    return None


# answers to intents


def _kind(ask: Ask) -> AnswerKind:
    given = ask.options.get("kind", "")
    try:
        return AnswerKind(given)
    except ValueError:
        raise ConfigError(f"no answer `{given}`; {did_you_mean(given, [kind.value for kind in AnswerKind])}") from None


def _answer_needs(core: Core, ask: Ask) -> str:
    return "operator" if _kind(ask) in STOPS else "approver"


def _intent(core: Core, ask: Ask) -> Intent:
    return one_of(core.store, Intent, ask.on, "healerd inbox")


def _answer_revision(core: Core, ask: Ask) -> str | None:
    revision = str(_intent(core, ask).revision)
    return None if _kind(ask) in STOPS else revision


def _answer(core: Core, ask: Ask) -> Intent:
    revision = None if _kind(ask) in STOPS or ask.seen is None else int(ask.seen)
    return core.answer(
        ask.on,
        _kind(ask),
        author=ask.person.name,
        roles=ask.person.roles,
        reason=ask.reason,
        revision=revision,
    )


EFFECTS = {"took": True, "none": False}
"""What a person found who looked: the effect is there, or it is not."""


def _resolve_revision(core: Core, ask: Ask) -> str:
    return str(_intent(core, ask).revision)


def _resolve(core: Core, ask: Ask) -> Intent:
    given = ask.options.get("effect", "")
    if given not in EFFECTS:
        raise ConfigError(f"no effect `{given}`; {did_you_mean(given, list(EFFECTS))}")
    return core.resolve(ask.on, took_effect=EFFECTS[given], author=ask.person.name, reason=ask.reason)


# pipelines


def _pipeline_revision(core: Core, ask: Ask) -> str:
    require_pipeline(ask.on, ask.pipelines)
    return pipeline_revision(core.store, ask.on)


def _pause(core: Core, ask: Ask) -> Any:
    require_pipeline(ask.on, ask.pipelines)
    core.pause(ask.on, author=ask.person.name, reason=ask.reason)
    return {"pipeline": ask.on, "revision": pipeline_revision(core.store, ask.on)}


def _resume(core: Core, ask: Ask) -> Any:
    core.resume(ask.on, author=ask.person.name, reason=ask.reason)
    return {"pipeline": ask.on, "revision": pipeline_revision(core.store, ask.on)}


def _propose(core: Core, ask: Ask) -> Any:
    require_pipeline(ask.on, ask.pipelines)
    action, to = ask.options.get("action", ""), ask.options.get("to")
    if ask.options.get("dry_run") == "yes":
        return core.rehearse(ask.on, action, to=to, author=ask.person.name, reason=ask.reason)
    return core.propose(
        ask.on,
        action,
        to=to,
        author=ask.person.name,
        roles=ask.person.roles,
        reason=ask.reason,
    )


def _wanted_stage(ask: Ask) -> Stage:
    given = ask.options.get("stage", "")
    try:
        return Stage(given)
    except ValueError:
        raise ConfigError(f"no stage `{given}`; {did_you_mean(given, [stage.value for stage in Stage])}") from None


def _is_promotion(core: Core, ask: Ask) -> bool:
    return LADDER.index(_wanted_stage(ask)) > LADDER.index(stage_of(core.store, ask.on))


def _stage_needs(core: Core, ask: Ask) -> str:
    return MAY_PROMOTE if _is_promotion(core, ask) else "operator"


def _stage_revision(core: Core, ask: Ask) -> str | None:
    revision = _pipeline_revision(core, ask)
    return revision if _is_promotion(core, ask) else None


def _set_stage(core: Core, ask: Ask) -> Any:
    return core.set_stage(ask.on, _wanted_stage(ask), author=ask.person.name, roles=ask.person.roles, reason=ask.reason)


def _accept(core: Core, ask: Ask) -> Any:
    require_pipeline(ask.on, ask.pipelines)
    since = None if ask.options.get("since") is None else _time(ask.options["since"])
    dry_run = ask.options.get("dry_run") == "yes"
    return core.accept(ask.on, since=since, author=ask.person.name, reason=ask.reason, dry_run=dry_run)


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"`since` must be a time such as 2026-01-31T12:00Z, not `{text}`") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


# everything


def _stop_all(core: Core, ask: Ask) -> Any:
    core.stop_all(author=ask.person.name, reason=ask.reason)
    return {"revision": pipeline_revision(core.store, EVERYTHING)}


def _resume_all(core: Core, ask: Ask) -> Any:
    core.resume(EVERYTHING, author=ask.person.name, reason=ask.reason)
    return {"revision": pipeline_revision(core.store, EVERYTHING)}


def _everything_revision(core: Core, ask: Ask) -> str:
    return pipeline_revision(core.store, EVERYTHING)


def _reload_rules(core: Core, ask: Ask) -> Any:
    core.reload_rules()
    return {"reloaded": True}


MUTATIONS = (
    Mutation(
        path="/v1/intents/{on}/answer",
        options=("kind",),
        at_once=True,
        needs=_answer_needs,
        revision=_answer_revision,
        act=_answer,
    ),
    Mutation(
        path="/v1/intents/{on}/resolve",
        options=("effect",),
        needs=_always("approver"),
        revision=_resolve_revision,
        act=_resolve,
    ),
    Mutation(path="/v1/pipelines/{on}/pause", at_once=True, needs=_always("operator"), revision=_unseen, act=_pause),
    Mutation(path="/v1/pipelines/{on}/resume", needs=_always("approver"), revision=_pipeline_revision, act=_resume),
    Mutation(
        path="/v1/pipelines/{on}/propose",
        options=("action", "to", "dry_run"),
        needs=_always("operator"),
        revision=_unseen,
        act=_propose,
    ),
    Mutation(
        path="/v1/pipelines/{on}/stage",
        options=("stage",),
        needs=_stage_needs,
        revision=_stage_revision,
        act=_set_stage,
    ),
    Mutation(
        path="/v1/pipelines/{on}/accept",
        options=("since", "dry_run"),
        needs=_always("approver"),
        revision=_pipeline_revision,
        act=_accept,
    ),
    Mutation(path="/v1/stop-all", at_once=True, needs=_always("operator"), revision=_unseen, act=_stop_all),
    Mutation(path="/v1/resume-all", needs=_always("approver"), revision=_everything_revision, act=_resume_all),
    Mutation(path="/v1/rules/reload", needs=_always("admin"), revision=_unseen, act=_reload_rules),
)
