"""The exceptions healerd raises for failures of the world, and nothing else.

A *no* (hold, a forbidding verdict, a diagnostic) is a value and never raised. A bug is an assertion.

    HealerdError
    |- ConfigError     a setting is missing, misspelt or of the wrong type        exit 2 (run: 78)
    |- RulesError      a rule file does not compile                               exit 7 (run: 78)
    |- StoreError      the control database cannot be used                        exit 1 (run: 66)
    |  |- LockHeld     another daemon owns the state folder                       exit 1 (run: 75)
    |  |- StoreAway    the database is locked, its disk full or not to be used    exit 1 (run: 69)
    |  |- TooLong      a record is longer than a leaf may be                      exit 1 (run: 66)
    |  `- SegmentError a file of rows is gone, damaged or cannot be written       exit 1 (run: 66)
    |- SourceError     predictions or labels cannot be read                       exit 1 (run: 69)
    |- ServingError    a request to the gateway cannot be answered                HTTP status
    |- ActionError     an action cannot be carried out                            exit 1
    |  |- StaleEpoch   a newer daemon has fenced this one off                     exit 1 (run: 75)
    |  `- RegistryAway a model registry does not answer: it is asked again        exit 1
    `- ControlError    the daemon cannot be reached, or refuses                   exit 3
       |- TimedOut     the daemon is there and does not answer in time           exit 124
       |- NotAllowed   the role does not permit it                               exit 4
       |- NotFound     no such pipeline, intent or trace                         exit 5
       `- Conflict     already decided, or the revision has changed              exit 6

Every message names the place and what to do next: lower case, no full stop, the user's text in backticks.
"""


class HealerdError(Exception):
    """A failure of the world that healerd can name; `exit_code` is what a verb ends with."""

    exit_code = 1


class ConfigError(HealerdError):
    """A setting is missing, misspelt, of the wrong type or out of range."""

    exit_code = 2


class RulesError(HealerdError):
    """A rule file does not compile; the message holds every diagnostic."""

    exit_code = 7


class StoreError(HealerdError):
    """The control database cannot be opened, read or written."""


class LockHeld(StoreError):
    """Another daemon owns the state folder."""


class StoreAway(StoreError):
    """The control database cannot be used now, and nothing says that it is not whole: it is tried again."""


class TooLong(StoreError):
    """A record is longer than a leaf may be: that of one pipeline, mostly; the control database is not at fault."""


class SegmentError(StoreError):
    """A file of one pipeline's rows is gone, damaged, or cannot be written; the control database is not at fault."""


class SourceError(HealerdError):
    """Predictions or labels cannot be read."""


class ServingError(HealerdError):
    """A request to the gateway cannot be answered; `status` is that of the HTTP response."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class ActionError(HealerdError):
    """An action cannot be planned, carried out or observed."""


class StaleEpoch(ActionError):
    """The target has seen a newer daemon: whoever carries this epoch must not act."""


class RegistryAway(ActionError):
    """A model registry does not answer, or not with sense: nobody knows anything, and it is asked again."""


class ControlError(HealerdError):
    """The daemon cannot be reached."""

    exit_code = 3


class TimedOut(ControlError):
    """The daemon is there, but did not answer in time."""

    exit_code = 124


class NotAllowed(ControlError):
    """The caller's role does not permit the verb."""

    exit_code = 4


class NotFound(ControlError):
    """No such pipeline, intent, trace or version."""

    exit_code = 5


class Conflict(ControlError):
    """Already decided by somebody else, or the revision has changed."""

    exit_code = 6
