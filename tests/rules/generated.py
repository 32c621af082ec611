"""Rule sets with all the language has, drawn at random, and moments to judge them at: what the engines are compared on.

A rule set is plain tuples (`wide.py` judges them) that `render` writes out; nothing here judges.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from healerd_rules import ActionRecord, Inputs

NUMBERS = ("alpha", "beta", "gamma")
TEXTS = ("label", "tint", "data_quality")
WORDS = ("good", "bad", "red", "blue")
OWN = ("mend", "swap", "nudge")
SHIPPED = ("retrain", "rollback", "fallback", "promote", "undo", "return")
DIMENSIONS = {"feature": ("age", "income", "zip"), "segment": ("north", "south")}
MEASURED = {"feature": "delta", "segment": "omega"}
HEADER = """
dimension feature
dimension segment
metric alpha: number
metric beta: number
metric gamma: number
metric rho: ratio
metric delta: number per feature
metric omega: number per segment
metric flag: bool
metric label: text
metric tint: text
action mend risk 1 cost $5
action swap risk 2
action nudge step
calendar office = mon..fri 09:00..18:00 tz "Europe/Berlin"
calendar night = 22:00..06:00
calendar freeze = 2026-01-01..2026-01-03 tz "Asia/Tokyo"
"""
START = dt.datetime(2026, 1, 1, 21, 17, tzinfo=dt.UTC)
WINDOW_S = 1800.0

Cond = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class WideRule:
    """One rule of any kind; `terms` are the values of its kind, as `render` writes them."""

    name: str
    kind: str
    actions: tuple[str, ...] = ()
    cond: Cond | None = None
    unknown: str = ""
    enforcement: str = "hard"
    scope: Cond | None = None
    terms: tuple[Any, ...] = ()
    priority: int = 0
    severity: str = "medium"


@dataclass(frozen=True, kw_only=True)
class WideSet:
    """Signals by name, with what clears them, and rules."""

    signals: dict[str, tuple[Cond, Cond | None]] = field(default_factory=dict)
    rules: tuple[WideRule, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Story:
    """Windows in order, and the moment after them that is judged, with the confidences of the second pass."""

    windows: tuple[Inputs, ...]
    moment: Inputs
    confidence: dict[str, float | None]


class Dice:
    """Draws from a generator of random numbers that is handed in."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def pick(self, things: Sequence[Any]) -> Any:
        """One of them."""
        return things[int(self.rng.integers(len(things)))]

    def chance(self, p: float) -> bool:
        """True with probability p."""
        return bool(self.rng.random() < p)

    def some(self, things: Sequence[Any], most: int) -> list[Any]:
        """From none to `most` draws."""
        return [self.pick(things) for _ in range(int(self.rng.integers(most + 1)))]

    def tenth(self) -> float:
        """A tenth from 0 to 1."""
        return int(self.rng.integers(11)) / 10

    # conditions ----------------------------------------------------------

    def op(self) -> str:
        """A comparison."""
        return str(self.pick(("<", "<=", ">", ">=", "==", "!=")))

    def number(self, depth: int, dim: str | None, *, remember: bool) -> Cond:
        """A number: measured, constant, calculated or remembered."""
        roll = self.rng.random()
        if depth and roll < 0.3:
            ops = self.pick((("+", "-"), ("*", "/")))
            rest = tuple(
                (self.pick(ops), self.number(depth - 1, dim, remember=remember))
                for _ in range(1 + int(self.rng.integers(2)))
            )
            return ("arith", self.number(depth - 1, dim, remember=remember), rest)
        if depth and roll < 0.35:
            return ("neg", self.number(depth - 1, dim, remember=remember))
        if depth and remember and roll < 0.5:
            kind = self.pick(("avg", "min", "max", "drop", "rate"))
            return ("series", kind, self.number(depth - 1, dim, remember=True), int(self.rng.integers(1, 4)))
        if dim is not None and roll < 0.8:
            return ("member", MEASURED[dim])
        return ("const", self.tenth()) if roll > 0.9 else ("metric", self.pick(NUMBERS))

    def cond(  # noqa: C901 - one case a form
        self, depth: int, *, confidence: bool, signals: Sequence[str], dim: str | None = None, remember: bool = True
    ) -> Cond:
        """A condition, a few levels deep; `remember` allows what looks at past windows."""
        again = {"confidence": confidence, "signals": signals, "dim": dim, "remember": remember}
        past = {**again, "confidence": False}
        choices = ["cmp"] * 4 + ["flag", "alarm", "did", "age", "text", "cal", "missing", "between"]
        if confidence:
            choices += ["conf", "conf", "confbetween"]
        if depth:
            choices += ["and", "or", "not", "implies"] * 2 + ["same", "quant", "quant"]
        if depth and remember:
            choices += ["for", "once", "m_of_n", "since"]
        if signals:
            choices += ["signal"]
        match self.pick(choices):
            case "cmp":
                left, right = (self.number(2, dim, remember=remember) for _ in range(2))
                return ("cmp", self.op(), left, right)
            case "between":
                return ("between", *(self.number(1, dim, remember=remember) for _ in range(3)))
            case "conf":
                threshold = self.pick(
                    (("const", self.tenth()), self.number(1, dim, remember=remember), ("metric", "rho"))
                )
                return ("conf", self.op(), ("ratio", threshold[1]) if threshold[0] == "const" else threshold)
            case "confbetween":
                return ("confbetween", self.tenth(), ("metric", "rho"))
            case "alarm":
                return ("alarm", self.pick(("harm", "drift")))
            case "did":
                return ("did", self.pick(OWN))
            case "age":
                return ("age", self.pick(OWN), self.op(), int(self.rng.integers(0, 5)))
            case "text":
                name, op = self.pick((*TEXTS, "stage")), self.pick(("==", "!="))
                pair = self.chance(0.3)
                word = self.pick(("live", "canary", "suggest") if name == "stage" else WORDS)
                return ("texts", name, op, self.pick(TEXTS)) if pair else ("text", name, op, word)
            case "cal":
                return ("cal", self.pick(("office", "night", "freeze")), self.pick((0, 0, 2, 30)))
            case "missing":
                return ("missing", self._hideable(depth, again, dim))
            case "signal":
                return ("signal", self.pick(signals))
            case "and" | "or" | "implies" as word:
                return (word, self.cond(depth - 1, **again), self.cond(depth - 1, **again))
            case "not":
                return ("not", self.cond(depth - 1, **again))
            case "same":
                return ("same", self.pick(("==", "!=")), self.cond(depth - 1, **again), self.cond(depth - 1, **again))
            case "quant":
                return self._quantified(depth, again)
            case "for" | "once" as kind:
                return (kind, self.cond(depth - 1, **past), int(self.rng.integers(1, 4)))
            case "m_of_n":
                of = int(self.rng.integers(1, 5))
                return ("m_of_n", self.cond(depth - 1, **past), int(self.rng.integers(1, of + 1)), of)
            case "since":
                return ("since", self.cond(depth - 1, **past), self.cond(depth - 1, **past))
            case _:
                return ("flag",)

    def _hideable(self, depth: int, again: dict[str, Any], dim: str | None) -> Cond:
        if depth and self.chance(0.3):
            return ("truth", self.cond(depth - 1, **again))
        if self.chance(0.3):
            return ("word", self.pick(TEXTS))
        return self.number(1, dim, remember=again["remember"])

    def _quantified(self, depth: int, again: dict[str, Any]) -> Cond:
        """Over any dimension, within another or the same too; the body compares something of a member."""
        dim = self.pick(tuple(DIMENSIONS))
        inside = {**again, "dim": dim}
        body: Cond = ("cmp", self.op(), ("member", MEASURED[dim]), self.number(1, dim, remember=again["remember"]))
        if self.chance(0.5):
            nested = depth > 1 and self.chance(0.4)
            more = self._quantified(depth - 1, inside) if nested else self.cond(depth - 1, **inside)
            body = (self.pick(("and", "or")), body, more)
        if again["remember"] and self.chance(0.6 if again["dim"] else 0.3):
            past = self.cond(0, **{**inside, "confidence": False})
            kept = ("and", ("cmp", self.op(), ("member", MEASURED[dim]), ("const", self.tenth())), past)
            body = ("or", body, ("for", kept, int(self.rng.integers(1, 3))))
        kind = self.pick(("any", "every", "at least", "at most"))
        bound = self.pick((0, 1, 2, 3, 0.3, 0.5, 0.7, 1.0)) if kind.startswith("at") else None
        return ("quant", kind, bound, dim, body)

    # rules ---------------------------------------------------------------

    def rule_set(self) -> WideSet:
        """A rule set."""
        signals: dict[str, tuple[Cond, Cond | None]] = {}
        for number in range(int(self.rng.integers(3))):
            body = self.cond(2, confidence=False, signals=tuple(signals))
            clears = self.cond(1, confidence=False, signals=tuple(signals)) if self.chance(0.5) else None
            signals[f"sig{number}"] = (body, clears)
        kinds = [
            "permit",
            "forbid",
            "forbid",
            "approval",
            "veto",
            "cooldown",
            "limit",
            "propose",
            "last resort",
            "notify",
        ]
        rules = [
            self.rule(f"r{number}", self.pick(kinds), tuple(signals)) for number in range(2 + int(self.rng.integers(7)))
        ]
        # without a permit most verdicts on own actions would be the same
        opened = [WideRule(name="opened", kind="permit", actions=OWN)] if self.chance(0.6) else []
        return WideSet(signals=signals, rules=(*opened, *rules))

    def rule(self, name: str, kind: str, signals: Sequence[str]) -> WideRule:
        """One rule of a kind."""
        guard = kind in ("permit", "forbid", "approval", "veto")
        targets = (
            self.pick((("mend",), ("swap",), ("mend", "swap"), ("nudge",), OWN))
            if guard or self.chance(0.7)
            else ("swap",)
        )
        if kind not in ("permit", "propose", "last resort") and self.chance(0.4):
            targets = ()
        timed = kind in ("cooldown", "limit")
        cond = None if timed or self.chance(0.15) else self.cond(3, confidence=guard, signals=signals)
        unknowns = {
            "permit": ("", "skips"), "propose": ("", "skips"), "last resort": ("", "skips"),
            "notify": ("", "fires", "skips"),
            "forbid": ("", "", "fires", "skips"), "approval": ("", "skips"),
            "veto": ("", "asks", "asks", "skips", "fires"),
        }  # fmt: skip
        enforcements = {"forbid": ("soft", "advisory"), "cooldown": ("soft", "advisory"), "limit": ("soft", "advisory"),
                        "approval": ("advisory",), "veto": ("advisory",)}  # fmt: skip
        softer = kind in enforcements and self.chance(0.35)
        return WideRule(
            name=name,
            kind=kind,
            actions=() if kind == "notify" else targets,
            cond=cond,
            unknown=self.pick(unknowns[kind]) if kind in unknowns and cond is not None else "",
            enforcement=self.pick(enforcements[kind]) if softer else "hard",
            scope=self._scope(2) if self.chance(0.25) else None,
            terms=self._terms(kind),
            priority=self.pick((0, 10, 10, 50)) if kind == "propose" else 0,
            severity=self.pick(("low", "medium", "high")) if kind == "propose" else "medium",
        )

    def _scope(self, depth: int) -> Cond:
        roll = self.rng.random()
        if depth and roll < 0.4:
            return (self.pick(("and", "or")), self._scope(depth - 1), self._scope(depth - 1))
        if depth and roll < 0.55:
            return ("not", self._scope(depth - 1))
        return ("tag", self.pick(("tier1", "eu"))) if roll < 0.8 else ("pipeline", self.pick(("fraud-*", "churn", "*")))

    def _terms(self, kind: str) -> tuple[Any, ...]:
        hours = int(self.rng.integers(1, 4))
        per = self.pick((None, "pipeline", "team"))
        match kind:
            case "approval":
                return (self.pick(("ops", "boss")), self.pick((None, hours)), self.pick(("deny", "defer")))
            case "veto":
                return (hours,)
            case "cooldown":
                return (
                    self.pick((f"{hours}h", f"{hours} windows")),
                    per,
                    self.pick((None, ("mend",), ("swap", "retrain"))),
                )
            case "limit":
                shape = self.pick(("count", "money", "concurrent", "fleet"))
                amount = {
                    "count": self.pick((0, 1, 2)),
                    "money": self.pick((4, 9, 20)),
                    "concurrent": self.pick((0, 1, 2)),
                }
                return (shape, amount.get(shape, self.pick((0.1, 0.4))), f"{hours}h", per)
            case "notify":
                return (self.pick((None, hours)),)
        return ()

    # moments -------------------------------------------------------------

    def story(self, *, logged: bool) -> Story:
        """Up to four windows and the moment after them, of one pipeline of a fleet of ten."""
        log = self._log() if logged else ()
        closed = self.chance(0.5)
        kwargs: dict[str, Any] = {
            "pipeline": self.pick(("fraud-1", "churn")),
            "tags": self.pick(((), ("tier1",), ("eu", "team:pay"), ("tier1", "team:risk"))),
            "window_s": WINDOW_S, "log": log, "pipelines": 10,
            "members": {name: members for name, members in DIMENSIONS.items() if closed},
        }  # fmt: skip
        worlds = [self._world(number) for number in range(int(self.rng.integers(0, 5)) + 1)]
        *windows, moment = (Inputs(**kwargs, **world) for world in worlds)
        confidence = {action: self.pick((None, 0.2, 0.5, 0.8, 0.8, 0.9, 1.0, 1.5)) for action in (*OWN, *SHIPPED)}
        if self.chance(0.2):
            del confidence["mend"]
        return Story(windows=tuple(windows), moment=moment, confidence=confidence)

    def _world(self, number: int) -> dict[str, Any]:
        strange = (None, float("nan"), 1e200, -1e305, True, "high")

        def value() -> Any:
            return self.pick(strange) if self.chance(0.2) else self.pick((self.tenth(), self.tenth(), 3, -2.0))

        def word() -> Any:
            return self.pick((*WORDS, "odd", "odder", None, 5))

        facts: dict[str, Any] = {name: value() for name in NUMBERS if self.chance(0.95)}
        facts |= {name: word() for name in TEXTS}
        facts["data_quality"] = self.pick(("good", "good", "good", "bad", None))
        facts["rho"] = self.pick((None, *(n / 10 for n in range(11)), 1.7))
        facts["flag"] = self.pick((True, False, None, 1.0))
        for dim, members in DIMENSIONS.items():
            kept = [member for member in members if self.chance(0.85)]
            facts[MEASURED[dim]] = {member: value() for member in kept} if self.chance(0.95) else None
        return {
            "now": START + dt.timedelta(seconds=number * WINDOW_S + int(self.rng.integers(3)) * 21_600 * (number == 4)),
            "stage": self.pick(("live",) * 6 + ("canary", "suggest", "observe", None)),
            "incident": self.pick((True,) * 6 + (False, None)),
            "incident_id": self.pick(("i1", "i2", None)),
            "facts": facts,
            "alarms": {"harm": self.pick((True, False, None)), "drift": self.pick((True, False))},
        }  # fmt: skip

    def _log(self) -> tuple[ActionRecord, ...]:
        records = []
        for _ in range(int(self.rng.integers(1, 6))):
            started = START + dt.timedelta(minutes=int(self.rng.integers(-300, 200)))
            ended = None if self.chance(0.15) else started + dt.timedelta(minutes=int(self.rng.integers(0, 60)))
            records.append(
                ActionRecord(
                    action=self.pick((*OWN, "retrain")),
                    pipeline=self.pick(("fraud-1", "churn", "other")),
                    tags=self.pick(((), ("team:pay",), ("team:risk", "eu"))),
                    started_at=started,
                    ended_at=ended,
                    cost=self.pick((None, 1.0, 4.0, 6.5)),
                    incident_id=self.pick(("i1", "i2")),
                )
            )
        return tuple(replace(each, began=each.ended_at is not None or each.cost is not None) for each in records)


