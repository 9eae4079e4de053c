package retention

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/internal/postgres"
)

const (
	// monthsAhead is how many months' partitions exist beside the current one: `relay`
	// may be off for as long without anything going to the partition of the rest.
	monthsAhead = 2
	// patience is how long a change of partitions waits for a lock. Everybody who writes
	// to the table waits behind it.
	patience = "1s"
	// counting bounds the count of a month's rows, which nobody waits for.
	counting = "10min"
	// holding bounds each statement while everybody waits.
	holding = "3s"
	// lockKey is the advisory lock of whoever changes partitions ("retain" in hex).
	lockKey = 0x72657461696e
)

// history is a table in partitions by month.
type history struct {
	table string
	keep  time.Duration          // 0: for ever
	bound func(time.Time) string // how a moment is written as a bound
	at    func(string) (time.Time, error)
	open  []pin
}

// pin is a kind of open things that hold a partition: a query over its bounds that
// counts them.
type pin struct{ what, query string }

// histories are the tables in partitions.
func (r *Retention) histories() []history {
	return []history{
		{"webhook_events", r.Policy.Webhooks, uuidOf, timeOfUUID, webhookPins},
		{"purchase_versions", r.Policy.PurchaseVersions, stampOf, timeOfStamp, versionPins},
	}
}

// uuidOf returns the smallest UUIDv7 of a moment, as far as its time goes (RFC 9562, 5.7).
func uuidOf(at time.Time) string {
	hex := fmt.Sprintf("%012x%020d", at.UnixMilli(), 0)
	return hex[:8] + "-" + hex[8:12] + "-" + hex[12:16] + "-" + hex[16:20] + "-" + hex[20:]
}

func timeOfUUID(bound string) (time.Time, error) {
	ms, err := strconv.ParseInt(strings.ReplaceAll(bound, "-", "")[:12], 16, 64)
	return time.UnixMilli(ms).UTC(), err
}

// stampLayout is how PostgreSQL writes a moment in UTC and the style ISO.
const stampLayout = "2006-01-02 15:04:05+00"

func stampOf(at time.Time) string { return at.UTC().Format(stampLayout) }

func timeOfStamp(bound string) (time.Time, error) { return time.Parse(stampLayout, bound) }

// partition is one month of a history, or what was there before it had months.
type partition struct {
	Name  string `db:"name"`
	Bound string `db:"bound"`
	Rows  int64  `db:"rows"`
	Bytes int64  `db:"bytes"`

	from, until string    // its bounds as written; from is empty for the first one
	old         time.Time // everything in it is older
}

func (p partition) done(h history) Done {
	return Done{Table: h.table, Partition: p.Name, Until: &p.old, Rows: p.Rows, Bytes: p.Bytes}
}

var boundPattern = regexp.MustCompile(`^FOR VALUES FROM \((?:MINVALUE|'([^']+)')\) TO \('([^']+)'\)$`)

// partitions returns a history's partitions but for that of the rest.
func (r *Retention) partitions(ctx context.Context, tx *sqlx.Tx, h history) ([]partition, error) {
	if _, err := tx.ExecContext(ctx, "SET LOCAL TIME ZONE 'UTC'; SET LOCAL datestyle = 'ISO'"); err != nil {
		return nil, err
	}
	var all []partition
	if err := tx.SelectContext(ctx, &all, `SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bound,
			greatest(c.reltuples, 0)::bigint AS rows, pg_total_relation_size(c.oid) AS bytes
		FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = $1::regclass ORDER BY c.relname`, h.table); err != nil {
		return nil, err
	}
	list := all[:0]
	for _, p := range all {
		if p.Bound == "DEFAULT" {
			continue
		}
		found := boundPattern.FindStringSubmatch(p.Bound)
		if found == nil {
			return nil, fmt.Errorf("partition %s has bounds that are not ours: %s", p.Name, p.Bound)
		}
		var err error
		if p.from, p.until = found[1], found[2]; p.from == "" {
			p.from = h.bound(time.Unix(0, 0))
		}
		if p.old, err = h.at(p.until); err != nil {
			return nil, fmt.Errorf("partition %s: %w", p.Name, err)
		}
		list = append(list, p)
	}
	return list, nil
}

