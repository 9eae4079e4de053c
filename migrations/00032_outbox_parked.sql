-- +goose Up
-- What waits for its time, which is little: the sweeper finds it without passing
-- all that is under way.
CREATE INDEX outbox_parked_idx ON outbox (due_at) WHERE published_at IS NULL;
