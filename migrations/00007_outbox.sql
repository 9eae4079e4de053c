-- +goose Up
-- One row per event and durable consumer that still owes it an effect. The row
-- outlives the message: it is deleted in the commit that records the effect, so a
-- message that JetStream accepted and lost is still owed.
CREATE TABLE outbox (
    due_at       timestamptz NOT NULL DEFAULT now(), -- not before; a wait of more than a few seconds parks here
    owed_since   timestamptz NOT NULL DEFAULT now(), -- never changed: how long the effect is owed
    published_at timestamptz DEFAULT now(),          -- last publish; null while parked. Touched by the sweeper and by parking only
    republished  integer NOT NULL DEFAULT 0,         -- a republish needs another Nats-Msg-Id
    attempts     integer NOT NULL DEFAULT 0,         -- failed attempts before this one was parked
    event_id     text NOT NULL,
    consumer     text NOT NULL,
    lane         text NOT NULL,
    subject      text NOT NULL, -- where it is published
    last_error   text NOT NULL DEFAULT '',
    payload      json NOT NULL, -- the event's wire form, byte for byte
    CONSTRAINT outbox_pkey PRIMARY KEY (event_id, consumer)
) WITH (
    fillfactor = 90,
    autovacuum_vacuum_scale_factor = 0.02, -- rows live for milliseconds: clean often
    autovacuum_vacuum_cost_delay = 0
);

-- What the sweeper reads, oldest first.
CREATE INDEX outbox_due_at_idx ON outbox (due_at);
