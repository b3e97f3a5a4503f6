-- A page of a feed in one pass over the newest creations.
CREATE OR REPLACE FUNCTION list_feed(person uuid, row_limit int, row_offset int, before timestamptz, before_id uuid)
RETURNS uuid[] LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    wanted CONSTANT int := row_limit + row_offset;
    shows_nsfw CONSTANT boolean := public.shows_nsfw(person);
    ids uuid[];
BEGIN
    -- Who follows people that publish much finds a page among everybody's newest creations. These are
    -- read one by one until there are enough: IS TRUE keeps the planner from joining, which would read
    -- all of them and sort. Their number is no variable, which would have each call planned anew.
    IF wanted <= 20 THEN
        ids := ARRAY(
            SELECT n.creation_id
            FROM (
                SELECT c.creation_id, c.user_id, c.published_at, c.is_nsfw FROM public.published_creations c
                WHERE (c.published_at, c.creation_id) < (before, before_id)
                ORDER BY c.published_at DESC, c.creation_id DESC LIMIT 1500) n
            WHERE (n.user_id IN (
                    SELECT f.following_id FROM public.follows f WHERE f.follower_id = person AND NOT EXISTS (
                        SELECT FROM public.mutes m WHERE m.muter_id = person AND m.muted_id = f.following_id))) IS TRUE
                AND (shows_nsfw OR NOT n.is_nsfw)
            ORDER BY n.published_at DESC, n.creation_id DESC LIMIT wanted);
    ELSE
        ids := ARRAY(
            SELECT n.creation_id
            FROM (
                SELECT c.creation_id, c.user_id, c.published_at, c.is_nsfw FROM public.published_creations c
                WHERE (c.published_at, c.creation_id) < (before, before_id)
                ORDER BY c.published_at DESC, c.creation_id DESC LIMIT 7500) n
            WHERE (n.user_id IN (
                    SELECT f.following_id FROM public.follows f WHERE f.follower_id = person AND NOT EXISTS (
                        SELECT FROM public.mutes m WHERE m.muter_id = person AND m.muted_id = f.following_id))) IS TRUE
                AND (shows_nsfw OR NOT n.is_nsfw)
            ORDER BY n.published_at DESC, n.creation_id DESC LIMIT wanted);
    END IF;
    IF cardinality(ids) >= wanted THEN
        RETURN ids[row_offset + 1:wanted];
    END IF;
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
