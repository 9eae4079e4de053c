package reconcile

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat"
)

// Provider reads balances, when the budget's idle share allows it.
type Provider interface {
	Balances(ctx context.Context, appUserID string) (revenuecat.Reading, error)
}

// Customers tells all ids of a customer; purchases.Store does.
type Customers interface {
	Customer(ctx context.Context, appUserID string) (economy.Customer, error)
}

// Scope is which customers a run looks at, and what it does.
type Scope struct {
	Players   []string // these; nil: see Sample
	Sample    int      // so many, drawn by chance; 0: all
	Repair    bool     // post corrections
	Purchases bool     // have purchases read again
	Anew      bool     // do not go on with a run that was broken off: it is ended as it is
	Reason    string   // of a repair
	By        string   // who runs it
	Login     string   // who that certainly is
}

// key is the same for the same command.
func (s Scope) key() string {
	players := slices.Clone(s.Players)
	slices.Sort(players)
	raw, err := json.Marshal(map[string]any{"players": slices.Compact(players), "sample": s.Sample, "repair": s.Repair, "purchases": s.Purchases})
	if err != nil { // text, numbers and booleans always encode
		panic(err)
	}
	return string(raw)
}

// Runner compares.
type Runner struct {
	DB        *sqlx.DB
	Provider  Provider
	Customers Customers
	Wish      func(ctx context.Context, appUserID string) error // has a customer's purchases read again
	Now       func() time.Time
	NewID     func() string
	Log       *slog.Logger
	Settle    time.Duration                              // between the looks at a difference; 0: SettleDefault
	Progress  func(customers int)                        // may be nil
	Settling  func(Settling)                             // may be nil; called before each wait for a second look, and after it with the zero Settling
	Wait      func(context.Context, time.Duration) error // nil: by the real clock
}

const (
	// SettleDefault is longer than webhooks usually take (RevenueCat docs: most within
	// a minute).
	SettleDefault = 2 * time.Minute
	// looksMax is how often a customer is looked at before it is left unjudged.
	looksMax = 4
	// page is how many customers are looked at between two checkpoints, and together
	// how many at once.
	page, together = 50, 4
	// runLock is the advisory lock of the one run at work ("recon" in hex).
	runLock = 0x7265636f6e
	// waitMax bounds the wait that the budget names.
	waitMax = time.Minute
)

// ErrBusy says that another run is at work.
var ErrBusy = errors.New("another sluice reconcile is at work: two would share the same idle calls, and could repair twice")

// run is a row of reconcile_runs.
type run struct {
	ID         string         `db:"id"`
	StartedAt  time.Time      `db:"started_at"`
	Position   string         `db:"position"`
	Players    sql.NullString `db:"players"`
	Wished     int64          `db:"wished"`
	FinishedAt sql.NullTime   `db:"finished_at"`
}

// Run begins a run, or goes on with one of the same scope that was broken off, and
// returns its report when it is done. What ends it early (ctx, the database) leaves
// everything to the next call.
func (r *Runner) Run(ctx context.Context, scope Scope) (Report, error) {
	lock, err := r.DB.Connx(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("reconcile: %w", err)
	}
	defer func() { _ = lock.Close() }()
	var mine bool
	if err := lock.GetContext(ctx, &mine, "SELECT pg_try_advisory_lock($1)", runLock); err != nil {
		return Report{}, fmt.Errorf("reconcile: %w", err)
	}
	if !mine {
		return Report{}, ErrBusy
	}
	defer func() { _, _ = lock.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", runLock) }()
	run, resumed, err := r.begin(ctx, scope)
	if err != nil {
		return Report{}, fmt.Errorf("reconcile: %w", err)
	}
	if resumed {
		r.Log.InfoContext(ctx, "reconcile goes on where it was broken off", "run", run.ID, "started_at", run.StartedAt)
	}
	if err := r.first(ctx, &run, scope); err != nil {
		return Report{}, fmt.Errorf("reconcile: %w", err)
	}
	if err := r.suspects(ctx, run, scope); err != nil {
		return Report{}, fmt.Errorf("reconcile: %w", err)
	}
	if _, err := r.DB.ExecContext(ctx, "UPDATE reconcile_runs SET finished_at = $2 WHERE id = $1", run.ID, r.Now()); err != nil {
		return Report{}, fmt.Errorf("reconcile: %w", err)
	}
	report, err := r.report(ctx, run)
	if err == nil {
		r.tell(ctx, report)
	}
	return report, err
}

// everybody is whoever has lines in our books or a balance.
const everybody = `SELECT app_user_id FROM spends UNION SELECT app_user_id FROM provider_movements UNION SELECT app_user_id FROM ledger_corrections UNION SELECT app_user_id FROM balances`

func (r *Runner) begin(ctx context.Context, scope Scope) (run, bool, error) {
	if scope.Anew {
		if _, err := r.DB.ExecContext(ctx, "UPDATE reconcile_runs SET finished_at = $2 WHERE scope = $1 AND finished_at IS NULL", scope.key(), r.Now()); err != nil {
			return run{}, false, err
		}
	}
	var known run
	const columns = "id, started_at, position, players, wished, finished_at"
	err := r.DB.GetContext(ctx, &known, "SELECT "+columns+" FROM reconcile_runs WHERE scope = $1 AND finished_at IS NULL", scope.key())
	if err == nil || !errors.Is(err, sql.ErrNoRows) {
		return known, err == nil, err
	}
	players := scope.Players
	if players == nil && scope.Sample > 0 {
		if players, err = r.draw(ctx, scope.Sample); err != nil {
			return run{}, false, err
		}
	}
	chosen := []byte("null")
	if players != nil || scope.Sample > 0 {
		slices.Sort(players)
		if chosen, err = json.Marshal(slices.Compact(players)); err != nil {
			return run{}, false, err
		}
	}
	fresh := run{ID: r.NewID(), StartedAt: r.Now(), Players: sql.NullString{String: string(chosen), Valid: true}}
	_, err = r.DB.ExecContext(ctx, "INSERT INTO reconcile_runs (id, started_at, scope, started_by, reason, players) VALUES ($1, $2, $3, $4, $5, $6)",
		fresh.ID, fresh.StartedAt, scope.key(), scope.By, scope.Reason, string(chosen))
	return fresh, false, err
}

// draw chooses by chance. It reads everybody, so it may take minutes.
func (r *Runner) draw(ctx context.Context, n int) (players []string, err error) {
	tx, err := r.DB.BeginTxx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, "SET LOCAL statement_timeout = '10min'"); err != nil {
		return nil, err
	}
	err = tx.SelectContext(ctx, &players, "SELECT app_user_id FROM ("+everybody+") p ORDER BY random() LIMIT $1", n)
	return players, err
}

