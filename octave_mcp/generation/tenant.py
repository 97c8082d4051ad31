"""Tenants: their limits, and fingerprints of requested personas: keyed hashes that reveal neither key nor source."""

import hashlib
import hmac
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from octave_mcp.ledger.records import DAY_SECONDS, RequestedPersona, SpendingLimits
from octave_mcp.octave.models import GenerateRequest
from octave_mcp.octave.text import fold_name, name_key


@dataclass(frozen=True)
class Limits:
    """How much at once, for how long, and how much in all. See `Settings`, which documents each with its unit."""

    concurrency: int = 4
    replay_seconds: float = DAY_SECONDS
    shutdown_seconds: float = 20.0
    spending: SpendingLimits = field(default_factory=SpendingLimits)
    allow_same_name: bool = False


class Tenant:
    """The owner of an API key at one origin. `id` is its name in the ledger."""

    def __init__(self, api_key: SecretStr, origin: str) -> None:
        """Take the API key, which has enough entropy to be the key of every hash."""
        self._key = api_key.get_secret_value().encode()
        self.id = self._digest("tenant", origin)

    def requested(self, request: GenerateRequest, *, salt: str = "") -> list[RequestedPersona]:
        """Return what a request asks for, in its order.

        A fingerprint covers the tenant, one persona's input, the shared fields, and how many equal items precede it in
        the request, since two equal items of one call are two personas. The order of sources, white space and the
        Unicode form of a text make no difference, as a model or a client may change them when it repeats a call.
        A `salt` makes every fingerprint a new one.
        """
        shared = request.model_dump(exclude={"personas"}, exclude_none=True)
        seen: Counter[str] = Counter()
        requested = []
        for persona in request.personas:
            content = self.id + _canonical({**shared, "persona": persona.model_dump(exclude_none=True)})
            fingerprint = self._digest("persona", content, str(seen[content]), salt)
            key = None if persona.name is None else name_key(persona.name)
            requested.append(RequestedPersona(fingerprint, persona.name, key))
            seen[content] += 1
        return requested

    def _digest(self, *parts: str) -> str:
        return hmac.new(self._key, "\0".join(parts).encode(), hashlib.sha256).hexdigest()


def _canonical(value: Any) -> str:
    """Return the same text for values that differ only in the order of a list, in white space or in Unicode form."""
    if isinstance(value, dict):
        return json.dumps({name: _canonical(inner) for name, inner in value.items()}, sort_keys=True)
    return json.dumps(sorted(map(_canonical, value)) if isinstance(value, list) else fold_name(value))
