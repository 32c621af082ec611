"""Runs the daemon: the core on its thread, the ticker, the clock guard and the control API, until a signal ends it.

Must never decide anything, and must never go on after a bug: it stops with a code that says why, and whoever
supervises it starts it again; what was promised is in the database.
"""

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from enum import IntEnum
from functools import partial

from healerd.client.access import STOP
from healerd.client.channels import apprise_senders
from healerd.client.views import Json, plain
from healerd.clock import Clock, SystemClock
from healerd.config import Config
from healerd.daemon.clocks import ClockGuard
from healerd.daemon.control import Bell, Control
from healerd.daemon.listen import Listener, bind, unbind
from healerd.daemon.logs import LogTail
from healerd.daemon.metrics import Metrics
from healerd.daemon.notices import notices
from healerd.daemon.outlook import Outlook, open_outlook
from healerd.daemon.people import People
from healerd.daemon.ports import Core
from healerd.daemon.rereading import Rereading
from healerd.daemon.scheduler import Ticker
from healerd.daemon.supervised import Progress, ping_while_it_goes_on, tell
from healerd.daemon.telling import PAUSE_S, Teller, fetch
from healerd.daemon.threads import OneThread
from healerd.daemon.webhook import Webhook
from healerd.errors import (
    ConfigError,
    HealerdError,
    LockHeld,
    RulesError,
    SourceError,
    StaleEpoch,
    StoreAway,
    StoreError,
)

__all__ = ["Daemon", "RunExit", "run"]

log = logging.getLogger("healerd")

GUARD_S = 1.0
"""How often the clocks are compared between ticks."""
STANDBY_S = 1.0
"""How often a daemon on standby tries to take the state folder: it leads this long after a death, and its own start."""


class RunExit(IntEnum):
    """What `healerd run` ends with (sysexits.h)."""

    OK = 0
    USAGE = 64
    DATABASE = 66
    DEPENDENCY = 69
    INTERNAL = 70
    LOCK_HELD = 75
    CONFIGURATION = 78


EXITS: tuple[tuple[type[HealerdError], RunExit], ...] = (
    (LockHeld, RunExit.LOCK_HELD),
    (StaleEpoch, RunExit.LOCK_HELD),
    (StoreAway, RunExit.DEPENDENCY),
    (StoreError, RunExit.DATABASE),
    (ConfigError, RunExit.CONFIGURATION),
    (RulesError, RunExit.CONFIGURATION),
    (SourceError, RunExit.DEPENDENCY),
    (HealerdError, RunExit.INTERNAL),
)


def run(
    config: Config, *, open_core: Callable[[Config, Clock], Core], clock: Clock | None = None, standby: bool = False
) -> RunExit:
    """Run the daemon in the foreground until SIGTERM or SIGINT; log why it ended.

    `standby`: while another daemon holds the state folder, wait for it to die, and take over.
    """
    daemon = Daemon(config, open_core=open_core, clock=clock or SystemClock(), standby=standby)
    try:
        asyncio.run(daemon.serve())
    except HealerdError as error:
        log.error("%s", error)
        return next(code for kind, code in EXITS if isinstance(error, kind))
    return daemon.exit


def _teller(config: Config) -> Teller:
    """Make who tells people. Raises ConfigError when a channel cannot be used: at night nobody would be asked."""
    file = config.notify.urls_file
    senders = apprise_senders(config.path(file)) if file else ()
    return Teller(config.notify, senders=senders, beat=fetch, pause_s=max(PAUSE_S, 3 * config.daemon.tick))


