-- +goose Up
-- One row per transaction of a store: the join of everything said about it
-- (economy.Merge). A column is null when nobody said anything of it.
CREATE TABLE purchases (
    purchased_at     timestamptz,
    expires_at       timestamptz,   -- null also when it never ends: see never_expires
    grace_until      timestamptz,   -- billing failed; access goes on until then
    ended_at         timestamptz,   -- the store ended it then
    refunded_at      timestamptz,
    resumes_at       timestamptz,   -- of a pause
    recorded_at      timestamptz NOT NULL, -- first heard of, by us
    version          bigint NOT NULL,      -- grows with every change; the guard of the next
    catalog_version  bigint NOT NULL DEFAULT 0, -- which says what the product brings; 0: no catalogue had it yet
    quantity         bigint,
    renewal_number   bigint,
    paid_micros      bigint,        -- millionths of paid_currency, before refunds
    paid_usd_micros  bigint,        -- millionths of a dollar, before refunds
    change_id        uuid NOT NULL, -- the effects that changed the row last: a commit whose answer was lost is known as ours
    never_expires    boolean NOT NULL DEFAULT false,
    reversed         boolean NOT NULL DEFAULT false, -- a refund was taken back
    store            text NOT NULL,
    environment      text NOT NULL,
    transaction_id   text NOT NULL,
    app_user_id      text NOT NULL DEFAULT '', -- whom the newest statement names; transfers are applied on top
    buyer            text NOT NULL DEFAULT '', -- whom the oldest statement names
    product_id       text NOT NULL DEFAULT '',
    original_transaction_id text NOT NULL DEFAULT '',
    ownership        text NOT NULL DEFAULT '', -- purchased, family_shared; empty: unknown
    period           text NOT NULL DEFAULT '', -- normal, trial, intro, promotional, prepaid, temporary; empty: unknown
    paid_currency    text NOT NULL DEFAULT '',
    intent           text NOT NULL DEFAULT '', -- renew, cancelled, billing_issue, paused, product_change
    intent_detail    text NOT NULL DEFAULT '',
    stamps           jsonb NOT NULL,           -- who said what as of when (internal/purchases)
    -- The transaction first: what a claim asks for is found by it alone.
    CONSTRAINT purchases_pkey PRIMARY KEY (transaction_id, store, environment),
    CONSTRAINT purchases_environment_check CHECK (environment IN ('production', 'sandbox')),
    CONSTRAINT purchases_version_check CHECK (version >= 1),
    CONSTRAINT purchases_quantity_check CHECK (quantity >= 1),
    CONSTRAINT purchases_never_expires_check CHECK (NOT (never_expires AND expires_at IS NOT NULL)),
    CONSTRAINT purchases_reversed_check CHECK (NOT (reversed AND refunded_at IS NOT NULL)),
    CONSTRAINT purchases_store_check CHECK (store = lower(store) AND store <> '' AND transaction_id <> '')
) WITH (fillfactor = 85); -- a subscription's period is told of some times

CREATE INDEX purchases_app_user_id_idx ON purchases (app_user_id);
-- Items of what is used up stay with the buyer, who may not be the owner any more.
CREATE INDEX purchases_buyer_idx ON purchases (buyer) WHERE buyer <> app_user_id;
-- Products that no catalogue knew: somebody paid and got nothing of ours.
CREATE INDEX purchases_unknown_product_idx ON purchases (recorded_at) WHERE catalog_version = 0 AND product_id <> '';

-- Every statement that was made, by whom and as of when. Append-only; the join of a
-- purchase's statements is its row.
CREATE TABLE purchase_versions (
    said_at        timestamptz NOT NULL, -- the source's own time
    recorded_at    timestamptz NOT NULL,
    store          text NOT NULL,
    environment    text NOT NULL,
    transaction_id text NOT NULL,
    source         text NOT NULL,
    said_by        text NOT NULL,        -- the event's id, the file and row, the call
    kind           smallint NOT NULL,    -- economy.FactKind
    fact           jsonb NOT NULL,       -- economy.PurchaseFact, only what it says
    -- The same statement twice is one row.
    CONSTRAINT purchase_versions_pkey PRIMARY KEY (transaction_id, store, environment, source, said_by, said_at),
    CONSTRAINT purchase_versions_source_check CHECK (source IN ('webhook', 'export', 'resync', 'claim'))
);
CREATE TRIGGER purchase_versions_append_only BEFORE UPDATE ON purchase_versions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
