-- +goose Up
-- Our read-only copy of what the provider last said. Nothing is ever spent from it.
CREATE TABLE balances (
    balance     bigint NOT NULL,
    as_of       timestamptz NOT NULL, -- when the call that read it started
    app_user_id text NOT NULL,
    currency    text NOT NULL,
    CONSTRAINT balances_pkey PRIMARY KEY (app_user_id, currency)
);
