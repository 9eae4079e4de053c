-- +goose Up
-- What is open is told by finished_at, which only a spend's last step sets, and no
-- index looks at state or adjustment_id any more: being bound and being charged
-- touch no index (heap-only updates), if the page has room for them. The spends of
-- an adjustment are found among their player's open ones.
ALTER TABLE spends
    ADD CONSTRAINT spends_finished_check CHECK ((finished_at IS NULL) = (state IN ('requested', 'charged', 'refunding'))),
    SET (fillfactor = 50);
DROP INDEX spends_open_idx;
CREATE INDEX spends_open_idx ON spends (app_user_id, seq) WHERE finished_at IS NULL;
DROP INDEX spends_adjustment_id_idx;
