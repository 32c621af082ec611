"""Walk recorded decisions in their order, and decide again, under what is tried, those that can come out otherwise.

Must never take a decision as unchanged that was not found so: where no rule that differs acts, it stands; everywhere
else it is decided anew by the same `decide` as in service. Memory, incidents and the action log are carried along each
pipeline as far as the trial moves them; what a later window would have measured after another action, nobody knows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from healerd.client.backtest.contrast import Contrast, contrast
from healerd.client.backtest.instead import Instead
from healerd.client.backtest.ledgers import Books, charge_of
from healerd.client.backtest.lessons import History
from healerd.client.backtest.logs import kept_for, own_line, priced
from healerd.client.backtest.recorded import Brief, Whole, brief_of, whole_of
from healerd.client.reproduce import kept_rules
from healerd.decision import FEATURES, Logged, Situation, Stake, Target, decide, follow, inputs_of
from healerd.decision.erasure import ERASED
from healerd.decision.gate import costs_of
from healerd.decision.steps import redo_step
from healerd.errors import StoreError
from healerd.model import ACTIONS_THAT_HEAL, HOLD, Decision, Incident, Intent
from healerd.policy import Account, CostModel
from healerd.policy.ledger import Charge, charged
from healerd.policy.terms import ALPHA
from healerd.store import Reader
from healerd_rules import RuleSet, SignalState, evaluate
from healerd_rules.evaluation import advance

__all__ = ["BY_ITSELF", "Lanes", "Met", "Said"]

PAGE = 256
BY_ITSELF = frozenset({"allowed", "announced"})
"""Levels at which an action runs without a person's word."""


_Row = tuple[int, Brief, bytes]
"""A decision's number, what is read of it at first, and its stored bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One answer: the action, `hold` when none, and the level of its verdict; where it holds, of what was barred."""

    action: str
    level: str
    rule: str | None = None

    @property
    def alone(self) -> bool:
        """Whether it runs without a person's word."""
        return self.action != HOLD and self.level in BY_ITSELF

    @property
    def plain(self) -> str:
        """Say it in words: `retrain by itself`, `asks for retrain`, `holds`."""
        if self.action == HOLD:
            return "holds"
        ways = {"allowed": "{} by itself", "announced": "{} by itself, announced", "approval needed": "asks for {}"}
        return ways[self.level].format(self.action)


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """A decision under both: as it was, as it would have been, and `then` with the action log carried along.

    `fresh` is the decision anew; None where nothing that differs acts. `assumed`: what the actions could have done was
    not recorded, since nothing seemed wrong, and all are taken to be possible.
    """

    seq: int
    brief: Brief
    was: Said
    now: Said
    then: Said
    whole: Whole | None = None
    fresh: Decision | None = None
    names: frozenset[str] = frozenset()
    assumed: bool = False

    @property
    def changed(self) -> bool:
        """Whether another action, or another way of taking it, comes out."""
        return self.was.plain != self.now.plain


@dataclass(slots=True, eq=False)
class Lane:
    """What the trial carries along one pipeline: its memory, its own incident, and its heals beside the recorded.

    `charges` are those of its own deviations, by their keys; `books` adds up what either did in this period.
    """

    memory: SignalState | None = None
    incident: Incident | None = None
    standing: tuple[str, ...] | None = None
    absent: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    added: list[Logged] = field(default_factory=list)
    charges: dict[str, Charge] = field(default_factory=dict)
    books: Books = field(default_factory=Books)


