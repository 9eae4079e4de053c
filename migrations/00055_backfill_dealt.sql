-- +goose Up
-- Rows are dealt to parts by the transaction that a subscription began with, no longer
-- by their own. The checkpoint of a part counts the rows that were dealt to it, so files
-- that are not finished are read anew: what is known already is left as it is.
UPDATE backfill_files f SET row_done = 0, row_new = 0, row_changed = 0, row_same = 0, row_skipped = 0, row_refused = 0,
    links = 0, bytes_read = 0, finished = false
WHERE EXISTS (SELECT FROM backfill_files o WHERE o.run_id = f.run_id AND o.url = f.url AND NOT o.finished);
