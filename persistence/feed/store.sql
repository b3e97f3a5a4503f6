-- name: following
-- Read a page of the creations of those whom a person follows.
SELECT * FROM get_user_feed_page($1, $2, $3, $4);

-- name: public
-- Read a page of published creations: all, of a type, with a tag, of a person, or featured.
SELECT * FROM list_creations($1, $2, $3, $4, $5, $6, $7);

-- name: search
-- Find published creations by words, newest first, before one of them.
SELECT * FROM search_creations_page($1, $2, $3, $4, $5);

-- name: similar
-- Read creations that are similar to one, best first, and why.
SELECT (r.card).*, r.tag, r.source_id, r.source_title, r.also_liked FROM similar_creations($1, $2, $3) r;

-- name: recommended
-- Read creations that are similar to what a person liked last, best first, and why.
SELECT (r.card).*, r.tag, r.source_id, r.source_title, r.also_liked FROM recommended_creations($1, $2) r;

-- name: is_visible
-- Say whether a creation is published for whoever asks.
SELECT EXISTS (SELECT FROM creations WHERE id = $1);

-- name: who_sees
-- Say which of some people may see a creation on the lists, and whether its owner is one they follow.
SELECT v.id AS user_id, o.user_id AS author_id, c.title, o.published_at,
       EXISTS (SELECT FROM follows f WHERE f.follower_id = v.id AND f.following_id = o.user_id)
           AND NOT EXISTS (SELECT FROM mutes m WHERE m.muter_id = v.id AND m.muted_id = o.user_id) AS follows
FROM published_creations o JOIN creations c ON c.id = o.creation_id, unnest($2::uuid[]) AS v (id)
WHERE o.creation_id = $1 AND v.id <> o.user_id AND NOT is_blocked_between(v.id, o.user_id)
    AND (NOT o.is_nsfw OR shows_nsfw(v.id));
