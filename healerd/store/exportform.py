"""The form of an exported log: its tables, its views for people, and what each column means.

Must never hold a view that says more than the leaves do: each is a question to them, and the check of an export
compares the text of every view with the one that stands here.
"""

# ruff: noqa: S608 - the SQL is put together of texts that stand here

from collections.abc import Mapping

__all__ = ["EXPORT_ID", "FORMAT", "INDEXES_SQL", "MEANINGS", "REASON", "TABLES_SQL", "VIEWS", "WANTED"]

EXPORT_ID = 0x68656178  # "heax", in the file's header
FORMAT = 1
"""`user_version` of the file; a later healerd goes on reading the earlier ones."""

TABLES_SQL = (
    "CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    """CREATE TABLE leaf (
        seq INTEGER PRIMARY KEY,
        leaf_hash BLOB NOT NULL,
        salt BLOB,
        body TEXT,
        "at" TEXT GENERATED ALWAYS AS (body ->> '$.at') VIRTUAL,
        kind TEXT GENERATED ALWAYS AS (body ->> '$.kind') VIRTUAL,
        actor TEXT GENERATED ALWAYS AS (body ->> '$.actor') VIRTUAL,
        pipeline TEXT GENERATED ALWAYS AS (body ->> '$.pipeline') VIRTUAL,
        of_table TEXT GENERATED ALWAYS AS (body ->> '$.table') VIRTUAL,
        row_key TEXT GENERATED ALWAYS AS (body ->> '$.key') VIRTUAL
    ) STRICT""",
    "CREATE TABLE checkpoint (number INTEGER PRIMARY KEY, size INTEGER NOT NULL, note TEXT NOT NULL) STRICT",
    """CREATE TABLE signing_key (
        leaf INTEGER PRIMARY KEY, id TEXT NOT NULL, "key" TEXT NOT NULL, how TEXT NOT NULL
    ) STRICT""",
    "CREATE TABLE rule_set (leaf INTEGER PRIMARY KEY, id TEXT NOT NULL, value TEXT NOT NULL) STRICT",
    """CREATE TABLE reason (
        leaf INTEGER PRIMARY KEY, "at" TEXT, kind TEXT, pipeline TEXT, who TEXT, reason TEXT NOT NULL
    ) STRICT""",
    'CREATE TABLE described (name TEXT NOT NULL, "column" TEXT NOT NULL, meaning TEXT NOT NULL) STRICT',
)

INDEXES_SQL = (
    "CREATE INDEX leaf_kind ON leaf (kind)",
    "CREATE INDEX leaf_pipeline ON leaf (pipeline)",
    "CREATE INDEX leaf_row ON leaf (of_table, row_key)",
    'CREATE VIRTUAL TABLE reason_fts USING FTS5 (reason, who, kind, pipeline, content="reason")',
    "INSERT INTO reason_fts (reason_fts) VALUES ('rebuild')",
)
"""Made once the rows are there."""

_SAID = (
    "coalesce(nullif(body ->> '$.record.reason', ''), nullif(body ->> '$.record.why', ''), body ->> '$.record.note')"
)
REASON = f"SELECT seq, \"at\", kind, pipeline, actor, {_SAID} FROM leaf WHERE nullif({_SAID}, '') IS NOT NULL"
"""What the table `reason` holds; the check asks it again."""

_NEWEST = "max(seq) FROM leaf WHERE of_table = '{}' GROUP BY row_key"

VIEWS: Mapping[str, str] = {
    "decisions": """SELECT seq AS leaf, "at", pipeline, body ->> '$.record.window_end_at' AS window_end,
        body ->> '$.record.stage' AS stage, body ->> '$.record.chosen' AS action, body ->> '$.record.target' AS target,
        body ->> '$.record.level' AS level, body ->> '$.record.confidence' AS confidence,
        body ->> '$.record.rule' AS rule, body ->> '$.record.reason' AS reason, body ->> '$.record.author' AS who,
        body ->> '$.record.incident_id' AS incident, body ->> '$.record.rules_id' AS rules, row_key AS id
        FROM leaf WHERE of_table = 'decision' AND kind <> 'dropped'""",
    "heals": f"""SELECT l.seq AS leaf, l.body ->> '$.record.created_at' AS proposed_at, l.pipeline,
        l.body ->> '$.record.action' AS action, l.body ->> '$.record.target' AS target,
        l.body ->> '$.record.state' AS state, l.body ->> '$.record.executed_at' AS executed_at,
        l.body ->> '$.record.effect_at' AS effect_at, l.body ->> '$.record.ended_at' AS ended_at,
        l.body ->> '$.record.author' AS who, l.body ->> '$.record.approved_by' AS approved_by,
        o.body ->> '$.record.result' AS result, o.body ->> '$.record.gain' AS gain,
        l.body ->> '$.record.reason' AS reason, l.body ->> '$.record.decision_id' AS decision, l.row_key AS id
        FROM (SELECT {_NEWEST.format("intent").replace("max(seq)", "max(seq) AS seq")}) n JOIN leaf l ON l.seq = n.seq
        LEFT JOIN leaf o ON o.seq = (SELECT max(seq) FROM leaf WHERE of_table = 'outcome' AND row_key = l.row_key)
        WHERE l.kind <> 'dropped'""",
    "vetoes": """SELECT a.seq AS leaf, a."at", a.pipeline, a.body ->> '$.record.kind' AS answer,
        a.body ->> '$.record.author' AS who, a.body ->> '$.record.reason' AS reason,
        a.body ->> '$.record.intent_id' AS intent
        FROM leaf a WHERE a.of_table = 'answer' AND a.body ->> '$.record.kind' IN ('veto', 'deny', 'lift')""",
    "approvals": """SELECT a.seq AS leaf, a."at", a.pipeline, a.body ->> '$.record.author' AS who,
        a.body ->> '$.record.roles' AS roles, a.body ->> '$.record.reason' AS reason,
        a.body ->> '$.record.intent_id' AS intent, (SELECT i.body ->> '$.record.action' FROM leaf i
        WHERE i.of_table = 'intent' AND i.row_key = a.body ->> '$.record.intent_id' AND i.kind <> 'dropped'
        ORDER BY i.seq DESC LIMIT 1) AS action
        FROM leaf a WHERE a.of_table = 'answer' AND a.body ->> '$.record.kind' = 'approve'""",
    "rules_in_force": """SELECT pipeline, rules, "at" AS first_at,
        lead("at") OVER (PARTITION BY pipeline ORDER BY leaf) AS until, leaf FROM (
        SELECT seq AS leaf, pipeline, "at", body ->> '$.record.rules_id' AS rules,
        lag(body ->> '$.record.rules_id') OVER (PARTITION BY pipeline ORDER BY seq) AS before
        FROM leaf WHERE of_table = 'decision' AND kind <> 'dropped') WHERE rules IS NOT before""",
    "rule_texts": """SELECT r.id AS rules, s.value ->> '$.path' AS path, s.value ->> '$.text' AS text, r.leaf
        FROM rule_set r, json_each(r.value, '$.sources') s""",
    "people": """SELECT seq AS leaf, "at", actor AS who, kind, pipeline, body ->> '$.record.reason' AS reason
        FROM leaf WHERE actor NOT IN ('daemon', '')""",
}

_LEAF, _AT, _PIPELINE = "number of the leaf that says it", "when it was written, UTC", "the pipeline it is about"
_WHO, _REASON = "who did it; `daemon` is healerd itself", "why, in the words of then"
_RULES, _INTENT = "id of the rule set: the hash of what it says", "id of the heal, as in `heals`"
MEANINGS: Mapping[str, Mapping[str, str]] = {
    "about": {"name": "what is said of the file", "value": "how it is"},
    "leaf": {
        "seq": "number of the leaf, from 1 without a gap",
        "leaf_hash": "SHA-256 of a zero byte and the leaf's hashed form (RFC 6962)",
        "salt": "salt of the commitments to personal values; empty where there are none, or where they were erased",
        "body": "what the leaf says, as canonical JSON; empty where the export leaves it out",
        "at": _AT,
        "kind": "the word for what happened",
        "actor": _WHO,
        "pipeline": _PIPELINE,
        "of_table": "the table of the row that was written; empty for a note",
        "row_key": "the key of that row",
    },
    "checkpoint": {
        "number": "running number, from 1 without a gap",
        "size": "how many leaves it covers",
        "note": "the signed text (C2SP tlog-checkpoint)",
    },
    "signing_key": {
        "leaf": "number of the leaf from which on the key signs",
        "id": "the four bytes by which a signature names it",
        "key": "the public key as C2SP writes it",
        "how": "`first`, `rotated` (the key before signed it) or `lost` (it did not)",
    },
    "rule_set": {
        "leaf": "number of the leaf that holds its hash",
        "id": _RULES,
        "value": "its files and rules, as JSON",
    },
    "reason": {
        "leaf": _LEAF,
        "at": _AT,
        "kind": "the word for what happened",
        "pipeline": _PIPELINE,
        "who": _WHO,
        "reason": "the words; searched through `reason_fts`",
    },
    "described": {"name": "a table or view", "column": "one of its columns", "meaning": "what it holds"},
    "decisions": {
        "leaf": _LEAF,
        "at": _AT,
        "pipeline": _PIPELINE,
        "window_end": "end of the window that was judged; empty for what a person asked",
        "stage": "how far the pipeline was trusted: observe, suggest, canary, live",
        "action": "what was decided; `hold` is to do nothing",
        "target": "the model version it is about",
        "level": "what the rules said of it: allowed, announced, approval needed, deferred, forbidden",
        "confidence": "posterior probability that it costs less than doing nothing",
        "rule": "the rule that proposed it",
        "reason": _REASON,
        "who": "who asked; `daemon` decides by itself",
        "incident": "id of the incident it answers",
        "rules": _RULES,
        "id": "id of the decision, as `healerd trace show` takes it",
    },
    "heals": {
        "leaf": "number of the newest leaf about it",
        "proposed_at": "when it was promised",
        "pipeline": _PIPELINE,
        "action": "what was to be done",
        "target": "the model version it is about",
        "state": "where it stands or ended",
        "executed_at": "when its effect was begun; empty if never",
        "effect_at": "when the effect was seen",
        "ended_at": "when it was over",
        "who": "who asked; `daemon` by itself",
        "approved_by": "the people who approved, as JSON",
        "result": "what came of it, judged afterwards",
        "gain": "share of errors it took away, in the paired test",
        "reason": _REASON,
        "decision": "id of its decision, as in `decisions`",
        "id": _INTENT,
    },
    "vetoes": {
        "leaf": _LEAF,
        "at": _AT,
        "pipeline": _PIPELINE,
        "answer": "veto, deny, or lift (the end of an earlier one)",
        "who": _WHO,
        "reason": _REASON,
        "intent": _INTENT,
    },
    "approvals": {
        "leaf": _LEAF,
        "at": _AT,
        "pipeline": _PIPELINE,
        "who": _WHO,
        "roles": "the roles the person had then, as JSON",
        "reason": _REASON,
        "intent": _INTENT,
        "action": "what was approved",
    },
    "rules_in_force": {
        "pipeline": _PIPELINE,
        "rules": _RULES,
        "first_at": "the first decision under these rules",
        "until": "the first decision under others; empty while they hold",
        "leaf": _LEAF,
    },
    "rule_texts": {
        "rules": _RULES,
        "path": "the file",
        "text": "what stood in it",
        "leaf": "number of the leaf with its hash",
    },
    "people": {
        "leaf": _LEAF,
        "at": _AT,
        "who": _WHO,
        "kind": "the word for what happened",
        "pipeline": _PIPELINE,
        "reason": _REASON,
    },
}

WANTED = frozenset({"about", "leaf", "checkpoint", "signing_key", "rule_set", "reason"})
"""Tables without which a file is no export."""
