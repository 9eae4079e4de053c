-- +goose Up
-- Backfills: one row per run, whoever runs it. Its state is what an operator wants of
-- it; the process that works asks before each commit.
CREATE TABLE backfill_runs (
    started_at  timestamptz NOT NULL,
    touched_at  timestamptz NOT NULL, -- last sign of life of the process that works
    finished_at timestamptz,
    players     bigint NOT NULL DEFAULT 0, -- that were changed; counted while a limit of impact is set
    id          uuid NOT NULL,
    feed        text NOT NULL,
    state       text NOT NULL,
    started_by  text NOT NULL,
    changed_by  text NOT NULL DEFAULT '', -- who changed the state last, if it was not the run itself
    reason      text NOT NULL DEFAULT '', -- why it waits, failed or was cancelled
    fingerprint text NOT NULL,            -- of feed, urls and filter: the same command goes on where it stopped
    command     jsonb NOT NULL,           -- urls and filter
    CONSTRAINT backfill_runs_pkey PRIMARY KEY (id),
    CONSTRAINT backfill_runs_feed_check CHECK (feed IN ('transactions')),
    CONSTRAINT backfill_runs_state_check CHECK (state IN ('running', 'paused', 'cancelled', 'done', 'failed')),
    CONSTRAINT backfill_runs_finished_check CHECK ((finished_at IS NOT NULL) = (state IN ('cancelled', 'done')))
);
-- A command has one run that is not finished.
CREATE UNIQUE INDEX backfill_runs_open_key ON backfill_runs (fingerprint) WHERE finished_at IS NULL;
CREATE INDEX backfill_runs_started_at_idx ON backfill_runs (started_at);

-- The files of a run and how far each is read: the checkpoint, in the commit of the
-- rows it stands for. A file is worked on in parts, each of which has the purchases
-- whose key hashes to it.
CREATE TABLE backfill_files (
    row_done    bigint NOT NULL DEFAULT 0, -- the part's rows up to this one are done with
    row_new     bigint NOT NULL DEFAULT 0, -- rows that told of something new
    row_changed bigint NOT NULL DEFAULT 0, -- rows that changed what was known
    row_same    bigint NOT NULL DEFAULT 0, -- rows that told nothing new
    row_skipped bigint NOT NULL DEFAULT 0, -- rows that the filter leaves out
    row_refused bigint NOT NULL DEFAULT 0, -- rows that cannot be read
    links       bigint NOT NULL DEFAULT 0, -- ids that turned out to be one customer
    bytes_read  bigint NOT NULL DEFAULT 0,
    bytes       bigint NOT NULL,           -- of the whole file
    position    integer NOT NULL,          -- of the file in the run
    part        integer NOT NULL,
    parts       integer NOT NULL,          -- of the file; fixed once it was begun
    finished    boolean NOT NULL DEFAULT false,
    run_id      uuid NOT NULL REFERENCES backfill_runs,
    url         text NOT NULL,
    identity    text NOT NULL,             -- another one is another file
    CONSTRAINT backfill_files_pkey PRIMARY KEY (run_id, url, part),
    CONSTRAINT backfill_files_part_check CHECK (part >= 0 AND part < parts),
    CONSTRAINT backfill_files_rows_check CHECK (row_done >= row_new + row_changed + row_same + row_skipped + row_refused)
) WITH (fillfactor = 50);                  -- changed with every commit of the run
