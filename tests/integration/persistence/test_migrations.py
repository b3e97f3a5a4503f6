"""The way up and the way back, with data, at once, and on a database that is Supabase's."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from migrations import runner
from persistence.errors import NotMigrated, UnknownRevision

REVISIONS = runner.revisions()
ROOT = Path(__file__).parents[3]
DATA = Path(__file__).with_name("data")
# The newest steps are tested each on its own; with PLAYHALL_FAULTS=long, all are.
NEWEST = 15
IS_LONG = os.environ.get("PLAYHALL_FAULTS") == "long"


def test_a_new_database_has_everything_pending(empty_dsn: str) -> None:
    assert runner.status(empty_dsn) == runner.Status(None, tuple(REVISIONS))


def test_after_an_upgrade_nothing_is_pending(empty_dsn: str) -> None:
    runner.upgrade(empty_dsn)
    assert runner.status(empty_dsn) == runner.Status(REVISIONS[-1], ())
    runner.upgrade(empty_dsn)


def test_each_step_goes_up_down_and_up_again_with_data(empty_dsn: str) -> None:
    before: set[tuple[str, str]] | None = None
    steps = [*pairwise(["base", *REVISIONS])]
    if not IS_LONG:
        # The older ones are done at once: they do not change any more.
        first = steps[-NEWEST][0]
        runner.upgrade(empty_dsn, first)
        _insert(empty_dsn, REVISIONS[: REVISIONS.index(first) + 1])
        steps, before = steps[-NEWEST:], _snapshot(empty_dsn)
    for below, revision in steps:
        runner.upgrade(empty_dsn, revision)
        made = _snapshot(empty_dsn)
        _insert(empty_dsn, [revision])

        runner.downgrade(empty_dsn, below)
        undone = _snapshot(empty_dsn)
        assert undone != made, revision
        if before is not None:
            assert {each for each in undone ^ before if not _is_made_by_use(*each)} == set(), (
                revision
            )
        before = made
        runner.upgrade(empty_dsn, revision)

        assert _snapshot(empty_dsn) == made, revision
        _insert(empty_dsn, [revision])


def _is_made_by_use(schema: str, name: str) -> bool:
    """Tell the days that rows were sorted into, and rights that PostgreSQL spells in two ways."""
    return (
        schema == "telemetry_days"
        or re.match(r"d\d{8} ", name) is not None
        or (schema, name.partition(" ")[0]) == ("months", "rights")
    )


def test_the_whole_way_back_leaves_nothing_of_ours(empty_dsn: str) -> None:
    before = _snapshot(empty_dsn)
    runner.upgrade(empty_dsn)
    _insert(empty_dsn, REVISIONS)
    runner.downgrade(empty_dsn, "base")
    left = {name for _, name in _snapshot(empty_dsn) - before if "=" not in name}
    assert left == {
        "alembic_version",
        "alembic_version_pkc",
        "column alembic_version.version_num character varying(32)",
        "column alembic_version_pkc.version_num character varying(32)",
        "kind of column alembic_version.version_num NOT NULL",
    }


def test_what_stays_survives_a_step_back_over_what_goes(empty_dsn: str) -> None:
    runner.upgrade(empty_dsn)
    _insert(empty_dsn, REVISIONS)
    runner.downgrade(empty_dsn, REVISIONS[1])
    with psycopg.connect(empty_dsn) as connection:
        assert connection.execute("SELECT count(*) FROM players").fetchone() == (2,)


def test_servers_starting_at_once_migrate_once(empty_dsn: str) -> None:
    servers = [_start_upgrade(empty_dsn) for _ in range(3)]
    assert [server.communicate() for server in servers] == [("", "")] * 3
    assert runner.status(empty_dsn) == runner.Status(REVISIONS[-1], ())
    with psycopg.connect(empty_dsn) as connection:
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)


def test_an_upgrade_that_fails_leaves_nothing_half_done(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn) as connection:
        connection.execute("CREATE TABLE games (in_the_way int)")
    with pytest.raises(NotMigrated, match='"games" already exists'):
        runner.upgrade(empty_dsn)
    assert runner.status(empty_dsn) == runner.Status(None, tuple(REVISIONS))


@pytest.mark.parametrize("way", [runner.upgrade, runner.downgrade])
def test_a_revision_that_is_none_is_refused_by_name(
    fresh_dsn: str, way: Callable[[str, str], None]
) -> None:
    with pytest.raises(UnknownRevision, match=f"no revision 1815; .* one of: {REVISIONS[0]}, "):
        way(fresh_dsn, "1815")
    assert runner.status(fresh_dsn) == runner.Status(REVISIONS[-1], ())


def test_down_to_a_later_revision_is_refused(empty_dsn: str) -> None:
    runner.upgrade(empty_dsn, REVISIONS[1])
    with pytest.raises(UnknownRevision, match=f"at {REVISIONS[1]}, which is before {REVISIONS[3]}"):
        runner.downgrade(empty_dsn, REVISIONS[3])
    assert runner.status(empty_dsn).current == REVISIONS[1]


def test_a_database_of_a_newer_version_is_refused(fresh_dsn: str) -> None:
    with psycopg.connect(fresh_dsn) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '20991231_000001'")
    with pytest.raises(NotMigrated, match="at revision 20991231_000001"):
        runner.upgrade(fresh_dsn)


def test_every_step_has_its_three_files_and_follows_the_one_before() -> None:
    from alembic.script import ScriptDirectory

    folder = Path(runner.__file__).parent
    steps = [step.revision for step in ScriptDirectory(str(folder)).walk_revisions()]
    assert steps[::-1] == REVISIONS
    for module in (folder / "versions").glob("[0-9]*.py"):
        assert module.with_suffix(".up.sql").exists()
        assert module.with_suffix(".down.sql").exists()


def test_what_deleted_slots_held_is_discarded(empty_dsn: str) -> None:
    before = "20261129_000060"
    runner.upgrade(empty_dsn, before)
    _insert(empty_dsn, REVISIONS[: REVISIONS.index(before) + 1])
    slot = "00000000-0000-4000-8000-000000000271"
    held = """
        SELECT kind, sum(amount) FROM ledger_entries JOIN ledger_transactions USING (transaction_id)
        WHERE holder = 'player' AND ledger_entries.slot_id = %s GROUP BY kind ORDER BY kind
    """
    with psycopg.connect(empty_dsn) as connection:
        connection.execute("DELETE FROM save_slots WHERE slot_id = %s", [slot])
    runner.upgrade(empty_dsn)
    with psycopg.connect(empty_dsn) as connection:
        assert connection.execute(held, [slot]).fetchall() == [("discard", -3), ("grant", 3)]
    runner.downgrade(empty_dsn, before)
    runner.upgrade(empty_dsn)
    with psycopg.connect(empty_dsn) as connection:
        assert connection.execute(held, [slot]).fetchall() == [("grant", 3), ("take_back", -3)]


EVENT_FORM = """
    SELECT a.attgenerated::text, (SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k
        WHERE k.conrelid = a.attrelid AND k.contype = 'f')
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE a.attname = 'id' AND c.relname ~ '^game_events(_[0-7])?$' AND c.relkind IN ('r', 'p')
"""
EVENT_FILES = """
    SELECT relname, pg_relation_filenode(oid) FROM pg_class
    WHERE relname ~ '^game_events_[0-7]$' AND relkind = 'r'
