-- +goose Up
-- Corrections that an operator posted after the provider's balance was compared with
-- ours: the ledger's third part, in the same double-entry form. They move nothing at
-- the provider, and nothing that was written before.
CREATE TABLE ledger_corrections (
    run_id          uuid NOT NULL,       -- the comparison that found the difference
    amount          bigint NOT NULL,     -- units of currency
    ledger_before   bigint NOT NULL,     -- the wallet by our books
    ledger_after    bigint NOT NULL,     -- what the provider said it holds
    read_at         timestamptz NOT NULL, -- when the call began that read the balance
    entered_at      timestamptz NOT NULL,
    app_user_id     text NOT NULL,
    kind            text NOT NULL,
    currency        text NOT NULL,
    debit           text NOT NULL,
    credit          text NOT NULL,
    entered_by      text NOT NULL,
    reason          text NOT NULL,
    CONSTRAINT ledger_corrections_pkey PRIMARY KEY (run_id, app_user_id, currency),
    CONSTRAINT ledger_corrections_amount_check CHECK (amount > 0),
    CONSTRAINT ledger_corrections_reason_check CHECK (reason <> '' AND entered_by <> ''),
    CONSTRAINT ledger_corrections_kind_check CHECK ((kind, debit, credit) IN (
        ('correction_credit', 'drift', 'wallet'),
        ('correction_debit', 'wallet', 'drift'))),
    CONSTRAINT ledger_corrections_sum_check CHECK (
        ledger_after - ledger_before = CASE WHEN credit = 'wallet' THEN amount ELSE -amount END)
);
CREATE INDEX ledger_corrections_app_user_id_idx ON ledger_corrections (app_user_id, entered_at);
CREATE TRIGGER ledger_corrections_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_corrections
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The whole ledger, for audits: amount goes from debit to credit.
CREATE OR REPLACE VIEW ledger AS
    SELECT spend_id::text AS cause_id, app_user_id, currency, kind, debit, credit, amount, entered_at FROM ledger_entries
    UNION ALL
    SELECT movement_id, app_user_id, currency, kind, debit, credit, amount, entered_at FROM provider_movements
    UNION ALL
    SELECT run_id::text, app_user_id, currency, kind, debit, credit, amount, entered_at FROM ledger_corrections;

-- Runs that compare the provider's balances with ours.
CREATE TABLE reconcile_runs (
    started_at  timestamptz NOT NULL,
    finished_at timestamptz,             -- null: the same command goes on where it stopped
    wished      bigint NOT NULL DEFAULT 0, -- customers whose purchases were wished to be read again
    id          uuid NOT NULL,
    scope       text NOT NULL,           -- which customers, and whether differences are repaired
    position    text NOT NULL DEFAULT '', -- the ids up to this one were looked at
    started_by  text NOT NULL,
    reason      text NOT NULL,           -- of a run that repairs
    players     jsonb NOT NULL,          -- the ids that were chosen or drawn; null: all
    CONSTRAINT reconcile_runs_pkey PRIMARY KEY (id)
);
-- One run of a scope at a time.
CREATE UNIQUE INDEX reconcile_runs_open_idx ON reconcile_runs (scope) WHERE finished_at IS NULL;

-- What the last comparison of each balance said. The next one replaces it.
CREATE TABLE reconciliations (
    ledger      bigint NOT NULL,         -- the wallet by our books
    provider    bigint NOT NULL,         -- by the provider
    drift       bigint NOT NULL,         -- provider less ledger, as it was judged last; stays while it cannot be judged
    looks       integer NOT NULL,        -- of this run
    read_at     timestamptz NOT NULL,    -- when the last call began that read the balance
    judged_at   timestamptz,             -- when drift was judged; null: never
    run_id      uuid NOT NULL,
    customer_id text NOT NULL,           -- one of the customer's ids
    currency    text NOT NULL,           -- empty: nothing could be compared
    outcome     text NOT NULL,
    why         text NOT NULL DEFAULT '', -- it could not be judged
    CONSTRAINT reconciliations_pkey PRIMARY KEY (customer_id, currency),
    CONSTRAINT reconciliations_outcome_check CHECK (outcome IN ('agrees', 'suspect', 'drift', 'repaired', 'unjudged'))
) WITH (fillfactor = 85);
CREATE INDEX reconciliations_run_id_idx ON reconciliations (run_id, outcome);
CREATE INDEX reconciliations_drift_idx ON reconciliations (currency) WHERE drift <> 0;
