-- +goose Up
-- When a customer was read from the provider's API, and who wished for it last. A
-- wish that is older than the start of a whole reading is answered by that reading:
-- several wishes cost one.
CREATE TABLE customer_readings (
    wished_at   timestamptz,        -- the newest wish of an operator; null: there was none
    begun_at    timestamptz,        -- start of the newest reading, whole or not
    started_at  timestamptz,        -- start of the newest whole reading: every change before is in it
    finished_at timestamptz,        -- its end
    purchases   bigint,             -- facts it brought
    changed     bigint,             -- those among them that changed what is known
    found       boolean,            -- false: the provider does not know the customer
    app_user_id text NOT NULL,      -- the id that was asked for
    wished_by   text NOT NULL DEFAULT '', -- who wished, and why: kept for audits
    CONSTRAINT customer_readings_pkey PRIMARY KEY (app_user_id),
    CONSTRAINT customer_readings_whole_check CHECK (
        (started_at IS NULL) = (finished_at IS NULL) AND (started_at IS NULL) = (purchases IS NULL)
        AND (started_at IS NULL) = (changed IS NULL) AND (started_at IS NULL) = (found IS NULL))
);
