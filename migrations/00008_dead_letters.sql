-- +goose Up
-- Deliveries set aside; only an operator replays one. Written in the commit that
-- deletes the outbox row, so that a wiped stream cannot lose them.
CREATE TABLE dead_letters (
    died_at     timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    attempts    integer NOT NULL,
    event_id    text NOT NULL,
    consumer    text NOT NULL,
    lane        text NOT NULL,
    subject     text NOT NULL,
    error       text NOT NULL,
    stack       text NOT NULL DEFAULT '', -- where a consumer panicked
    resolution  text NOT NULL DEFAULT '',
    payload     bytea NOT NULL, -- as it arrived: it may not even be JSON
    CONSTRAINT dead_letters_pkey PRIMARY KEY (event_id, consumer)
);
CREATE INDEX dead_letters_open_idx ON dead_letters (died_at) WHERE resolved_at IS NULL;
