"""What the CLI and the TUI may use: the control socket while the daemon runs, the database read-only when it does not.

Must never write to the state folder, with one exception: the `STOP` file, which must work when the daemon hangs.
"""

from healerd.client.access import Client
from healerd.client.link import Link

__all__ = ["Client", "Link"]
