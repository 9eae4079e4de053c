-- +goose Up
-- The bodies that are still there, by age: clearing the old ones must not read past
-- all rows whose bodies are gone.
CREATE INDEX webhook_events_bodies_idx ON webhook_events (received_at) WHERE body IS NOT NULL;
