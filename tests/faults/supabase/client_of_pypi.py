"""What an application does with an unmodified `supabase` of PyPI; prints what came of it."""

import json
import sys

from supabase import create_client

url, key = sys.argv[1:3]
client = create_client(url, key)
out: dict[str, object] = {}
user_id = client.auth.sign_in_anonymously().user.id
profile = client.table("profiles").select("*").eq("id", user_id).single().execute()
out["profile"] = profile.data["id"] == user_id
luminor = client.table("luminors").select("id").limit(1).execute().data[0]["id"]
given = {"p_user_id": user_id, "p_luminor_id": luminor, "p_session_id": "s"}
out["conversation"] = type(client.rpc("get_or_create_conversation", given).execute().data).__name__
given = {"p_query": "dragon", "p_type": "image", "p_limit": 20, "p_offset": 0}
out["search"] = client.rpc("search_creations", given).execute().data
listed = client.table("luminor_conversations").select("id, luminors(name)", count="exact")
out["count"] = listed.execute().count
out["user"] = client.auth.get_user().user.id == user_id
out["refreshed"] = client.auth.refresh_session().user.id == user_id
files = client.storage.from_("user-assets")
path = f"{user_id}/11111111-1111-4111-8111-111111111111/model.glb"
out["uploaded"] = (
    files.upload(path, b"glTF1234", {"content-type": "model/gltf-binary"}).path == path
)
out["downloaded"] = files.download(path) == b"glTF1234"
out["signed"] = "token=" in files.create_signed_url(path, 60)["signedURL"]
out["removed"] = len(files.remove([path]))
out["buckets"] = len(client.storage.list_buckets()) > 3
for name, fails in (
    ("nothing", lambda: client.table("nothing").select("*").execute()),
    (
        "wrong",
        lambda: client.auth.sign_in_with_password(
            {"email": "a@example.org", "password": "wrong one"}
        ),
    ),
):
    try:
        fails()
    except Exception as error:
        out[name] = getattr(error, "code", None)
client.auth.sign_out()
print(json.dumps(out))
