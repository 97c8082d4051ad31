"""Access tokens of an OAuth 2.1 authorization server: JWTs, checked against the keys that it publishes."""

import logging
import ssl
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import jwt
import truststore
from mcp.server.auth.provider import AccessToken, TokenVerifier

from octave_mcp.http.settings import HttpSettings

__all__ = ["Jwts", "NoKeysError"]

logger = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Those with a public key: with a shared one, who can check a token can make one."""

LEEWAY_SECONDS = 30.0
"""By which the two clocks may differ."""

JWKS_SECONDS = 5.0
"""In which the keys have to come."""

REST_SECONDS = 5.0
"""After a failure to fetch them, in which no other is made: whoever calls meanwhile need not wait for it."""


class NoKeysError(Exception):
    """The keys cannot be had, so that no token can be checked."""


class Jwts(TokenVerifier):
    """Checks signature, issuer, audience and times; the SDK checks the scopes."""

    def __init__(self, settings: HttpSettings, *, now: Callable[[], float] = time.monotonic) -> None:
        """Take issuer, audience and the keys' address from the settings; nothing is fetched before a token comes.

        `now` counts seconds.
        """
        assert settings.oauth_jwks_url and settings.oauth_issuer and settings.public_url  # noqa: S101, PT018 - checked there
        encrypted = urlsplit(settings.oauth_jwks_url).scheme == "https"
        self._issuer = settings.oauth_issuer
        self._audience = settings.public_url
        # It keeps the keys for minutes, and has a token of an unknown key fetch them anew, but twice a minute at most.
        self._source = jwt.PyJWKClient(
            settings.oauth_jwks_url,
            timeout=JWKS_SECONDS,
            ssl_context=truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if encrypted else None,
        )
        self._now = now
        self._rests_until = float("-inf")
        self._one_at_a_time = anyio.CapacityLimiter(1)

    async def verify_token(self, token: str) -> AccessToken | None:
        """See the SDK. Raises NoKeysError."""
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in ALGORITHMS:
                return None
            key = await self._key(header.get("kid"))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            logger.info("An access token was refused: %s", type(error).__name__)
            return None
        client = claims.get("client_id") or claims.get("azp")
        return AccessToken(
            token="",  # which nothing here needs again
            client_id=client if isinstance(client, str) else claims["sub"],
            scopes=_scopes(claims),
            expires_at=int(claims["exp"]) + int(LEEWAY_SECONDS),
            resource=self._audience,
            subject=claims["sub"],
            claims={"iss": claims["iss"]},
        )

    async def _key(self, kid: object) -> jwt.PyJWK:
        """The published key of that id. Raises NoKeysError, and what the library raises where there is none."""
        if not isinstance(kid, str):
            raise jwt.InvalidTokenError("names no key")
        if (known := self._kept().get(kid)) is not None:
            return known  # also while others cannot be had
        if self._now() < self._rests_until:
            raise NoKeysError
        try:
            return await anyio.to_thread.run_sync(self._source.get_signing_key, kid, limiter=self._one_at_a_time)
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            are_there = isinstance(error, jwt.PyJWKClientError) and self._kept()
            if are_there and not isinstance(error, jwt.PyJWKClientConnectionError):
                raise  # and this is none of them
            self._rests_until = self._now() + REST_SECONDS
            logger.error("The keys of OCTAVE_MCP_OAUTH_JWKS_URL cannot be had: %s", type(error).__name__)  # noqa: TRY400
            raise NoKeysError from error

    def _kept(self) -> dict[str | None, jwt.PyJWK]:
        """The keys that were fetched a while ago, by their ids."""
        kept = self._source.jwk_set_cache.get() if self._source.jwk_set_cache else None
        keys = kept.keys if isinstance(kept, jwt.PyJWKSet) else []
        return {key.key_id: key for key in keys if key.public_key_use in {"sig", None}}


def _scopes(claims: dict[str, Any]) -> list[str]:
    """The scopes of a token, as RFC 9068 has them, or as a list."""
    scopes = claims.get("scope", claims.get("scp", ""))
    if isinstance(scopes, str):
        return scopes.split()
    return [one for one in scopes if isinstance(one, str)] if isinstance(scopes, list) else []
