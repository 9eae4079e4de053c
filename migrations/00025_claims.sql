-- +goose Up
-- "I bought transaction X": the player's own word. It gives nothing; it is shown as
-- pending until another source tells of the purchase, or nobody does.
CREATE TABLE claims (
    id             uuid NOT NULL,
    claimed_at     timestamptz NOT NULL,
    settled_at     timestamptz,
    app_user_id    text NOT NULL,
    store          text NOT NULL,
    transaction_id text NOT NULL,
    product_id     text NOT NULL,
    state          text NOT NULL,
    reason         text NOT NULL DEFAULT '', -- of a rejected one: a stable code
    CONSTRAINT claims_pkey PRIMARY KEY (id),
    -- The same word twice is one claim.
    CONSTRAINT claims_app_user_id_store_transaction_id_key UNIQUE (app_user_id, store, transaction_id),
    CONSTRAINT claims_state_check CHECK (state IN ('pending', 'confirmed', 'rejected')),
    CONSTRAINT claims_settled_check CHECK ((state = 'pending') = (settled_at IS NULL)),
    CONSTRAINT claims_rejected_has_reason_check CHECK ((state = 'rejected') = (reason <> ''))
);
-- Who claims a purchase; what still waits, by age.
CREATE INDEX claims_transaction_id_idx ON claims (transaction_id, store);
CREATE INDEX claims_pending_idx ON claims (claimed_at) WHERE state = 'pending';
