package currencyfeed

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
)

// unknownCall is a call of unknown outcome, beside what the feed tells under its key.
type unknownCall struct {
	Settlement
	Key        string     `db:"idempotency_key"`
	Deltas     []byte     `db:"deltas"`
	OpenedAt   time.Time  `db:"opened_at"`
	ConflictAt *time.Time `db:"conflict_at"`
	Told       []byte     `db:"told"` // currency -> units; null: the feed has no such key
	File       *string    `db:"file"`
	Line       *int64     `db:"line"`
	At         *time.Time `db:"at"`
}

const unknownQuery = `SELECT a.id, a.app_user_id, a.purpose, a.idempotency_key, a.deltas, a.opened_at, a.conflict_at, f.told, f.file, f.line, f.at,
		coalesce(a.spend_id, (SELECT s.id FROM spends s WHERE s.app_user_id = a.app_user_id AND s.finished_at IS NULL AND s.adjustment_id = a.id ORDER BY s.seq LIMIT 1))::text AS spend_id
	FROM adjustments a LEFT JOIN LATERAL (SELECT jsonb_object_agg(f.currency, f.units) AS told, min(f.file) AS file, min(f.line) AS line, min(f.at) AS at
		FROM feed f WHERE f.key = a.idempotency_key AND f.units <> 0) f ON true
	WHERE a.state IN ('open', 'unknown') AND a.unknown_since IS NOT NULL ORDER BY a.seq`

// settle settles the calls of unknown outcome that the feed decides.
func (c Config) settle(ctx context.Context, conn *sqlx.Conn, r *Report) error {
	var calls []unknownCall
	if err := conn.SelectContext(ctx, &calls, unknownQuery); err != nil {
		return err
	}
	for _, call := range calls {
		decided, why, err := c.judge(call, *r)
		if err != nil {
			return err
		}
		one := call.Settlement
		one.Applied, one.Evidence = call.Told != nil, why
		if decided && !c.DryRun {
			if err := c.word(ctx, one); err != nil {
				decided, one.Evidence = false, fmt.Sprintf("%s; not settled: %v", why, err)
			}
		}
		if decided {
			r.Settled = append(r.Settled, one)
		} else {
			r.Unsettled = append(r.Unsettled, one)
		}
	}
	return nil
}

// judge says whether the feed decides a call, and by what evidence, or why it does not.
func (c Config) judge(call unknownCall, r Report) (decided bool, evidence string, err error) {
	sums, err := books.DecodeAmounts(call.Deltas)
	if err != nil {
		return false, "", fmt.Errorf("adjustment %s: %w", call.AdjustmentID, err)
	}
	if call.Told != nil {
		told, err := books.DecodeAmounts(call.Told)
		if err != nil {
			return false, "", fmt.Errorf("adjustment %s: %w", call.AdjustmentID, err)
		}
		row := fmt.Sprintf("currency feed row, line %d of %s: %s at %s under key %s", *call.Line, *call.File, told, moment(*call.At), call.Key)
		if !told.Equal(nonZero(sums)) {
			return false, row + ", but the call is for " + sums.String(), nil
		}
		return true, row, nil
	}
	switch until := r.Until.Add(-c.Margin); {
	case call.ConflictAt == nil:
		return false, "the feed lacks its key, and the provider has not yet said that it saw the key (409): it may still be applied", nil
	case r.Rejected > 0:
		return false, fmt.Sprintf("the feed lacks its key, and %d rows of it could not be read: one of them may have it", r.Rejected), nil
	case call.ConflictAt.After(until):
		return false, fmt.Sprintf("the feed lacks its key, and ends at %s, too early: take one that reaches past %s", moment(r.Until), moment(call.ConflictAt.Add(c.Margin))), nil
	case call.OpenedAt.Before(r.From):
		return false, "the feed lacks its key, and begins at " + moment(r.From) + ", after the call", nil
	case r.Ours == 0:
		return false, "the feed lacks its key, and has no key of ours at all: it may not tell keys as we sent them", nil
	case r.Lacking > 0:
		return false, fmt.Sprintf("the feed lacks its key, and %d changes that certainly took place: it is not whole", r.Lacking), nil
	}
	return true, fmt.Sprintf("currency feed row: there is none under key %s in %s, from %s until %s, with %d others of ours; the provider had seen the key by %s",
		call.Key, r.Files[len(r.Files)-1], moment(r.From), moment(r.Until), r.Ours, moment(*call.ConflictAt)), nil
}

func nonZero(a economy.Amounts) economy.Amounts {
	out := economy.Amounts{}
	for currency, amount := range a {
		if amount != 0 {
			out[currency] = amount
		}
	}
	return out
}

func moment(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// word settles a call. A worker that asks the provider about it at this moment is
// waited for.
func (c Config) word(ctx context.Context, one Settlement) (err error) {
	for range triesMax {
		var attempt int64
		if err := c.DB.GetContext(ctx, &attempt, "SELECT attempts FROM adjustments WHERE id = $1", one.AdjustmentID); err != nil {
			return err
		}
		if err = c.Settler.Settle(ctx, one.SpendID, attempt, one.Applied, one.Evidence); err == nil {
			return nil
		}
		timer := time.NewTimer(c.Again)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
	return err
}
