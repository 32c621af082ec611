"""A world made of views alone, as the client gives them: the same on every run, for pictures and snapshots.

The names, numbers and times are made up; they are of the shape that `healerd.client` documents.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from healerd.client import Client
from healerd.client.views import trace_view
from healerd.clock import ManualClock
from healerd.daemon.recording import MemoryStore
from healerd_tui.state import Snapshot
from tests.served import a_decision

AT = datetime(2026, 5, 7, 14, 18, 8, tzinfo=UTC)
Json = dict[str, Any]


def iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def ago(**units: float) -> str:
    return iso(AT - timedelta(**units)) or ""


def ahead(**units: float) -> str:
    return iso(AT + timedelta(**units)) or ""


def an_intent(id_: str, pipeline: str, action: str, **changed: Any) -> Json:
    valid: Json = {
        "id": id_,
        "pipeline": pipeline,
        "action": action,
        "target": None,
        "current": "v14",
        "state": "awaiting approval",
        "revision": 3,
        "confidence": 0.86,
        "severity": 3,
        "created_at": ago(minutes=1),
        "deadline_at": None,
        "ended_at": None,
        "default": "it does not run",
        "reason": "",
        "author": "daemon",
        "approvals": [],
    }
    return {**valid, **changed}


PENDING = (
    an_intent(
        "retrain-8f3a",
        "churn-eu",
        "retrain",
        created_at=ago(minutes=1, seconds=19),
        deadline_at=ahead(minutes=3, seconds=41),
    ),
    an_intent(
        "rollback-61d0",
        "fraud-v2",
        "rollback",
        target="v6",
        current="v7",
        state="announced",
        confidence=0.93,
        revision=0,
        created_at=ago(minutes=4),
        deadline_at=ahead(minutes=11, seconds=8),
        default="it runs",
    ),
)

_ROWS: Sequence[tuple[Any, ...]] = (
    # name, state, health, drift, trend, ks p, version, last action, its state, minutes ago, by, cooldown minutes
    ("churn-eu", "pending", 61.2, 0.31, "up", 2e-06, "v14", None, None, 1, "daemon", None),
    ("fraud-v2", "pending", 48.0, 0.22, "up", 4e-04, "v7", None, None, 4, "daemon", None),
    ("ads-ctr", "failed", 22.4, 0.41, "flat", 1e-09, "v31", "retrain", "failed", 12, "daemon", 210),
    ("eta-rider", "drift", 70.1, 0.18, "up", 0.003, "v9", None, None, None, "daemon", None),
    ("search-rank", "healing", 64.4, 0.20, "down", 0.001, "v22", "retrain", "executing", 2, "daemon", None),
    ("credit-pd", "watch", 83.0, 0.09, "up", 0.041, "v5", None, None, None, "daemon", None),
    ("ocr-forms", "stale", None, None, None, None, "v2", None, None, None, "daemon", None),
    ("labels-hq", "paused", 91.5, 0.04, "flat", 0.22, "v3", None, None, 90, "ana", None),
    ("spam-lite", "vetoed", 74.0, 0.15, "flat", 0.008, "v3", "retrain", "vetoed", 60, "ana", None),
    ("price-uk", "cooldown", 88.3, 0.06, "down", 0.21, "v12", "rollback", "healed", 9, "bo", 21),
    ("demand-de", "ok", 97.4, 0.02, "flat", 0.63, "v18", None, None, None, "daemon", None),
)


def a_row(row: tuple[Any, ...]) -> Json:
    name, state, health, drift, trend, ks_p, version, action, word, minutes, by, cooldown = row
    opened = [each for each in PENDING if each["pipeline"] == name]
    held = {"id": "4c1e0a", "chosen": "hold", "held": True, "reason": "confidence 0.71 is below the gate 0.80"}
    last = {"id": "x", "action": action, "target": None, "state": word, "at": ago(minutes=minutes or 0), "by": by}
    incident = {
        "id": "inc-d260",
        "kind": "harm",
        "severity": 3,
        "reason": "the error is 17.1%, on the reference 10.4%",
        "opened_at": ago(hours=2),
        "clean_windows": 0,
    }
    bad = state in {"pending", "failed", "drift", "healing", "watch", "vetoed"}
    level = drift or 0.0
    series = [max(0.0, level * (hour / 23) ** 2 + 0.01 * math.sin(hour)) for hour in range(24)]
    return {
        "name": name,
        "state": state,
        "stage": "live" if state != "ok" else "canary",
        "revision": "live:running",
        "paused": {"author": "ana", "reason": "labels are being repaired", "since_at": ago(minutes=90)}
        if state == "paused"
        else None,
        "incident": incident if bad else None,
        "window_end_at": ago(minutes=18),
        "window_s": 1800.0,
        "decision": {**held, "pipeline": name, "at": ago(minutes=18)},
        "open": [*opened, *([{**last, "id": "r", "created_at": ago(minutes=2)}] if state == "healing" else [])],
        "last_heal": None,
        "version": version,
        "error": None,
        "health": health,
        "drift": drift,
        "drift_trend": trend,
        "ks_p": ks_p,
        "last_action": {**last, "result": "healed"} if word == "healed" else last if action else None,
        "cooldown_until": ahead(minutes=cooldown) if cooldown else None,
        "series": {"drift": series if health is not None else [None] * 24},
    }


def a_status(**changed: Any) -> Json:
    valid: Json = {
        "schema": 1,
        "at": iso(AT),
        "head": 18204,
        "stop_revision": "all:running",
        "stopped": None,
        "stop_file": None,
        "daemon": {"state": "live", "pid": 4711, "since": ago(days=9)},
        "you": {"name": "ana", "roles": ["viewer", "operator", "approver"]},
        "present": [
            {"name": "ana", "role": "approver", "seen_s": 0.3},
            {"name": "bo", "role": "approver", "seen_s": 1.2},
            {"name": "cy", "role": "viewer", "seen_s": 2.0},
        ],
        "pipelines": [a_row(row) for row in _ROWS],
    }
    return {**valid, **changed}


def a_snapshot(*, heard_s: float, **changed: Any) -> Snapshot:
    intents = PENDING if changed.get("pipelines") != [] else ()
    return Snapshot(status=a_status(**changed), intents=intents, heard_s=heard_s)


def _option(
    action: str, cost: tuple[float, float, float], p_best: float, past: tuple[int, int] | None, **rest: Any
) -> Json:
    valid = {
        "action": action,
        "target": None,
        "chosen": False,
        "level": "approval needed",
        "permitted": True,
        "cost": cost[0],
        "cost_low": cost[1],
        "cost_high": cost[2],
        "p_better": None,
        "p_best": p_best,
        "past": None if past is None else {"healed": past[0], "of": past[1]},
        "why_not": "",
    }
    return {**valid, **rest}


def a_question(**changed: Any) -> Json:
    intent = {**PENDING[0], "decision_id": "dec-8f3a", "veto_within_s": 300.0, "approved_by": [], **changed}
    evidence = [
        ("drift", "tenure_days", 0.31, 2e-06, 11.2, 7.1, True),
        ("harm", None, 0.171, None, 9.4, 7.1, True),
        ("score", None, 0.12, 0.004, 5.0, 7.1, False),
        ("quality", "null_rate", 0.01, 0.4, 0.2, 7.1, False),
    ]
    rules = [
        ("default.cooldown_30m", "pass", ""),
        ("default.max_2_heals_day", "pass", "1 of 2"),
        ("base.no_heal_in_freeze", "pass", ""),
        ("prod.safe_retrain", "ask", "a retraining of a large model is asked for"),
    ]
    review = {
        "evidence_revision": intent["revision"],
        "deadline_at": intent["deadline_at"],
        "veto_within_s": intent["veto_within_s"],
        "evidence_hash": "5c1e77a9" * 8,
        "counting": True,
        "on_silence": "it does not run",
        "silence_by": "prod.safe_retrain (rules/prod.heal:12)",
        "confidence": intent["confidence"],
        "gate": 0.8,
        "stage": "live",
        "consulted": True,
        "decided_by": "the policy",
        "alternatives": [
            _option("retrain", (4.1, 2.6, 6.9), 0.71, (11, 13), chosen=True),
            _option("rollback", (6.0, 5.1, 7.2), 0.19, (6, 9), target="v13", why_not="v13 lacks feature plan_tier"),
            _option("fallback", (9.5, 8.9, 10.3), 0.02, (3, 3), why_not="precision -0.12"),
            _option("hold", (11.8, 7.4, 17.0), 0.08, None, why_not="the error stays"),
        ],
        "rules": [{"rule": name, "kind": "require", "effect": effect, "because": why} for name, effect, why in rules],
        "evidence": [
            {"name": name, "subject": subject, "value": value, "p_value": p, "n": 1912, "effect": None, "layer": name}
            | {"log_evidence": evidence_, "log_limit": limit, "alarm": alarm, "since_at": ago(hours=2)}
            for name, subject, value, p, evidence_, limit, alarm in evidence
        ],
        "approvals": [
            {"role": "operators", "deadline_at": intent["deadline_at"], "otherwise": "it does not run"}
            | {"rule": "prod.safe_retrain", "given_by": None}
        ],
        "blast": {
            "pipelines": ["churn-eu"],
            "rows_per_day": 91_776,
            "rows_per_window": 1912,
            "reversible": "rollback to `v14`",
            "level": "low",
        },
        "answered": [],
    }
    what = "retrain on `churn-eu` from `v14`"
    why = (
        "On `churn-eu` alarms of drift and harm stand; incident inc-d260: the error is 17.1%, on the reference 10.4%. "
        "It would retrain, because what it learned is no longer true; the probability that this costs less than doing "
        "nothing is 0.86."
    )
    silence = "If nobody answers by 2026-05-07 14:21, it does not run."
    return {
        "schema": 1,
        "now": iso(AT),
        "intent": intent,
        "prompt": {"what": what, "why": why, "default": silence},
        "answers": ["veto", "approve"],
        "decision": {"id": "dec-8f3a", "rule": None, "options": [], "chosen": "retrain", "reason": "see why"},
        "outcome": None,
        "review": review,
        "reviewing": [{"name": "bo", "seconds": 12.0, "seen_s": 1.0}],
    }


class Canned(Client):
    """A client that knows one world; what it was asked is in `asked`."""

    def __init__(self, views: Mapping[str, Json] | None = None) -> None:
        self.views = dict(views or {})
        self.asked: list[str] = []
        self.texts: list[str] = []

    def look(self, path: str, **query: str | int | None) -> Json:
        self.asked.append(path)
        known = {**default_views(), **self.views}
        if query.get("before") is not None:
            return {**known[path], "entries": [], "traces": [], "before": None}
        if path in known:
            return known[path]
        from healerd.errors import NotFound

        raise NotFound(f"no view `{path}` in this world")

    def status(self) -> Json:
        return self.look("/v1/status")

    def intent(self, intent_id: str, *, reviewing: bool = False) -> Json:
        return self.look(f"/v1/intents/{intent_id}")

    def health(self) -> Json:
        return self.look("/v1/health")

    def rehearse(self, name: str, action: str, *, to: str | None = None) -> Json:
        self.asked.append(f"rehearse {action}")
        plan = {"target": None, "current": "v14", "note": "train on 5120 rows from 2026-05-05 to 2026-05-07"}
        told = {"action": action, "verdict": "approval needed", "would": action, "why": "it was asked for"}
        told |= {"veto_within_s": 600.0, "approvals": ["ml-oncall"], "plan": plan, "refusal": ""}
        return {**told, **self.views.get(f"rehearse {action}", {})}

    def what_if(self, name: str, *, rules_id: str, path: str, text: str, days: int = 7) -> Json:
        self.asked.append(f"what if {path}")
        self.texts.append(text)
        return {**a_what_if(), **self.views.get("what if", {})}


def a_what_if() -> Json:
    """Of a week's decisions, what another number would have changed."""
    return {
        "schema": 1,
        "findings": "",
        "reproduced": {"checked": 20, "problem": None},
        "decisions": 243,
        "changed": {
            "count": 14,
            "pairs": [
                {
                    "kind": "newly automatic",
                    "rule": "x",
                    "from": "asks for retrain",
                    "to": "retrain by itself",
                    "count": 13,
                },
                {"kind": "newly asked", "rule": "x", "from": "holds", "to": "asks for rollback", "count": 1},
            ],
            "listed": [
                {
                    "at": ago(hours=12 * number),
                    "from": "asks for retrain",
                    "to": "retrain by itself",
                    "assumed": number == 2,
                }
                for number in range(1, 14)
            ],
        },
        "evidence": {"randomised": 0, "overridden": 2, "none": 12},
        "verdict": "not proven",
        "why": "no changed decision has a randomised outcome on both sides",
    }


