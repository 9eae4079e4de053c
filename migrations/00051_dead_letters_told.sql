-- +goose Up
-- What an operator wants to see of a dead letter before retrying it: whose event it
-- is, why it died and when its attempts failed, with which headers it came. An edited
-- payload keeps what arrived beside it.
ALTER TABLE dead_letters
    ADD COLUMN owed_since  timestamptz,                      -- when the delivery began to be owed; null: not known
    ADD COLUMN change_id   uuid,                             -- the act that resolved it: a commit whose answer was lost is known as ours
    ADD COLUMN retries     integer NOT NULL DEFAULT 0,       -- by operators
    ADD COLUMN type        text NOT NULL DEFAULT '',         -- of the event; empty: it is none
    ADD COLUMN app_user_id text NOT NULL DEFAULT '',
    ADD COLUMN reason      text NOT NULL DEFAULT 'permanent',
    ADD COLUMN headers     jsonb NOT NULL DEFAULT '{}',      -- of the last message
    ADD COLUMN failures    json NOT NULL DEFAULT '[]',       -- the last attempts: at, attempt, error
    ADD COLUMN original    bytea,                            -- what arrived, once an operator edited the payload
    ADD CONSTRAINT dead_letters_reason_check CHECK (reason IN ('panic', 'data', 'malformed', 'permanent'));

-- A subject stands only at what could be read as an event.
UPDATE dead_letters SET
    type = coalesce(CASE WHEN subject <> '' THEN convert_from(payload, 'UTF8')::json ->> 'type' END, ''),
    app_user_id = coalesce(CASE WHEN subject <> '' THEN convert_from(payload, 'UTF8')::json ->> 'subject' END, ''),
    reason = CASE WHEN stack <> '' THEN 'panic' WHEN subject = '' THEN 'malformed'
        WHEN error LIKE '%cannot be stored: %' THEN 'data' ELSE 'permanent' END;

CREATE INDEX dead_letters_app_user_id_idx ON dead_letters (app_user_id);

-- The failed attempts of a delivery that is still owed, the last ten: what parked it,
-- and what counts towards setting it aside.
ALTER TABLE outbox ADD COLUMN failures json NOT NULL DEFAULT '[]';

-- +goose StatementBegin
CREATE FUNCTION with_failure(failures json, attempt integer, error text) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_agg(failure ORDER BY nth) FROM (
        SELECT failure, nth FROM jsonb_array_elements(
            failures::jsonb || jsonb_build_object('at', now(), 'attempt', attempt, 'error', left(error, 500))
        ) WITH ORDINALITY AS e (failure, nth) ORDER BY nth DESC LIMIT 10
    ) kept
$$;
-- +goose StatementEnd
