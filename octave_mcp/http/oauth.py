"""Access tokens of an OAuth 2.1 authorization server: JWTs, checked against the keys that it publishes (JWKS)."""

import logging
import ssl
import time
from collections.abc import Callable
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import jwt
import truststore
from mcp.server.auth.provider import AccessToken

from octave_mcp import __version__
from octave_mcp.http.authentication import KeysUnavailable, TokenRefused
from octave_mcp.http.settings import HttpSettings

logger = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Accepted algorithms, all with a public key. With a shared secret, whoever can check a token could also make one."""

LEEWAY_SECONDS = 30.0
"""Seconds by which this machine's clock and the authorization server's may differ."""

JWKS_TIMEOUT_SECONDS = 5.0
"""Seconds within which the keys must arrive."""

JWKS_PAUSE_SECONDS = 5.0
"""Seconds without another attempt after the keys could not be fetched, so that callers do not wait for each attempt."""

JWKS_HEADERS = {"User-Agent": f"octave-personas-mcp/{__version__}", "Accept": "application/json"}
"""Headers of the request for the keys. Firewalls often turn away urllib's own user agent."""

SHOWN_CHARACTERS = 200
"""Characters of a claim in the log. Real issuers and audiences are shorter."""

_REASONS: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
    (jwt.ExpiredSignatureError, "The access token has expired"),
    (jwt.ImmatureSignatureError, "The access token is not valid yet"),
    (jwt.InvalidIssuerError, "The access token is from another issuer (iss)"),
    (jwt.MissingRequiredClaimError, "The access token lacks one of the claims exp, iss and sub"),
    (jwt.InvalidSignatureError, "The signature of the access token is wrong"),
    (jwt.PyJWKClientError, "The access token is signed with a key that its issuer does not publish (kid)"),
    (jwt.DecodeError, "The access token is not a well-formed JWT"),
)
"""Texts for the errors of the library, more specific ones first."""

_WRONG_AUDIENCE = "The access token was issued for another audience (aud)"
_WRONG_ALGORITHM = "The access token is signed with an algorithm that is not accepted here (alg)"
_NO_KEY_ID = "The access token does not say which of the issuer's keys signed it (kid)"
_OTHER_REASON = "The access token is not valid"


