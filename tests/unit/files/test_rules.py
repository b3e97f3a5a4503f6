"""What buckets take, and what bytes are."""

from typing import Any

import pytest

from protocol.codec import validate
from protocol.errors import InvalidField
from protocol.files import FileRefused, NewUpload
from protocol.ids import UserId, new_id
from server.domains.content.files.model import BUCKETS
from server.domains.content.files.rules import check_first_bytes, check_upload, is_file_address

OTHER = "00000000-0000-4000-8000-00000000000c"
ME = UserId("00000000-0000-4000-8000-000000000001")
GOOD: dict[str, Any] = {
    "bucket": "user-assets",
    "path": f"{ME}/00000000-0000-4000-8000-00000000000b/model.glb",
    "size": 1000,
    "content_type": "model/gltf-binary",
}


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"bucket": "nonsense"}, "bucket", "user-assets"),
        ({"bucket": "replays"}, "bucket", "/v1/matches/"),
        (
            {"path": f"{OTHER}/00000000-0000-4000-8000-00000000000b/model.glb"},
            "path",
            ME,
        ),
        ({"path": f"{ME}/model.glb"}, "path", "<user id>/<blueprint id>"),
        (
            {"path": f"{ME}/00000000-0000-4000-8000-00000000000b/../model.glb"},
            "path",
            "<user id>/<blueprint id>",
        ),
        ({"path": f"{ME}/00000000-0000-4000-8000-00000000000b/model.png"}, "path", ".glb"),
        (
            {"path": f"{ME}/00000000-0000-4000-8000-00000000000b/model.glb\0"},
            "path",
            "<user id>/<blueprint id>",
        ),
        ({"content_type": "text/html"}, "content_type", "model/gltf-binary, image/png"),
        ({"size": 33 * 1024 * 1024}, "size", str(32 * 1024 * 1024)),
        ({"size": 0}, "size", "1"),
        ({"path": "x" * 1000}, "path", "200"),
    ],
)
def test_what_a_bucket_does_not_take_is_refused(
    change: dict[str, Any], field: str, said: str
) -> None:
    check_upload(validate(NewUpload, GOOD), ME, BUCKETS)
    with pytest.raises(InvalidField) as refused:
        check_upload(validate(NewUpload, GOOD | change), ME, BUCKETS)
    assert refused.value.field == field
    assert said in refused.value.message


def test_every_bucket_takes_what_its_example_shows() -> None:
    for name, bucket in BUCKETS.items():
        path = bucket.path.replace("<type>", "image")
        for part in ("user id", "blueprint id", "match id", "creation id"):
            path = path.replace(f"<{part}>", new_id())
        assert bucket.pattern.fullmatch(path), path
        assert is_file_address(name, path), path


@pytest.mark.parametrize(
    ("content_type", "head"),
    [
        ("model/gltf-binary", b"glTF\x02"),
        ("image/webp", b"RIFF\x01\x02\x03\x04WEBPVP8 "),
        ("video/mp4", b"\0\0\0\x20ftypisom"),
        ("application/gzip", b"\x1f\x8b\x08\x00"),
    ],
)
def test_type_is_recognised_by_the_first_bytes(content_type: str, head: bytes) -> None:
    check_first_bytes(head, content_type)
    for wrong in (b"", b"<script>", head[:1] + b"x" + head[2:4] + bytes(12)):
        with pytest.raises(FileRefused, match=content_type):
            check_first_bytes(wrong, content_type)
