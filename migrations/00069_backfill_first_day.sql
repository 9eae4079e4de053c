-- +goose Up
-- What a first backfill of a game's whole history needs.
--
-- Consumables that were bought, and used up, before these books were kept: the backfill
-- that first told of the purchase was given a cut-off behind it. Whoever tells of it
-- later, what it brings has no items, where its package is one that is used up.
ALTER TABLE purchases ADD COLUMN used_up boolean NOT NULL DEFAULT false;

-- Whom a run with a limit of impact has changed, no more than the limit: a run that goes
-- on counts nobody twice. They go when it ends.
CREATE TABLE backfill_players (
    run_id      uuid NOT NULL REFERENCES backfill_runs (id),
    app_user_id text NOT NULL,
    CONSTRAINT backfill_players_pkey PRIMARY KEY (run_id, app_user_id)
);