# writing ---------------------------------------------------------------------


def render(rules: WideSet) -> str:
    """The rule set in the language."""
    signals = [
        f"signal {name} = {say(body)}" + (f" clears when {say(clears)}" if clears is not None else "")
        for name, (body, clears) in rules.signals.items()
    ]
    return HEADER + "\n".join([*signals, *(render_rule(rule) for rule in rules.rules)]) + "\n"


def render_rule(rule: WideRule) -> str:
    """One rule in the language."""
    keyword = {"approval": "require", "veto": "require"}.get(rule.kind, rule.kind)
    scope = "" if rule.scope is None else f" on {say_scope(rule.scope)}"
    lines = [f"@enforce({rule.enforcement})"] if rule.enforcement != "hard" else []
    body = f"{keyword} {rule.name}: "
    body += '"channel"' + scope if rule.kind == "notify" else (", ".join(rule.actions) or "any action") + scope
    lines.append(body + _terms(rule))
    if rule.cond is not None:
        lines.append(f"  when {say(rule.cond)}")
    if rule.unknown:
        lines.append(f"  if unknown {rule.unknown}")
    if rule.kind == "propose":
        lines.append(f"  priority {rule.priority} severity {rule.severity}")
    if rule.kind == "notify" and rule.terms[0] is not None:
        lines.append(f"  repeat every {rule.terms[0]}h")
    return "\n".join(lines)


