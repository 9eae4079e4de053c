// Package retention lets history go by age, as the policy says: raw events of the
// provider and statements about purchases lie in partitions by month, which are made
// ahead and dropped whole. What is open holds its partition: a delivery that is owed, a
// dead letter nobody resolved, a claim that waits. The books are never dropped
// (docs/decisions/0017-what-goes-by-age.md).
package retention

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/internal/purchases"
)

const (
	// interval is how often Run looks.
	interval = time.Hour
	// chunk is how many rows one statement takes, so that none holds its locks long.
	chunk = 500
	// keyAge is how long the key of a webhook is kept at least, whatever becomes of its
	// row: a replay by hand, and the longest of RevenueCat's own, are known as such.
	keyAge = 366 * 24 * time.Hour
)

// Policy is the age at which each kind of history goes; 0: never.
type Policy struct {
	WebhookBodies    time.Duration // the raw bodies of webhooks are cleared
	Webhooks         time.Duration // webhooks are deleted, and their keys when a year old
	PurchaseVersions time.Duration // statements about purchases are deleted; what they come to stays
}

// Retention keeps to a policy. Several may run at once.
type Retention struct {
	DB     *sqlx.DB
	Store  *purchases.Store
	Policy Policy
	Now    func() time.Time
	Log    *slog.Logger
}

// Done is one thing that went, or would go, by age.
type Done struct {
	Table     string     `json:"table"`
	Partition string     `json:"partition,omitempty"` // empty: single rows
	Until     *time.Time `json:"until,omitempty"`     // everything in it is older than this
	What      string     `json:"what"`                // as in the constants below
	Rows      int64      `json:"rows"`
	Bytes     int64      `json:"bytes,omitempty"`
	Open      []string   `json:"open,omitempty"` // what holds it, such as "2 deliveries owed"
}

// What is done to a partition or to rows.
const (
	Dropped = "dropped"
	Held    = "held by what is open"
	Busy    = "busy: left for the next time"
	Deleted = "rows deleted"
	Cleared = "bodies cleared"
	KeysOff = "keys deleted"
	Made    = "made ahead"
)

// Run keeps to the policy now and then every hour until ctx ends. What fails is logged
// and tried again an hour later.
func (r *Retention) Run(ctx context.Context) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		done, err := r.Sweep(ctx)
		for _, d := range done {
			r.Log.InfoContext(ctx, "retention", "table", d.Table, "partition", d.Partition, "what", d.What, "rows", d.Rows, "open", d.Open)
		}
		if err != nil && ctx.Err() == nil {
			r.Log.WarnContext(ctx, "retention", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Sweep makes the partitions of the coming months, and lets go what is old by now. A
// second call finds nothing to do. One thing that fails, such as for want of a right to
// change tables, is in nobody's way: what was done is returned with the errors.
func (r *Retention) Sweep(ctx context.Context) (done []Done, err error) {
	now := r.Now()
	var problems []error
	note := func(more []Done, err error, what, table string) {
		done = append(done, more...)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s of %s: %w", what, table, err))
		}
	}
	for _, h := range r.histories() {
		made, err := r.make(ctx, h, now)
		note(made, err, "partitions not made", h.table)
		dropped, err := r.drop(ctx, h, now)
		note(dropped, err, "partitions not dropped", h.table)
	}
	for _, rows := range r.rows(now) {
		n, err := inChunks(func() (int, error) { return rows.take(ctx, chunk) })
		var more []Done
		if n > 0 {
			more = []Done{{Table: rows.table, What: rows.what, Rows: n}}
		}
		note(more, err, "not done: "+rows.what, rows.table)
	}
	return done, errors.Join(problems...)
}

// Plan returns what Sweep would let go, and changes nothing. Rows of a partition that
// goes are not counted a second time as single rows.
func (r *Retention) Plan(ctx context.Context) (plan []Done, err error) {
	now := r.Now()
	gone := map[string][]string{}
	for _, h := range r.histories() {
		old, err := r.old(ctx, h, now)
		if err != nil {
			return nil, fmt.Errorf("read partitions of %s: %w", h.table, err)
		}
		for _, p := range old {
			d := p.done(h)
			if d.Open, err = r.open(ctx, r.DB, h, p); err != nil {
				return nil, err
			}
			if d.What = Dropped; len(d.Open) > 0 {
				d.What = Held
			} else {
				gone[h.table] = append(gone[h.table], p.Name)
			}
			plan = append(plan, d)
		}
	}
	for _, rows := range r.rows(now) {
		n, err := rows.count(ctx, append([]string{}, gone[rows.table]...)) // a nil slice would be NULL
		if err != nil {
			return nil, fmt.Errorf("%s of %s: %w", rows.what, rows.table, err)
		}
		if n > 0 {
			plan = append(plan, Done{Table: rows.table, What: rows.what, Rows: n})
		}
	}
	return plan, nil
}

// oldRows are rows that go one by one: of partitions that something holds, of those
// that are only partly old, and of tables that have none.
type oldRows struct {
	table, what string
	take        func(ctx context.Context, limit int) (int, error)
	count       func(ctx context.Context, except []string) (int64, error) // but for those of some partitions
}

func (r *Retention) rows(now time.Time) []oldRows {
	var list []oldRows
	s, p := r.Store, r.Policy
	if p.WebhookBodies > 0 {
		before := now.Add(-p.WebhookBodies)
		list = append(list, oldRows{"webhook_events", Cleared,
			func(ctx context.Context, limit int) (int, error) { return s.ClearBodies(ctx, before, limit) },
			func(ctx context.Context, except []string) (int64, error) { return s.CountBodies(ctx, before, except) },
		})
	}
	if p.Webhooks > 0 {
		before := now.Add(-p.Webhooks)
		list = append(list, oldRows{"webhook_events", Deleted,
			func(ctx context.Context, limit int) (int, error) { return s.DeleteWebhooks(ctx, before, limit) },
			func(ctx context.Context, except []string) (int64, error) { return s.CountWebhooks(ctx, before, except) },
		})
		keys := now.Add(-max(p.Webhooks, keyAge))
		list = append(list, oldRows{"webhook_keys", KeysOff,
			func(ctx context.Context, limit int) (int, error) { return s.DeleteWebhookKeys(ctx, keys, limit) },
			func(ctx context.Context, _ []string) (int64, error) { return s.CountWebhookKeys(ctx, keys) },
		})
	}
	if p.PurchaseVersions > 0 {
		before := now.Add(-p.PurchaseVersions)
		list = append(list, oldRows{"purchase_versions_rest", Deleted,
			func(ctx context.Context, limit int) (int, error) { return s.DeleteLateVersions(ctx, before, limit) },
			func(ctx context.Context, _ []string) (int64, error) { return s.CountLateVersions(ctx, before) },
		})
	}
	return list
}

func inChunks(once func() (int, error)) (total int64, err error) {
	for {
		n, err := once()
		total += int64(n)
		if err != nil || n < chunk {
			return total, err
		}
	}
}
