package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/internal/postgres"
)

// Open is a call at the provider whose outcome is not known yet. Until it is, the
// provider's balance may differ from our books by what the call moves.
type Open struct {
	ID           string          `db:"id" json:"id"`
	AppUserID    string          `db:"app_user_id" json:"app_user_id"`
	Purpose      string          `db:"purpose" json:"purpose"`
	State        string          `db:"state" json:"state"`
	Deltas       json.RawMessage `db:"deltas" json:"deltas"`
	Attempts     int64           `db:"attempts" json:"attempts"`
	OpenedAt     time.Time       `db:"opened_at" json:"opened_at"`
	UnknownSince *time.Time      `db:"unknown_since" json:"unknown_since,omitempty"`
}

const openColumns = `id, app_user_id, purpose, state, deltas, attempts, opened_at, unknown_since`

// open lists the open calls of these ids, in the order they were bound.
func (b *snapshot) open(ctx context.Context, ids []string) ([]Open, error) {
	list := []Open{}
	if err := b.tx.SelectContext(ctx, &list, `SELECT `+openColumns+` FROM adjustments WHERE id = ANY($1::uuid[]) ORDER BY seq`, postgres.Array(ids)); err != nil {
		return nil, fmt.Errorf("audit open calls: %w", err)
	}
	return list, nil
}
