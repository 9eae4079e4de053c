package books

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// Story is everything that is written down about one spend.
type Story struct {
	Spend       economy.Spend
	RequestID   string // of the request that it was accepted by, as the log has it; empty: nobody kept it
	Adjustments []StoryAdjustment
	Entries     []StoryEntry
	Owed        []StoryDelivery
	DeadLetters []StoryDelivery
}

// StoryAdjustment is a change of the balance at the provider, made for the spend.
// Every attempt at it counts, answered or not.
type StoryAdjustment struct {
	ID             string          `db:"id" json:"id"`
	Purpose        string          `db:"purpose" json:"purpose"`
	State          string          `db:"state" json:"state"`
	SpendID        *string         `db:"spend_id" json:"-"` // of a refund
	IdempotencyKey string          `db:"idempotency_key" json:"idempotency_key"`
	Deltas         json.RawMessage `db:"deltas" json:"deltas"`
	Attempts       int64           `db:"attempts" json:"attempts"`                         // made or under way
	Attempt        int64           `db:"attempt" json:"attempt"`                           // the latest that is over; what an operator has seen
	OpenedAt       time.Time       `db:"opened_at" json:"opened_at"`                       // when it was bound; the first attempt follows at once
	LastAttemptAt  *time.Time      `db:"last_attempt_at" json:"last_attempt_at,omitempty"` // when the latest attempt on record ended
	LeasedUntil    *time.Time      `db:"leased_until" json:"leased_until,omitempty"`       // an attempt is under way, or nobody recorded what came of it; no other before
	UnknownSince   *time.Time      `db:"unknown_since" json:"unknown_since,omitempty"`     // when an attempt first went unanswered, also after it was settled
	SettledAt      *time.Time      `db:"settled_at" json:"settled_at,omitempty"`
	LastError      string          `db:"last_error" json:"last_error,omitempty"` // the last that was heard, or why there was nothing to hear
}

// Unknown reports whether nobody knows yet if the provider applied it.
func (a StoryAdjustment) Unknown() bool { return a.SettledAt == nil && a.UnknownSince != nil }

const storyAdjustmentColumns = `id, purpose, state, spend_id, idempotency_key, deltas, opened_at, settled_at, unknown_since, last_error, attempts,
	attempts - (settled_at IS NULL AND leased_by <> '' AND leased_until > now())::int AS attempt,
	CASE WHEN leased_by = '' THEN leased_until ELSE settled_at END AS last_attempt_at,
	CASE WHEN leased_by <> '' AND settled_at IS NULL THEN leased_until END AS leased_until`

// StoryEntry is a ledger line of the spend.
type StoryEntry struct {
	Kind      string    `db:"kind" json:"kind"`
	Debit     string    `db:"debit" json:"debit"`
	Credit    string    `db:"credit" json:"credit"`
	Currency  string    `db:"currency" json:"currency"`
	Amount    int64     `db:"amount" json:"amount"`
	EnteredAt time.Time `db:"entered_at" json:"entered_at"`
}

// StoryDelivery is an event of the spend that a consumer still owes an effect,
// or that was set aside.
type StoryDelivery struct {
	EventID   string    `db:"event_id" json:"event_id"`
	Consumer  string    `db:"consumer" json:"consumer"`
	At        time.Time `db:"at" json:"at"` // due, or died
	Attempts  int64     `db:"attempts" json:"attempts"`
	LastError string    `db:"last_error" json:"last_error,omitempty"`
}

// eventsOfSpend are the ids of the events a spend may have (events.EventID).
const eventsOfSpend = `$1::text || '.requested', $1::text || '.charged', $1::text || '.refunding'`

// Story returns everything about one spend, or ErrNotFound. The id may be written
// in any way a UUID can be; event ids and keys have it as the spend does.
func (b *Books) Story(ctx context.Context, id string) (Story, error) {
	spend, err := b.Spend(ctx, id)
	if err != nil {
		return Story{}, err
	}
	story := Story{Spend: spend}
	if err := b.db.GetContext(ctx, &story.RequestID, "SELECT coalesce(request_id, '') FROM spends WHERE id = $1", spend.ID); err != nil {
		return Story{}, fmt.Errorf("read the request of spend %s: %w", spend.ID, err)
	}
	for _, part := range []struct {
		into  any
		query string
	}{
		{&story.Adjustments, `SELECT ` + storyAdjustmentColumns + `
			FROM adjustments WHERE id = (SELECT adjustment_id FROM spends WHERE id = $1::uuid) OR spend_id = $1::uuid
			ORDER BY seq`},
		{&story.Entries, `SELECT kind, debit, credit, currency, amount, entered_at FROM ledger_entries
			WHERE spend_id = $1::uuid ORDER BY entered_at, kind, currency`},
		// By whole ids: a pattern would read all of an outbox that is far behind.
		{&story.Owed, `SELECT event_id, consumer, due_at AS at, attempts, last_error FROM outbox
			WHERE event_id IN (` + eventsOfSpend + `) ORDER BY due_at`},
		{&story.DeadLetters, `SELECT event_id, consumer, died_at AS at, attempts, error AS last_error FROM dead_letters
			WHERE event_id IN (` + eventsOfSpend + `) AND resolved_at IS NULL ORDER BY died_at`},
	} {
		if err := b.db.SelectContext(ctx, part.into, part.query, spend.ID); err != nil {
			return Story{}, fmt.Errorf("read story of spend %s: %w", spend.ID, err)
		}
	}
	return story, nil
}
