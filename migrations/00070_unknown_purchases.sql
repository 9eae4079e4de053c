-- +goose Up
-- Purchases that were folded and whose product no catalogue had: somebody paid and got
-- nothing of ours. The index that found them cost every purchase, and an update in every
-- index when a purchase was bound to a catalogue; and it had those, too, that were merely
-- not folded yet. A row is a candidate, and the purchase itself says whether it still is
-- unknown. A fold that binds the purchase deletes it; what was bound beside is swept.
CREATE TABLE unknown_purchases (
    found_at       timestamptz NOT NULL,
    store          text NOT NULL,
    environment    text NOT NULL,
    transaction_id text NOT NULL,
    product_id     text NOT NULL,
    CONSTRAINT unknown_purchases_pkey PRIMARY KEY (transaction_id, store, environment),
    CONSTRAINT unknown_purchases_product_id_check CHECK (product_id <> '')
);
CREATE INDEX unknown_purchases_product_idx ON unknown_purchases (store, product_id);

-- The candidates that are unknown. OFFSET 0 keeps each a look-up of its purchase by key.
CREATE VIEW purchases_of_unknown_products AS
SELECT u.store, u.environment, u.transaction_id, u.product_id, u.found_at, p.recorded_at, p.app_user_id, p.buyer
FROM unknown_purchases u CROSS JOIN LATERAL (
    SELECT recorded_at, app_user_id, buyer FROM purchases
    WHERE transaction_id = u.transaction_id AND store = u.store AND environment = u.environment
        AND catalog_version = 0 AND product_id = u.product_id
    OFFSET 0) p;

INSERT INTO unknown_purchases (found_at, store, environment, transaction_id, product_id)
SELECT recorded_at, store, environment, transaction_id, product_id FROM purchases WHERE catalog_version = 0 AND product_id <> '';
DROP INDEX purchases_unknown_product_idx;