class Lanes:
    """One trial over one record. Raises StoreError for a rule set whose texts are not kept."""

    def __init__(self, reader: Reader, instead: Instead) -> None:
        self._reader, self._instead = reader, instead
        self._contrasts: dict[str, Contrast] = {}
        self._lanes: dict[str, Lane] = {}
        self._histories: dict[str, History] = {}

    @property
    def books(self) -> Mapping[str, Books]:
        """What the ledgers of each pipeline come to, as recorded and as tried, in the order in which they were met."""
        return {name: lane.books for name, lane in self._lanes.items()}

    def contrast_of(self, rules_id: str) -> Contrast:
        """Compare a rule set of the record with the one that is tried."""
        if rules_id not in self._contrasts:
            old = kept_rules(self._reader, rules_id)
            if old is None:
                raise StoreError(
                    f"the texts of the rule set {rules_id[:12]} are not kept, or load otherwise by now: what was "
                    "decided under it cannot be compared; choose another period with --since and --until"
                )
            self._contrasts[rules_id] = contrast(old, self._instead.ruleset or old)
        return self._contrasts[rules_id]

    def walk(self, bodies: Iterator[tuple[int, bytes]], keep: Callable[[Brief], bool]) -> Iterator[Met]:
        """Meet every decision that `keep` wants, in its order; memory is carried along all of them.

        One whose trace was erased is left out: nothing is known of what it stood on.
        """
        page: list[_Row] = []
        for seq, body in bodies:
            if ERASED in body:
                continue
            page.append((seq, brief_of(body), body))
            if len(page) == PAGE:
                yield from self._page(page, keep)
                page = []
        yield from self._page(page, keep)

    def _page(self, page: list[_Row], keep: Callable[[Brief], bool]) -> Iterator[Met]:
        wanted = [row for row in page if keep(row[1])]
        states = [self._remember(brief, body) for _, brief, body in wanted]
        touched = self._touched([brief for _, brief, _ in wanted], states)
        for row, state, is_touched in zip(wanted, states, touched, strict=True):
            yield self._meet(row, state, is_touched)

    def _touched(self, rows: Sequence[Brief], states: Sequence[SignalState]) -> list[bool]:
        """Ask the columns, once for each rule set of the page, which rows a difference can reach."""
        found = [False] * len(rows)
        for rules_id in {row.rules_id for row in rows}:
            places = [place for place, row in enumerate(rows) if row.rules_id == rules_id]
            told = self.contrast_of(rules_id).touched([rows[p] for p in places], [states[p] for p in places])
            for place, reached in zip(places, told.tolist(), strict=True):
                found[place] = reached
        return found

    # what is carried along

    def _lane(self, pipeline: str) -> Lane:
        return self._lanes.setdefault(pipeline, Lane())

    def _remember(self, brief: Brief, body: bytes) -> SignalState:
        """Give the memory of the new rules after this window: the recorded one, unless they keep something else."""
        seen, compared, lane = brief.trace.situation, self.contrast_of(brief.rules_id), self._lane(brief.pipeline)
        if not compared.remembers:
            return seen.signals
        if _is_tick(brief):
            inputs = inputs_of(whole_of(body).trace.situation) if compared.reads_log else compared.inputs(brief)
            after = advance(compared.memory, inputs, lane.memory or SignalState())
            # What both rule sets remember was recorded, and is known from before the period's first window on.
            recorded = seen.signals
            lane.memory = SignalState(
                patient={**after.patient, **recorded.patient},
                strict={**after.strict, **recorded.strict},
                window_s=after.window_s,
            )
        return lane.memory or seen.signals

    # one decision

    def _meet(self, row: _Row, state: SignalState, touched: bool) -> Met:  # noqa: FBT001 - one of three
        seq, brief, body = row
        lane, compared = self._lane(brief.pipeline), self.contrast_of(brief.rules_id)
        was = Said(action=brief.chosen, level=brief.level)
        own = lane.incident is not None or _is_absent(brief, lane)
        asked = touched or own or (self._instead.asks_policy and not brief.quiet)
        moved = bool(lane.gone or lane.added or lane.charges) and not brief.quiet
        if not asked and not moved:
            lane.standing = tuple(each.rule for each in brief.trace.proposals) if _is_tick(brief) else lane.standing
            if _may_charge(brief):
                told = whole_of(body)
                charge, model = _recorded_charge(told), told.trace.situation
                lane.books.add(model.account, model.costs, recorded=charge, tried=charge)
            return Met(seq=seq, brief=brief, was=was, now=was, then=was)
        whole = whole_of(body)
        situation, assumed = self._situation(whole, state, lane, compared)
        fresh = self._decide(whole, situation, compared.new)
        now = _said(fresh)
        if _is_tick(brief):
            lane.standing = tuple(each["rule"] for each in fresh.trace["proposals"])
        sequel = self._sequel(situation, lane)
        later = fresh if sequel is situation else self._decide(whole, sequel, compared.new)
        then = _said(later)
        self._charge(lane, whole, sequel, later)
        self._carry(lane, whole, was, then, situation=sequel, ruleset=compared.new)
        return Met(
            seq=seq,
            brief=brief,
            was=replace(was, rule=whole.rule),
            now=now,
            then=then,
            whole=whole,
            fresh=fresh,
            names=compared.names,
            assumed=assumed,
        )

    def _decide(self, whole: Whole, situation: Situation, ruleset: RuleSet) -> Decision:
        if whole.trace.step is not None:
            return redo_step(situation, ruleset, whole.trace.step)
        return decide(situation, ruleset, gate=self._instead.gate, traced=False)

    def _situation(self, whole: Whole, state: SignalState, lane: Lane, compared: Contrast) -> tuple[Situation, bool]:
        """Put what is tried in the place of what was; and whether something had to be assumed for it."""
        situation = replace(whole.trace.situation, signals=state)
        if self._instead.policy is not None:
            situation = replace(situation, policy=self._instead.policy)
        if self._instead.costs:
            model = self._instead.model(situation.costs)
            history = self._history(situation)
            learned, account = history.learned(situation, model), history.account(situation, model)
            stake = _stake(situation, model)
            situation = replace(situation, costs=model, learned=learned, account=account, stake=stake)
        situation = priced(situation, compared.old, compared.new, tried=self._instead.costs)
        if not compared.quiet_counts or whole.trace.step is not None or situation.wish is not None:
            return situation, False
        return self._with_incident(situation, lane, compared.new)

    def _with_incident(self, recorded: Situation, lane: Lane, ruleset: RuleSet) -> tuple[Situation, bool]:
        """Follow the trial's own incident where it has one, or where a rule opened the recorded one."""
        was = recorded.incident
        known = was is not None and was.id not in lane.absent
        if was is not None and known and lane.incident is None and not _opens_by_rule(recorded, was):
            return recorded, False
        standing = recorded.standing if lane.standing is None else lane.standing
        before = replace(recorded, incident=lane.incident, standing=standing)
        proposals = evaluate(ruleset, inputs_of(before), before.signals, confidence=None).proposals
        mine = follow(before, proposals)
        if mine is not None and was is not None and mine.id == was.id:
            return recorded, False
        if was is not None and mine is None:
            lane.absent.add(was.id)
        lane.incident = mine if mine is not None and mine.closed_at is None else None
        assumed = lane.incident is not None and not recorded.targets
        targets = tuple(Target(action=each) for each in ACTIONS_THAT_HEAL) if assumed else recorded.targets
        return replace(before, incident=mine, targets=targets), assumed

    def _history(self, situation: Situation) -> History:
        """The heals of a pipeline, read once."""
        name = situation.pipeline
        if name not in self._histories:
            actions = [prior.action for prior in situation.costs.actions]
            self._histories[name] = History(self._reader, name, actions)
        return self._histories[name]

    def _sequel(self, situation: Situation, lane: Lane) -> Situation:
        """Give the log, the open intents and the account as the trial left them; the same when it moved nothing."""
        moved = _with_log(situation, lane)
        if (not lane.gone and not lane.charges) or situation.account is None:
            return moved
        account = self._history(situation).account(situation, situation.costs, without=lane.gone)
        assert account is not None, "there was one"
        return replace(moved, account=_with_charges(account, situation, lane))

    def _charge(self, lane: Lane, whole: Whole, situation: Situation, later: Decision) -> None:
        """Enter what was done, and what the trial would do, into the books and into the trial's own account."""
        if whole.trace.step is not None or situation.wish is not None:
            return
        was, tried = _recorded_charge(whole), _tried_charge(later, situation)
        lane.books.add(situation.account, situation.costs, recorded=was, tried=tried)
        if was is not None and was[1].action == HOLD and (tried is None or tried[0] != was[0]):
            lane.gone.add(was[0])
        if tried is not None and tried[1].action != tried[1].rule_action and (was is None or was[0] != tried[0]):
            lane.charges.setdefault(*tried)

    def _carry(
        self, lane: Lane, whole: Whole, was: Said, then: Said, *, situation: Situation, ruleset: RuleSet
    ) -> None:
        """Note what the trial's action log holds more, or less, than the recorded one.

        A heal in the place of another keeps its times: a cooldown counts any action, and what it would have changed
        in later windows was not measured. What was only asked, and never started, is no heal.
        """
        if whole.trace.step is not None or was.plain == then.plain:
            return
        intents = self._reader.find(Intent, decision_id=whole.id) if was.action != HOLD else ()
        started = any(intent.executed_at is not None for intent in intents)
        if not then.alone:
            lane.gone |= {intent.id for intent in intents}
        elif not started:
            since = whole.at - kept_for(ruleset, situation.window_s)
            lane.added = [line for line in lane.added if line.started_at > since]
            lane.added.append(own_line(whole, then.action, situation, ruleset))


