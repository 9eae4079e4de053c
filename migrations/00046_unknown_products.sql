-- +goose Up
-- Products that no catalogue knew, by product: when a catalogue is loaded that has
-- one, whoever bought it is found without reading all the others.
DROP INDEX purchases_unknown_product_idx;
CREATE INDEX purchases_unknown_product_idx ON purchases (store, product_id) WHERE catalog_version = 0 AND product_id <> '';
