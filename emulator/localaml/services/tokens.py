"""Proofs without a database: signed URLs for bytes, tokens of runs, and who a caller is.

All are HMAC-SHA256 with the state dir's key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Literal
from urllib.parse import quote

from localaml.clock import Clock, SteadyTime
from localaml.domain.models import RunKey
from localaml.errors import PermissionDenied, Unauthenticated
from localaml.services.rpc import Authenticate, Caller

Access = Literal["read", "write"]
_RUN_FORMAT = "lar1"  # "LocalAML run", format 1
BYTES_ROOT = "/bytes"
_OWN_NAMES = ("access", "by", "expires", "signature")


def _mac(key: bytes, purpose: str, parts: Sequence[str]) -> str:
    # Length-prefixed parts: no two lists of parts give the same text.
    text = "".join(f"{len(part)}:{part}" for part in (purpose, *parts))
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


class UrlSigner:
    """Makes and checks the signed URLs of the byte plane.

    They look like ``<base>/bytes/<kind>/<part>/...?access=..&by=..&expires=..&signature=..``. `by` tells which start of
    the emulator has made the URL: one of an earlier start is good for its length after the last start at most, also
    when the machine's clock was set back in between.

    Kinds and the parts of their paths:
        content     workspace id, sha256                      PUT (write), GET/HEAD (read)
        artifact    workspace id, run id, artifact path       PUT (write), GET/HEAD (read)
        datastore   account, container, path                  PUT (write), GET/HEAD (read)
        log         workspace id, run id, log name            GET/HEAD (read)
        model       workspace id, upload id, path             PUT (write), GET/HEAD (read)
    A write URL of an artifact replaces an existing one only with the option ``overwrite=1``. One that was given to a
    run's processes has the option ``run=<workspace id>/<run id>``, and is good for as long as that run's token.

    Args:
        base_url: tells the HTTP address, ``http://127.0.0.1:1234``; asked at each signing, as it may not be known yet.
        lifetime_seconds: how long a URL is good.
    """

    def __init__(self, key: bytes, base_url: Callable[[], str], clock: Clock, lifetime_seconds: int) -> None:
        self._key = key
        self._base_url = base_url
        self._time = SteadyTime(clock)
        self._start = str(int(self._time.origin.timestamp() * 1e6))
        self._lifetime = lifetime_seconds

    def sign(
        self,
        kind: str,
        path_parts: Sequence[str],
        access: Access,
        options: Mapping[str, str] | None = None,
        *,
        run: RunKey | None = None,
    ) -> tuple[str, int]:
        """The URL and the second since the epoch after which it is refused.

        Args:
            kind: ``content``, ``artifact``, ``datastore``, ``log`` or ``model``.
            path_parts: what names the object; only the last part may contain ``/``.
            access: what the URL is good for.
            options: further signed query values, e.g. ``{"overwrite": "1"}``.
            run: whose token the caller showed.
        """
        expires = int(self._time.now().timestamp()) + self._lifetime
        path = "/".join([*(quote(part, safe="") for part in path_parts[:-1]), quote(path_parts[-1], safe="/")])
        holder = {"run": "/".join(run)} if run is not None else {}
        extra = dict(sorted({**(options or {}), **holder}.items()))
        query = [f"access={access}", f"by={self._start}", f"expires={expires}"]
        query += [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in extra.items()]
        signature = self._signature(kind, "/".join(path_parts), access, self._start, str(expires), extra)
        return f"{self._base_url()}{BYTES_ROOT}/{kind}/{path}?{'&'.join(query)}&signature={signature}", expires

    def verify(self, kind: str, path: str, access: Access, query: Mapping[str, str]) -> dict[str, str]:
        """Checks a URL's query and returns its signed options.

        Args:
            path: what follows ``/bytes/<kind>/``, percent-decoded.
            query: all query values of the URL.

        Raises:
            PermissionDenied: ``SIGNED_URL_EXPIRED``, ``SIGNED_URL_WRONG_ACCESS`` (made for the other access) or
                ``SIGNED_URL_INVALID`` (altered, or not made by this emulator).
        """
        extra = {name: value for name, value in sorted(query.items()) if name not in _OWN_NAMES}
        granted, start, expires = query.get("access", ""), query.get("by", ""), query.get("expires", "")
        wanted = self._signature(kind, path, granted, start, expires, extra)
        if not hmac.compare_digest(wanted.encode(), query.get("signature", "").encode("utf-8", "surrogatepass")):
            raise PermissionDenied(
                "SIGNED_URL_INVALID",
                "The URL's signature does not fit: it was altered, or comes from another emulator. Ask for a new URL.",
            )
        if granted != access:
            raise PermissionDenied(
                "SIGNED_URL_WRONG_ACCESS", f"The URL is good for {granted} access only, not to {access}."
            )
        last = int(expires)
        if start != self._start:
            last = min(last, int(self._time.origin.timestamp()) + self._lifetime)
        if self._time.now().timestamp() > last:
            raise PermissionDenied("SIGNED_URL_EXPIRED", "The URL has expired. Ask for a new one.")
        return extra

    def _signature(self, kind: str, path: str, access: str, start: str, expires: str, extra: Mapping[str, str]) -> str:
        options = (part for item in extra.items() for part in item)
        return _mac(self._key, "url", [kind, path, access, start, expires, *options])


class RunTokens:
    """Makes and checks the tokens that processes of runs have. Whether the run still goes on is checked elsewhere."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, run: RunKey) -> str:
        """A token that proves to come from this run's processes; the same each time."""
        name = base64.urlsafe_b64encode("\n".join(run).encode()).decode().rstrip("=")
        return f"{_RUN_FORMAT}.{name}.{self._proof(run)}"

    def verify(self, token: str) -> RunKey | None:
        """The run of a token; None when the token is not one of ours."""
        prefix, _, rest = token.partition(".")
        name, _, proof = rest.partition(".")
        if prefix != _RUN_FORMAT:
            return None
        try:
            workspace_id, run_id = base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode().split("\n")
        except ValueError:
            return None
        run = RunKey(workspace_id, run_id)
        return run if hmac.compare_digest(self._proof(run).encode(), proof.encode("utf-8", "surrogatepass")) else None

    def _proof(self, run: RunKey) -> str:
        return _mac(self._key, "run", run)


