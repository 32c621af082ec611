"""The one table of everything that can be done in the terminal UI: keys, words, who may, and the same as a command.

It makes the bindings, the line of keys, the command palette, `Y`, the help screen and the page of keys in the README.
It must never do anything itself: screens carry out what is asked by id, and nothing dangerous without a prompt.

The module is long because the table stands in one place, each row once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "ACTIONS",
    "DANGEROUS",
    "PLACES",
    "Action",
    "Situation",
    "by_id",
    "command",
    "key_name",
    "keys_page",
    "of_place",
    "say_keys",
    "why_not",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing that can be done. `where` are places; `cli` is the same as a command, with names in braces.

    `dangerous` marks what changes the world: it is taken away in a read-only UI, and always asks first. `needs` is the
    role that the daemon wants. `on` is what must be highlighted. `show` puts it into the line of keys.
    """

    id: str
    keys: tuple[str, ...]
    word: str
    says: str
    where: tuple[str, ...]
    group: str
    needs: str = ""
    dangerous: bool = False
    on: str = ""
    cli: str = ""
    show: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What decides whether an action can be done now."""

    live: bool = False
    read_only: bool = False
    replay: bool = False
    roles: tuple[str, ...] = ()
    has: frozenset[str] = frozenset()
    taken: Mapping[str, str] | None = None


PLACES: Mapping[str, str] = {
    "global": "Everywhere",
    "list": "In every list",
    "fleet": "Fleet",
    "inbox": "Inbox",
    "rules": "Rules",
    "audit": "Audit",
    "traces": "Traces",
    "health": "Health",
    "pipeline": "One pipeline",
    "prompt": "The prompt",
    "trace": "A trace",
    "diff": "Two traces",
    "replay": "Replay",
}
"""Places -> their titles on the help screen."""


def _go(id_: str, key: str, word: str, says: str, cli: str) -> Action:
    return Action(id=id_, keys=(key,), word=word, says=says, where=("global",), group="go", cli=cli)


ACTIONS: tuple[Action, ...] = (
    # everywhere
    _go("fleet", "1", "fleet", "every pipeline, the most urgent first", "healerd status"),
    _go("inbox", "2", "inbox", "what waits for a person", "healerd inbox"),
    _go("rules", "3", "rules", "the rules in force, and how often each fired", "healerd rules fired {pipeline}"),
    _go("audit", "4", "audit", "the record of everything that happened", "healerd audit list"),
    _go("health", "5", "health", "how the daemon itself does", "healerd doctor"),
    Action(
        id="next",
        keys=("n",),
        word="pending",
        says="open the next intent that waits for a person",
        where=("global",),
        group="go",
        on="pending",
        cli="healerd inbox",
        show=True,
    ),
    Action(
        id="previous",
        keys=("N",),
        word="previous",
        says="open the one before",
        where=("global",),
        group="go",
        on="pending",
        cli="healerd inbox",
    ),
    Action(
        id="go",
        keys=(":",),
        word="go",
        says="go to a place by name: `:p churn`, `:t 8f3a`, `:r cooldown`, `:inbox`",
        where=("global",),
        group="go",
        show=True,
    ),
    Action(
        id="last",
        keys=("-",),
        word="last view",
        says="go back to the view before this one",
        where=("global",),
        group="go",
    ),
    Action(
        id="filter",
        keys=("/",),
        word="filter",
        says="keep rows that hold the words; `!word` the others, `state=drift` a field, `~chrn` roughly",
        where=("global",),
        group="look",
        show=True,
    ),
    Action(
        id="attention",
        keys=("!",),
        word="attention",
        says="only what needs attention, or everything again",
        where=("global",),
        group="look",
        show=True,
    ),
    Action(id="wide", keys=("w",), word="wide", says="more columns, or fewer", where=("global",), group="look"),
    Action(
        id="refresh",
        keys=("R",),
        word="refresh",
        says="ask again; while the daemon is away, try to reach it now",
        where=("global",),
        group="look",
    ),
    Action(id="theme", keys=("ctrl+t",), word="theme", says="the next theme", where=("global",), group="look"),
    Action(
        id="palette",
        keys=("ctrl+p",),
        word="commands",
        says="find and do anything by its name",
        where=("global", "prompt"),
        group="help",
        show=True,
    ),
    Action(
        id="help",
        keys=("?",),
        word="keys",
        says="the keys of this view, with the reason for each that does nothing now",
        where=("global", "prompt"),
        group="help",
        show=True,
    ),
    Action(
        id="about",
        keys=("f1",),
        word="help",
        says="what this view shows and how to read it",
        where=("global", "prompt"),
        group="help",
    ),
    Action(
        id="copy_id",
        keys=("y",),
        word="copy id",
        says="copy the id of what is highlighted",
        where=("global",),
        group="copy",
        on="id",
    ),
    Action(
        id="copy_cli",
        keys=("Y",),
        word="copy as command",
        says="copy the command that shows or does the same",
        where=("global",),
        group="copy",
    ),
    Action(
        id="stop_all",
        keys=("X",),
        word="stop all",
        says="stop everything, promotions and undos included",
        where=("global",),
        group="act",
        needs="operator",
        dangerous=True,
        cli="healerd stop-all --reason {reason}",
    ),
    Action(
        id="resume_all",
        keys=("U",),
        word="resume all",
        says="end a stop of everything",
        where=("global",),
        group="act",
        needs="approver",
        dangerous=True,
        on="stopped",
        cli="healerd resume --all --reason {reason}",
    ),
    Action(
        id="back",
        keys=("escape",),
        word="back",
        says="close what is open: the filter first, then the view",
        where=("global", "prompt"),
        group="leave",
    ),
    Action(
        id="close",
        keys=("q",),
        word="back",
        says="close this view; a first view says how to end",
        where=("global",),
        group="leave",
        show=True,
    ),
    Action(
        id="quit",
        keys=("ctrl+q",),
        word="quit",
        says="end the terminal UI; the daemon goes on",
        where=("global", "prompt"),
        group="leave",
    ),
    # lists
    Action(id="down", keys=("j", "down"), word="down", says="the next row", where=("list",), group="move"),
    Action(id="up", keys=("k", "up"), word="up", says="the row before", where=("list",), group="move"),
    Action(id="first", keys=("g", "home"), word="first", says="the first row", where=("list",), group="move"),
    Action(id="final", keys=("G", "end"), word="last", says="the last row", where=("list",), group="move"),
    Action(
        id="open",
        keys=("enter",),
        word="open",
        says="open what is highlighted",
        where=("list",),
        group="move",
        show=True,
    ),
    Action(
        id="sort",
        keys=("s",),
        word="sort",
        says="sort by the next column",
        where=("list",),
        group="look",
        on="sortable",
    ),
    Action(
        id="reverse",
        keys=("S",),
        word="reverse",
        says="turn the order about",
        where=("list",),
        group="look",
        on="sortable",
    ),
    Action(id="mark", keys=("space",), word="mark", says="mark the row", where=("list",), group="look"),
    # a pipeline, from the fleet or on its own screen
    Action(
        id="traces",
        keys=("t",),
        word="traces",
        says="the decisions about this pipeline",
        where=("fleet", "pipeline"),
        group="go",
        on="pipeline",
        cli="healerd trace list {pipeline}",
        show=True,
    ),
    Action(
        id="pause",
        keys=("p",),
        word="pause",
        says="stop healing this pipeline, after a question",
        where=("fleet", "pipeline"),
        group="act",
        needs="operator",
        dangerous=True,
        on="pipeline",
        cli="healerd pause {pipeline} --reason {reason}",
        show=True,
    ),
    Action(
        id="resume",
        keys=("u",),
        word="resume",
        says="end the pause of this pipeline, after a question",
        where=("fleet", "pipeline"),
        group="act",
        needs="approver",
        dangerous=True,
        on="paused",
        cli="healerd resume {pipeline} --if-rev {revision} --reason {reason}",
    ),
    Action(
        id="propose",
        keys=("b",),
        word="propose",
        says="ask for a heal, under the same guards as any other, after a question",
        where=("fleet", "pipeline"),
        group="act",
        needs="operator",
        dangerous=True,
        on="pipeline",
        cli="healerd propose {pipeline} {action} --reason {reason}",
    ),
    Action(
        id="metric",
        keys=("m",),
        word="metric",
        says="the next measurement on the timeline",
        where=("pipeline",),
        group="look",
        cli="healerd status {pipeline}",
        show=True,
    ),
    Action(
        id="feature",
        keys=("d",),
        word="feature",
        says="the next feature, the most drifted first",
        where=("pipeline",),
        group="look",
        cli="healerd status {pipeline}",
        show=True,
    ),
    Action(
        id="cursor_left",
        keys=("[",),
        word="earlier",
        says="move the cursor on the timeline to the window before",
        where=("pipeline",),
        group="move",
    ),
    Action(
        id="cursor_right",
        keys=("]",),
        word="later",
        says="move the cursor on the timeline to the window after",
        where=("pipeline",),
        group="move",
    ),
    Action(id="zoom_in", keys=("+",), word="closer", says="show fewer windows", where=("pipeline",), group="look"),
    Action(
        id="zoom_out",
        keys=("_",),
        word="farther",
        says="show more windows",
        where=("pipeline",),
        group="look",
    ),
    Action(
        id="at_cursor",
        keys=("enter",),
        word="trace",
        says="the decision at the cursor of the timeline",
        where=("pipeline",),
        group="go",
        cli="healerd trace list {pipeline}",
        show=True,
    ),
    Action(
        id="versions",
        keys=("v",),
        word="versions",
        says="the stored versions of the model",
        where=("pipeline",),
        group="look",
        cli="healerd status {pipeline}",
    ),
    # the prompt
    Action(
        id="veto",
        keys=("v",),
        word="VETO",
        says="stop it: one step, a reason (1 to 6, or your own words), enter",
        where=("prompt",),
        group="decide",
        needs="operator",
        dangerous=True,
        on="veto",
        cli="healerd veto {intent} --if-rev {revision} --reason {reason}",
        show=True,
    ),
    Action(
        id="approve",
        keys=("a",),
        word="approve",
        says="arm an approval; enter confirms, or the pipeline's name where the risk is high",
        where=("prompt",),
        group="decide",
        needs="approver",
        dangerous=True,
        on="approve",
        cli="healerd approve {intent} --if-rev {revision} --reason {reason}",
        show=True,
    ),
    Action(
        id="evidence",
        keys=("e",),
        word="evidence",
        says="open or close all that the decision stood on",
        where=("prompt",),
        group="look",
        cli="healerd review {intent}",
        show=True,
    ),
    Action(
        id="prompt_trace",
        keys=("t",),
        word="trace",
        says="the decision behind this intent",
        where=("prompt",),
        group="go",
        on="decision",
        cli="healerd trace show {decision}",
        show=True,
    ),
    Action(
        id="preset",
        keys=("1", "2", "3", "4", "5", "6"),
        word="reason",
        says="take a reason that is worded already; 6 is your own",
        where=("prompt",),
        group="decide",
        on="answerable",
    ),
    Action(
        id="prompt_next",
        keys=("n",),
        word="next",
        says="leave this open and go to the next",
        where=("prompt",),
        group="go",
        on="pending",
        cli="healerd inbox",
    ),
    Action(
        id="prompt_copy",
        keys=("Y",),
        word="copy as command",
        says="copy the command that gives this answer",
        where=("prompt",),
        group="copy",
    ),
    Action(
        id="prompt_copy_id",
        keys=("y",),
        word="copy id",
        says="copy the id of the intent",
        where=("prompt",),
        group="copy",
    ),
    # traces
    Action(
        id="diff",
        keys=("d",),
        word="diff",
        says="compare with the marked one, or with the one before on this pipeline",
        where=("trace", "traces"),
        group="go",
        on="decision",
        cli="healerd trace diff {other} {decision}",
        show=True,
    ),
    Action(
        id="raw",
        keys=("x",),
        word="JSON",
        says="the trace as JSON, or as a tree again",
        where=("trace",),
        group="look",
        cli="healerd trace show {decision} --json",
        show=True,
    ),
    Action(
        id="plain",
        keys=("p",),
        word="plain words",
        says="the trace as a page of text, or as a tree again",
        where=("trace",),
        group="look",
        cli="healerd trace show {decision}",
        show=True,
    ),
    Action(
        id="diagram",
        keys=("c",),
        word="causes",
        says="the trace as a diagram of causes, from measurement to undo, or as a tree again",
        where=("trace",),
        group="look",
        cli="healerd trace show {decision} --format diagram",
        show=True,
    ),
    Action(
        id="export",
        keys=("E",),
        word="export",
        says="write the trace as JSON into a file in this folder",
        where=("trace", "traces"),
        group="copy",
        on="decision",
        cli="healerd trace show {decision} --json",
        show=True,
    ),
    Action(
        id="older",
        keys=("[",),
        word="older",
        says="the decision before",
        where=("trace", "diff"),
        group="move",
        show=True,
    ),
    Action(
        id="newer",
        keys=("]",),
        word="newer",
        says="the decision after",
        where=("trace", "diff"),
        group="move",
        show=True,
    ),
    Action(
        id="only_changes",
        keys=("=",),
        word="changes only",
        says="hide what is the same in both, or show it again",
        where=("diff",),
        group="look",
        show=True,
    ),
    # audit and rules
    Action(
        id="verify",
        keys=("V",),
        word="verify",
        says="recompute the chain of the whole log",
        where=("audit",),
        group="look",
        cli="healerd audit verify",
        show=True,
    ),
    Action(
        id="rule_traces",
        keys=("t",),
        word="decisions",
        says="the decisions in which this rule had a say",
        where=("rules",),
        group="go",
        on="rule",
        cli="healerd trace list {pipeline}",
        show=True,
    ),
    Action(
        id="what_if",
        keys=("i",),
        word="what if",
        says="try another number in this rule on the last days' decisions; nothing is changed",
        where=("rules",),
        group="look",
        on="number",
        cli="healerd backtest --rules FILE --pipeline {pipeline}",
        show=True,
    ),
    Action(
        id="other_pipeline",
        keys=("m",),
        word="pipeline",
        says="the rules of the next pipeline",
        where=("rules",),
        group="go",
        cli="healerd rules fired {pipeline}",
        show=True,
    ),
    Action(
        id="follow",
        keys=("f",),
        word="follow",
        says="keep the newest line of the log in sight, or not",
        where=("health",),
        group="look",
        cli="healerd watch",
        show=True,
    ),
    Action(
        id="doctor",
        keys=("D",),
        word="doctor",
        says="look around again, and show every check, or only what should be mended",
        where=("health",),
        group="look",
        on="findings",
        cli="healerd doctor",
        show=True,
    ),
    # replay
    Action(
        id="step_back",
        keys=("[",),
        word="leaf before",
        says="one leaf back in the record",
        where=("replay",),
        group="move",
        on="replay",
    ),
    Action(
        id="step_on",
        keys=("]",),
        word="leaf after",
        says="one leaf on in the record",
        where=("replay",),
        group="move",
        on="replay",
    ),
)
"""Every action, in the order of the help screen."""

DANGEROUS = frozenset(action.id for action in ACTIONS if action.dangerous)
"""Actions that change the world."""

_BY_ID = {action.id: action for action in ACTIONS}
_MISSING = {
    "pending": "nothing waits for a person",
    "pipeline": "no pipeline is highlighted",
    "paused": "it is not paused",
    "decision": "no decision is highlighted",
    "rule": "no rule is highlighted",
    "number": "no rule with a number is highlighted",
    "findings": "nothing was looked at: there is no doctor for the past, and none has answered yet",
    "id": "nothing with an id is highlighted",
    "stopped": "nothing is stopped",
    "sortable": "this list has one order",
    "replay": "this is live; start with --replay to go through the record",
    "veto": "it is decided already",
    "approve": "no approval is asked for",
    "answerable": "it is decided already",
}
_KEY_WORDS = {"escape": "esc", "space": "space", "up": "↑", "down": "↓", "f1": "F1"}


def by_id(id_: str) -> Action:
    """Find one action. Raises KeyError for an id that is not in the table."""
    return _BY_ID[id_]


def of_place(place: str, *, read_only: bool = False) -> tuple[Action, ...]:
    """List the actions of one place; a read-only UI does not have the dangerous ones at all."""
    return tuple(action for action in ACTIONS if place in action.where and not (read_only and action.dangerous))


def why_not(action: Action, situation: Situation) -> str:
    """Say why an action cannot be done now; empty when it can."""
    if action.dangerous:
        if situation.replay:
            return "this is a replay of the record: nothing can be decided in the past"
        if situation.read_only:
            return "this is a read-only view; start `healerd tui` without --read-only to act"
        if not situation.live and action.id != "stop_all":
            return "daemon away: nothing can be decided; what waits will not run while it is down"
    if action.on and action.on not in situation.has:
        return (situation.taken or {}).get(action.on) or _MISSING[action.on]
    if action.needs and situation.live and action.needs not in situation.roles:
        return f"this needs the role {action.needs}, and you have {_best(situation.roles)}"
    return ""


def command(action: Action, names: Mapping[str, str]) -> str:
    """Write an action as a command; what is not known stands as a word in capitals."""
    known = {name: _quoted(value) for name, value in names.items() if value}
    unknown = {"reason": '"..."', "action": "retrain"}
    fields = {name: known.get(name) or unknown.get(name) or name.upper() for name in _NAMES}
    return action.cli.format(**fields)


_NAMES = ("pipeline", "intent", "revision", "decision", "other", "reason", "action")


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text) if set(text) & set(" '\"\\$`;&|<>()*?[]{}~#!\t\n") else text


def _best(roles: Sequence[str]) -> str:
    return roles[-1] if roles else "none"


def key_name(key: str) -> str:
    """Write a key as the line of keys shows it."""
    return _KEY_WORDS.get(key, key)


def say_keys(action: Action) -> str:
    """Write the keys of an action, as help shows them."""
    return "1-6" if action.id == "preset" else " ".join(key_name(key) for key in action.keys)


def keys_page() -> str:
    """Write the page of keys of the README: a table for each place."""
    parts = []
    for place, title in PLACES.items():
        rows = [_row(action) for action in of_place(place)]
        parts.append("\n".join([f"### {title}", "", "| key | does | as a command |", "|---|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def _row(action: Action) -> str:
    keys = ", ".join(f"`{'1-6' if action.id == 'preset' else key_name(key)}`" for key in _shown(action))
    role = f" ({action.needs})" if action.needs else ""
    cli = f"`{command(action, {})}`" if action.cli else ""
    return f"| {keys} | {action.says}{role} | {cli} |".replace("`|`", "`\\|`")


def _shown(action: Action) -> tuple[str, ...]:
    return action.keys[:1] if action.id == "preset" else action.keys
