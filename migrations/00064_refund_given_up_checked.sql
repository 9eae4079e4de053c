-- +goose Up
-- Reads the ledger once, while it is written to.
ALTER TABLE ledger_entries VALIDATE CONSTRAINT ledger_entries_kind_check;
