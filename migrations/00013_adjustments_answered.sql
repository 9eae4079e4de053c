-- +goose Up
-- Which reading of the balances came with an adjustment's own answer. An adjustment
-- that was applied and told no balances (an operator's word, an answer that could
-- not be read) may have moved a balance after a reading that began before it was
-- settled: no other outcome can be proved by that reading.
ALTER TABLE adjustments ADD COLUMN answered_as_of timestamptz; -- as_of of the balances it told; null: it told none
