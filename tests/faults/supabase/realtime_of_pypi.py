"""Channels of an unmodified `supabase` of PyPI: changes, broadcast, presence; prints what came."""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

from supabase import acreate_client

url, key = sys.argv[1:3]
TABLE = "luminor_conversations"


async def until(found: Callable[[], bool], what: str) -> None:
    for _ in range(200):
        if found():
            return
        await asyncio.sleep(0.05)
    raise SystemExit(f"not in time: {what}")


async def main() -> None:
    out: dict[str, Any] = {}
    ann, ben = await acreate_client(url, key), await acreate_client(url, key)
    ann_id = (await ann.auth.sign_in_anonymously()).user.id
    await ben.auth.sign_in_anonymously()
    heard: dict[str, list[Any]] = {"ann": [], "ben": [], "said": []}
    mine, theirs = ann.channel("mine"), ben.channel("theirs")
    own = f"user_id=eq.{ann_id}"
    mine.on_postgres_changes("*", heard["ann"].append, table=TABLE, schema="public", filter=own)
    theirs.on_postgres_changes("*", heard["ben"].append, table=TABLE, schema="public")
    await mine.subscribe()
    await theirs.subscribe()
    await until(lambda: mine.is_joined and theirs.is_joined, "joining")
    await asyncio.sleep(0.3)
    luminor = (await ann.table("luminors").select("id").limit(1).execute()).data[0]["id"]
    row = {"user_id": ann_id, "luminor_id": luminor, "session_id": "s", "title": "one"}
    await ann.table(TABLE).insert(row).execute()
    await ann.table(TABLE).update({"title": "two"}).eq("user_id", ann_id).execute()
    await ann.table(TABLE).delete().eq("user_id", ann_id).execute()
    await until(lambda: len(heard["ann"]) == 3, "changes")
    out["ann"] = [each["data"]["type"] for each in heard["ann"]]
    out["title"] = heard["ann"][1]["data"]["record"]["title"]
    out["ben"] = len(heard["ben"])
    left, right = ann.channel("room"), ben.channel("room", {"config": {"presence": {"key": "ben"}}})
    right.on_broadcast("shout", heard["said"].append)
    left.on_presence_sync(lambda: None)
    right.on_presence_sync(lambda: None)
    await left.subscribe()
    await right.subscribe()
    await until(lambda: left.is_joined and right.is_joined, "joining the room")
    await left.send_broadcast("shout", {"n": 1})
    await until(lambda: bool(heard["said"]), "a broadcast")
    out["said"] = heard["said"][0]["payload"]
    await right.track({"mood": "glad"})
    await until(lambda: "ben" in left.presence_state(), "presence")
    out["mood"] = left.presence_state()["ben"][0]["mood"]
    await right.untrack()
    await until(lambda: "ben" not in left.presence_state(), "the end of presence")
    print(json.dumps(out))
    await ann.remove_all_channels()
    await ben.remove_all_channels()


asyncio.run(main())