def default_views() -> Mapping[str, Json]:
    return {
        "/v1/status": a_status(),
        "/v1/intents": {"schema": 1, "intents": list(PENDING)},
        "/v1/intents/retrain-8f3a": a_question(),
        "/v1/intents/rollback-61d0": a_question(
            **{key: PENDING[1][key] for key in ("id", "pipeline", "action", "target")}
        ),
        "/v1/health": a_health(),
        "/v1/traces/dec-8f3a": a_trace("dec-8f3a", days_ago=0, error=0.171, shift=0.31, confidence=0.86),
        "/v1/traces/dec-61d0": a_trace("dec-61d0", days_ago=3, error=0.152, shift=0.12, confidence=0.52),
        "/v1/audit": an_audit(),
        "/v1/traces": {"schema": 1, "traces": [a_line(seq) for seq in range(18204, 18180, -1)], "before": None},
        "/v1/pipelines/churn-eu/distributions": distributions(),
        "/v1/pipelines/churn-eu/timeline": a_timeline(),
        "/v1/pipelines/churn-eu/versions": stored_versions(),
        **{f"/v1/pipelines/{row[0]}/rules": the_rules() for row in _ROWS},
    }


def a_line(seq: int) -> Json:
    held = seq % 3 != 0
    return {
        "id": f"{seq * 7919:06x}"[:6],
        "seq": seq,
        "pipeline": "churn-eu" if seq % 2 else "fraud-v2",
        "at": ago(minutes=30 * (18204 - seq)),
        "chosen": "hold" if held else "retrain",
        "target": None,
        "held": held,
        "level": "allowed" if held else "approval needed",
        "confidence": None if held else 0.86,
        "reason": "no alarm stands" if held else "harm on good data: the relation has moved",
        "author": "daemon",
    }


