"""Errors of a call to Octave, split by what the caller should do.

    OctaveError
     +-- Refused            nothing was created: the same call may be made again
     |    +-- Unreachable     Octave could not be reached: check the network
     |    +-- Busy            Octave asked to wait
     +-- Rejected           Octave said no, nothing was created: change something first
     |    +-- KeyProblem      the API key is missing, wrong, or not allowed to do this
     |    +-- NoCredits       the workspace has no credits left
     |    +-- InputProblem    Octave does not accept the input
     |    +-- NothingCreated  Octave accepted the input and created nothing from it
     |    +-- SetupProblem    the base URL, a proxy or a certificate is wrong
     +-- OutcomeUnknown     the answer was lost: the persona may exist, so search for it before repeating

Only these leave `octave_mcp.octave.client`; no exception of the HTTP library does. `str(error)` is safe to show: it
never holds the key, a header, a URL's query or another library's words.
"""

from typing import TypedDict, Unpack

__all__ = [
    "Busy",
    "InputProblem",
    "KeyProblem",
    "NoCredits",
    "NothingCreated",
    "OctaveError",
    "OutcomeUnknown",
    "Refused",
    "Rejected",
    "SetupProblem",
    "Unreachable",
]


class Details(TypedDict, total=False):
    """Details of a failed call, as far as they are known."""

    octave_message: str | None
    """Octave's own message. It was written elsewhere: clean it before it is shown."""

    status: int | None
    """The HTTP status; None if there was no answer."""

    request_id: str | None
    """Octave's id of the request, for its support."""


class OctaveError(Exception):
    """Report that a call to Octave failed.

    `octave_message`, `status` and `request_id` are as in `Details`, or None.
    """

    affects_every_call = False
    """True if the next call would fail in the same way, so that a batch should stop here."""

    def __init__(self, text: str, **details: Unpack[Details]) -> None:
        """Take a text that says what happened, in our own words, and the details."""
        super().__init__(text)
        self.octave_message = details.get("octave_message")
        self.status = details.get("status")
        self.request_id = details.get("request_id")


class Refused(OctaveError):
    """Nothing was created, and the same call may be made again."""


class Unreachable(Refused):
    """The request never left: no address, no connection, no way through the proxy."""

    affects_every_call = True


class Busy(Refused):
    """Octave asked to wait. `retry_after` is in seconds: None if it did not say how long, infinite for nonsense."""

    affects_every_call = True

    def __init__(self, text: str, *, retry_after: float | None = None, **details: Unpack[Details]) -> None:
        """Take how long to wait, beside what every error takes."""
        super().__init__(text, **details)
        self.retry_after = retry_after


class Rejected(OctaveError):
    """Octave said no, and created nothing. The same call would get the same answer."""


class KeyProblem(Rejected):
    """The API key is missing, wrong, or not allowed to do this."""

    affects_every_call = True


class NoCredits(Rejected):
    """The workspace has no credits left."""

    affects_every_call = True


class InputProblem(Rejected):
    """Octave does not accept the input; `octave_message` says why."""


class NothingCreated(Rejected):
    """Octave accepted the input and created nothing from it. `usage` is what it reported all the same, in credits."""

    def __init__(self, text: str, *, usage: float | None = None, **details: Unpack[Details]) -> None:
        """Take the usage, beside what every error takes."""
        super().__init__(text, **details)
        self.usage = usage


class SetupProblem(Rejected):
    """The base URL is not Octave's API, or a proxy or a certificate on the way there cannot be used."""

    affects_every_call = True


class OutcomeUnknown(OctaveError):
    """The request may have reached Octave and its answer was lost or unreadable: what it asked for may exist.

    `unreadable` is the part of the answer that arrived, without the key, or None.
    """

    def __init__(self, text: str, *, unreadable: bytes | None = None, **details: Unpack[Details]) -> None:
        """Take the part of the answer that arrived, beside what every error takes."""
        super().__init__(text, **details)
        self.unreadable = unreadable