def _terms(rule: WideRule) -> str:
    match rule.kind, rule.terms:
        case "approval", (role, hours, otherwise):
            within = "" if hours is None else f" within {hours}h"
            return f'\n  approval from "{role}"{within} else {otherwise}'
        case "veto", (hours,):
            return f"\n  veto within {hours}h"
        case "cooldown", (length, per, after):
            return f" {length}" + (f" per {per}" if per else "") + (f" after {', '.join(after)}" if after else "")
        case "limit", ("fleet", share, period, _):
            return f" at most {share:.0%} of pipelines per {period}"
        case "limit", ("concurrent", amount, _, per):
            return f" at most {amount} concurrent" + (f" per {per}" if per else "")
        case "limit", (shape, amount, period, per):
            sign = "$" if shape == "money" else ""
            return f" at most {sign}{amount} per {period}" + (f" per {per}" if per else "")
    return ""


def say_scope(scope: Cond) -> str:
    """A scope in the language."""
    match scope:
        case ("tag" | "pipeline" as kind, text):
            return f'{kind} "{text}"'
        case ("not", inner):
            return f"not ({say_scope(inner)})"
        case (word, left, right):
            return f"(({say_scope(left)}) {word} ({say_scope(right)}))"
    raise AssertionError(scope)


def say(cond: Cond) -> str:  # noqa: C901 - one case a form
    """A condition or a number in the language, fully bracketed."""
    match cond:
        case ("metric" | "member" | "word" | "signal", name):
            return str(name)
        case ("const", value):
            return str(value)
        case ("ratio", value):
            return f"{value:.0%}"
        case ("neg", inner):
            return f"(-{say(inner)})"
        case ("arith", first, rest):
            return "(" + say(first) + "".join(f" {op} {say(operand)}" for op, operand in rest) + ")"
        case ("series", kind, inner, windows):
            return f"{kind}({say(inner)}, {windows} windows)"
        case ("flag",):
            return "flag"
        case ("truth", inner):
            return f"({say(inner)})"
        case ("cmp", op, left, right):
            return f"({say(left)} {op} {say(right)})"
        case ("between", value, low, high):
            return f"({say(value)} between {say(low)} and {say(high)})"
        case ("conf", op, threshold):
            return f"(confidence {op} {say(threshold)})"
        case ("confbetween", low, high):
            return f"(confidence between {low:.0%} and {say(high)})"
        case ("alarm" | "did" as word, name):
            return f"{word}({name})"
        case ("age", action, op, hours):
            return f"(age({action}) {op} {hours}h)"
        case ("text", name, op, word):
            return f'({name} {op} "{word}")'
        case ("texts", name, op, other):
            return f"({name} {op} {other})"
        case ("cal", name, hours):
            return f"(now - {hours}h in {name})" if hours else f"(now in {name})"
        case ("missing", inner):
            return f"({say(inner)} is missing)"
        case ("same", op, left, right):
            return f"(({say(left)}) {op} ({say(right)}))"
        case ("quant", kind, bound, dim, body):
            much = "" if bound is None else f" {bound:.0%} of" if isinstance(bound, float) else f" {bound} of"
            return f"({kind}{much} {dim} where ({say(body)}))"
        case ("for", inner, windows):
            return f"(({say(inner)}) for {windows} windows)"
        case ("once", inner, windows):
            return f"(({say(inner)}) within last {windows} windows)"
        case ("m_of_n", inner, need, windows):
            return f"(({say(inner)}) for {need} of last {windows} windows)"
        case ("since", left, right):
            return f"(({say(left)}) since ({say(right)}))"
        case ("not", inner):
            return f"(not {say(inner)})"
        case (word, left, right):
            return f"({say(left)} {word} {say(right)})"
    raise AssertionError(cond)
