package outbox

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// Wake makes a consumer's parked deliveries due whose last error begins with why,
// and returns how many: what they waited for has ended before their time.
func Wake(ctx context.Context, db *sqlx.DB, consumer, why string) (int64, error) {
	result, err := db.ExecContext(ctx, `UPDATE outbox SET due_at = now()
		WHERE consumer = $1 AND published_at IS NULL AND due_at > now() AND starts_with(last_error, $2)`, consumer, why)
	if err != nil {
		return 0, fmt.Errorf("wake deliveries of %s: %w", consumer, err)
	}
	return result.RowsAffected()
}
