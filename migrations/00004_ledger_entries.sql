-- +goose Up
-- The books: append-only, double-entry in one row. amount units of currency go
-- from the debit account to the credit account, so the books balance by construction.
CREATE TABLE ledger_entries (
    spend_id    uuid NOT NULL,
    amount      bigint NOT NULL, -- units of currency
    entered_at  timestamptz NOT NULL,
    app_user_id text NOT NULL,
    kind        text NOT NULL,
    currency    text NOT NULL,
    debit       text NOT NULL,
    credit      text NOT NULL,
    -- A spend is charged, fulfilled and refunded at most once each, whatever the code does.
    CONSTRAINT ledger_entries_pkey PRIMARY KEY (spend_id, kind, currency),
    CONSTRAINT ledger_entries_amount_check CHECK (amount > 0),
    CONSTRAINT ledger_entries_kind_check CHECK ((kind, debit, credit) IN (
        ('charge', 'wallet', 'in_flight'),
        ('fulfil', 'in_flight', 'sink'),
        ('refund', 'in_flight', 'wallet'),
        ('reclaim', 'sink', 'in_flight')))
);

-- +goose StatementBegin
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: add a correcting row instead', TG_TABLE_NAME;
END $$;
-- +goose StatementEnd

CREATE TRIGGER ledger_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
