"""Who may send: digest authentication of SIP requests (RFC 7616, RFC 8760).

A nonce holds its time and is bound to one Call-ID and address by a secret of this process; of each
that was used its count is kept, so that whoever reads credentials cannot use them again.
"""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

from aiosipua import (
    AuthChallenge,
    SipDigestAuth,
    SipRequest,
    build_credentials,
    parse_auth,
    stringify_auth,
)

from monitor.runtime.refusals import refused
from monitor.sip.message import SipError

REALM = "deepfake-monitor"
ALGORITHMS = ("SHA-256", "MD5")
"""Best first. Most session border controllers know MD5 alone."""
_NONCE_SECONDS = 300
_MOST_NONCES = 10_000
"""Whose counts are kept: no peer is answered so often in the time of one."""


class Digest:
    """One account."""

    def __init__(
        self, username: str, password: str, clock: Callable[[], float] = time.time
    ) -> None:
        """`clock` gives seconds."""
        self._account = SipDigestAuth(username, password)
        self._secret = secrets.token_bytes(32)
        self._clock = clock
        self._counts: OrderedDict[str, int] = OrderedDict()
        """The highest count of each nonce that was used, the oldest first."""

    def check(self, request: SipRequest, address: str) -> None:
        """Raise SipError, with what is to be answered, unless the request proves the password.

        `address`: of the host that sent it. No credentials pass twice.
        """
        given = request.headers.get_first("authorization")
        if given is None:
            raise self._challenge(request, address, "no credentials")
        params = parse_auth(given, credentials=True).params
        nonce, algorithm = params.get("nonce", ""), params.get("algorithm", "MD5").upper()
        if algorithm not in ALGORITHMS or params.get("realm") != REALM:
            raise self._challenge(request, address, "another realm or algorithm")
        if not self._made(nonce, request, address):
            raise self._challenge(
                request, address, "the nonce is none of ours or too old", stale=True
            )
        count = self._count(request, address, params)
        wanted = self._response(request, params, nonce, algorithm, count)
        right = hmac.compare_digest(params.get("username", "").encode(), self._username)
        if not hmac.compare_digest(params.get("response", "").encode(), wanted) or not right:
            raise self._challenge(request, address, "user name or password is wrong")
        if count <= self._counts.get(nonce, 0):
            refused("sip_replay", peer=address)
            raise self._challenge(request, address, "these credentials were used", stale=True)
        self._counts[nonce] = count
        while len(self._counts) > _MOST_NONCES:
            self._counts.popitem(last=False)

    @property
    def _username(self) -> bytes:
        return self._account.username.encode()

    def _response(
        self, request: SipRequest, params: dict[str, str], nonce: str, algorithm: str, count: int
    ) -> bytes:
        challenge = AuthChallenge(
            "Digest", {"realm": REALM, "nonce": nonce, "algorithm": algorithm}
        )
        if params.get("qop"):
            challenge.params["qop"] = "auth"
        made = build_credentials(
            self._account, challenge, request.method, params.get("uri", ""),
            nonce_count=count, cnonce=params.get("cnonce", ""),
        )  # fmt: skip
        assert made is not None
        return made.params["response"].encode()

    def _count(self, request: SipRequest, address: str, params: dict[str, str]) -> int:
        try:
            return int(params.get("nc", "1"), 16)
        except ValueError:
            raise self._challenge(request, address, "nc is no number") from None

    def _challenge(
        self, request: SipRequest, address: str, why: str, stale: bool = False
    ) -> SipError:
        nonce = self._nonce(int(self._clock()), request, address)
        headers = []
        for algorithm in ALGORITHMS:
            params = {"realm": REALM, "nonce": nonce, "algorithm": algorithm, "qop": "auth"}
            if stale:
                params["stale"] = "true"
            headers.append(("WWW-Authenticate", stringify_auth(AuthChallenge("Digest", params))))
        return SipError(401, why, headers)

    def _nonce(self, at: int, request: SipRequest, address: str) -> str:
        text = f"{at}|{address}|{request.call_id}".encode()
        return f"{at:x}.{hmac.new(self._secret, text, hashlib.sha256).hexdigest()[:32]}"

    def _made(self, nonce: str, request: SipRequest, address: str) -> bool:
        """Whether the nonce was made here for this call, and lately."""
        try:
            at = int(nonce.partition(".")[0][:16], 16)
        except ValueError:
            return False
        fresh = 0 <= self._clock() - at <= _NONCE_SECONDS
        return fresh and hmac.compare_digest(
            nonce.encode(), self._nonce(at, request, address).encode()
        )
