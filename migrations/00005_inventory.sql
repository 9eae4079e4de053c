-- +goose Up
-- Items handed over into our own inventory; the spend's id makes each once.
CREATE TABLE inventory_grants (
    spend_id    uuid NOT NULL,
    quantity    bigint NOT NULL,
    granted_at  timestamptz NOT NULL,
    revoked_at  timestamptz,
    app_user_id text NOT NULL,
    item        text NOT NULL,
    CONSTRAINT inventory_grants_pkey PRIMARY KEY (spend_id),
    CONSTRAINT inventory_grants_quantity_check CHECK (quantity >= 1)
);
CREATE INDEX inventory_grants_app_user_id_idx ON inventory_grants (app_user_id);

-- How many of a limited item a player holds or has under way. Locked in the commit
-- that accepts a spend, so that two requests at once cannot pass the limit together.
CREATE TABLE item_counters (
    used        bigint NOT NULL DEFAULT 0,
    app_user_id text NOT NULL,
    item        text NOT NULL,
    CONSTRAINT item_counters_pkey PRIMARY KEY (app_user_id, item),
    CONSTRAINT item_counters_used_check CHECK (used >= 0)
);