def a_trace(id_: str, *, days_ago: float, error: float, shift: float, confidence: float) -> Json:
    """A decision as the daemon would show it, made by the very view."""
    acts = confidence >= 0.8
    asks = {"rule": "prod.safe_retrain", "kind": "require", "path": "rules/prod.heal", "line": 12, "leaves": []}
    ruling = {"level": "approval needed", "acting": [{**asks, "because": "asked for", "enforcement": "hard"}]}
    trace = {
        "alarms": {"drift": shift > 0.2, "harm": error > 0.16, "quality": False},
        "facts": {"error_rate": error, "reference_error": 0.104, "rows": 1912, "psi": {"tenure_days": shift}},
        "first_pass": {"retrain": {**ruling, "approvals": [], "autonomous": False}},
        "second_pass": {**ruling, "approvals": [], "autonomous": False},
        "gate": {"deviates": acts, "p": confidence, "sure_enough": 0.8},
        "incident": {"id": "inc-d260", "reason": "the error is 17.1%, on the reference 10.4%", "kind": "harm"},
        "policy": {"name": "bayesian", "events": 37, "state": "ab12" * 8, "failure": "", "estimates": []},
        "on_silence": "it does not run",
        "proposals": [],
    }
    store = MemoryStore(ManualClock(AT))
    store.put(
        a_decision(
            id=id_,
            pipeline="churn-eu",
            at=AT - timedelta(days=days_ago),
            chosen="retrain" if acts else "hold",
            confidence=confidence,
            level="approval needed" if acts else "allowed",
            reason="what it learned is no longer true" if acts else "the gate was not passed",
            trace=trace,
        )
    )
    return trace_view(store, id_)