class Daemon:
    """One daemon on one state folder; once it has ended, `exit` says how."""

    def __init__(
        self, config: Config, *, open_core: Callable[[Config, Clock], Core], clock: Clock, standby: bool = False
    ) -> None:
        self._config, self._open_core, self._clock, self._standby = config, open_core, clock, standby
        self._thread = OneThread("core")
        self._guard = ClockGuard(clock.read())
        self._started_at = clock.now()
        self._ticked_at: datetime | None = None
        self._ticking_since: datetime | None = None
        self._tick_s: float | None = None
        self._lag_s: float | None = None
        self._failed = ""
        self._ticker: Ticker | None = None
        self._tail = LogTail()
        self._rereading = Rereading(lambda: clock.read().boot_s)
        self._progress = Progress(clock.read().boot_s)
        self.exit = RunExit.OK

    async def serve(self) -> None:
        """Start everything, wait for the end, let go of everything in reverse order."""
        self._stop, self._bell = asyncio.Event(), Bell()
        async with AsyncExitStack() as stack:
            stack.callback(self._thread.close)
            stack.enter_context(self._tail.listening(log))
            self._listen_for_the_end()
            self._teller = _teller(self._config)
            stack.callback(self._teller.close)
            core = await self._lead()
            if core is None:
                return
            self._core = core
            gc.collect()
            gc.freeze()  # what the start loaded stays: no later look for garbage walks through it
            stack.callback(gc.unfreeze)
            stack.push_async_callback(self._thread.call, self._core.close)
            self._listen_for_reloads()
            webhook = self._open_webhook(stack)
            control = await self._open_control(stack, webhook)
            await self._open_outlook(stack, control, webhook)
            await self._start_ticking(stack)
            log.info("running on `%s`, control socket `%s`", self._config.state, self._config.socket)
            tell("READY=1", self._watching())
            await self._stop.wait()
            tell("STOPPING=1", "STATUS=finishing what is under way")
            log.info("stopping: what is under way is finished, what waits is kept")

    async def _lead(self) -> Core | None:
        """Open the core; on standby, as soon as nobody else holds the folder. None when it ends before that."""
        told = ""
        while not self._stop.is_set():
            try:
                core = await self._thread.call(self._open_core, self._config, self._clock)
            except LockHeld as error:
                if not self._standby:
                    raise
                if str(error) != told:
                    log.info("on standby: %s", error)
                    tell("STATUS=on standby: another daemon leads")
                told = str(error)
            else:
                # What the clocks did before is no jump of this leader: its core has looked at that by the record (S16).
                self._guard, self._started_at = ClockGuard(self._clock.read()), self._clock.now()
                self._progress.tick_ended(self._clock.read().boot_s)  # its first tick has the whole time of one
                return core
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), STANDBY_S)
        return None

    def _open_webhook(self, stack: AsyncExitStack) -> Webhook | None:
        """Take alerts where the configuration says so. Raises ConfigError when its token cannot be used."""
        settings = self._config.listen.alerts
        if settings is None:
            return None
        webhook = Webhook(self._core, settings, folder=self._config.path("."))
        stack.callback(webhook.close)
        return webhook

    async def _open_control(self, stack: AsyncExitStack, webhook: Webhook | None) -> Control:
        control = Control(
            core=self._core,
            core_thread=self._thread,
            pipelines=tuple(self._config.pipeline),
            people=People(roles=self._config.daemon.roles, owner_uid=os.getuid()),
            clock=self._clock,
            bell=self._bell,
            describe=self._describe,
            log=self._tail.lines,
            webhook=webhook,
        )
        stack.callback(control.close)
        listener = Listener(control.app())
        socket = bind(self._config.socket)
        stack.callback(unbind, self._config.socket, self._config.socket.stat())
        serving = asyncio.create_task(listener.serve(sockets=[socket]))

        async def close() -> None:
            self._bell.stop()
            listener.should_exit = True
            await serving

        stack.push_async_callback(close)
        return control

    async def _open_outlook(self, stack: AsyncExitStack, control: Control, webhook: Webhook | None) -> None:
        """Show metrics and health, and take alerts, where the configuration says so."""
        address, names = self._config.listen.address, tuple(self._config.pipeline)
        alerts = self._config.listen.alerts
        if address is None:
            return
        stop = self._config.state / STOP
        metrics = Metrics(
            pipelines=names,
            describe=self._describe,
            queues=control.waiting,
            budget=self._config.daemon.false_alarms_per_year,
            stop_file=stop.exists,
            alerts_expire_s=alerts.expire if alerts else None,
        )
        outlook = Outlook(
            metrics=metrics,
            store=self._core.store,
            clock=self._clock,
            describe=self._describe,
            progress=self._progress,
            webhook=webhook,
        )
        await open_outlook(stack, outlook, address)

    async def _start_ticking(self, stack: AsyncExitStack) -> None:
        ticker = self._ticker = Ticker(self._tick, every_s=self._config.daemon.tick)
        ticker.start()
        stack.callback(ticker.stop)
        self._realign = partial(asyncio.get_running_loop().call_soon_threadsafe, ticker.realign)
        watching = asyncio.create_task(self._watch_clock())
        stack.callback(watching.cancel)
        first = asyncio.create_task(self._tick())
        stack.callback(first.cancel)
        pinging = asyncio.create_task(
            ping_while_it_goes_on(
                self._progress, now_s=lambda: self._clock.read().boot_s, every_s=self._config.daemon.tick
            )
        )
        stack.callback(pinging.cancel)

    async def _tick(self) -> None:
        asked_s = self._clock.read().boot_s
        await self._safely(self._thread.call(self._run_due, asked_s))

    def _run_due(self, asked_s: float) -> None:
        """Runs on the core's thread; the clocks are compared first, so that no tick acts on a clock just set."""
        began = self._clock.read()
        self._ticking_since, self._lag_s = began.at, began.boot_s - asked_s
        try:
            self._check_clock()
            told = self._core.run_due()
            for notice in notices(told):
                log.info("%s", notice, extra={"audit": self._core.store.head()[0]})
            self._ticked_at, self._failed = self._clock.now(), ""
            self._rereading.step(self._core.store, self._ticked_at)
            now_s = self._clock.read().boot_s
            self._core.reached(self._teller.step(told, self._core.store, at=self._ticked_at, boot_s=now_s))
        finally:
            ended_s = self._clock.read().boot_s
            self._ticking_since, self._tick_s = None, ended_s - began.boot_s
            self._progress.tick_ended(ended_s)

    def _check_clock(self) -> None:
        """Tell the core of a jump, and look for the next tick anew: after one back, the old one may be hours away."""
        jumped_s = self._guard.check(self._clock.read())
        if jumped_s:
            log.warning("the clock was set by %+.1f s; nothing acts until the next full window", jumped_s)
            try:
                self._core.clock_jumped(jumped_s)
            except HealerdError:
                self._guard.tell_again()
                raise
            self._realign()

    async def _watch_clock(self) -> None:
        while True:
            await asyncio.sleep(GUARD_S)
            await self._safely(self._thread.call(self._check_clock))

    async def _safely(self, work: Awaitable[None]) -> None:
        """Do `work`. What the world did wrong is logged and tried again; a bug ends the daemon."""
        try:
            await work
        except StaleEpoch as error:
            log.error("another daemon has taken over: %s", error)
            self._end(RunExit.LOCK_HELD)
        except HealerdError as error:
            self._failed = str(error)
            log.error("%s", error)
            self._thread.later(self._teller.trouble, str(error), at=self._clock.now(), boot_s=self._clock.read().boot_s)
        except Exception:
            log.exception("a bug ended this daemon; please report it")
            self._end(RunExit.INTERNAL)
        self._bell.ring()

    def _end(self, how: RunExit) -> None:
        self.exit = how
        self._stop.set()

    def _listen_for_the_end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: None)  # no rules yet to read anew

    def _listen_for_reloads(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, lambda: self._thread.later(self._reload_rules))

    def _reload_rules(self) -> None:
        try:
            self._core.reload_rules()
        except HealerdError as error:
            log.error("the rules stay as they were:\n%s", error)
            why = "the rule files are wrong" if isinstance(error, RulesError) else "they could not be written down"
            tell(f"{self._watching()}; {why}, and the rules stay as they were: see the journal")
        else:
            log.info("the rules were read anew")
            tell(self._watching())

    def _watching(self) -> str:
        """What the service manager shows beside the unit."""
        return f"STATUS=watching {len(self._config.pipeline)} pipelines"

    def _describe(self) -> Json:
        """Say how the process itself is doing."""
        return {
            "state": "live",
            "pid": os.getpid(),
            "since": plain(self._started_at),
            "ticked_at": plain(self._ticked_at),
            "ticking_since": plain(self._ticking_since),
            "tick_s": self._tick_s,
            "lag_s": self._lag_s,
            "tick_every_s": float(self._config.daemon.tick),
            "next_tick_at": plain(self._ticker.next_at()) if self._ticker else None,
            "failed": self._failed or None,
            "unattended": self._config.daemon.unattended,
            "state_folder": str(self._config.state),
            "verified": self._rereading.said(),
        }
