-- +goose Up
-- A movement that tells again of an adjustment of ours, as far as one can know: same
-- customer, same sums, same minutes. It is kept, and moves nothing in the ledger.
ALTER TABLE provider_movements ADD COLUMN adjustment_id uuid;
ALTER TABLE provider_movements DROP CONSTRAINT provider_movements_kind_check;
ALTER TABLE provider_movements ADD CONSTRAINT provider_movements_kind_check CHECK ((kind, debit, credit) IN (
    ('store_credit', 'store', 'wallet'),
    ('store_removal', 'wallet', 'store'),
    ('provider_credit', 'issuance', 'wallet'),
    ('provider_removal', 'wallet', 'issuance'),
    ('own_seen', 'wallet', 'wallet')));
ALTER TABLE provider_movements ADD CONSTRAINT provider_movements_own_check CHECK ((kind = 'own_seen') = (adjustment_id IS NOT NULL));
CREATE INDEX provider_movements_adjustment_id_idx ON provider_movements (adjustment_id) WHERE adjustment_id IS NOT NULL;
