"""What can go wrong with a call to Octave, split by what the caller should do.

    OctaveError
     +-- Refused            nothing was made: the same call may be made again
     |    +-- Unreachable     Octave could not be reached: look at the network
     |    +-- Busy            Octave asked to wait
     +-- Rejected           Octave said no, nothing was made: change something first
     |    +-- KeyProblem      the key is missing, wrong or not allowed
     |    +-- NoCredits       the workspace has no credits left
     |    +-- InputProblem    Octave does not accept the input
     |    +-- NothingMade     Octave accepted the input and made nothing of it
     |    +-- SetupProblem    the base URL or a certificate is wrong
     +-- OutcomeUnknown     the answer was lost: the persona may exist, so look before repeating

Only these leave `octave_mcp.octave.client`; no exception of the HTTP library does. `str(error)` is safe to show: it
never holds the key, a header, a URL's query or another library's words.
"""

from typing import TypedDict, Unpack

__all__ = [
    "Busy",
    "InputProblem",
    "KeyProblem",
    "NoCredits",
    "NothingMade",
    "OctaveError",
    "OutcomeUnknown",
    "Refused",
    "Rejected",
    "SetupProblem",
    "Unreachable",
]


class Facts(TypedDict, total=False):
    """What may be known of a call that did not end well."""

    said: str | None
    """Octave's own message. It was written elsewhere: clean it before it is shown."""

    status: int | None
    """The HTTP status; none where there was no answer."""

    request_id: str | None
    """Octave's id of the request, for its support."""


class OctaveError(Exception):
    """A call to Octave did not end well.

    `said`, `status` and `request_id` are as `Facts` has them, or None.
    """

    meets_every_call = False
    """Whether the next call would meet the same problem, so that a batch had better stop here."""

    def __init__(self, text: str, **facts: Unpack[Facts]) -> None:
        """Take our own words for what happened, and what is known of it."""
        super().__init__(text)
        self.said = facts.get("said")
        self.status = facts.get("status")
        self.request_id = facts.get("request_id")


class Refused(OctaveError):
    """Nothing was made, and the same call may be made again."""


class Unreachable(Refused):
    """The request never left: no address, no connection, no free connection in time."""

    meets_every_call = True


class Busy(Refused):
    """Octave asked to wait. `retry_after` is how long, in seconds: None where it did not say, infinite for nonsense."""

    meets_every_call = True

    def __init__(self, text: str, *, retry_after: float | None = None, **facts: Unpack[Facts]) -> None:
        """Take how long to wait, beside what every error takes."""
        super().__init__(text, **facts)
        self.retry_after = retry_after


class Rejected(OctaveError):
    """Octave said no, and made nothing. The same call would meet the same answer."""


class KeyProblem(Rejected):
    """The API key is missing, wrong, or not allowed to do this."""

    meets_every_call = True


class NoCredits(Rejected):
    """The workspace has no credits left."""

    meets_every_call = True


class InputProblem(Rejected):
    """Octave does not accept the input; `said` tells why."""


class NothingMade(Rejected):
    """Octave accepted the input and made nothing of it. `usage` is what it reported all the same, in credits."""

    def __init__(self, text: str, *, usage: float | None = None, **facts: Unpack[Facts]) -> None:
        """Take the usage, beside what every error takes."""
        super().__init__(text, **facts)
        self.usage = usage


class SetupProblem(Rejected):
    """The base URL is not Octave's API, or its certificate is not to be trusted."""

    meets_every_call = True


class OutcomeUnknown(OctaveError):
    """The request may have reached Octave and its answer was lost or unreadable: what it asked for may exist.

    `unreadable` is what came of the answer, without the key; it may have been paid for.
    """

    def __init__(self, text: str, *, unreadable: bytes | None = None, **facts: Unpack[Facts]) -> None:
        """Take what came of the answer, beside what every error takes."""
        super().__init__(text, **facts)
        self.unreadable = unreadable
