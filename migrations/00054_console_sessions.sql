-- +goose Up
-- Who is logged in to the console. A row and not a signed cookie: every sluice serve
-- knows it, and logging out ends it everywhere. The token itself is only in the
-- browser; what the holder may do is asked of the settings at every request.
CREATE TABLE console_sessions (
    begun_at   timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL, -- to the minute
    token_hash bytea NOT NULL,       -- SHA-256
    key_id     text NOT NULL,        -- the key it was begun with: the beginning of a hash, never the key
    name       text NOT NULL,        -- as the person wrote it, for the audit log
    CONSTRAINT console_sessions_pkey PRIMARY KEY (token_hash)
);
