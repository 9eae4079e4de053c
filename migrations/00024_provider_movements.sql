-- +goose Up
-- Changes of balances that the provider made by itself: the ledger's other half, in
-- the same double-entry form. Our own adjustments are in ledger_entries and never here.
CREATE TABLE provider_movements (
    amount         bigint NOT NULL,   -- units of currency
    moved_at       timestamptz NOT NULL, -- the provider's time
    entered_at     timestamptz NOT NULL,
    movement_id    text NOT NULL,     -- virtual_currency_transaction_id
    app_user_id    text NOT NULL,
    kind           text NOT NULL,
    currency       text NOT NULL,
    debit          text NOT NULL,
    credit         text NOT NULL,
    environment    text NOT NULL,     -- of the purchase; the balance is one for both
    source         text NOT NULL,     -- in_app_purchase, admin_api, ...: an open set
    store          text NOT NULL DEFAULT '',
    product_id     text NOT NULL DEFAULT '',
    transaction_id text NOT NULL DEFAULT '',
    -- However often it is told, a movement is one line per currency.
    CONSTRAINT provider_movements_pkey PRIMARY KEY (movement_id, currency),
    CONSTRAINT provider_movements_amount_check CHECK (amount > 0),
    CONSTRAINT provider_movements_kind_check CHECK ((kind, debit, credit) IN (
        ('store_credit', 'store', 'wallet'),
        ('store_removal', 'wallet', 'store'),
        ('provider_credit', 'issuance', 'wallet'),
        ('provider_removal', 'wallet', 'issuance')))
);
CREATE INDEX provider_movements_app_user_id_idx ON provider_movements (app_user_id, moved_at);
CREATE INDEX provider_movements_transaction_id_idx ON provider_movements (transaction_id) WHERE transaction_id <> '';
CREATE TRIGGER provider_movements_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON provider_movements
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The whole ledger, for audits: amount goes from debit to credit.
CREATE VIEW ledger AS
    SELECT spend_id::text AS cause_id, app_user_id, currency, kind, debit, credit, amount, entered_at FROM ledger_entries
    UNION ALL
    SELECT movement_id, app_user_id, currency, kind, debit, credit, amount, entered_at FROM provider_movements;
