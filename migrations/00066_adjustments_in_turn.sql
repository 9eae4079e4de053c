-- +goose Up
-- A player's adjustments are counted, and the newest tells whether one is open: each is
-- bound only when the one before it is not open any more, and a state is never open again.
-- The unique number stands for the unique index of the open ones, in which every former
-- adjustment of the player had to be passed while a transaction was held open elsewhere.
-- No index looks at what settling changes any more: it is a heap-only update, if the page
-- has room for it.
ALTER TABLE adjustments ADD COLUMN nth bigint; -- of its player's, from 1 on, without a gap
UPDATE adjustments a SET nth = n.nth
FROM (SELECT id, row_number() OVER (PARTITION BY app_user_id ORDER BY seq) AS nth FROM adjustments) n WHERE n.id = a.id;
ALTER TABLE adjustments
    ALTER COLUMN nth SET NOT NULL,
    ADD CONSTRAINT adjustments_app_user_id_nth_key UNIQUE (app_user_id, nth),
    SET (fillfactor = 50);
DROP INDEX adjustments_one_open_idx;
DROP INDEX adjustments_app_user_id_settled_at_idx;

-- The few of which an attempt went unanswered, settled or not.
CREATE INDEX adjustments_unanswered_idx ON adjustments (app_user_id, unknown_since) WHERE unknown_since IS NOT NULL;
DROP INDEX adjustments_unknown_idx;

-- Whoever gives no number, such as a process of the version before, gets the next, or
-- inserts nothing while one is open.
-- +goose StatementBegin
CREATE FUNCTION number_adjustment() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE last record;
BEGIN
    SELECT nth, state INTO last FROM adjustments WHERE app_user_id = NEW.app_user_id ORDER BY nth DESC LIMIT 1;
    IF NEW.state = 'open' AND last.state = 'open' THEN
        RETURN NULL;
    END IF;
    NEW.nth := coalesce(last.nth, 0) + 1;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER adjustments_numbered BEFORE INSERT ON adjustments
    FOR EACH ROW WHEN (NEW.nth IS NULL) EXECUTE FUNCTION number_adjustment();
