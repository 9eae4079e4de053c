-- +goose Up
-- Raw events in partitions by month, so that a month goes at once, and leaves nothing to
-- clean up behind it. The id is a UUIDv7, which begins with the time: it is the
-- partition key, and stays the primary key. What was there is the first partition; `sluice
-- relay` makes those of the coming months (internal/retention), and what fits none of
-- them lies in the last one.
ALTER TABLE webhook_events RENAME TO webhook_events_before;
ALTER TABLE webhook_events_before RENAME CONSTRAINT webhook_events_pkey TO webhook_events_before_pkey;
ALTER INDEX webhook_events_received_at_idx RENAME TO webhook_events_before_received_at_idx;
ALTER INDEX webhook_events_refused_idx RENAME TO webhook_events_before_refused_idx;
ALTER INDEX webhook_events_bodies_idx RENAME TO webhook_events_before_bodies_idx;

CREATE TABLE webhook_events (LIKE webhook_events_before INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (id);
ALTER TABLE webhook_events ADD CONSTRAINT webhook_events_pkey PRIMARY KEY (id);
CREATE INDEX webhook_events_received_at_idx ON webhook_events (received_at);
CREATE INDEX webhook_events_refused_idx ON webhook_events (received_at) WHERE verdict <> 'accepted';
CREATE INDEX webhook_events_bodies_idx ON webhook_events (received_at) WHERE body IS NOT NULL;

-- +goose StatementBegin
DO $$
DECLARE
    last   text := left(replace((SELECT id FROM webhook_events_before ORDER BY id DESC LIMIT 1)::text, '-', ''), 12);
    newest timestamptz := to_timestamp(coalesce(('x' || lpad(last, 16, '0'))::bit(64)::bigint, 0) / 1000.0);
    bound  timestamptz := (date_trunc('month', greatest(newest, now()) AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
BEGIN
    EXECUTE format('ALTER TABLE webhook_events ATTACH PARTITION webhook_events_before FOR VALUES FROM (MINVALUE) TO (%L)',
        rpad(lpad(to_hex((extract(epoch FROM bound) * 1000)::bigint), 12, '0'), 32, '0')::uuid);
END $$;
-- +goose StatementEnd
CREATE TABLE webhook_events_rest PARTITION OF webhook_events DEFAULT;

-- Keys outlive their events, and go by age alone. They come in the order of time, so a
-- look-up by blocks is enough, and costs an insert nothing.
CREATE INDEX webhook_keys_received_at_idx ON webhook_keys USING brin (received_at);
