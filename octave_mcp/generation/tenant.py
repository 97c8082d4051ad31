"""Whose a record is, and which wish is the same wish, as keyed hashes that give neither key nor source away."""

import hashlib
import hmac
import json
from collections import Counter

from pydantic import SecretStr

from octave_mcp.generation.ledger import Wanted
from octave_mcp.octave.models import GenerateRequest

__all__ = ["Tenant"]


class Tenant:
    """The owner of an API key at one origin. `id` is its name in the ledger."""

    def __init__(self, api_key: SecretStr, origin: str) -> None:
        """Take the key, which is high in entropy, as the key of each hash."""
        self._key = api_key.get_secret_value().encode()
        self.id = self._digest("tenant", origin)

    def wanted(self, request: GenerateRequest) -> list[Wanted]:
        """What a request asks for, in its order.

        A fingerprint is of the tenant, one persona's input, the fields that all share, and how many of the same come
        before it in the request: twins within one call are two wishes.
        """
        shared = request.model_dump(exclude={"personas"}, exclude_none=True)
        before: Counter[str] = Counter()
        wanted = []
        for persona in request.personas:
            content = [self.id, shared, persona.model_dump(exclude_none=True)]
            wish = json.dumps(content, sort_keys=True, ensure_ascii=False)
            wanted.append(Wanted(self._digest("wish", wish, str(before[wish])), persona.name))
            before[wish] += 1
        return wanted

    def _digest(self, *parts: str) -> str:
        return hmac.new(self._key, "\0".join(parts).encode(), hashlib.sha256).hexdigest()
