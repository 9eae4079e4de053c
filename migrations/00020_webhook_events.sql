-- +goose Up
-- Which events of the provider arrived: kept for as long as a replay may come, long
-- after the raw event is gone. Narrow, so that history may be dropped by age while
-- the keys stay.
CREATE TABLE webhook_keys (
    webhook_id  uuid NOT NULL,        -- the row of webhook_events; also known as ours when a commit's answer was lost
    received_at timestamptz NOT NULL,
    event_key   text NOT NULL,        -- the provider's event id; sha256:<hex> of a body that has none
    CONSTRAINT webhook_keys_pkey PRIMARY KEY (event_key)
);

-- The events as they came, byte for byte. Bodies hold e-mails and attributes, so
-- they go first: cleared by age, then the rows are deleted by age.
CREATE TABLE webhook_events (
    id          uuid NOT NULL,        -- UUIDv7: in the order of arrival
    received_at timestamptz NOT NULL,
    event_at    timestamptz,          -- the provider's event_timestamp_ms; null: it said none
    event_key   text NOT NULL,
    verdict     text NOT NULL,
    type        text NOT NULL DEFAULT '', -- as the provider names it; an open set
    environment text NOT NULL DEFAULT '', -- production, sandbox or what it said; empty: it said nothing
    error       text NOT NULL DEFAULT '', -- of an undecodable one: why
    headers     jsonb NOT NULL,           -- those we want to see again; never Authorization
    body        bytea,                    -- null once cleared
    CONSTRAINT webhook_events_pkey PRIMARY KEY (id),
    CONSTRAINT webhook_events_verdict_check CHECK (verdict IN ('accepted', 'refused_environment', 'undecodable'))
);

-- What retention reads, and the alarm about silence.
CREATE INDEX webhook_events_received_at_idx ON webhook_events (received_at);
-- What an operator inspects.
CREATE INDEX webhook_events_refused_idx ON webhook_events (received_at) WHERE verdict <> 'accepted';
