-- +goose Up
-- An item that the game's own server hands over is taken back there before its cost
-- is credited. revoked_at is the word of that server, or of an operator, that the
-- player does not have the item and never will. The other word, that the player
-- keeps it, ends the spend as fulfilled; after the first word it cannot.
ALTER TABLE spends
    ADD COLUMN revoked_at timestamptz,
    DROP CONSTRAINT spends_state_check,
    -- The tables economy.Transitions, as the database's own rule. A test compares them.
    ADD CONSTRAINT spends_state_check CHECK (
        CASE
            WHEN left_state IS NULL THEN state = 'requested'
            WHEN kind = 'grant' THEN left_state = 'requested' AND state IN ('fulfilled', 'declined')
            WHEN left_state = 'requested' THEN state IN ('charged', 'declined')
            WHEN left_state = 'charged' THEN state IN ('fulfilled', 'refunding')
            WHEN left_state = 'fulfilled' THEN state = 'refunding'
            WHEN left_state = 'refunding' THEN state IN ('refunded', 'fulfilled')
            ELSE false
        END
    ),
    ADD CONSTRAINT spends_revoked_is_given_back_check CHECK (revoked_at IS NULL OR state IN ('refunding', 'refunded'));