// next returns the ids that follow the run's position.
func (r *Runner) next(ctx context.Context, run run) (ids []string, err error) {
	var chosen []string
	if err := json.Unmarshal([]byte(run.Players.String), &chosen); err != nil {
		return nil, err
	}
	if chosen != nil {
		at, found := slices.BinarySearch(chosen, run.Position)
		if found {
			at++
		}
		return chosen[at:min(at+page, len(chosen))], nil
	}
	// Of each table the next ids alone, by their indexes: a page does not read everybody.
	arms := make([]string, 0, 4)
	for _, table := range []string{"spends", "provider_movements", "ledger_corrections", "balances"} {
		arms = append(arms, fmt.Sprintf(`(WITH RECURSIVE p (id, n) AS ((SELECT app_user_id, 1 FROM %[1]s WHERE app_user_id > $1 ORDER BY app_user_id LIMIT 1)
			UNION ALL SELECT (SELECT app_user_id FROM %[1]s t WHERE t.app_user_id > p.id ORDER BY app_user_id LIMIT 1), n + 1 FROM p WHERE p.id IS NOT NULL AND n < $2)
			SELECT id FROM p WHERE id IS NOT NULL)`, table))
	}
	err = r.DB.SelectContext(ctx, &ids, "SELECT id FROM ("+strings.Join(arms, " UNION ")+") p ORDER BY id LIMIT $2", run.Position, page)
	return ids, err
}

// first looks at everybody in scope once.
func (r *Runner) first(ctx context.Context, run *run, scope Scope) error {
	for done := 0; ; {
		ids, err := r.next(ctx, *run)
		if err != nil || len(ids) == 0 {
			return err
		}
		group, looking := errgroup.WithContext(ctx)
		group.SetLimit(together)
		for _, id := range ids {
			group.Go(func() error { return r.once(looking, *run, scope, id) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
		run.Position = ids[len(ids)-1]
		if _, err := r.DB.ExecContext(ctx, "UPDATE reconcile_runs SET position = $2 WHERE id = $1", run.ID, run.Position); err != nil {
			return err
		}
		if done += len(ids); r.Progress != nil {
			r.Progress(done)
		}
	}
}

// once looks at a customer who was not looked at in this run.
func (r *Runner) once(ctx context.Context, run run, scope Scope, id string) error {
	customer, err := r.Customers.Customer(ctx, id)
	if err != nil {
		return err
	}
	var looked bool
	if err := r.DB.GetContext(ctx, &looked, "SELECT EXISTS (SELECT FROM reconciliations WHERE customer_id = $1 AND run_id = $2)", customer.ID, run.ID); err != nil || looked {
		return err
	}
	if scope.Purchases {
		if err := r.Wish(ctx, customer.ID); err != nil {
			return err
		}
		if _, err := r.DB.ExecContext(ctx, "UPDATE reconcile_runs SET wished = wished + 1 WHERE id = $1", run.ID); err != nil {
			return err
		}
	}
	seen, err := r.patiently(ctx, customer)
	if err != nil {
		return err
	}
	return r.keep(ctx, run, scope, seen, seen.results(), 1)
}
