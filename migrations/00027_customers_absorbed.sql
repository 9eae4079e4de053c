-- +goose Up
-- An id that became an alias of another customer is never folded by itself again:
-- its row says so once, and a fold of it that began before the link comes too late.
ALTER TABLE customers ADD COLUMN absorbed boolean NOT NULL DEFAULT false;
