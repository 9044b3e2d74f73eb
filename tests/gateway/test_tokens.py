"""Signed URLs and tokens of runs: good as made, worthless when anything is changed."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from localaml.clock import RealClock
from localaml.domain.models import RunKey
from localaml.errors import PermissionDenied
from localaml.services.tokens import RunTokens, UrlSigner

texts = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
words = texts.filter(lambda text: "/" not in text)
names = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", min_size=1, max_size=30)
SIGNER = UrlSigner(b"k" * 32, lambda: "http://127.0.0.1:1", RealClock(), 60)


def taken_apart(url: str) -> tuple[str, str, dict[str, str]]:
    """Kind, path and query, as the gateway sees them."""
    split = urlsplit(url)
    kind, _, path = unquote(split.path).removeprefix("/bytes/").partition("/")
    return kind, path, {name: values[0] for name, values in parse_qs(split.query, keep_blank_values=True).items()}


@given(words, texts, st.dictionaries(words.filter(lambda w: w not in ("access", "by", "expires", "signature")), words))
def test_url_is_good_as_made(first: str, last: str, options: dict[str, str]) -> None:
    url, _ = SIGNER.sign("datastore", (first, last), "write", options)
    kind, path, query = taken_apart(url)
    assert (kind, path) == ("datastore", f"{first}/{last}")
    assert SIGNER.verify(kind, path, "write", query) == options


@given(st.sampled_from(["access", "by", "expires", "signature", "overwrite"]), texts)
def test_url_is_worthless_when_its_query_is_changed(name: str, value: str) -> None:
    url, _ = SIGNER.sign("artifact", ("a", "b"), "write", {"overwrite": "0"})
    kind, path, query = taken_apart(url)
    assume(query[name] != value)
    with pytest.raises(PermissionDenied) as caught:
        SIGNER.verify(kind, path, "write", {**query, name: value})
    assert caught.value.reason == "SIGNED_URL_INVALID"
    del query[name]
    with pytest.raises(PermissionDenied):
        SIGNER.verify(kind, path, "write", query)


def test_parts_cannot_be_moved_between_fields() -> None:
    """A signature covers the fields, not only their characters one after the other."""
    url, _ = SIGNER.sign("datastore", ("a", "b"), "read", {"x": "yz"})
    kind, path, query = taken_apart(url)
    del query["x"]
    with pytest.raises(PermissionDenied):
        SIGNER.verify(kind, path, "read", {**query, "xy": "z"})


@given(names, names)
def test_run_token(workspace_id: str, run_id: str) -> None:
    tokens = RunTokens(b"k" * 32)
    token = tokens.make(RunKey(workspace_id, run_id))
    assert token.isascii() and " " not in token
    assert tokens.verify(token) == RunKey(workspace_id, run_id)
    assert RunTokens(b"other").verify(token) is None
    assert tokens.verify(token[:-1] + ("0" if token[-1] != "0" else "1")) is None


@given(st.text(max_size=60))
def test_any_text_as_a_run_token(text: str) -> None:
    assert RunTokens(b"k").verify(text) is None
    assert RunTokens(b"k").verify(f"lar1.{text}") is None


def test_run_token_of_another_run_is_not_made_by_swapping_names() -> None:
    tokens = RunTokens(b"k" * 32)
    mine, other = (tokens.make(RunKey("w", run)) for run in ("mine", "other"))
    forged = ".".join([*other.split(".")[:2], mine.split(".")[2]])
    assert tokens.verify(forged) is None
