-- +goose Up
-- What was said of purchases, in partitions by month of the source's own time, which is
-- part of the key: the same statement twice is still one row. What was there is the
-- first partition; `sluice relay` makes those of the coming months, and what fits none
-- of them lies in the last one.
ALTER TABLE purchase_versions RENAME TO purchase_versions_before;
ALTER TABLE purchase_versions_before RENAME CONSTRAINT purchase_versions_pkey TO purchase_versions_before_pkey;
DROP TRIGGER purchase_versions_append_only ON purchase_versions_before;

CREATE TABLE purchase_versions (LIKE purchase_versions_before INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (said_at);
ALTER TABLE purchase_versions ADD CONSTRAINT purchase_versions_pkey PRIMARY KEY (transaction_id, store, environment, source, said_by, said_at);
CREATE TRIGGER purchase_versions_append_only BEFORE UPDATE ON purchase_versions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- +goose StatementBegin
DO $$
DECLARE
    newest timestamptz := (SELECT max(said_at) FROM purchase_versions_before);
BEGIN
    EXECUTE format('ALTER TABLE purchase_versions ATTACH PARTITION purchase_versions_before FOR VALUES FROM (MINVALUE) TO (%L)',
        (date_trunc('month', greatest(newest, now()) AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC');
END $$;
-- +goose StatementEnd
CREATE TABLE purchase_versions_rest PARTITION OF purchase_versions DEFAULT;
