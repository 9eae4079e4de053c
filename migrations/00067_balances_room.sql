-- +goose Up
-- Every answer of the provider updates a balance. With room beside it on its page that
-- is a heap-only update, while a transaction is held open elsewhere, too: otherwise each
-- version is one more entry of the index, which every look at the balance passes.
ALTER TABLE balances SET (fillfactor = 30);
