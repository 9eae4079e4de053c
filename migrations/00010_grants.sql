-- +goose Up
-- A grant gives currency to a player. It is a row of spends, because it stands in
-- the player's line with them: the same keys, the same order, the same readers.
-- What it gives is in cost; it names no item.
ALTER TABLE spends
    ADD COLUMN kind text NOT NULL DEFAULT 'spend',
    ADD COLUMN note text NOT NULL DEFAULT '', -- of a grant: why, in the words of the game's server
    ADD CONSTRAINT spends_kind_check CHECK (kind IN ('spend', 'grant')),
    DROP CONSTRAINT spends_state_check,
    -- The tables economy.Transitions, as the database's own rule. A test compares them.
    ADD CONSTRAINT spends_state_check CHECK (
        CASE
            WHEN left_state IS NULL THEN state = 'requested'
            WHEN kind = 'grant' THEN left_state = 'requested' AND state IN ('fulfilled', 'declined')
            WHEN left_state = 'requested' THEN state IN ('charged', 'declined')
            WHEN left_state = 'charged' THEN state IN ('fulfilled', 'refunding')
            WHEN left_state = 'fulfilled' THEN state = 'refunding'
            WHEN left_state = 'refunding' THEN state = 'refunded'
            ELSE false
        END
    );

ALTER TABLE adjustments
    DROP CONSTRAINT adjustments_purpose_check,
    ADD CONSTRAINT adjustments_purpose_check CHECK (purpose IN ('charge', 'refund', 'grant'));

-- What is granted comes from issuance, so the books still balance by construction.
ALTER TABLE ledger_entries
    DROP CONSTRAINT ledger_entries_kind_check,
    ADD CONSTRAINT ledger_entries_kind_check CHECK ((kind, debit, credit) IN (
        ('charge', 'wallet', 'in_flight'),
        ('fulfil', 'in_flight', 'sink'),
        ('refund', 'in_flight', 'wallet'),
        ('reclaim', 'sink', 'in_flight'),
        ('grant', 'issuance', 'wallet')));
