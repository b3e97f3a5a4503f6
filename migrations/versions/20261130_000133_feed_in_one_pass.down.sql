CREATE OR REPLACE FUNCTION list_feed(person uuid, row_limit int, row_offset int, before timestamptz, before_id uuid)
RETURNS uuid[] LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    wanted CONSTANT int := row_limit + row_offset;
    shows_nsfw CONSTANT boolean := public.shows_nsfw(person);
    looked_at int := 500;
    found int;
    ids uuid[];
BEGIN
    -- Who follows people that publish much finds a page among everybody's newest creations. How many of
    -- the newest five hundred are for them says how many have to be read.
    LOOP
        WITH followed AS MATERIALIZED (
            SELECT f.following_id FROM public.follows f WHERE f.follower_id = person
                AND NOT EXISTS (SELECT FROM public.mutes m WHERE m.muter_id = person AND m.muted_id = f.following_id))
        SELECT array_agg(n.creation_id ORDER BY n.published_at DESC, n.creation_id DESC), count(*) INTO ids, found
        FROM (
            SELECT c.creation_id, c.user_id, c.published_at, c.is_nsfw FROM public.published_creations c
            WHERE (c.published_at, c.creation_id) < (before, before_id)
            ORDER BY c.published_at DESC, c.creation_id DESC LIMIT looked_at) n
        WHERE n.user_id IN (SELECT w.following_id FROM followed w) AND (shows_nsfw OR NOT n.is_nsfw);
        IF found >= wanted THEN
            RETURN ids[row_offset + 1:wanted];
        END IF;
        EXIT WHEN looked_at > 500 OR found = 0 OR wanted / found > 5;
        looked_at := 750 * wanted / found;
    END LOOP;
    -- For the others: a page of so many creations is by no more people than that, those whose newest ones
    -- are newest. So of everybody else, one entry of an index is read.
    RETURN ARRAY(
        SELECT x.creation_id
        FROM (
            SELECT f.following_id
            FROM public.follows f
            CROSS JOIN LATERAL (
                SELECT c.published_at, c.creation_id FROM public.published_creations c
                WHERE c.user_id = f.following_id AND (c.published_at, c.creation_id) < (before, before_id)
                    AND (shows_nsfw OR NOT c.is_nsfw)
                ORDER BY c.published_at DESC, c.creation_id DESC LIMIT 1
            ) newest
            WHERE f.follower_id = person
                AND NOT EXISTS (SELECT FROM public.mutes m WHERE m.muter_id = person AND m.muted_id = f.following_id)
            ORDER BY newest.published_at DESC, newest.creation_id DESC LIMIT wanted
        ) who
        CROSS JOIN LATERAL (
            SELECT c.creation_id, c.published_at FROM public.published_creations c
            WHERE c.user_id = who.following_id AND (c.published_at, c.creation_id) < (before, before_id)
                AND (shows_nsfw OR NOT c.is_nsfw)
            ORDER BY c.published_at DESC, c.creation_id DESC LIMIT wanted
        ) x
        ORDER BY x.published_at DESC, x.creation_id DESC LIMIT row_limit OFFSET row_offset);
END
$$;