"""
KEY = "FOREIGN KEY (game_id) REFERENCES games(id)"


def test_events_take_the_form_of_the_servers_version_without_being_written_again(
    empty_dsn: str,
) -> None:
    runner.upgrade(empty_dsn, "20261130_000180")
    _insert(empty_dsn, REVISIONS[: REVISIONS.index("20261130_000180") + 1])
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        is_newest = connection.info.server_version >= 18_00_00
        expected = ("v", f"{KEY} NOT ENFORCED") if is_newest else ("s", KEY)
        ids = connection.execute("SELECT game_id, event_index, id FROM game_events").fetchall()
        files = connection.execute(EVENT_FILES).fetchall()

        runner.upgrade(empty_dsn)
        assert connection.execute(EVENT_FORM).fetchall() == [expected] * 9
        assert connection.execute(EVENT_FILES).fetchall() == files
        again = connection.execute("SELECT game_id, event_index, id FROM game_events").fetchall()
        assert sorted(again) == sorted(ids)

        # As a database is that was upgraded later, or restored from an older server.
        connection.execute("SELECT playhall_auth.choose_event_form(false)")
        assert connection.execute(EVENT_FORM).fetchall() == [("s", KEY)] * 9
        assert runner.choose_event_form(empty_dsn) == ("virtual" if is_newest else "stored")
        assert connection.execute(EVENT_FORM).fetchall() == [expected] * 9


# ------------------------------------------------------------------ Supabase


def test_supabases_own_things_are_used_and_outlive_us(supabase_dsn: str) -> None:
    theirs = _snapshot(supabase_dsn)
    runner.upgrade(supabase_dsn)
    _insert(supabase_dsn, REVISIONS)
    with psycopg.connect(supabase_dsn) as connection:
        assert connection.execute("SELECT auth.uid()").fetchone() == (None,)
        assert connection.execute("SELECT count(*) FROM auth.users").fetchone() == (3,)
    runner.downgrade(supabase_dsn, "base")
    assert theirs <= _snapshot(supabase_dsn)


def test_names_that_do_not_fit_are_made_to(empty_dsn: str) -> None:
    runner.upgrade(empty_dsn, "20261121_000014")
    with psycopg.connect(empty_dsn) as connection:
        for name, seed, color in (
            ("x" * 100, "s" * 100, "red"),
            ("two\nlines\u202e", "a\tb", "</script>"),
            ("\u200b", "", "#fff"),
        ):
            connection.execute(
                "INSERT INTO players (display_name, avatar_seed, color) VALUES (%s, %s, %s)",
                [name, seed, color],
            )
    runner.upgrade(empty_dsn)
    with psycopg.connect(empty_dsn) as connection:
        kept = connection.execute("SELECT display_name, avatar_seed, color FROM players")
        assert sorted(kept.fetchall()) == [
            ("Somebody", "", "#fff"),
            ("twolines", "ab", "#888888"),
            ("x" * 64, "s" * 64, "red"),
        ]


PLAYED = """
    INSERT INTO players (id, display_name, avatar_seed, color, user_id) VALUES
        (md5('a')::uuid, 'Ann', '', '', md5('f')::uuid::text),
        (md5('b')::uuid, 'Bob', '', '', NULL);
    INSERT INTO auth.users (id) VALUES (md5('f')::uuid);
    INSERT INTO profiles (id, username, display_name, xp_total)
    VALUES (md5('f')::uuid, 'ann', 'Ann', 135);
    CREATE FUNCTION pg_temp.played(nth int, kind text, ann int, bob int) RETURNS void
    LANGUAGE sql AS $$
        INSERT INTO games (id, session_seed, config, status, ruleset, ruleset_version)
        VALUES (md5(nth::text)::uuid, 's', '{}', 'in_progress', kind, 1);
        INSERT INTO game_summaries (game_id, players, rounds, final_scores)
        VALUES (md5(nth::text)::uuid, '[{"tricks_won": 2}, {"tricks_won": 3}]', '[]', '{}');
        INSERT INTO matches (id, game_id, mode, ruleset, ended_at)
        VALUES (md5(nth::text)::uuid, md5(nth::text)::uuid, 'server', kind,
                '2026-11-20'::timestamptz + nth * interval '1 hour');
        INSERT INTO match_players (match_id, player_id, seat, score, is_winner, ended_at, xp)
        SELECT md5(nth::text)::uuid, md5('a')::uuid, 0, ann,
               ann > coalesce(bob, -1), '2026-11-20'::timestamptz + nth * interval '1 hour', 15
        UNION ALL
        SELECT md5(nth::text)::uuid, md5('b')::uuid, 1, bob, bob > ann,
               '2026-11-20'::timestamptz + nth * interval '1 hour', 0 WHERE bob IS NOT NULL
    $$;
    SELECT pg_temp.played(1, 'el_dorado', 5, 1);
    SELECT pg_temp.played(2, 'el_dorado', 9, -4);
    SELECT pg_temp.played(3, 'relay', 1000000, 0);
    SELECT pg_temp.played(4, 'four_in_a_row', 0, 1);
    SELECT pg_temp.played(5, 'el_dorado', 2, 8);
    SELECT pg_temp.played(6, 'el_dorado', 2, 8);
    SELECT pg_temp.played(7, 'patience', 70, NULL);
    SELECT pg_temp.played(8, 'four_in_a_row', 1, 0);
    INSERT INTO player_lifetime_stats (player_id, games_played, games_won, highest_score)
    SELECT id, 8, 5, 1000000 FROM players;
    INSERT INTO matches (id, mode, ruleset, ended_at)
    VALUES (md5('c')::uuid, 'peer', 'sky_duel', now());
