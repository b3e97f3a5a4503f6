"""What the Supabase clients can reach, as a list: whatever is added to it was meant to be."""

from typing import Final

from persistence.rest.store import RestStore
from persistence.rls import RlsDatabase
from server.domains.integrations.rest.exposed import FUNCTIONS, build_catalogue
from server.gateway.rest.catalogue import Catalogue

PUBLIC: Final = """
    blueprints bot_avatar_loadouts bot_avatars bot_identities bot_stats_snapshots comment_likes
    comments content_packages creations currencies epoch_editions epoch_events epoch_profiles
    epoch_slot_states epochs files follows game_events game_summaries games item_definitions likes
    lobbies lobby_members luminors match_players matches player_lifetime_stats player_ruleset_stats
    players profiles public_epoch_events recipes room_directory save_schemas seasons stored_objects
    timed_events"""
OF_PEOPLE: Final = """
    blocks consents creation_collaborators creation_days currency_balances epoch_votes file_uploads
    images inventory_items ledger_entries ledger_transactions luminor_conversations luminor_memories
    luminor_messages luminor_relationships luminor_usage mutes notification_digests notifications
    progress_changes progress_streams quest_progress reports reward_claims save_conflicts
    save_revisions save_slots slot_games unlocks wallets"""


async def read(rls: RlsDatabase, functions: tuple[str, ...]) -> Catalogue:
    rows = await RestStore(rls).read_catalogue(["public"], functions)
    return build_catalogue(["public"], rows)


async def test_people_reach_the_listed_tables_and_functions_only(rls: RlsDatabase) -> None:
    catalogue = await read(rls, FUNCTIONS)
    tables = catalogue.tables.values()
    anonymous = {each.name.name for each in tables if each.readable("anon")}
    people = {each.name.name for each in tables if each.readable("authenticated")}
    assert anonymous == set(PUBLIC.split())
    assert people - anonymous == set(OF_PEOPLE.split())
    assert {name.name for name in catalogue.functions} == set(FUNCTIONS)
    assert not any(each.computed for each in tables)


async def test_what_only_the_server_knows_is_in_no_readable_column(rls: RlsDatabase) -> None:
    catalogue = await read(rls, FUNCTIONS)
    readable = {
        f"{table.name.name}.{column.name}"
        for table in catalogue.tables.values()
        for role in ("anon", "authenticated")
        for column in table.readable(role)
    }
    secret = {"games.seed", "luminors.system_prompt", "profiles.stripe_customer_id", "games.owner"}
    assert not readable & secret
    assert not [each for each in readable if "password" in each]


async def test_functions_of_policies_are_not_exposed_although_people_may_run_them(
    rls: RlsDatabase,
) -> None:
    everything = await read(rls, ("*",))
    helpers = {"is_blocked_between", "may_see_match", "has_role"}
    assert helpers <= {name.name for name in everything.functions}
    assert not helpers & set(FUNCTIONS)
