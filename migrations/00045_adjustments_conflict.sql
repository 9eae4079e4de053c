-- +goose Up
-- When the provider first answered that it had seen the key and says no more (409).
-- What was to come of the key had come by then: the provider's ledger export of a later
-- time tells whether it was applied.
ALTER TABLE adjustments ADD COLUMN conflict_at timestamptz;
