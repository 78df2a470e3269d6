"""The tree of errors: what can go wrong in the scheduler itself.

    SchedulerError
      SettingsError       the environment is incomplete or wrong; the process must not start
      StoreError          the store did not do what it was asked
        MissingIndexError      it lacks the index for this query, and answers all others
        StoreUnavailableError  it could not be reached in time; the same call may work later
          StoreTimeoutError      the call had begun; it may have been done all the same
          LimitsUnknownError     what an owner may use could not be read; the attempt has not begun
      PostponedError      an attempt cannot be made now, and counts as not begun; LimitsUnknownError is one
        ShortageError       this machine has no more processes, memory or open files for it
      NotAllowedError     the caller may not do this
      ConflictError       what the caller wants to change has changed since it was read
      InputError          the input is wrong; the message names field and remedy
        NotFoundError     there is no such task, run, key or owner
        StateError        nothing is wrong with the input, but the state of what it is about refuses it
          UnreadableError   what is stored of it cannot be read

A task that fails is not here: that is an `Outcome`, a value.
"""

import errno


class SchedulerError(Exception):
    """Base of all errors of the scheduler. The text is for users and never holds a secret."""


class SettingsError(SchedulerError):
    """The environment is incomplete or wrong; the text names the variable, never its content."""


class StoreError(SchedulerError):
    """The store refused a call, and trying again will not help (full disk, no permission)."""


class InvalidWriteError(StoreError):
    """The store will never take what is to be written: it is too large, or holds what cannot be encoded."""


class MissingIndexError(StoreError):
    """The store lacks the index for this query, or still builds it; the text says how it is made."""


class StoreUnavailableError(StoreError):
    """The store could not be reached, or not in time. A write may have been applied all the same."""


class StoreTimeoutError(StoreUnavailableError):
    """The call had begun when its time was up; it may have been done all the same."""


class PostponedError(SchedulerError):
    """An attempt cannot be made now, for no reason of its task's; it counts as not begun, and is made soon.

    Attributes:
        why: For the log: what is missing.
    """

    why = ""


class LimitsUnknownError(StoreUnavailableError, PostponedError):
    """What an owner's tasks may use could not be read; an attempt that needs it has not begun."""

    why = "what its owner may use could not be read"


class ShortageError(PostponedError):
    """No process could be started for an attempt: this machine has no more of what that takes, just now."""

    why = "this machine has no more processes, memory or open files (ulimit -u, ulimit -n, MAX_CONCURRENCY)"


SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM})  # of an OSError


class NotAllowedError(SchedulerError):
    """The caller may not do this."""


class InputError(SchedulerError):
    """The input is wrong; the text names the field and the remedy."""


class NotFoundError(InputError):
    """What was asked for does not exist, or the caller may not see it."""


class StateError(InputError):
    """The state of what the input is about refuses it; the same input is accepted in another state."""


class UnreadableError(StateError):
    """What is stored cannot be read, and so nobody knows whose it is."""


class ConflictError(SchedulerError):
    """What the caller wants to change was changed by another since it was read."""
