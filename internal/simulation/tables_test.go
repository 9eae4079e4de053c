package simulation

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/adjustments"
)

// tables writes the model's tables down as tables does PostgreSQL's.
func (g *generator) tables() string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	d, now := g.db, time.Now()
	for _, s := range d.spends {
		add("spend %s %s %q %s<%s %q %q unknown=%t asked=%t revoked=%t held=%t by=%s change=%s", s.ID, s.Kind, s.Note, s.State, s.left, s.Reason, s.NeedsOperator, !s.UnknownSince.IsZero(), s.asked, !s.RevokedAt.IsZero(), s.Held, s.AdjustmentID, s.change)
	}
	for _, a := range d.adjustments {
		add("adjustment %s %s %s %d by %q leased=%t unknown=%t change=%s", a.ID, a.Purpose, a.state, a.Attempts, a.LeasedBy, a.leasedUntil.After(now), !a.UnknownSince.IsZero(), a.change)
	}
	for _, row := range d.outbox {
		add("outbox %s %s parked=%t due=%t attempts=%d %s", row.event, row.consumer, row.published.IsZero(), !row.due.After(now), row.attempts, row.payload)
	}
	for _, name := range d.dead {
		add("dead %s", name)
	}
	for _, line := range d.lines {
		add("line %s %s %s %d %s>%s", line.SpendID, line.Kind, line.Currency, line.Amount, line.Debit, line.Credit)
	}
	for spend, quantity := range d.grants {
		add("grant %s %d taken=%t", spend, quantity, d.taken[spend])
	}
	for _, player := range crowd {
		add("used %s %d", player, d.used[[2]string{player, "limited"}])
	}
	for key, kept := range d.balances {
		add("balance %s %s %d %d", key[0], key[1], kept.amount, kept.asOf.Unix())
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// requireSameReads compares what the model and PostgreSQL answer to a teller.
func (g *generator) requireSameReads(t *testing.T, db *sqlx.DB, what string) {
	t.Helper()
	type reads interface {
		adjustments.Turns
		adjustments.Bases
	}
	player, limit, spend := g.player(), 1+g.IntN(4), g.db.spends[g.IntN(len(g.db.spends))].Spend
	var answers [2]string
	for i, from := range []reads{g.db, adjustments.Store{DB: db}} {
		turn, err := from.Turn(t.Context(), player, limit)
		require.NoError(t, err, what)
		aside, err := from.Aside(t.Context(), spend)
		require.NoError(t, err, what)
		answers[i] = fmt.Sprintf("%s\n%s\n", told(turn), told(aside))
		for _, open := range []*adjustments.Adjustment{turn.Open, aside.Open} {
			if open != nil {
				base, known, err := from.Base(t.Context(), open)
				require.NoError(t, err, what)
				answers[i] += fmt.Sprintf("%v %t\n", base, known)
			}
		}
	}
	require.Equal(t, answers[0], answers[1], what)
}

// told writes a turn down.
func told(turn adjustments.Turn) string {
	var out strings.Builder
	if open := turn.Open; open != nil {
		fmt.Fprintf(&out, "%s %s of %q, key %s, body %s, %v, %d by %q, leased %t, opened %d, unknown %t",
			open.ID, open.Purpose, open.SpendID, open.IdempotencyKey, open.Body, open.Deltas, open.Attempts, open.LeasedBy,
			open.LeasedFor > 0, open.OpenedAt.Unix(), !open.UnknownSince.IsZero())
	}
	for _, list := range [][]economy.Spend{turn.Spends, turn.Waiting} {
		out.WriteString("; spends")
		for _, s := range list {
			fmt.Fprintf(&out, " %s %v by %q unknown %t", s, s.Cost, s.AdjustmentID, !s.UnknownSince.IsZero())
		}
	}
	fmt.Fprintf(&out, "; known %v", turn.Known)
	return out.String()
}

func tables(t *testing.T, db *sqlx.DB) string {
	t.Helper()
	var lines []string
	require.NoError(t, db.Select(&lines, `
		SELECT format('spend %s %s "%s" %s<%s "%s" "%s" unknown=%s asked=%s revoked=%s held=%s by=%s change=%s', id, kind, note, state, left_state, reason, needs_operator,
			(unknown_since IS NOT NULL)::text, (revoke_asked_at IS NOT NULL)::text, (revoked_at IS NOT NULL)::text, held::text, adjustment_id, change_id) FROM spends
		UNION ALL SELECT format('adjustment %s %s %s %s by "%s" leased=%s unknown=%s change=%s', id, purpose, state, attempts, leased_by,
			(leased_until > now())::text, (unknown_since IS NOT NULL)::text, change_id) FROM adjustments
		UNION ALL SELECT format('outbox %s %s parked=%s due=%s attempts=%s %s', event_id, consumer, (published_at IS NULL)::text,
			(due_at <= now())::text, attempts, payload::text) FROM outbox
		UNION ALL SELECT format('dead %s of %s', event_id, consumer) FROM dead_letters
		UNION ALL SELECT format('line %s %s %s %s %s>%s', spend_id, kind, currency, amount, debit, credit) FROM ledger_entries
		UNION ALL SELECT format('grant %s %s taken=%s', spend_id, quantity, (revoked_at IS NOT NULL)::text) FROM inventory_grants
		UNION ALL SELECT format('used %s %s', app_user_id, used) FROM item_counters
		UNION ALL SELECT format('balance %s %s %s %s', app_user_id, currency, balance, extract(epoch FROM as_of)::bigint) FROM balances`))
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