def _stake(situation: Situation, model: CostModel) -> Stake | None:
    """Give the price of a retraining as the daemon would have, by which rules weigh whether it pays."""
    stake, price = situation.stake, model.prior("retrain")
    if stake is None or price is None:
        return stake
    return replace(stake, retrain_cost=price.cost, failure=price.failure)


def _is_tick(brief: Brief) -> bool:
    """Whether it judged a window, which moves memory and incidents along; wishes and steps do not."""
    trace = brief.trace
    return brief.window_end_at is not None and trace.step is None and trace.situation.wish is None


def _may_charge(brief: Brief) -> bool:
    seen = brief.trace.situation
    return seen.open and seen.wish is None and brief.trace.step is None and brief.rule_action != HOLD


def _recorded_charge(whole: Whole) -> tuple[str, Charge] | None:
    """What a recorded decision charged: one that ran without a person's word, or held in the place of the rules."""
    situation, gate, context = whole.trace.situation, whole.trace.gate or {}, whole.trace.context
    by_itself = whole.chosen != HOLD and whole.level in BY_ITSELF
    if whole.trace.step is not None or situation.wish is not None or not set(FEATURES) <= context.keys():
        return None
    return charge_of(
        situation,
        acts=by_itself or (whole.candidate == HOLD and bool(gate.get("deviates"))),
        chosen=whole.chosen,
        rule_action=whole.rule_action,
        context=tuple(float(context[name]) for name in FEATURES),
        severity=float(gate.get("severity", costs_of(situation).severity)),
    )


