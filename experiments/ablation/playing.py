"""Play one scenario under one system, through the daemon's own core, and count what it cost and whether it failed.

Must never decide, act or judge in the place of the product: what is done here is to configure, to let time pass, to
put the pipeline's own log of earlier scenarios back, and to count from the truth.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.ablation.faults import BAD_DEPLOY
from experiments.ablation.memory import NOTHING, Memory, put_back, remember
from experiments.ablation.systems import System, configuration
from experiments.ablation.world import PIPELINE, PLAYED, ROWS, Scenario
from healerd.actions import Draft, Model
from healerd.errors import Conflict
from healerd.model import HOLD, Answer, Decision, Intent, Stage, StageChange, VersionKind
from healerd.offline.chronicle import SIMULATED
from healerd.offline.estimator import fit
from healerd.offline.first import First, train_first
from healerd.offline.operators import ROLES, SimulatedOperator
from healerd.offline.played import PlayedStore
from healerd.offline.session import Session, open_session
from healerd.segments.times import aware

__all__ = ["NOTHING", "Memory", "Met", "Played", "holding", "meet", "play"]

Floats = npt.NDArray[np.float64]

ESTIMATOR = "sklearn.linear_model:LogisticRegression"
TOLERANCE = 0.02
"""Rise of the expected error that costs nothing, as in the product's configuration."""
FULL_HARM = 0.20
"""Rise of the expected error from which a window costs the full price of a degraded one."""
UNRESOLVED = 0.05
"""Rise of the expected error, in the mean of the last windows, from which an incident is not resolved."""
HARMED = 0.05
"""Rise over what no action at all would have served, from which a window was harmed by what was done."""
LAST, HARMED_MIN = 4, 2
"""Windows that tell whether an incident is resolved; windows harmed that count as harm."""
SHM = Path("/dev/shm")
PAST = "past"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Met:
    """A scenario with all that is the same for every system: the models there are, and what no action would serve."""

    scenario: Scenario
    first: First
    past: First
    bad: Model
    usual: float
    held: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What one run of one scenario came to. Costs in money, `gated` what the policy wanted instead of the rules."""

    system: str
    fault: str
    cost: float
    action_cost: float
    failed: bool
    unresolved: bool
    harm: bool
    retrains: int = 0
    rollbacks: int = 0
    fallbacks: int = 0
    undone: int = 0
    asked: int = 0
    incidents: bool = False
    deviations: int = 0
    barred: dict[str, int] = field(default_factory=dict)
    demoted: int = 0
    trusted: bool = True
    gated: dict[str, Any] | None = None

    def plain(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        return asdict(self)


def meet(scenario: Scenario) -> Met:
    """Fit the models that are there before anybody acts, and work out what holding on would serve."""
    fitted = partial(fit, estimator=ESTIMATOR, task="classification")
    stream = scenario.stream
    first, past = train_first(stream, fitted), train_first(scenario.past, fitted)
    few = slice(0, 60)
    label = stream.label[few].copy()
    label[:30] = 1.0 - label[:30]
    bad = fitted({name: column[few] for name, column in stream.features.items()}, label)
    rows = slice(stream.first, len(stream))
    arrived = {name: column[rows] for name, column in scenario.arrived.items()}
    held = _excess(scenario, first.model.predict(arrived))
    since = scenario.happening.first
    usual = float(held[:since].mean())
    if scenario.fault == BAD_DEPLOY:
        held = np.concatenate([held[:since], _excess(scenario, bad.predict(arrived))[since:]])
    return Met(scenario=scenario, first=first, past=past, bad=bad, usual=usual, held=held)


def play(met: Met, system: System, memory: Memory = NOTHING) -> tuple[Played, Memory]:
    """Play to the end; give what it came to, and what the pipeline's log remembers from then on."""
    with _opened(met, system, memory) as session:
        deploy_at = session.mark + timedelta(seconds=met.scenario.stream.window_s * met.scenario.happening.first)
        while not session.player.over:
            if met.scenario.fault == BAD_DEPLOY and session.mark == deploy_at:
                _deploy(session, met.bad)
            session.player.play_window()
        return _counted(met, system, session), remember(session.core.store, end_at=met.scenario.stream.end_at)


@contextmanager
def _opened(met: Met, system: System, memory: Memory) -> Iterator[Session]:
    scenario = met.scenario
    with TemporaryDirectory(prefix="ablation-", dir=SHM if SHM.is_dir() else None) as folder:
        config = configuration(system, scenario.site.costs, Path(folder))
        with open_session(
            scenario.stream,
            config,
            met.first,
            operator=SimulatedOperator(),
            feed=scenario.feed,
            store_kind=PlayedStore,
        ) as session:
            put_back(session.core.store, memory)
            _store_past(session, met)
            if memory.stage is not Stage.LIVE:
                reason = "the experiment begins where people trust the pipeline"
                with suppress(Conflict):  # the evidence speaks against it: people decide everything in this scenario
                    session.core.set_stage(PIPELINE, Stage.LIVE, author=SIMULATED, roles=ROLES, reason=reason)
            yield session