"""
COUNTED = """
    SELECT games_played, games_won, highest_score, lowest_score, total_points, total_tricks_won,
        most_consecutive_wins, most_consecutive_losses, current_win_streak, current_loss_streak,
        extract(hour FROM last_game_at AT TIME ZONE 'UTC')::int
    FROM player_{}_stats WHERE player_id = md5('{}')::uuid {}
"""


def test_what_was_played_before_is_counted_by_ruleset_and_what_does_not_count_is_taken_out(
    empty_dsn: str,
) -> None:
    runner.upgrade(empty_dsn, "20261121_000015")
    with psycopg.connect(empty_dsn) as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        connection.execute(PLAYED)
    runner.upgrade(empty_dsn)
    with psycopg.connect(empty_dsn) as connection:

        def counted(table: str, player: str, which: str = "") -> object:
            return connection.execute(COUNTED.format(table, player, which)).fetchone()

        uncounted = connection.execute("SELECT ruleset, uncounted FROM matches ORDER BY seq")
        assert uncounted.fetchall() == [
            *(("el_dorado", None),) * 2,
            ("relay", "declared"),
            ("four_in_a_row", None),
            *(("el_dorado", None),) * 2,
            ("patience", "solo"),
            ("four_in_a_row", None),
            ("sky_duel", "declared"),
        ]
        dorado, four = ("AND ruleset = 'el_dorado'", "AND ruleset = 'four_in_a_row'")
        assert counted("ruleset", "a", dorado) == (4, 2, 9, 2, 18, 8, 2, 2, 0, 2, 6)
        assert counted("ruleset", "b", dorado) == (4, 2, 8, -4, 13, 12, 2, 2, 2, 0, 6)
        assert counted("ruleset", "a", four) == (2, 1, 1, 0, 1, 4, 1, 1, 1, 0, 8)
        assert counted("lifetime", "a") == (6, 3, 9, 0, 19, 12, 2, 3, 1, 0, 8)
        assert counted("lifetime", "b") == (6, 3, 8, -4, 14, 18, 3, 2, 0, 1, 8)
        rows = connection.execute("SELECT count(*) FROM player_ruleset_stats").fetchone()
        assert rows == (4,)
        assert connection.execute("SELECT xp_total FROM profiles").fetchone() == (135 - 30,)
        earned = connection.execute("SELECT sum(xp) FROM match_players").fetchone()
        assert earned == (6 * 15,)


def _start_upgrade(dsn: str) -> subprocess.Popen[str]:
    program = "import sys; from migrations import runner; runner.upgrade(sys.argv[1])"
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", program, dsn], cwd=ROOT, stdout=pipe, stderr=pipe, text=True
    )


def _insert(dsn: str, revisions: list[str]) -> None:
    """Put a row into every table that the steps made."""
    with psycopg.connect(dsn) as connection:
        for revision in revisions:
            connection.execute(DATA.joinpath(f"{revision}.sql").read_bytes())


def _snapshot(dsn: str) -> set[tuple[str, str]]:
    """Everything in the database that has a name, with the schema that it is in."""
    with psycopg.connect(dsn) as connection:
        return {
            (schema, name)
            for schema, name in connection.execute(DATA.joinpath("snapshot.sql").read_bytes())
        }
