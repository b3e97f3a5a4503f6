"""The list of buckets, as an operator changes it."""

import orjson
import pytest

from persistence.errors import StartRefused
from protocol.ids import new_id
from server.core.settings import read_settings
from server.domains.content.files.model import BUCKETS, GLB, PNG, parse_buckets
from server.domains.content.files.settings import FileSettings


def test_what_is_not_mentioned_stays() -> None:
    assert parse_buckets(" ") == BUCKETS
    changed = parse_buckets('{"replays": {"bytes_max": 5}, "thumbnails": null}')
    assert changed["replays"] == BUCKETS["replays"]._replace(bytes_max=5)
    assert changed.keys() == BUCKETS.keys() - {"thumbnails"}


def test_bucket_of_ones_own_has_the_paths_that_are_set() -> None:
    maps = parse_buckets(
        '{"maps": {"path": "<user id>/<id>-a/<name>", "bytes_max": 9, "types": ["glb", "png"]}}'
    )["maps"]
    me, other = new_id(), new_id()
    assert maps[:1] + maps[2:] == ("<user id>/<id>-a/<name>.glb", 9, (GLB, PNG), True, True)
    assert maps.pattern.fullmatch(f"{me}/{other}-a/North_1.glb")
    for wrong in (
        f"{me}/{other}/x.glb",
        f"{me}/{other}-a/x",
        f"x/{other}-a/x.glb",
        f"{me}/a/x.glb",
    ):
        assert not maps.pattern.fullmatch(wrong)


OWN = '"bytes_max": 9, "types": ["png"]'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("avatars=5", "this is not JSON"),
        ("[]", "write a JSON object, such as"),
        ('{"Maps": {}}', "name 'Maps' with a to z, digits and dashes"),
        ('{"avatars": 5}', "avatars: write an object"),
        ('{"avatars": {"bytes": 5}}', "avatars: bytes: Extra inputs"),
        ('{"avatars": {"bytes_max": 0}}', "avatars: bytes_max: "),
        ('{"avatars": {"bytes_max": 9999999999}}', "avatars: bytes_max: "),
        ('{"avatars": {"types": []}}', "avatars: types: "),
        ('{"avatars": {"types": ["svg"]}}', "avatars: there is no type 'svg'; there are png, jpg"),
        ('{"avatars": {"path": "<user id>/x"}}', "avatars: leave out path"),
        ('{"replays": null}', "replays: write an object"),
        ('{"replays": {"is_public": false}}', "replays: only bytes_max can be set"),
        ('{"maps": null, "icons": {"bytes_max": 9}}', "icons: a bucket of your own needs path"),
        (f'{{"maps": {{"path": "maps/<id>", {OWN}}}}}', "maps: write path as <user id>/"),
        (f'{{"maps": {{"path": "<user id>/..", {OWN}}}}}', "maps: write path as <user id>/"),
        (
            orjson.dumps(
                {
                    f"b{n}": {"path": "<user id>/<id>", "bytes_max": 9, "types": ["png"]}
                    for n in range(60)
                }
            ).decode(),
            "list at most 64 buckets",
        ),
    ],
)
def test_list_that_cannot_be_used_is_refused_with_the_bucket_and_what_to_write(
    monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.setenv("PLAYHALL_FILES_BUCKETS", text)
    with pytest.raises(StartRefused) as refused:
        read_settings(FileSettings)
    assert f"PLAYHALL_FILES_BUCKETS: {said}" in str(refused.value)
