"""Settings survive the way through JSON, and bad ones are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from localaml.errors import InvalidArgument
from localaml.settings import DockerSettings, EnvironmentSettings, Settings
from localaml.settings_json import settings_from_json, settings_to_json


def test_round_trip_keeps_every_setting() -> None:
    settings = Settings(
        state_dir=Path("/tmp/state dir"),
        cache_dir=Path("/tmp/cache"),
        host="::1",
        port=1,
        http_port=2,
        ephemeral=True,
        require_token=False,
        signed_url_seconds=5,
        cancel_grace_seconds=0.25,
        environments=EnvironmentSettings(
            exclude_newer="2019-01-31",
            extra_index_urls=("http://one/", "http://two/"),
            constraints_file=Path("/c.txt"),
            offline=True,
            python_interpreters=(Path("/usr/bin/python3"),),
        ),
        compute="docker",
        docker=DockerSettings(base_image="b", image_map={"a:*": "b", "c": "d"}, user="1", pids_limit=99, host="h"),
    )
    assert settings_from_json(settings_to_json(settings)) == settings


def test_what_is_left_out_has_its_default() -> None:
    assert settings_from_json('{"state_dir": "/s", "cache_dir": "/c", "cancel_grace_seconds": 2}') == Settings(
        state_dir=Path("/s"), cache_dir=Path("/c"), cancel_grace_seconds=2.0
    )


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{", "not JSON"),
        ("[]", "must be a JSON object"),
        ('{"cache_dir": "/c"}', "state_dir is missing"),
        ('{"state_dir": "/s", "cache_dir": "/c", "prot": 1}', "no setting prot"),
        ('{"state_dir": "/s", "cache_dir": "/c", "port": "1"}', "port must be of type int"),
        ('{"state_dir": "/s", "cache_dir": "/c", "port": true}', "port must be of type int"),
        ('{"state_dir": "/s", "cache_dir": "/c", "environments": {"offlin": true}}', "environments.offlin"),
        ('{"state_dir": "/s", "cache_dir": "/c", "docker": {"image_map": {"a": 1}}}', "docker.image_map.a"),
        ('{"state_dir": "/s", "cache_dir": "/c", "docker": {"image_map": []}}', "docker.image_map must be"),
        ('{"state_dir": "/s", "cache_dir": "/c", "environments": 3}', "environments must be a JSON object"),
    ],
)
def test_bad_settings_are_named(text: str, part: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        settings_from_json(text)
    assert caught.value.reason == "SETTINGS_INVALID"
    assert part in caught.value.message