def a_health() -> Json:
    jobs = [("tick", 60, 1.8, 0.1, "ok"), ("snapshot", 300, 0.2, 0.0, "ok"), ("sweep", 86400, 6.1, 0.3, "late")]
    return {
        "at": iso(AT),
        "daemon": {"state": "live", "pid": 4711, "since": ago(days=9), "tick_s": 1.8, "tick_every_s": 60},
        "jobs": [
            {"name": name, "every_s": every, "took_s": took, "lag_s": lag, "state": state, "last_at": ago(minutes=1)}
            for name, every, took, lag, state in jobs
        ],
        "store": {
            "bytes": 412_000_000,
            "wal_bytes": 3_100_000,
            "free_bytes": 61_000_000_000,
            "leaves": 18204,
            "oldest_at": ago(days=95),
        },
        "writer": {"epoch": 3, "since": ago(days=9)},
        "pipelines": [{"name": "ocr-forms", "window_end_at": ago(hours=2), "behind_s": 5460.0}],
        "findings": [
            {"check": "source", "level": "warn", "said": "ocr-forms has no new rows", "mend": "healerd doctor"},
            {"check": "disk", "level": "ok", "said": "61 GB free", "mend": ""},
        ],
        "log": [
            {"n": 1, "at": ago(minutes=18), "level": "info", "from": "tick", "message": "10 pipelines in 1.8 s"},
            {
                "n": 2,
                "at": ago(minutes=12),
                "level": "error",
                "from": "ads-ctr",
                "message": "retrain exit 1: out of disk",
            },
            {
                "n": 3,
                "at": ago(minutes=4),
                "level": "warning",
                "from": "ocr-forms",
                "message": "no rows for 1 h 31 min",
            },
        ],
    }


