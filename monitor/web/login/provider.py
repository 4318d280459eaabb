"""An OpenID provider (extra `oidc`): authorization code flow with PKCE, and what it says of people.

joserfc checks signatures and times. Roles are looked for in the ID token and at the userinfo
endpoint: many providers put nothing but the subject into the token.
"""

import json
import ssl
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, import_key

from monitor.web.login.login import Attempt, ProviderError

ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
    "Ed25519",
)  # fmt: skip
"""Signatures by the provider's private key. Not `none`, nor by a secret that we hold as well."""
LEEWAY = 60
"""Seconds that the provider's clock may differ from ours."""
_KINDS = ("RSA", "EC", "OKP")
_UNREADABLE = (JoseError, ValueError, TypeError, KeyError, RecursionError)
_MOST = 1 << 20
"""Bytes of an answer."""
_FRESH = 300.0
"""Seconds for which the provider's description of itself is used."""


@dataclass(frozen=True, slots=True)
class Client:
    """What the provider knows us as."""

    issuer: str
    client_id: str
    redirect_uri: str
    scopes: Sequence[str]
    client_secret: str | None = field(default=None, repr=False)


class OpenIdProvider:
    """One provider."""

    def __init__(self, client: Client, timeout: float, tls: ssl.SSLContext) -> None:
        """`timeout` is in seconds, for each request."""
        self._client = client
        # No redirect is followed, no proxy asked: credentials go where the operator said.
        self._http = httpx.AsyncClient(
            verify=tls, timeout=timeout, follow_redirects=False, trust_env=False
        )
        self._known: tuple[float, Mapping[str, Any]] | None = None

    async def close(self) -> None:
        """Let the connections go."""
        await self._http.aclose()

    async def url(self, attempt: Attempt) -> str:
        """Where to send the browser; raises ProviderError."""
        challenge = urlsafe_b64encode(sha256(attempt.verifier.encode()).digest())
        query = {
            "response_type": "code",
            "client_id": self._client.client_id,
            "redirect_uri": self._client.redirect_uri,
            "scope": " ".join(self._client.scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge.rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        endpoint = await self._endpoint("authorization_endpoint")
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    async def claims(self, code: str, issuer: str | None, attempt: Attempt) -> Mapping[str, Any]:
        """What is said of who came back with a code; raises ProviderError.

        `issuer` is the answer's own `iss` (RFC 9207).
        """
        if issuer is not None and issuer != self._client.issuer:
            raise ProviderError("the answer is another provider's")
        tokens = await self._tokens(code, attempt.verifier)
        known = await self._verified(tokens.get("id_token"), attempt.nonce)
        about = (await self._description()).get("userinfo_endpoint")
        access = tokens.get("access_token")
        if about is None or not isinstance(access, str):
            return known
        headers = {"Authorization": f"Bearer {access}"}
        told = await self._asked("GET", await self._endpoint("userinfo_endpoint"), headers=headers)
        if told.get("sub") != known["sub"]:
            raise ProviderError("userinfo is about somebody else")
        return {**told, **known}

    async def _tokens(self, code: str, verifier: str) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._client.redirect_uri,
            "code_verifier": verifier,
        }
        secret, auth = self._client.client_secret, None
        supported = (await self._description()).get("token_endpoint_auth_methods_supported")
        if secret is None:
            form["client_id"] = self._client.client_id
        elif supported is None or "client_secret_basic" in supported:
            # RFC 6749, 2.3.1: both are encoded as in a form first.
            auth = httpx.BasicAuth(quote(self._client.client_id, ""), quote(secret, ""))
        else:
            form |= {"client_id": self._client.client_id, "client_secret": secret}
        endpoint = await self._endpoint("token_endpoint")
        return await self._asked("POST", endpoint, data=form, auth=auth)

    async def _verified(self, token: object, nonce: str) -> Mapping[str, Any]:
        if not isinstance(token, str):
            raise ProviderError("no ID token")
        # Anew for each log-in: keys change, and log-ins are rare.
        keys = await self._asked("GET", await self._endpoint("jwks_uri"))
        rules = jwt.JWTClaimsRegistry(
            leeway=LEEWAY,
            iss={"essential": True, "value": self._client.issuer},
            aud={"essential": True, "value": self._client.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            claims = jwt.decode(token, _usable(keys), algorithms=list(ALGORITHMS)).claims
            rules.validate(claims)
        except _UNREADABLE as error:
            raise ProviderError(f"ID token: {type(error).__name__}") from error
        if not isinstance(claims["sub"], str) or not claims["sub"]:
            raise ProviderError("ID token: sub is no text")
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self._client.client_id) != self._client.client_id:
            raise ProviderError("ID token: for another client")
        return claims

    async def _endpoint(self, name: str) -> str:
        value = (await self._description()).get(name)
        if not isinstance(value, str):
            raise ProviderError(f"{name}: not in its description")
        if urlsplit(self._client.issuer).scheme == "https" and urlsplit(value).scheme != "https":
            raise ProviderError(f"{name}: not https://")
        return value

    async def _description(self) -> Mapping[str, Any]:
        now = time.monotonic()
        if self._known is None or now - self._known[0] > _FRESH:
            url = self._client.issuer.rstrip("/") + "/.well-known/openid-configuration"
            found = await self._asked("GET", url)
            if found.get("issuer") != self._client.issuer:
                raise ProviderError("it calls itself by another name than oidc.issuer")
            self._known = (now, found)
        return self._known[1]

    async def _asked(self, method: str, url: str, **how: Any) -> Mapping[str, Any]:
        """A JSON object; raises ProviderError for anything else."""
        body = b""
        try:
            async with self._http.stream(method, url, **how) as answer:
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > _MOST:
                        raise ProviderError("an answer without an end")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ProviderError(type(error).__name__) from error
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = None
        if not answer.is_success:
            said = found.get("error") if isinstance(found, dict) else None
            raise ProviderError(f"status {answer.status_code}{f', {said}' if said else ''}")
        if not isinstance(found, dict):
            raise ProviderError("an answer that is no JSON object")
        return found


def _usable(keys: Mapping[str, Any]) -> KeySet:
    """Keys that may have signed; one that cannot be read must not keep others from counting."""
    found = []
    listed = keys.get("keys")
    for key in listed if isinstance(listed, list) else ():
        if not isinstance(key, dict) or key.get("kty") not in _KINDS or key.get("use") == "enc":
            continue
        try:
            found.append(import_key(key))
        except _UNREADABLE:
            continue
    return KeySet(found)
