-- +goose Up
-- A spend names the version of the catalogue it was priced by, so versions are
-- kept for ever. The fingerprint makes storing the same catalogue twice one row.
CREATE TABLE catalog_versions (
    version     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fingerprint text NOT NULL,
    body        jsonb NOT NULL,
    stored_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT catalog_versions_fingerprint_key UNIQUE (fingerprint)
);