def is_owner_token(authorization: str | None, owner_token: str) -> bool:
    """Whether an `authorization` header shows the owner's token."""
    scheme, _, token = (authorization or "").partition(" ")
    shown = token.strip().encode("utf-8", "surrogatepass")
    return scheme.lower() == "bearer" and hmac.compare_digest(shown, owner_token.encode())


def authenticator(
    owner_token: str, run_tokens: RunTokens, is_going_on: Callable[[RunKey], bool], *, require_token: bool = True
) -> Authenticate:
    """A function from the `authorization` header to the `Caller`.

    Args:
        is_going_on: whether a run exists and has not ended: only then its token is good.
        require_token: when False, a caller without a good token is the owner.

    The function raises Unauthenticated: ``TOKEN_MISSING``, ``TOKEN_INVALID`` or ``RUN_TOKEN_EXPIRED``.
    """
    owner = owner_token.encode()

    def authenticate(authorization: str | None) -> Caller:
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if scheme.lower() == "bearer" and token:
            if hmac.compare_digest(token.encode("utf-8", "surrogatepass"), owner):
                return Caller(is_owner=True)
            run = run_tokens.verify(token)
            if run is not None:
                if not is_going_on(run):
                    raise Unauthenticated(
                        "RUN_TOKEN_EXPIRED",
                        f"The token of run {run.run_id} is no longer good: the run has ended.",
                        {"run_id": run.run_id},
                    )
                return Caller(is_owner=False, run=run)
        if not require_token:
            return Caller(is_owner=True)
        if not authorization:
            raise Unauthenticated(
                "TOKEN_MISSING",
                "The call has no token. Send the content of <state dir>/token as 'authorization: Bearer <token>'.",
            )
        raise Unauthenticated(
            "TOKEN_INVALID", "The call's token is not one of this emulator. Does it belong to another state dir?"
        )

    return authenticate
