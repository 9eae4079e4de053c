-- +goose Up
-- Which version the shop has on its shelf: the one that was loaded last. Whoever has
-- no catalogue file of its own follows it.
ALTER TABLE catalog_versions ADD COLUMN loaded_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX catalog_versions_loaded_at_idx ON catalog_versions (loaded_at, version);
