-- +goose Up
-- What who is on call asks of an endpoint of the game: whether it answers, since when
-- not, and what it said last. One row per endpoint and process that meets trouble there,
-- told again every few seconds for as long as it lasts and deleted when it is over, so
-- that the table is empty while all is well. A row that nobody tells any more is of a
-- process that died.
CREATE TABLE handover_troubles (
    told_at    timestamptz NOT NULL,
    since      timestamptz NOT NULL, -- the first of the failures in a row
    probe_at   timestamptz NOT NULL, -- no request before
    failures   bigint NOT NULL,      -- in a row
    circuit    smallint NOT NULL,    -- 0 closed, 1 half-open, 2 open
    endpoint   text NOT NULL,
    process    text NOT NULL,
    last_error text NOT NULL,        -- what became of the last request
    CONSTRAINT handover_troubles_pkey PRIMARY KEY (endpoint, process),
    CONSTRAINT handover_troubles_circuit_check CHECK (circuit BETWEEN 0 AND 2)
);

-- What support asks of a spend: which request it came by. The log of serve has it under
-- the same name. Null: accepted before this was kept.
ALTER TABLE spends ADD COLUMN request_id text;
