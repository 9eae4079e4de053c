-- +goose Up
-- Who asked last, for what reason, to have a customer read from the provider again:
-- so that a player who taps "restore" ten times is one reading a minute.
CREATE TABLE resync_requests (
    requested_at timestamptz NOT NULL,
    next_at      timestamptz NOT NULL, -- not again before
    id           uuid NOT NULL,
    app_user_id  text NOT NULL,
    reason       text NOT NULL,
    event_id     text NOT NULL,       -- the wish in the outbox: while it is owed there, the reading is under way
    CONSTRAINT resync_requests_pkey PRIMARY KEY (app_user_id, reason),
    CONSTRAINT resync_requests_reason_check CHECK (reason IN ('restore', 'silence'))
);

-- Until when webhooks could be received: every sluice serve that takes them writes
-- it now and then. One row.
CREATE TABLE webhook_heartbeat (
    since   timestamptz NOT NULL,     -- the first beat of all
    beat_at timestamptz NOT NULL,     -- the last one
    single  boolean NOT NULL DEFAULT true,
    CONSTRAINT webhook_heartbeat_pkey PRIMARY KEY (single),
    CONSTRAINT webhook_heartbeat_single_check CHECK (single)
);

-- Times of which webhooks may be missing: we were down for longer than the provider
-- tries, or none came although the game went on. Open until somebody made up for it.
CREATE TABLE webhook_gaps (
    from_at     timestamptz NOT NULL, -- the last beat before an outage, the last webhook before a silence
    until_at    timestamptz NOT NULL, -- of a silence it grows for as long as it lasts
    found_at    timestamptz NOT NULL,
    resolved_at timestamptz,
    cause       text NOT NULL,
    resolution  text NOT NULL DEFAULT '',
    CONSTRAINT webhook_gaps_pkey PRIMARY KEY (cause, from_at),
    CONSTRAINT webhook_gaps_cause_check CHECK (cause IN ('outage', 'silence')),
    CONSTRAINT webhook_gaps_order_check CHECK (until_at >= from_at),
    CONSTRAINT webhook_gaps_resolved_check CHECK ((resolved_at IS NULL) = (resolution = ''))
);
CREATE INDEX webhook_gaps_open_idx ON webhook_gaps (from_at) WHERE resolved_at IS NULL;

-- Whose paid period ends in a time: a renewal or an end of it may not have been told.
CREATE INDEX purchases_expires_at_idx ON purchases (expires_at) WHERE expires_at IS NOT NULL AND refunded_at IS NULL;
