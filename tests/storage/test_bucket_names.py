"""Keys of LocalAML and their places in buckets."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localaml.domain.models import RunKey
from localaml.paths import artifact_key, content_key, model_prefix
from localaml.storage.bucket_names import AZURE_NAMES, S3_NAMES, BucketNames

WORKSPACE = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.mark.parametrize(
    ("key", "bucket", "path"),
    [
        (
            artifact_key(RunKey(WORKSPACE, "e_1"), "outputs/model.pkl"),
            f"azureml-blobstore-{WORKSPACE}",
            "azureml/ExperimentRun/dcid.e_1/outputs/model.pkl",
        ),
        (content_key(WORKSPACE, "ab" * 32), "localaml-contents", f"{WORKSPACE}/ab/{'ab' * 32}"),
        (model_prefix(WORKSPACE, "a1") + "model.pkl", "localaml-models", f"{WORKSPACE}/a1/model.pkl"),
        ("localaml/mydata/train/x.csv", "mydata", "train/x.csv"),
        ("myaccount/mydata/train/x.csv", "myaccount.mydata", "train/x.csv"),
        ("myaccount/My_Data/x", "localaml-objects", "myaccount/My_Data/x"),
        ("MyAccount/mydata/x", "localaml-objects", "MyAccount/mydata/x"),
        ("localaml/ab/x", "localaml-objects", "localaml/ab/x"),
        ("localaml/localaml-contents/x", "localaml-objects", "localaml/localaml-contents/x"),
        ("localaml/xn--ab/x", "localaml-objects", "localaml/xn--ab/x"),
        ("a", "localaml-objects", "a"),
        ("localaml/mydata", "localaml-objects", "localaml/mydata"),
    ],
)
def test_places_on_s3(key: str, bucket: str, path: str) -> None:
    assert S3_NAMES.place(key) == (bucket, path)
    prefix = S3_NAMES.key_prefix(bucket)
    assert prefix is not None and prefix + path == key


def test_azure_knows_no_dots_and_no_double_hyphens() -> None:
    assert AZURE_NAMES.place("localaml/mydata/x") == ("mydata", "x")
    assert AZURE_NAMES.place("account/mydata/x").bucket == "localaml-objects"
    assert AZURE_NAMES.place("localaml/my--data/x").bucket == "localaml-objects"


_PART = st.one_of(
    st.sampled_from(["localaml", "contents", "_models", "localaml-contents", "localaml-objects", "sthree-x", "a.b"]),
    st.from_regex(r"[A-Za-z0-9$_][A-Za-z0-9_-]{0,62}", fullmatch=True),
)


@pytest.mark.parametrize("names", [S3_NAMES, AZURE_NAMES])
@given(parts=st.lists(_PART, min_size=1, max_size=5))
def test_every_key_has_one_place_and_comes_back(names: BucketNames, parts: list[str]) -> None:
    key = "/".join(parts)
    place = names.place(key)
    assert place.key
    assert re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", place.bucket)
    prefix = names.key_prefix(place.bucket)
    assert prefix is not None and prefix + place.key == key
    for end in range(len(key)):
        where = names.prefix_place(key[:end])
        if where is not None:
            assert where.bucket == place.bucket and place.key.startswith(where.key)