def _store_past(session: Session, met: Met) -> None:
    """Store the version of before, beside the one that serves."""
    session.core.add_version(
        PIPELINE,
        met.past.model,
        name=PAST,
        rows=met.past.rows,
        held_out=met.past.held_out,
        trained_from_at=aware(met.scenario.past.at[0]),
        trained_to_at=aware(met.scenario.past.at[-1]),
        note="an older version",
        activate=False,
    )


def _deploy(session: Session, bad: Model) -> None:
    """Let somebody else move the alias, past healerd."""
    registry, now = session.registry, session.clock.now()
    draft = Draft(
        name="nightly", kind=VersionKind.MODEL, created_at=now, key="nightly", note="deployed by somebody else"
    )
    registry.add(bad, draft)
    epoch = session.core.store.epoch
    registry.set_alias("nightly", if_current=registry.active, key="nightly", epoch=epoch, by="somebody", at=now)


# Counting.


def _excess(scenario: Scenario, output: Floats) -> Floats:
    """Give, for each served window, the expected error of n outputs above that of the best possible answer."""
    chance = scenario.chance[scenario.stream.first :]
    wrong = np.where(output == 1.0, 1.0 - chance, chance) - np.minimum(chance, 1.0 - chance)
    found: Floats = wrong.reshape(PLAYED, ROWS).mean(axis=1)
    return found


def holding(met: Met) -> Played:
    """Count what no action at all comes to: the truth alone tells, nothing need be played."""
    return Played(system="hold", fault=met.scenario.fault, **_served(met, met.held, paid=0.0))


def _served(met: Met, excess: Floats, *, paid: float) -> dict[str, Any]:
    """Price what was served, window by window, and tell whether the scenario failed."""
    rise = excess - met.usual
    share = np.clip((rise - TOLERANCE) / FULL_HARM, 0.0, 1.0)
    degraded = met.scenario.site.costs.degraded * float(share.sum())
    unresolved = float(rise[-LAST:].mean()) > UNRESOLVED
    harm = int((excess - met.held > HARMED).sum()) >= HARMED_MIN
    return {
        "cost": round(paid + degraded, 4),
        "action_cost": round(paid, 4),
        "failed": bool(unresolved or harm),
        "unresolved": unresolved,
        "harm": harm,
    }


def _counted(met: Met, system: System, session: Session) -> Played:
    store, stream, costs = session.core.store, met.scenario.stream, met.scenario.site.costs
    rows = store.rows(PIPELINE, stream.start_at, stream.end_at)
    done = [each for each in store.find(Intent) if each.effect_at and each.created_at >= stream.start_at]
    stages = store.find(StageChange, pipeline=PIPELINE)
    acts = Counter(each.action for each in done)
    decisions = [each for each in store.find(Decision) if each.window_end_at is not None]
    wanted = [each for each in decisions if each.rule_action not in (HOLD, each.candidate)]
    return Played(
        system=system.name,
        fault=met.scenario.fault,
        **_served(met, _excess(met.scenario, rows.output), paid=sum(costs.of(each.action) for each in done)),
        retrains=acts["retrain"],
        rollbacks=acts["rollback"],
        fallbacks=acts["fallback"],
        undone=acts["undo"],
        asked=len(store.find(Answer)),
        incidents=any(each.incident_id is not None for each in decisions),
        deviations=sum(each.chosen != each.rule_action for each in decisions),
        barred=dict(Counter(by for each in wanted if (by := (each.trace.get("gate") or {}).get("barred_by")))),
        demoted=sum(each.stage is not Stage.LIVE and each.at > stream.start_at for each in stages),
        trusted=[each.stage for each in stages if each.at <= stream.start_at][-1:] == [Stage.LIVE],
        gated=_gated(wanted, stream.start_at),
    )


def _gated(wanted: Sequence[Decision], start_at: datetime) -> dict[str, Any] | None:
    """Say what the policy first did in the place of what the rules proposed, else what it first wanted, how surely."""
    decision = next((each for each in wanted if each.chosen == each.candidate), wanted[0] if wanted else None)
    if decision is None:
        return None
    return {
        "window": (decision.at - start_at).days,
        "rule": decision.rule_action,
        "candidate": decision.candidate,
        "p": decision.p_cheaper_than_rule,
        "deviated": decision.chosen == decision.candidate,
    }
