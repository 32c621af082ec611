"""Tells people through their channels, and a watcher that the daemon lives, beside the ticks.

Must never hold up a tick: a slow channel waits on a thread of its own. Must never call a message accepted that was not.
"""

import logging
import socket
from collections.abc import Callable, Iterable, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime

from healerd.client.channels import Send
from healerd.client.views import answers_to
from healerd.daemon.messages import Message, Outbox, about, question, rendered, trouble
from healerd.listen_settings import NotifySettings
from healerd.model import AWAITED, Intent
from healerd.store import Reader

__all__ = ["PAUSE_S", "Teller", "fetch"]

log = logging.getLogger("healerd")
AGAIN_S = 60.0
"""After a channel refused a message, nothing is sent to it for so long."""
BEAT_S = 10.0
PAUSE_S = 15 * 60.0
"""After a longer pause of the daemon people are told again: whoever tried to answer may have given up."""


class _Channel:
    """One address: what waits for it, and what is being sent to it. Others are told whether it takes that or not."""

    def __init__(self, number: int, send: Send, settings: NotifySettings, pool: ThreadPoolExecutor) -> None:
        self._number, self._send, self._settings, self._pool = number, send, settings, pool
        self.outbox, self._host = Outbox(settings), socket.gethostname()
        self._sending: Future[tuple[tuple[Message, bool], ...]] | None = None
        self._not_before_s, self._refuses = float("-inf"), False

    def begin(self, at: datetime, boot_s: float) -> None:
        """Send what may go now, unless something is being sent or was refused lately."""
        if self._sending is not None or boot_s < self._not_before_s:
            return
        due = self.outbox.take(at)
        if due:
            self._sending = self._pool.submit(self._send_all, due)

    def settle(self, boot_s: float) -> frozenset[tuple[str, int]]:
        """Look what became of what was sent, and give the questions that were taken; what was refused waits a while."""
        if self._sending is None or not self._sending.done():
            return frozenset()
        results, self._sending = self._sending.result(), None
        refused = [message for message, taken in results if not taken]
        for message in refused:
            self.outbox.put_back(message)
        if refused:
            self._not_before_s = boot_s + AGAIN_S
        if refused and not self._refuses:
            log.error("address %d of `notify.urls_file` takes no message; they are sent to it again", self._number)
        if self._refuses and not refused:
            log.info("address %d of `notify.urls_file` takes messages again", self._number)
        self._refuses = bool(refused)
        return frozenset(asked for message, taken in results if taken for asked in message.asks)

    def _send_all(self, messages: Sequence[Message]) -> tuple[tuple[Message, bool], ...]:
        return tuple((each, self._send(*rendered(each, self._settings, host=self._host))) for each in messages)


class Teller:
    """Collects what is worth a message and sends it to each channel by itself, a few at a time.

    After a pause of the daemon of more than `pause_s`, what stands open is told again.
    """

    def __init__(
        self,
        settings: NotifySettings,
        *,
        senders: Sequence[Send] = (),
        beat: Callable[[str], bool] | None = None,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._settings, self._beat = settings, beat
        self._pool = ThreadPoolExecutor(max_workers=1 + len(senders), thread_name_prefix="teller")
        self._channels = [_Channel(number, send, settings, self._pool) for number, send in enumerate(senders, 1)]
        self._beating: Future[bool] | None = None
        self._beaten_s = float("-inf")
        self._pause_s, self._stepped_s = pause_s, float("-inf")
        self._taken: set[tuple[str, int]] = set()

    def step(self, told: Iterable[object], reader: Reader, *, at: datetime, boot_s: float) -> Set[tuple[str, int]]:
        """Take in what a tick came to and what stands open, and send what is due.

        Gives the open questions that a channel took, each an intent and its revision: people can answer these.
        """
        self._settle(boot_s)
        if boot_s - self._stepped_s > self._pause_s:
            self._taken.clear()
            for channel in self._channels:
                channel.outbox.forget_told()
        self._stepped_s = boot_s
        # What stands open is read, for a step makes no move of its own.
        asked = [question(each, answers_to(reader, each)) for each in reader.find(Intent, state=AWAITED)]
        self._taken.intersection_update(open_ for each in asked for open_ in each.asks)
        for channel in self._channels:
            channel.outbox.drop_answered({each.key for each in asked})
        self._beat_when_due(boot_s)
        self._send((*about(told), *asked), at, boot_s)
        return frozenset(self._taken)

    def trouble(self, said: str, *, at: datetime, boot_s: float) -> None:
        """Tell that a tick failed; questions wait for one that ends well, which knows whether they still stand."""
        self._settle(boot_s)
        for channel in self._channels:
            channel.outbox.drop_answered(())
        self._send((trouble(said),), at, boot_s)

    def close(self) -> None:
        """Finish what is being sent."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _settle(self, boot_s: float) -> None:
        """Take down the questions that any channel took: one that reached somebody is enough."""
        self._taken.update(*(channel.settle(boot_s) for channel in self._channels))

    def _send(self, messages: Iterable[Message], at: datetime, boot_s: float) -> None:
        for message in messages:
            for channel in self._channels:
                channel.outbox.add(message, at)
        for channel in self._channels:
            channel.begin(at, boot_s)

    def _beat_when_due(self, boot_s: float) -> None:
        """Show life to whoever misses it: only a tick that ended well comes here."""
        url = self._settings.heartbeat_url
        if url is None or self._beat is None or boot_s - self._beaten_s < self._settings.heartbeat_every:
            return
        if self._beating is not None and not self._beating.done():
            return
        if self._beating is not None and not self._beating.result():
            log.warning("the heartbeat was not taken; whoever waits for it may raise the alarm")
        self._beaten_s, self._beating = boot_s, self._pool.submit(self._beat, url)


def fetch(url: str) -> bool:
    """Fetch an address, and tell whether it answered well."""
    import httpx  # only for who has a heartbeat

    try:
        return bool(httpx.get(url, timeout=BEAT_S, follow_redirects=True).is_success)
    except httpx.HTTPError:
        return False
