-- By these a new game finds its node, and an operator sees how the nodes do. They are as old as the
-- node's last renewal.
ALTER TABLE nodes
    ADD COLUMN games int NOT NULL DEFAULT 0 CHECK (games >= 0),
    ADD COLUMN connections int NOT NULL DEFAULT 0 CHECK (connections >= 0),
    ADD COLUMN load double precision NOT NULL DEFAULT 0 CHECK (load >= 0),
    ADD COLUMN is_draining boolean NOT NULL DEFAULT false,
    ADD COLUMN plays text NOT NULL DEFAULT '',
    ADD COLUMN version text NOT NULL DEFAULT '';
COMMENT ON COLUMN nodes.games IS 'games in memory';
COMMENT ON COLUMN nodes.connections IS 'open websockets';
COMMENT ON COLUMN nodes.load IS 'share of a processor core that the process used lately';
COMMENT ON COLUMN nodes.is_draining IS 'whether the node is going away and takes no more games';
COMMENT ON COLUMN nodes.plays IS 'digest of the rulesets and versions that the node can play';
COMMENT ON COLUMN nodes.version IS 'version of the server';
