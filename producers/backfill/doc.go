// Package backfill replays history: the provider's exports become the same facts, rows
// and events as its webhooks, on the lane Bulk.
//
//	exports ─► read, filter ─► chunk ─► purchases.Bulk ─► purchases, links, outbox, checkpoint: one commit
//
// What it guarantees: the end is what recording every row by itself would have left, in
// whatever order files and webhooks come, and however often they do. The checkpoint of
// a file is in the commit of the rows it stands for, so a run that is killed goes on at
// the next row and does nothing twice. Nothing is held in memory but a few chunks.
//
// A run's state is a row of backfill_runs, which any process may change: Pause, Resume
// and Cancel hold from the next commit on. Consumers are not drowned: while the lane Bulk
// is owed more than Config.BacklogMax deliveries, a run waits.
package backfill
