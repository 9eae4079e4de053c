package purchases

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/sluice-gems/sluice/internal/gather"
	"github.com/sluice-gems/sluice/internal/postgres"
)

const webhooksQuery = "SELECT id::text, body FROM webhook_events WHERE id = ANY($1::uuid[]) AND body IS NOT NULL"

// Webhook returns the raw event that intake kept, or ErrNotFound; also when its
// body was cleared.
func (s *Store) Webhook(ctx context.Context, webhookID string) ([]byte, error) {
	id, err := uuid.Parse(webhookID)
	if err != nil {
		return nil, ErrNotFound
	}
	switch body, ok, err := s.webhooks.Get(ctx, id.String()); {
	case err != nil:
		return nil, fmt.Errorf("read webhook %s: %w", webhookID, err)
	case !ok:
		return nil, ErrNotFound
	default:
		return body, nil
	}
}

func (s *Store) readWebhooks(ctx context.Context, ids []string) (map[string]gather.Answer[[]byte], error) {
	rows, err := s.bodies.Queryx(ctx, postgres.Array(ids))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	bodies := make(map[string]gather.Answer[[]byte], len(ids))
	for rows.Next() {
		var id string
		var body []byte
		if err := rows.Scan(&id, &body); err != nil {
			return nil, err
		}
		bodies[id] = gather.Answer[[]byte]{Value: body}
	}
	return bodies, rows.Err()
}

// LastWebhook returns when the last authentic webhook was received; zero: never.
func (s *Store) LastWebhook(ctx context.Context) (time.Time, error) {
	var at sql.NullTime
	err := s.db.GetContext(ctx, &at, "SELECT max(received_at) FROM webhook_events")
	return at.Time.UTC(), err
}
