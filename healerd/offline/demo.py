"""`healerd demo`: a year of real flights from New York, a model that goes wrong, two injected faults, and the loop.

Must never claim what this run did not measure: it ends well only if every sentence it prints is true.
"""

import getpass
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

import healerd.offline.flights
from healerd.clock import SystemClock
from healerd.offline.beside import play_beside
from healerd.offline.claims import Claim, claims_of, fault_free, measure
from healerd.offline.contract import EventRecord, write_report, write_whole
from healerd.offline.faults import DEPLOY_AT, KM_FROM, OTHER_ACTOR, BadDeploy, in_kilometres, tell_once
from healerd.offline.operators import Operator, SimulatedOperator
from healerd.offline.options import DemoOptions, TryOptions
from healerd.offline.registry_place import registry_place, said_by_server
from healerd.offline.report_html import report_page
from healerd.offline.result import lines_of, report_of, task_of
from healerd.offline.session import Meddle, Session, check_places, open_session, state_folder
from healerd.offline.settings import Settings, make_config
from healerd.offline.setup import prepare
from healerd.offline.story import SIMULATED_NOTE, event_line, is_told, verdict
from healerd.offline.stream import Stream, load_stream
from healerd.offline.teller import Teller
from healerd.offline.terminal import PersonOperator, ask_at_terminal
from healerd.offline.windows import DAY_S

__all__ = ["STORY", "run_demo"]

FLIGHTS = Path(healerd.offline.flights.__file__).parent / "flights-2013.parquet"
TRAIN_UNTIL = datetime(2013, 2, 1, tzinfo=UTC)
ONE_MINUTE = np.timedelta64(60_000_000, "us")
PERIODS = (28, 7)
"""Plain schedules beside healerd: every week, and every four weeks."""
PACE_S = 0.05
"""Time a day takes in a terminal: the year in about half a minute, questions aside."""
KILOMETRES = "for three days the feed sends distances in kilometres (injected)"
DEPLOY = f"`{OTHER_ACTOR}` moves the alias to a model trained on February (injected)"
STORY = (
    "A model learned in January how long flights from New York stay in the air. It then serves all of 2013, a day at a "
    "time; how long a flight really took is known when it has landed.",
    "Real: every flight, and how the winds of spring, summer and autumn make the model wrong. Injected, and marked so: "
    "three days of distances in kilometres in June, and a bad deploy by another actor in August.",
    "The plain ways beside healerd run on the clean flights; quality leaves the injected days out.",
)


def run_demo(options: DemoOptions, teller: Teller | None = None) -> int:
    """Tell the story, headless or to a person; 0 only if every claim it prints was measured true.

    Raises HealerdError with the mend when the state folder cannot be used or holds another run.
    """
    teller, watch = teller or Teller(), SystemClock()
    begun = watch.read().boot_s
    check_places(options.json, options.html)
    live = not options.headless and sys.stdin.isatty() and sys.stdout.isatty()
    stream = flights()
    for text in STORY:
        teller.say(f"{text}\n")
    setup = prepare(stream, settings_of(stream), teller)
    operator = _operator(teller, live=live)
    with (
        state_folder(options.state) as folder,
        registry_place(options.registry, folder, stream.name, teller) as place,
    ):
        config = make_config(replace(setup.settings, registry=place), folder)
        with (
            open_session(stream, config, setup.first, operator=operator, feed=in_kilometres) as session,
            play_beside(task_of(setup, config), PERIODS) as beside,
        ):
            teller.say(_who(live=live) + "\n")
            meddle = meddle_with(BadDeploy(stream=stream, fit=setup.fit), pace_s=PACE_S if live else 0.0)
            events = session.play(teller, _hear(teller, live=live), meddle)
            lines = list(lines_of(setup, session, beside, played=PERIODS))
            seconds = watch.read().boot_s - begun
            report = report_of(setup, session, lines, events, judged=fault_free(setup), seconds=seconds)
            claims = list(claims_of(measure(setup, session, lines[-1], report)))
        said = () if place is None else said_by_server(config, stream.name)
    for text in ("", *verdict(report), "", *map(_claim_line, claims), *said, *_where_next(options.state)):
        teller.say(text)
    if options.json:
        write_report(report, options.json)
    if options.html:
        told = (*STORY, *map(_claim_line, claims))
        write_whole(options.html, report_page(report, lines, stream, story=told))
    return 0 if all(claim.holds for claim in claims) else 1


def flights() -> Stream:
    """Read the flights; how long one took is known when it has landed."""
    wanted = TryOptions(file=FLIGHTS, target="air_time", time="time", train_until=TRAIN_UNTIL, window_s=DAY_S)
    stream = load_stream(wanted)
    return replace(stream, name="flights", known_at=stream.at + stream.label.astype(np.int64) * ONE_MINUTE)


def settings_of(stream: Stream) -> Settings:
    """Say how the demo is configured."""
    return Settings(
        pipeline=stream.name,
        window_s=stream.window_s,
        label_horizon_s=DAY_S,
        loss="zero-one",
        rows_min=200,
        retrain_cost=None,
        rules=None,
        estimator=None,
        task=stream.task,
    )


def _operator(teller: Teller, *, live: bool) -> Operator:
    if not live:
        return SimulatedOperator()
    return PersonOperator(name=getpass.getuser(), ask=partial(ask_at_terminal, teller), teller=teller)


def _who(*, live: bool) -> str:
    if not live:
        return SIMULATED_NOTE
    return "you are asked before anything is done; where you say nothing, an operator recorded as `simulated` answers"


def meddle_with(deploy: BadDeploy, *, pace_s: float) -> Meddle:
    """Inject each fault at its day, and let a person see the days go by."""

    def meddle(session: Session, start: datetime) -> None:
        if start == KM_FROM:
            tell_once(session, KILOMETRES)
        if start == DEPLOY_AT:
            tell_once(session, DEPLOY, partial(deploy.deploy, session))
        time.sleep(pace_s)

    return meddle


def _hear(teller: Teller, *, live: bool) -> Callable[[EventRecord], None]:
    def hear(event: EventRecord) -> None:
        if is_told(event, to_person=live):
            teller.say(event_line(event))

    return hear


def _claim_line(claim: Claim) -> str:
    return f"{'true ' if claim.holds else 'FALSE'}  {claim.text}"


def _where_next(state: Path | None) -> tuple[str, ...]:
    if state is None:
        return ("", "nothing was kept; `healerd demo --state DIR` keeps everything")
    verbs = ("status", "trace list", "audit verify")
    return ("", "look into what was kept:", *(f"  healerd {verb} --state {state}" for verb in verbs))
