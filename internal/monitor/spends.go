package monitor

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/budget"
	"github.com/sluice-gems/sluice/internal/revenuecat"
)

// openRow is what is open of one state.
type openRow struct {
	State   economy.State `db:"state"`
	Spends  int64         `db:"spends"`
	Players int64         `db:"players"`
	Age     float64       `db:"age"` // seconds
}

func readOpen(ctx context.Context, db *sqlx.DB) ([]openRow, error) {
	var rows []openRow
	err := db.SelectContext(ctx, &rows, `SELECT state, sum(spends)::bigint AS spends, count(*) AS players,
			greatest(0, extract(epoch FROM now() - min(first)))::float8 AS age
		FROM (SELECT state, count(*) AS spends, min(accepted_at) AS first FROM spends WHERE finished_at IS NULL GROUP BY state, app_user_id) player
		GROUP BY state`)
	if err != nil {
		return nil, fmt.Errorf("read open spends: %w", err)
	}
	return rows, nil
}

// waiting returns how many calls to the provider open spends wait for.
func waiting(rows []openRow) (calls int64) {
	for _, r := range rows {
		if r.State == economy.Requested {
			calls += r.Players // a player's are charged together
		}
		if r.State == economy.Refunding {
			calls += r.Spends
		}
	}
	return calls
}

// Waiting returns how many calls to the provider open spends wait for: the number of
// Provider.Waiting, read now.
func Waiting(ctx context.Context, db *sqlx.DB) (int, error) {
	rows, err := readOpen(ctx, db)
	return int(waiting(rows)), err
}

// openStates are the states that a spend leaves again by itself, in order.
var openStates = []economy.State{economy.Requested, economy.Charged, economy.Refunding}

// readSpends reads what is open, and how the provider, whom it waits for, stands.
func (m *Monitor) readSpends(ctx context.Context, s *Snapshot) error {
	rows, err := readOpen(ctx, m.db)
	if err != nil {
		return err
	}
	for _, state := range openStates {
		line := OpenState{State: string(state)}
		for _, r := range rows {
			if r.State == state {
				line.Spends, line.OldestAge = r.Spends, secondsOf(r.Age)
			}
		}
		s.Open = append(s.Open, line)
	}
	return m.readProvider(ctx, s, waiting(rows))
}

func (m *Monitor) readProvider(ctx context.Context, s *Snapshot, calls int64) error {
	standing, err := budget.Read(ctx, m.db)
	if err != nil {
		return err
	}
	p := &Provider{Budgets: []Budget{}, Waiting: calls}
	for _, d := range standing.Domains {
		p.Budgets = append(p.Budgets, Budget{Domain: string(d.Domain), Limit: d.Limit, Used: d.Used, ToldToWait: Seconds(d.ClosedFor)})
	}
	p.Circuit, p.CircuitReason, p.ProbeIn = standing.Circuit, standing.Reason, Seconds(standing.ProbeIn)
	p.ETA = Seconds(standing.ETA(revenuecat.Transactions, budget.Live, int(calls)))
	s.Provider = p
	return nil
}
