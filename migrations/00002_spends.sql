-- +goose Up
-- One row per spend. Acceptance is this row and its outbox rows in one commit.
-- Columns of fixed width stand first, so that rows have no padding.
CREATE TABLE spends (
    id              uuid NOT NULL,
    seq             bigint GENERATED ALWAYS AS IDENTITY, -- order of acceptance; a player's spends are charged in it
    quantity        bigint NOT NULL,
    catalog_version bigint NOT NULL,
    accepted_at     timestamptz NOT NULL,
    charged_at      timestamptz,
    finished_at     timestamptz,
    unknown_since   timestamptz,   -- the outcome of its charge or refund is unknown since then
    adjustment_id   uuid,          -- the adjustment that charges it; null until bound
    change_id       uuid NOT NULL, -- the effects that changed the row last: a commit whose answer was lost is known as ours
    held            boolean NOT NULL DEFAULT false,
    limited         boolean NOT NULL DEFAULT false, -- its quantity counts in item_counters
    app_user_id     text NOT NULL,
    idempotency_key text NOT NULL,
    item            text NOT NULL,
    state           text NOT NULL,
    left_state      text,          -- the state it came from
    reason          text NOT NULL DEFAULT '',
    needs_operator  text NOT NULL DEFAULT '',
    cost            jsonb NOT NULL,
    CONSTRAINT spends_pkey PRIMARY KEY (id),
    CONSTRAINT spends_app_user_id_idempotency_key_key UNIQUE (app_user_id, idempotency_key),
    CONSTRAINT spends_quantity_check CHECK (quantity >= 1),
    -- The table economy.Transitions, as the database's own rule. A test compares the two.
    CONSTRAINT spends_state_check CHECK (
        CASE left_state
            WHEN 'requested' THEN state IN ('charged', 'declined')
            WHEN 'charged' THEN state IN ('fulfilled', 'refunding')
            WHEN 'fulfilled' THEN state = 'refunding'
            WHEN 'refunding' THEN state = 'refunded'
            ELSE left_state IS NULL AND state = 'requested'
        END
    ),
    -- Nothing is charged without the adjustment that did it.
    CONSTRAINT spends_charged_is_bound_check CHECK (state IN ('requested', 'declined') OR adjustment_id IS NOT NULL)
) WITH (fillfactor = 80); -- room for the two or three updates a spend lives through

-- What adjust reads: a player's waiting spends in the order of acceptance.
CREATE INDEX spends_waiting_idx ON spends (app_user_id, seq) WHERE state = 'requested';

-- What operators ask for: everything that is not at rest, by age.
CREATE INDEX spends_attention_idx ON spends (accepted_at) WHERE unknown_since IS NOT NULL OR needs_operator <> '' OR held;

-- The spends one adjustment settles.
CREATE INDEX spends_adjustment_id_idx ON spends (adjustment_id) WHERE state = 'requested' AND adjustment_id IS NOT NULL;
