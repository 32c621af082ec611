"""What the CLI and the TUI may use: the control socket while the daemon runs, the database read-only when it does not.

Must never write to the state folder, with one exception: the `STOP` file, which must work when the daemon hangs.
"""

from healerd.client.access import Client, Looking
from healerd.client.differences import diff_traces, trace_steps
from healerd.client.follow import Follow
from healerd.client.link import Link
from healerd.client.options import TuiOptions
from healerd.client.replay import Replay

__all__ = ["Client", "Follow", "Link", "Looking", "Replay", "TuiOptions", "diff_traces", "trace_steps"]
