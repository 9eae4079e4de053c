-- +goose Up
-- What was entered lately, without a cost per row: an audit reads the spends whose lines are new.
CREATE INDEX ledger_entries_entered_at_idx ON ledger_entries USING brin (entered_at) WITH (pages_per_range = 32, autosummarize = on);

-- How far the books are audited. One row.
CREATE TABLE audit_positions (
    audited_at    timestamptz NOT NULL,  -- every line that was committed before was looked at
    pass_begun_at timestamptz NOT NULL,  -- of the slow pass over everything
    pass_ended_at timestamptz,           -- of the last one that came to its end; null: none did
    pass_after    uuid,                  -- the spends up to this id were looked at in this pass; null: none
    single        boolean NOT NULL DEFAULT true,
    CONSTRAINT audit_positions_pkey PRIMARY KEY (single),
    CONSTRAINT audit_positions_single_check CHECK (single)
);

-- What does not balance. A finding stays until an audit finds that it is mended.
CREATE TABLE audit_findings (
    units       bigint NOT NULL,         -- by how much: what is there less what should be
    found_at    timestamptz NOT NULL,
    mended_at   timestamptz,
    kind        text NOT NULL,           -- audit.Kind
    subject     text NOT NULL,           -- the spend, movement, correction or adjustment
    line        text NOT NULL,           -- the ledger line's kind, or what else is wrong with the subject
    currency    text NOT NULL,
    app_user_id text NOT NULL,
    detail      text NOT NULL,
    CONSTRAINT audit_findings_pkey PRIMARY KEY (kind, subject, line, currency)
);
CREATE INDEX audit_findings_open_idx ON audit_findings (found_at) WHERE mended_at IS NULL;
