"""Who may send: digest authentication of SIP requests (RFC 7616, RFC 8760).

A nonce holds its time and is bound to one Call-ID by a secret of this process, so nothing has to be
kept: whoever reads credentials can use them only within the call that is there already.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

from aiosipua import (
    AuthChallenge,
    SipDigestAuth,
    SipRequest,
    build_credentials,
    parse_auth,
    stringify_auth,
)

from monitor.sip.message import SipError

REALM = "deepfake-monitor"
ALGORITHMS = ("SHA-256", "MD5")
"""Best first. Most session border controllers know MD5 alone."""
_NONCE_SECONDS = 300


class Digest:
    """One account."""

    def __init__(
        self, username: str, password: str, clock: Callable[[], float] = time.time
    ) -> None:
        """`clock` gives seconds."""
        self._account = SipDigestAuth(username, password)
        self._secret = secrets.token_bytes(32)
        self._clock = clock

    def check(self, request: SipRequest) -> None:
        """Raise SipError, with what is to be answered, unless the request proves the password."""
        given = request.headers.get_first("authorization")
        if given is None:
            raise self._challenge(request, "no credentials")
        params = parse_auth(given, credentials=True).params
        nonce, algorithm = params.get("nonce", ""), params.get("algorithm", "MD5").upper()
        if algorithm not in ALGORITHMS or params.get("realm") != REALM:
            raise self._challenge(request, "another realm or algorithm")
        if not self._made(nonce, request):
            raise self._challenge(request, "the nonce is none of ours or too old", stale=True)
        wanted = self._response(request, params, nonce, algorithm)
        right = hmac.compare_digest(params.get("username", "").encode(), self._username)
        if not hmac.compare_digest(params.get("response", "").encode(), wanted) or not right:
            raise self._challenge(request, "user name or password is wrong")

    @property
    def _username(self) -> bytes:
        return self._account.username.encode()

    def _response(
        self, request: SipRequest, params: dict[str, str], nonce: str, algorithm: str
    ) -> bytes:
        challenge = AuthChallenge(
            "Digest", {"realm": REALM, "nonce": nonce, "algorithm": algorithm}
        )
        if params.get("qop"):
            challenge.params["qop"] = "auth"
        try:
            count = int(params.get("nc", "1"), 16)
        except ValueError:
            raise self._challenge(request, "nc is no number") from None
        made = build_credentials(
            self._account, challenge, request.method, params.get("uri", ""),
            nonce_count=count, cnonce=params.get("cnonce", ""),
        )  # fmt: skip
        assert made is not None
        return made.params["response"].encode()

    def _challenge(self, request: SipRequest, why: str, stale: bool = False) -> SipError:
        nonce = self._nonce(int(self._clock()), request)
        headers = []
        for algorithm in ALGORITHMS:
            params = {"realm": REALM, "nonce": nonce, "algorithm": algorithm, "qop": "auth"}
            if stale:
                params["stale"] = "true"
            headers.append(("WWW-Authenticate", stringify_auth(AuthChallenge("Digest", params))))
        return SipError(401, why, headers)

    def _nonce(self, at: int, request: SipRequest) -> str:
        text = f"{at}|{request.call_id}".encode()
        return f"{at:x}.{hmac.new(self._secret, text, hashlib.sha256).hexdigest()[:32]}"

    def _made(self, nonce: str, request: SipRequest) -> bool:
        """Whether the nonce was made here for this call, and lately."""
        try:
            at = int(nonce.partition(".")[0][:16], 16)
        except ValueError:
            return False
        fresh = 0 <= self._clock() - at <= _NONCE_SECONDS
        return fresh and hmac.compare_digest(nonce.encode(), self._nonce(at, request).encode())
