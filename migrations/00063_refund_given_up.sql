-- +goose Up
-- An operator may give up a refund whose item the game's server still leaves with the
-- player: the cost goes back to where the hand-over had put it. Whether that server was
-- ever asked to take the item back stands in the row, so that the row's lock decides.
ALTER TABLE spends ADD COLUMN revoke_asked_at timestamptz; -- of refunds by operators only
UPDATE spends SET revoke_asked_at = now() -- who knows: nobody wrote it down before
    WHERE finished_at IS NULL AND state = 'refunding' AND reason = 'operator_refund' AND revoked_at IS NULL;

-- Every line there is fits the shorter list, so none is read here; 00064 does.
ALTER TABLE ledger_entries
    DROP CONSTRAINT ledger_entries_kind_check,
    ADD CONSTRAINT ledger_entries_kind_check CHECK (kind || ' ' || debit || ' ' || credit = ANY ('{
        charge wallet in_flight,
        fulfil in_flight sink,
        refund in_flight wallet,
        reclaim sink in_flight,
        keep in_flight sink,
        grant issuance wallet
    }'::text[])) NOT VALID;
