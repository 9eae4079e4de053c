-- +goose Up
-- Backfills of customer lists and of archives of webhooks. What only they tell of rows
-- stands beside the other counts.
ALTER TABLE backfill_runs
    DROP CONSTRAINT backfill_runs_feed_check,
    ADD CONSTRAINT backfill_runs_feed_check CHECK (feed IN ('transactions', 'customers', 'events'));
ALTER TABLE backfill_files
    ADD COLUMN wishes    bigint NOT NULL DEFAULT 0, -- customers that are to be read from the provider again
    ADD COLUMN row_apart bigint NOT NULL DEFAULT 0; -- of the new rows: events of an environment that is not taken

-- Customers of a list are wished for as well.
ALTER TABLE resync_requests
    DROP CONSTRAINT resync_requests_reason_check,
    ADD CONSTRAINT resync_requests_reason_check CHECK (reason IN ('restore', 'silence', 'list'));