// inTx runs in a transaction that changes partitions, alone of all processes, or not at
// all when another one is at it.
func (r *Retention) inTx(ctx context.Context, do func(tx *sqlx.Tx) error) error {
	tx, err := r.DB.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	var mine bool
	if err := tx.GetContext(ctx, &mine, "SELECT pg_try_advisory_xact_lock($1)", lockKey); err != nil || !mine {
		return err
	}
	if _, err := tx.ExecContext(ctx, "SET LOCAL lock_timeout = '"+patience+"'"); err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// make makes the partitions of this month and the next ones, as far as they are missing.
// What came for them already lies with the rest, and moves.
func (r *Retention) make(ctx context.Context, h history, now time.Time) (made []Done, err error) {
	err = r.inTx(ctx, func(tx *sqlx.Tx) error {
		list, err := r.partitions(ctx, tx, h)
		if err != nil {
			return err
		}
		first := time.Date(now.UTC().Year(), now.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
		for ahead := range monthsAhead + 1 {
			from, until := first.AddDate(0, ahead, 0), first.AddDate(0, ahead+1, 0)
			covered := false
			for _, p := range list {
				covered = covered || p.old.After(from)
			}
			if covered {
				continue
			}
			p := partition{Name: h.table + from.Format("_2006_01"), from: h.bound(from), until: h.bound(until), old: until}
			if p.Rows, err = attach(ctx, tx, h, p); err != nil {
				return err
			}
			list = append(list, p)
			d := p.done(h)
			d.What = Made
			made = append(made, d)
		}
		return nil
	})
	if busy(err) {
		return []Done{{Table: h.table, What: Busy}}, nil
	}
	if err != nil {
		return nil, err
	}
	return made, nil
}

// attach makes a partition, and moves there what lies with the rest.
func attach(ctx context.Context, tx *sqlx.Tx, h history, p partition) (moved int64, err error) {
	key := "id"
	if h.table == "purchase_versions" {
		key = "said_at"
	}
	statements := []string{
		fmt.Sprintf("CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)", p.Name, h.table),
		fmt.Sprintf("LOCK TABLE %s_rest IN ACCESS EXCLUSIVE MODE", h.table),
		fmt.Sprintf("WITH moved AS (DELETE FROM %[2]s_rest WHERE %[3]s >= '%[4]s' AND %[3]s < '%[5]s' RETURNING *) INSERT INTO %[1]s SELECT * FROM moved",
			p.Name, h.table, key, p.from, p.until),
		fmt.Sprintf("ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')", h.table, p.Name, p.from, p.until),
	}
	for _, statement := range statements { // names and bounds are ours
		result, err := tx.ExecContext(ctx, statement)
		if err != nil {
			return 0, err
		}
		if n, err := result.RowsAffected(); err == nil {
			moved += n
		}
	}
	return moved, nil
}

// old returns the partitions of which everything is older than the policy keeps, with
// the number of their rows.
func (r *Retention) old(ctx context.Context, h history, now time.Time) ([]partition, error) {
	if h.keep <= 0 {
		return nil, nil
	}
	tx, err := r.DB.BeginTxx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, "SET LOCAL statement_timeout = '"+counting+"'"); err != nil {
		return nil, err
	}
	all, err := r.partitions(ctx, tx, h)
	if err != nil {
		return nil, err
	}
	var list []partition
	for _, p := range all {
		if p.old.After(now.Add(-h.keep)) {
			continue
		}
		if err := tx.GetContext(ctx, &p.Rows, "SELECT count(*) FROM "+p.Name); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// drop drops the partitions that are old and that nothing open holds.
func (r *Retention) drop(ctx context.Context, h history, now time.Time) (done []Done, err error) {
	old, err := r.old(ctx, h, now)
	if err != nil {
		return nil, err
	}
	for _, p := range old {
		d := p.done(h)
		if d.Open, err = r.open(ctx, r.DB, h, p); err != nil {
			return done, err
		}
		if d.What = Held; len(d.Open) == 0 {
			d.What = ""
			err = r.inTx(ctx, func(tx *sqlx.Tx) error {
				// Nobody writes or reads from here on: what is open now is all there is.
				if _, err := tx.ExecContext(ctx, "SET LOCAL statement_timeout = '"+holding+"'; LOCK TABLE ONLY "+h.table+" IN ACCESS EXCLUSIVE MODE"); err != nil {
					return err
				}
				var err error
				if d.Open, err = r.open(ctx, tx, h, p); err != nil {
					return err
				}
				if d.What = Held; len(d.Open) > 0 {
					return nil
				}
				d.What = Dropped
				_, err = tx.ExecContext(ctx, "DROP TABLE "+p.Name)
				return err
			})
		}
		switch {
		case busy(err):
			d.What = Busy
		case err != nil:
			return done, err
		case d.What == "": // another process is at it
			continue
		}
		done = append(done, d)
	}
	return done, nil
}

// busy reports whether a lock was not had in time, or a statement took longer than it
// may while others wait (PostgreSQL manual, appendix A: lock_not_available, query_canceled).
func busy(err error) bool { return slices.Contains([]string{"55P03", "57014"}, postgres.Code(err)) }

// open returns what holds a partition.
func (r *Retention) open(ctx context.Context, db sqlx.QueryerContext, h history, p partition) ([]string, error) {
	var list []string
	for _, pin := range h.open {
		var n int64
		if err := sqlx.GetContext(ctx, db, &n, pin.query, p.from, p.until); err != nil {
			return nil, errors.Join(fmt.Errorf("look for open %s", pin.what), err)
		}
		if n > 0 {
			list = append(list, fmt.Sprintf("%d %s", n, pin.what))
		}
	}
	return list, nil
}
