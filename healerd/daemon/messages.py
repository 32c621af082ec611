"""What is worth a message, when it may be sent, and how it reads.

Pure: must never send, nor tell the same twice soon.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from string import Template
from zoneinfo import ZoneInfo

from healerd.daemon.executor import Move
from healerd.daemon.lookout import Outage
from healerd.daemon.troubles import Trouble
from healerd.listen_settings import NotifySettings, parse_hours
from healerd.model import HOLD, Answer, Decision, Intent, IntentState
from healerd.silence import is_agreed, on_silence, silence_at

__all__ = ["Message", "Outbox", "about", "question", "rendered", "trouble"]

QUEUED_MAX = 1000
AT_ONCE_MAX = 20
"""Messages sent together; what is more is told in fewer: a storm must not become one of messages."""
LISTED_MAX = 10
"""Questions that one message lists: what a channel cuts off has reached nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One thing to tell: `key` is what makes it the same thing, `silence_at` when silence decides about it.

    `asks` are the questions that it puts: intents, each with its revision. It is not told again within `repeat_s`; None
    leaves that to the settings. `line` says it in a list; `of` are the messages that it stands for, where it is one.
    """

    key: str
    kind: str
    pipeline: str = ""
    what: str
    text: str
    silence_at: datetime | None = None
    asks: tuple[tuple[str, int], ...] = ()
    repeat_s: float | None = None
    line: str = ""
    of: tuple["Message", ...] = ()


def about(told: Iterable[object]) -> Iterator[Message]:
    """Say what a run of the core came to; what stands open and asks is a `question`."""
    for each in told:
        match each:
            case Message():
                yield each
            case Decision(chosen=chosen, incident_id=incident) if chosen != HOLD and incident is not None:
                yield Message(
                    key=f"incident:{incident}",
                    kind="incident",
                    pipeline=each.pipeline,
                    what=f"incident on {each.pipeline}",
                    text=f"severity {each.severity}: {each.reason}",
                )
            case Move(intent=intent):
                yield from _of_move(intent)
            case Trouble(pipeline=pipeline, said=said, what=what, see=see):
                yield Message(
                    key=f"trouble:{pipeline}:{said}",
                    kind="trouble",
                    pipeline=pipeline,
                    what=f"{pipeline} {what}",
                    text=f"{said}\nsee `healerd {see}`",
                )
            case Outage(pipeline=pipeline, place=place, over=over):
                now = "is back" if over else "is away"
                yield Message(
                    key=f"registry:{pipeline}:{now}",
                    kind="trouble",
                    pipeline=pipeline,
                    what=f"the registry of {pipeline} {now}",
                    text=f"`{place}`: {each.reason or 'what waited for it goes on'}",
                )


def trouble(said: str) -> Message:
    """Say that the daemon itself is in trouble."""
    return Message(key=f"trouble:{said}", kind="trouble", what="trouble", text=f"{said}\nsee `healerd doctor`")


def question(intent: Intent, answers: Collection[Answer] = ()) -> Message:
    """Say what an intent in one of the states `AWAITED` asks of people, and what silence means where it decides."""
    decides = intent.state is not IntentState.NEEDS_PERSON
    what = f"{intent.action} on {intent.pipeline} {'asks' if decides else 'needs a person'}"
    agreed = ":agreed" if is_agreed(intent, answers) else ""  # silence has another meaning now, which is told as well
    answer = f"healerd review {intent.id}\non silence: {on_silence(intent, answers) or 'nothing is done'}"
    if not decides:
        answer = f"look whether it took effect, then: healerd resolve {intent.id} --took-effect, or --no-effect"
    return Message(
        key=f"asks:{intent.id}:{intent.revision}:{intent.state}{agreed}",
        kind="asks",
        pipeline=intent.pipeline,
        what=what,
        text=f"{intent.reason}\n{answer}".strip(),
        line=f"{what}: {answer}".replace("\n", "; "),
        silence_at=silence_at(intent, answers) if decides else None,
        asks=((intent.id, intent.revision),),
    )


def _of_move(intent: Intent) -> Iterator[Message]:
    name = f"{intent.action} on {intent.pipeline}"
    if intent.state is IntentState.EXECUTING:
        yield Message(
            key=f"acts:{intent.id}", kind="acts", pipeline=intent.pipeline, what=f"{name} begins", text=intent.reason
        )
    elif intent.state in {IntentState.FAILED, IntentState.UNDONE}:
        yield Message(
            key=f"failed:{intent.id}:{intent.state}",
            kind="failed",
            pipeline=intent.pipeline,
            what=f"{name} {intent.state.value}",
            text=f"{intent.reason}\nhealerd review {intent.id}".strip(),
        )


def _together(rest: Sequence[Message]) -> Iterator[Message]:
    """Tell of many in few messages: of every question its line, for each must be known, of the others their number."""
    asks = [each for each in rest if each.kind == "asks"]
    others = [each for each in rest if each.kind != "asks"]
    for first in range(0, len(asks), LISTED_MAX):
        some = tuple(asks[first : first + LISTED_MAX])
        text = "\n".join(each.line for each in some)
        asked = tuple(one for each in some for one in each.asks)
        yield Message(key="more", kind="asks", what=f"{len(some)} more that ask", text=text, asks=asked, of=some)
    if others:
        text = f"and {len(others)} more: see `healerd watch`"
        yield Message(key="more", kind=others[0].kind, what=f"{len(others)} more", text=text, of=tuple(others))


class Outbox:
    """What waits for one channel; when each was told last, and for how long that counts. One thread at a time."""

    def __init__(self, settings: NotifySettings) -> None:
        self._settings, self._zone = settings, ZoneInfo(settings.zone)
        self._hours = parse_hours(settings.quiet) if settings.quiet else None
        self._waiting: dict[str, Message] = {}
        self._told: dict[str, tuple[datetime, float]] = {}

    def add(self, message: Message, now: datetime) -> None:
        """Keep a message, unless nobody wants its kind or it was told lately."""
        if message.kind not in self._settings.kinds or self._is_recent(message.key, now):
            return
        if len(self._waiting) < QUEUED_MAX:
            self._waiting[message.key] = message

    def take(self, now: datetime) -> tuple[Message, ...]:
        """Take what may be sent now; of more than AT_ONCE_MAX the rest is told together."""
        ready = [each for each in self._waiting.values() if self._may_go(each, now)]
        ready.sort(key=lambda each: each.kind != "asks")  # a question that is only counted has reached nobody
        for each in ready:
            del self._waiting[each.key]
            self._told[each.key] = now, self._settings.repeat if each.repeat_s is None else each.repeat_s
        self._forget(now)
        return (*ready[:AT_ONCE_MAX], *_together(ready[AT_ONCE_MAX:]))

    def put_back(self, message: Message) -> None:
        """Keep a message that the channel did not take, to be tried again."""
        for each in message.of or (message,):
            self._told.pop(each.key, None)
            self._waiting.setdefault(each.key, each)

    def forget_told(self) -> None:
        """Take nothing for told: who was told may not know any more that it stands."""
        self._told.clear()

    def drop_answered(self, standing: Collection[str]) -> None:
        """Tell no question any more but those that stand, by their keys: the others were answered meanwhile."""
        asks = [key for key in self._waiting if key.startswith("asks:")]
        for key in asks:
            if key not in standing:
                del self._waiting[key]

    def quiet_until(self, now: datetime) -> datetime | None:
        """Say when the quiet that reigns ends; None when it does not reign."""
        if self._hours is None:
            return None
        local = now.astimezone(self._zone)
        begin, end = self._hours
        at = local.time().replace(tzinfo=None)
        inside = begin <= at < end if begin <= end else at >= begin or at < end
        if not inside:
            return None
        ends = local.replace(hour=end.hour, minute=end.minute, second=0, microsecond=0)
        return ends if ends > local else ends + timedelta(days=1)

    def _may_go(self, message: Message, now: datetime) -> bool:
        until = self.quiet_until(now)
        if until is None:
            return True
        presses = message.silence_at is not None and message.silence_at <= until
        return self._settings.urgent and (presses or message.kind == "trouble")

    def _is_recent(self, key: str, now: datetime) -> bool:
        at, repeat_s = self._told.get(key, (now, 0.0))
        return 0.0 <= (now - at).total_seconds() < repeat_s  # before it was told: the clock was set back since

    def _forget(self, now: datetime) -> None:
        self._told = {key: told for key, told in self._told.items() if self._is_recent(key, now)}


def rendered(message: Message, settings: NotifySettings, *, host: str) -> tuple[str, str]:
    """Fill in the templates; a `$name` that is none stays as it is written."""
    values = {
        "what": message.what,
        "pipeline": message.pipeline,
        "kind": message.kind,
        "text": message.text,
        "host": host,
    }
    title = Template(settings.title).safe_substitute({**values, "what": " ".join(message.what.split())})
    return title, Template(settings.body).safe_substitute(values)