class JwtVerifier:
    """Checks signature, issuer, audience and times of a token; `BearerAuthentication` checks its scopes."""

    def __init__(self, settings: HttpSettings, *, now: Callable[[], float] = time.monotonic) -> None:
        """Take issuer, audiences and the keys' address from the settings. Nothing is fetched before a token comes.

        `now` returns seconds.
        """
        assert settings.oauth_jwks_url and settings.oauth_issuer and settings.public_url  # noqa: S101, PT018 - checked there
        encrypted = urlsplit(settings.oauth_jwks_url).scheme == "https"
        self._issuer = settings.oauth_issuer
        self._resource = settings.public_url
        self._audiences = settings.audiences
        # It keeps the keys for five minutes. An unknown key makes it fetch them again, twice a minute at most.
        self._jwks = jwt.PyJWKClient(
            settings.oauth_jwks_url,
            headers=JWKS_HEADERS,
            timeout=JWKS_TIMEOUT_SECONDS,
            ssl_context=truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if encrypted else None,
        )
        self._now = now
        self._next_fetch_at = float("-inf")
        self._one_at_a_time = anyio.CapacityLimiter(1)

    async def verify(self, token: str) -> AccessToken:
        """Return the holder and scopes of a good token. Raises TokenRefused and KeysUnavailable."""
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in ALGORITHMS:
                raise TokenRefused(_WRONG_ALGORITHM)
            key = await self._signing_key(header.get("kid"))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "sub"], "verify_aud": False},
            )
        except jwt.PyJWTError as error:
            raise TokenRefused(_reason(error)) from error
        self._check_issuer_and_audience(claims)
        client = claims.get("client_id") or claims.get("azp")
        return AccessToken(
            token="",  # nothing after this needs it
            client_id=client if isinstance(client, str) else claims["sub"],
            scopes=_scopes(claims),
            resource=self._resource,
            subject=claims["sub"],
            claims={"iss": claims["iss"]},
        )

    def _check_issuer_and_audience(self, claims: dict[str, Any]) -> None:
        """Compare both exactly. A token of this server may name it with or without the slash at its end."""
        if claims["iss"] != self._issuer:
            hint = f"its issuer is {_shown(claims['iss'])}, OCTAVE_MCP_OAUTH_ISSUER another"
            raise TokenRefused("The access token is from another issuer (iss)", hint)
        # Some providers write no `aud`, and the client's id in its place. It counts only if the operator named it.
        if "aud" not in claims and claims.get("client_id") in tuple(self._audiences):  # it may be anything, also a list
            return
        given = claims.get("aud")
        audiences = {one for one in (given if isinstance(given, list) else [given]) if isinstance(one, str)}
        resource = self._resource.rstrip("/")
        if not audiences & (self._audiences | {resource, f"{resource}/"}):
            hint = f"its audience is {_shown(given)}; OCTAVE_MCP_OAUTH_AUDIENCE names those that are accepted"
            raise TokenRefused(_WRONG_AUDIENCE, hint)

    async def _signing_key(self, kid: str | None) -> jwt.PyJWK:
        """Return the published key with that id, or the only one if the token names none.

        Raises TokenRefused, KeysUnavailable, and PyJWKClientError if there is no such key.
        """
        if known := _match(self._kept_keys(), kid):
            return known  # even while others cannot be fetched
        if self._now() < self._next_fetch_at:
            raise KeysUnavailable
        try:
            return await anyio.to_thread.run_sync(self._fetched_key, kid, limiter=self._one_at_a_time)
        except (jwt.PyJWTError, OSError, HTTPException, ValueError, RecursionError) as error:
            are_there = isinstance(error, jwt.PyJWKClientError) and self._kept_keys()
            if are_there and not isinstance(error, jwt.PyJWKClientConnectionError):
                raise  # and this is none of them
            self._next_fetch_at = self._now() + JWKS_PAUSE_SECONDS
            logger.error("Cannot fetch the keys of OCTAVE_MCP_OAUTH_JWKS_URL: %s", _fetch_problem(error))  # noqa: TRY400
            raise KeysUnavailable from error

    def _fetched_key(self, kid: str | None) -> jwt.PyJWK:
        """Return a key after fetching what is not kept, which blocks. Raises as `_signing_key` does."""
        if kid:
            return self._jwks.get_signing_key(kid)
        keys = [key for key in self._jwks.get_jwk_set().keys if _is_for_signatures(key)]
        if (only := _match(keys, None)) is None:
            raise TokenRefused(_NO_KEY_ID)
        return only

    def _kept_keys(self) -> list[jwt.PyJWK]:
        """Return the keys that were fetched a while ago."""
        kept = self._jwks.jwk_set_cache.get() if self._jwks.jwk_set_cache else None
        return [key for key in kept.keys if _is_for_signatures(key)] if isinstance(kept, jwt.PyJWKSet) else []


def _match(keys: list[jwt.PyJWK], kid: str | None) -> jwt.PyJWK | None:
    """Return the key with that id; without an id the only key, if there is just one."""
    if kid:
        return next((key for key in keys if key.key_id == kid), None)
    return keys[0] if len(keys) == 1 else None


def _is_for_signatures(key: jwt.PyJWK) -> bool:
    return key.public_key_use in {"sig", None}


def _reason(error: jwt.PyJWTError) -> str:
    return next((text for kind, text in _REASONS if isinstance(error, kind)), _OTHER_REASON)


def _fetch_problem(error: Exception) -> str:
    """Return the HTTP status of a failed fetch, or else the error's class. Its text may quote the address."""
    cause = error.__cause__
    return f"HTTP status {cause.code}" if isinstance(cause, HTTPError) else type(cause or error).__name__


def _shown(claim: object) -> str:
    """Return a claim as it is safe in a line of the log."""
    return ascii(claim)[:SHOWN_CHARACTERS]


def _scopes(claims: dict[str, Any]) -> list[str]:
    """Return the scopes of a token, which are one string in RFC 9068 and a list elsewhere."""
    scopes = claims.get("scope", claims.get("scp", ""))
    if isinstance(scopes, str):
        return scopes.split()
    return [one for one in scopes if isinstance(one, str)] if isinstance(scopes, list) else []