def an_audit() -> Json:
    rows = [
        (18204, 1, "daemon", "intent", "churn-eu", "retrain awaits approval: harm on good data"),
        (18203, 4, "daemon", "intent", "fraud-v2", "rollback to v6 is announced; if nobody answers, it runs"),
        (18198, 9, "bo", "answer", "price-uk", "bo says approve: looks right"),
        (18190, 60, "ana", "answer", "spam-lite", "ana says veto: known campaign"),
        (18180, 90, "ana", "pause", "labels-hq", "paused: labels are being repaired"),
        (18177, 120, "daemon", "incident", "churn-eu", "incident of severity 3: the error is 17.1%"),
    ]
    return {
        "entries": [
            {"seq": seq, "at": ago(minutes=minutes), "kind": kind, "actor": actor, "pipeline": name, "table": kind}
            | {"key": "k", "said": said, "chain": f"{seq * 104729:016x}"}
            for seq, minutes, actor, kind, name, said in rows
        ],
        "before": None,
        "after": None,
        "head": {"seq": 18204, "chain": "5c1e"},
        "verified": {"at": ago(minutes=3), "seq": 18200, "sound": True, "problem": None, "by": "daemon"},
        "checkpoint": {"seq": 18204, "root": "5c1e9a2b77d0e415", "number": 6021},
    }


RULES = """import "base"

cooldown after_heal: retrain, rollback for 30m
  because "let one heal show what it does"

require safe_retrain: retrain
  when traffic_share > 10%
  approval from "operators" within 5m else deny
  because "a retraining of a large model is asked for"

propose again: retrain when alarm(harm)
  priority 50 severity high
  because "what it learned is no longer true"

limit two_a_day: retrain at most 2 per 24h
"""


def the_rules() -> Json:
    rules = [
        ("prod.after_heal", "cooldown", 3, {"allow": 212, "block": 31}, 9),
        ("prod.safe_retrain", "require", 6, {"allow": 140, "ask": 19}, 1),
        ("prod.again", "propose", 11, {"propose": 26}, 1),
        ("prod.two_a_day", "limit", 15, {"allow": 236, "block": 7}, 180),
        ("base.freeze", "forbid", 4, {}, None),
    ]
    zero = {"allow": 0, "ask": 0, "block": 0, "propose": 0, "advise": 0}
    return {
        "schema": 1,
        "pipeline": "ads-ctr",
        "rules_id": "a41c0d5e" * 8,
        "at": ago(days=1),
        "since": ago(days=7),
        "decisions": 243,
        "cut": False,
        "sources": [
            {"path": "rules/prod.heal", "text": RULES},
            {"path": "base.heal", "text": "# base\n\n\nforbid freeze\n"},
        ],
        "rules": [
            {
                "name": name,
                "kind": kind,
                "path": "rules/prod.heal" if name.startswith("prod") else "base.heal",
                "line": line,
                "because": "let one heal show what it does",
                "actions": ["retrain"],
                "enforcement": "hard",
                "fired": {**zero, **fired},
                "last_at": None if minutes is None else ago(minutes=minutes),
                "day": [(hour * 7 + line) % 5 if fired else 0 for hour in range(24)],
            }
            for name, kind, line, fired, minutes in rules
        ],
    }


