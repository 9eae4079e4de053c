-- +goose Up
-- The right to use a module: what a customer's purchases come to (economy.Fold).
-- Granted says nothing about the clock, the end does.
CREATE TABLE accesses (
    expires_at     timestamptz,       -- null: never
    changed_at     timestamptz NOT NULL,
    customer_id    text NOT NULL,
    module         text NOT NULL,
    state          text NOT NULL,
    cause          text NOT NULL,     -- why it ends when it does: economy.Cause...
    store          text NOT NULL,     -- the purchase that decides its end
    environment    text NOT NULL,
    transaction_id text NOT NULL,
    CONSTRAINT accesses_pkey PRIMARY KEY (customer_id, module),
    CONSTRAINT accesses_state_check CHECK (state IN ('granted', 'revoked')),
    CONSTRAINT accesses_revoked_ends_check CHECK (state = 'granted' OR expires_at IS NOT NULL)
) WITH (fillfactor = 85);

-- What each purchase brought to whom: items into the inventory, accesses to
-- modules. Append-only; the sum of a purchase's lines is what it brings now.
CREATE TABLE purchase_grants (
    quantity        bigint NOT NULL,  -- signed
    number          bigint NOT NULL,  -- of this purchase, kind and name at this customer, from 1
    catalog_version bigint NOT NULL,
    granted_at      timestamptz NOT NULL,
    customer_id     text NOT NULL,
    kind            text NOT NULL,
    name            text NOT NULL,    -- the item or the module
    reason          text NOT NULL,
    store           text NOT NULL,
    environment     text NOT NULL,
    transaction_id  text NOT NULL,
    -- Two folds that know the same lines write the same number: only one of them can.
    CONSTRAINT purchase_grants_pkey PRIMARY KEY (customer_id, kind, name, transaction_id, store, environment, number),
    CONSTRAINT purchase_grants_quantity_check CHECK (quantity <> 0),
    CONSTRAINT purchase_grants_kind_check CHECK (kind IN ('item', 'module')),
    CONSTRAINT purchase_grants_reason_check CHECK ((reason = 'revoked') = (quantity < 0) AND reason IN ('credited', 'revoked', 'restored'))
);
CREATE TRIGGER purchase_grants_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON purchase_grants
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
