-- +goose Up
-- One row per change of a balance at the provider, written BEFORE the first call
-- with the key and the exact body of every attempt.
CREATE TABLE adjustments (
    id              uuid NOT NULL,
    seq             bigint GENERATED ALWAYS AS IDENTITY,
    spend_id        uuid,          -- the spend a refund gives back; null for a charge, whose spends name it
    attempts        bigint NOT NULL DEFAULT 1,
    leased_until    timestamptz NOT NULL, -- until then only leased_by may call
    opened_at       timestamptz NOT NULL,
    settled_at      timestamptz,
    unknown_since   timestamptz,   -- an attempt went unanswered then; the provider may have applied it
    change_id       uuid NOT NULL,
    app_user_id     text NOT NULL,
    purpose         text NOT NULL,
    state           text NOT NULL,
    idempotency_key text NOT NULL,
    body            text NOT NULL, -- sent byte for byte
    leased_by       text NOT NULL, -- the process that calls; empty once its attempt is on record
    last_error      text NOT NULL DEFAULT '',
    deltas          jsonb NOT NULL,
    CONSTRAINT adjustments_pkey PRIMARY KEY (id),
    CONSTRAINT adjustments_idempotency_key_key UNIQUE (idempotency_key),
    CONSTRAINT adjustments_purpose_check CHECK (purpose IN ('charge', 'refund')),
    CONSTRAINT adjustments_state_check CHECK (state IN ('open', 'applied', 'insufficient', 'refused')),
    CONSTRAINT adjustments_settled_check CHECK ((state = 'open') = (settled_at IS NULL)),
    CONSTRAINT adjustments_refund_has_spend_check CHECK ((purpose = 'refund') = (spend_id IS NOT NULL))
) WITH (fillfactor = 80);

-- A player has at most one adjustment whose outcome is open: the database says so, not only the code.
CREATE UNIQUE INDEX adjustments_one_open_idx ON adjustments (app_user_id) WHERE state = 'open';

-- A reading of a balance counts only if no adjustment of ours moved it meanwhile.
CREATE INDEX adjustments_app_user_id_settled_at_idx ON adjustments (app_user_id, settled_at);

ALTER TABLE spends ADD CONSTRAINT spends_adjustment_id_fkey FOREIGN KEY (adjustment_id) REFERENCES adjustments (id);
