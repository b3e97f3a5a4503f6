-- name: note_here
-- Note that players are connected to a node, unless they were erased. The number is drawn once their
-- rows are locked, so the later of two nodes has the higher one.
INSERT INTO player_connections AS c (player_id, node_id)
SELECT p.id, $2 FROM players p WHERE p.id = ANY ($1::uuid[]) ORDER BY p.id
ON CONFLICT (player_id) DO UPDATE SET
    node_id = excluded.node_id, number = nextval('player_connection_numbers')
RETURNING c.player_id, c.number;

-- name: note_gone
-- Forget players who are connected to a node no longer, and to no other since.
DELETE FROM player_connections WHERE player_id IN (
    SELECT c.player_id FROM player_connections c
    WHERE c.player_id = ANY ($1::uuid[]) AND c.node_id = $2 ORDER BY c.player_id FOR UPDATE);

-- name: read_connections
-- Read where these players are connected, and who is connected to a node.
SELECT player_id, node_id, number FROM player_connections
WHERE player_id = ANY ($1::uuid[]) OR node_id = $2;

-- name: connected_elsewhere
-- Say which of these players are connected to another node that is alive.
SELECT c.player_id FROM player_connections c JOIN nodes n ON n.id = c.node_id
WHERE c.player_id = ANY ($1::uuid[]) AND c.node_id <> $2 AND n.lease_until > clock_timestamp();

-- name: has_other_nodes
-- Say whether another node is alive.
SELECT EXISTS (SELECT FROM nodes WHERE id <> $1 AND lease_until > clock_timestamp());

-- name: forget_dead_nodes
-- Forget who was connected to nodes that are gone; says who. Of each node one entry of the index is
-- read to find them. Other nodes may do so at once.
WITH RECURSIVE noted AS (
    SELECT min(node_id) AS id FROM player_connections
    UNION ALL
    SELECT (SELECT min(c.node_id) FROM player_connections c WHERE c.node_id > noted.id) FROM noted
    WHERE noted.id IS NOT NULL
), dead AS (
    SELECT id FROM noted WHERE id IS NOT NULL AND NOT EXISTS (
        SELECT FROM nodes n WHERE n.id = noted.id AND n.lease_until > clock_timestamp())
)
DELETE FROM player_connections WHERE player_id IN (
    SELECT c.player_id FROM player_connections c WHERE c.node_id IN (SELECT id FROM dead)
    ORDER BY c.player_id LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING player_id;

-- name: forget_node
-- Forget who was connected to a node in its earlier life; says who.
DELETE FROM player_connections WHERE player_id IN (
    SELECT c.player_id FROM player_connections c WHERE c.node_id = $1 ORDER BY c.player_id FOR UPDATE)
RETURNING player_id;
