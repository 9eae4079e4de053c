-- +goose Up
-- A customer is all App User IDs that the provider says are one person. Its id is
-- one of them (economy.CustomerID). The row is the guard of what is folded for it.
CREATE TABLE customers (
    version     bigint NOT NULL,      -- grows with every fold
    folded_at   timestamptz NOT NULL,
    change_id   uuid NOT NULL,
    customer_id text NOT NULL,
    CONSTRAINT customers_pkey PRIMARY KEY (customer_id),
    CONSTRAINT customers_version_check CHECK (version >= 1)
) WITH (fillfactor = 80);

-- The provider said that two ids are one customer. Links are only ever added, in
-- any order; a customer is what they connect.
CREATE TABLE customer_aliases (
    linked_at   timestamptz NOT NULL,
    app_user_id text NOT NULL,
    alias_of    text NOT NULL,
    source      text NOT NULL,        -- what said so first: an event's id, a file, a call
    CONSTRAINT customer_aliases_pkey PRIMARY KEY (app_user_id, alias_of),
    CONSTRAINT customer_aliases_other_check CHECK (app_user_id <> alias_of)
);
CREATE INDEX customer_aliases_alias_of_idx ON customer_aliases (alias_of);

-- Purchases moved from one customer to another. One row per id that either side
-- lists; only ever added.
CREATE TABLE customer_transfers (
    transferred_at timestamptz NOT NULL, -- the provider's time
    transfer_id    text NOT NULL,        -- the event's id
    side           text NOT NULL,
    app_user_id    text NOT NULL,
    store          text NOT NULL DEFAULT '', -- only this store's purchases; empty: all
    environment    text NOT NULL DEFAULT '', -- only this one's; empty: both
    CONSTRAINT customer_transfers_pkey PRIMARY KEY (transfer_id, side, app_user_id),
    CONSTRAINT customer_transfers_side_check CHECK (side IN ('from', 'to'))
);
CREATE INDEX customer_transfers_app_user_id_idx ON customer_transfers (app_user_id);

-- Two ids with histories of their own turned out to be one customer. All purchases
-- count for it, as the provider says; a person should look whether that is right.
CREATE TABLE customer_conflicts (
    found_at     timestamptz NOT NULL,
    resolved_at  timestamptz,
    customer_id  text NOT NULL,
    app_user_ids jsonb NOT NULL,      -- sorted; whose own purchases bring accesses
    resolution   text NOT NULL DEFAULT '',
    CONSTRAINT customer_conflicts_pkey PRIMARY KEY (customer_id, app_user_ids)
);
CREATE INDEX customer_conflicts_open_idx ON customer_conflicts (found_at) WHERE resolved_at IS NULL;
