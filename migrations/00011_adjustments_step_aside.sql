-- +goose Up
-- An adjustment whose outcome stays unknown steps aside after some minutes, so that
-- the player's later spends pass: it is still asked about under its own key, but
-- is not the player's one open adjustment any more.
ALTER TABLE adjustments
    DROP CONSTRAINT adjustments_state_check,
    DROP CONSTRAINT adjustments_settled_check,
    ADD CONSTRAINT adjustments_state_check CHECK (state IN ('open', 'unknown', 'applied', 'insufficient', 'refused')),
    ADD CONSTRAINT adjustments_settled_check CHECK ((state IN ('open', 'unknown')) = (settled_at IS NULL)),
    ADD CONSTRAINT adjustments_unknown_has_since_check CHECK (state <> 'unknown' OR unknown_since IS NOT NULL);

-- What is asked about again, and what operators see first.
CREATE INDEX adjustments_unknown_idx ON adjustments (unknown_since) WHERE state = 'unknown';
-- A refund that stepped aside is found by its spend.
CREATE INDEX adjustments_spend_id_idx ON adjustments (spend_id) WHERE spend_id IS NOT NULL;