def distributions() -> Json:
    edges = [40.0 * step for step in range(25)]

    def share(middle: float, low: float) -> float:
        return math.exp(-((low + 20 - middle) ** 2) / (2 * 160**2))

    def feature(name: str, shift: float, ks: float, p: float) -> Json:
        reference = [share(320, low) for low in edges[:-1]]
        window = [share(320 + shift, low) for low in edges[:-1]]
        total_r, total_w = sum(reference), sum(window)
        bins, ecdf, sum_r, sum_w = [], [[0.0, 0.0, 0.0]], 0.0, 0.0
        for low, high, r, w in zip(edges[:-1], edges[1:], reference, window, strict=True):
            bins.append(
                {
                    "label": f"{low:g} to {high:g}",
                    "low": low,
                    "high": high,
                    "reference": r / total_r,
                    "window": w / total_w,
                }
            )
            sum_r, sum_w = sum_r + r / total_r, sum_w + w / total_w
            ecdf.append([high, min(1.0, sum_r), min(1.0, sum_w)])
        return {
            "name": name,
            "kind": "number",
            "score": False,
            "bins": bins,
            "ecdf": ecdf,
            "n_reference": 48210,
            "n": 1912,
            "ks": ks,
            "ks_p": p,
            "psi": 0.24,
            "alarm": ks > 0.2,
        }

    return {
        "schema": 1,
        "pipeline": "churn-eu",
        "version": "v14",
        "window_end_at": ago(minutes=18),
        "features": [feature("tenure_days", 130.0, 0.31, 2e-06), feature("monthly_spend", 30.0, 0.08, 0.05)],
    }


def a_timeline() -> Json:
    windows = []
    for number in range(160):
        drift = 0.07 / (1 + math.exp(-(number - 110) / 6))
        healed = drift if number < 130 else 0.02
        error = 0.104 + healed + 0.012 * math.sin(number * 1.7) * math.cos(number * 0.37)
        windows.append(
            {
                "start_at": ago(minutes=30 * (161 - number)),
                "end_at": ago(minutes=30 * (160 - number)),
                "decision_id": f"d{number}",
                "version": "v13" if number < 130 else "v14",
                "rows": 1900 + number,
                "labelled": 1700,
                "error": None if 60 <= number < 66 else error,
                "judged_error": error,
                "reference_error": 0.104,
                "error_limit": 0.16,
                "drift": healed * 3,
                "score": healed,
                "quality": "good",
                "alarms": ["harm"] if healed > 0.05 else [],
            }
        )
    marks = [
        {
            "at": windows[112]["start_at"],
            "kind": "incident",
            "text": "incident opened: drift",
            "id": "inc",
            "table": "incident",
        },
        {"at": windows[130]["start_at"], "kind": "promote", "text": "v14 promoted", "id": "act", "table": "intent"},
        {
            "at": windows[150]["start_at"],
            "kind": "veto",
            "text": "ana: known campaign",
            "id": "act2",
            "table": "intent",
        },
    ]
    return {"schema": 1, "pipeline": "churn-eu", "window_s": 1800.0, "more": True, "windows": windows, "marks": marks}


def stored_versions() -> Json:
    rows = [("v14", True, 0.171, 1), ("v13", False, 0.192, 4), ("v12", False, 0.21, 12), ("safe", False, 0.24, 30)]
    return {
        "schema": 1,
        "pipeline": "churn-eu",
        "active": "v14",
        "return_cost": 0.02,
        "versions": [
            {
                "name": name,
                "kind": "fallback" if name == "safe" else "model",
                "active": active,
                "since_at": ago(days=days) if active else None,
                "created_at": ago(days=days),
                "reference_error": 0.104,
                "served": {"windows": 7, "rows": 13000, "labelled": 12000, "error": error},
                "shadow": None if active else {"rows": 1912, "better": 60, "worse": 92, "against": "v14"},
            }
            for name, active, error, days in rows
        ],
    }
