-- +goose Up
-- A player's open spends, in the order of acceptance: what the cap counts, and,
-- the waiting ones among them, what adjust reads. One index serves both.
CREATE INDEX spends_open_idx ON spends (app_user_id, seq) WHERE state IN ('requested', 'charged', 'refunding');
DROP INDEX spends_waiting_idx;
