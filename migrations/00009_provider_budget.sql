-- +goose Up
-- What all processes know of one rate-limit domain of the provider. One row, changed
-- by compare and swap on its version: whoever takes permits counts those of all
-- others. The row survives a restart, and the learnt limit with it.
CREATE TABLE provider_budgets (
    version      bigint NOT NULL,             -- grows with every change; a swap names the one it read
    closed_until timestamptz,                 -- the provider asked for a pause: no call starts before
    limit_calls  integer NOT NULL DEFAULT 0,  -- calls a minute, as its newest header said; 0: it never said
    domain       text NOT NULL,
    account      json NOT NULL DEFAULT '{}',  -- the sliding log of calls, who waits, whose turn it is (internal/budget)
    CONSTRAINT provider_budgets_pkey PRIMARY KEY (domain),
    CONSTRAINT provider_budgets_limit_calls_check CHECK (limit_calls >= 0)
) WITH (
    fillfactor = 50, -- rewritten some times a second: leave room for the next version beside it
    autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_cost_delay = 0
);

-- The circuit breaker of one provider. Half-open is an open circuit whose time has
-- come: then one process may send one probe, and holds this row's lease on it.
CREATE TABLE provider_circuits (
    version     bigint NOT NULL,              -- grows with every change of state
    opened_at   timestamptz,                  -- when it last opened
    closed_at   timestamptz,                  -- when it last closed; calls start slowly from then on
    probe_at    timestamptz,                  -- no probe before; null while closed
    probe_until timestamptz,                  -- the lease of probe_by; past it another may probe
    opens       integer NOT NULL DEFAULT 0,   -- times in a row that it opened or a probe failed
    provider    text NOT NULL,
    state       text NOT NULL,
    probe_by    text NOT NULL DEFAULT '',     -- the process that sends the probe
    reason      text NOT NULL DEFAULT '',     -- why it opened, for operators
    CONSTRAINT provider_circuits_pkey PRIMARY KEY (provider),
    CONSTRAINT provider_circuits_state_check CHECK (state IN ('closed', 'open')),
    CONSTRAINT provider_circuits_probe_at_check CHECK ((state = 'open') = (probe_at IS NOT NULL))
);