def _tried_charge(later: Decision, situation: Situation) -> tuple[str, Charge] | None:
    by_itself = _said(later).alone
    return charge_of(
        situation,
        acts=by_itself or (later.candidate == HOLD and later.trace["deviates"]),
        chosen=later.chosen,
        rule_action=later.rule_action,
        context=later.trace["context"],
        severity=costs_of(situation).severity,
    )


def _with_charges(account: Account, situation: Situation, lane: Lane) -> Account:
    """Charge the trial's own deviations; what came of them nobody knows, so that none of them is pending."""
    ledger, alpha = account.ledger, ALPHA if account.terms.alpha is None else account.terms.alpha
    for key, charge in lane.charges.items():
        if key not in account.pending and situation.costs.prior(charge.action) is not None:
            ledger = charged(situation.costs, ledger, charge, alpha=alpha)
    return replace(account, ledger=ledger)


def _is_absent(brief: Brief, lane: Lane) -> bool:
    incident = brief.trace.situation.incident
    return incident is not None and incident.id in lane.absent


def _opens_by_rule(situation: Situation, incident: Incident) -> bool:
    return incident.opened_at == situation.now and incident.opened_by.startswith("rule ")


def _said(decision: Decision) -> Said:
    return Said(action=decision.chosen, level=decision.level, rule=decision.rule)


def _with_log(situation: Situation, lane: Lane) -> Situation:
    """Give the action log and the open intents as the trial left them; the same situation when it moved nothing."""
    if not lane.gone and not lane.added:
        return situation
    log: tuple[Any, ...] = tuple(line for line in situation.log if line.heal_id not in lane.gone)
    intents = tuple(i for i in situation.intents if i.id not in lane.gone and i.parent_id not in lane.gone)
    return replace(situation, log=(*log, *lane.added), intents=intents)
