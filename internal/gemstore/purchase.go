package gemstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// bought is a purchase that was made here. The store's word of it; everything else
// about it is read from the database.
type bought struct {
	id     string // the store's transaction
	title  string
	brings economy.Amounts
	at     time.Time
	events []string // ids of the events that tell of it
	lost   bool     // they were made to be lost
}

// told is what is written down about a purchase.
type told struct {
	webhook    string    // the row of the webhook about the balance; empty: none yet
	receivedAt time.Time // when any webhook of it was first stored
	enteredAt  time.Time // of its ledger line
	attempts   int64     // of the consumer that writes the line
	readAt     time.Time // when the oldest of the balances concerned was read
	claimedAt  time.Time // when the app told of it
	recordedAt time.Time // when it was written down as a purchase
}

// readTold reads what is written down about a player's purchase.
func readTold(ctx context.Context, db *sqlx.DB, player string, b bought) (told, error) {
	var out told
	var rows []struct {
		Received *time.Time `db:"received_at"`
		Webhook  *string    `db:"moved"`
		Entered  *time.Time `db:"entered_at"`
		Attempts *int64     `db:"attempts"`
		Read     *time.Time `db:"read_at"`
		Claimed  *time.Time `db:"claimed_at"`
		Recorded *time.Time `db:"recorded_at"`
	}
	err := db.SelectContext(ctx, &rows, `WITH webhooks AS (
			SELECT k.webhook_id, k.received_at, e.type FROM webhook_keys k JOIN webhook_events e ON e.id = k.webhook_id WHERE k.event_key = ANY($1)),
		moved AS (SELECT webhook_id::text AS id FROM webhooks WHERE type = 'VIRTUAL_CURRENCY_TRANSACTION' LIMIT 1)
		SELECT (SELECT min(received_at) FROM webhooks) AS received_at,
			(SELECT id FROM moved) AS moved,
			(SELECT min(entered_at) FROM provider_movements WHERE transaction_id = $2 AND app_user_id = $3) AS entered_at,
			(SELECT min(claimed_at) FROM claims WHERE transaction_id = $2 AND app_user_id = $3) AS claimed_at,
			(SELECT min(recorded_at) FROM purchases WHERE transaction_id = $2) AS recorded_at,
			(SELECT max(attempts) FROM outbox WHERE event_id = (SELECT id FROM moved) || '.moved') AS attempts,
			(SELECT min(as_of) FROM balances WHERE app_user_id = $3 AND currency = ANY($4)) AS read_at`,
		postgres.Array(b.events), b.id, player, postgres.Array(currencies(b.brings)))
	if err != nil || len(rows) != 1 {
		return out, fmt.Errorf("read purchase: %w", err)
	}
	row := rows[0]
	out.receivedAt, out.enteredAt, out.readAt = valueOr(row.Received), valueOr(row.Entered), valueOr(row.Read)
	out.claimedAt, out.recordedAt = valueOr(row.Claimed), valueOr(row.Recorded)
	out.webhook, out.attempts = valueOr(row.Webhook), valueOr(row.Attempts)
	return out, nil
}

func valueOr[T any](p *T) (value T) {
	if p != nil {
		value = *p
	}
	return value
}

func currencies(amounts economy.Amounts) []string {
	var list []string
	for _, code := range amounts.Currencies() {
		list = append(list, string(code))
	}
	return list
}

// purchaseJourney returns a purchase as the page shows it.
func purchaseJourney(b bought, t told, passing Passing) Journey {
	if b.lost && t.receivedAt.IsZero() {
		return lostJourney(b, t)
	}
	after := func(at time.Time) string { return duration(at.Sub(b.at)) }
	j := Journey{ID: b.id, Kind: "purchase", Title: b.title, Amounts: moneyOf(b.brings), Began: b.at}
	paid := Hop{Name: "Paid", Place: "the app store", Light: Done, Note: "RevenueCat credited it at once"}
	outbox := Hop{Name: "Webhook", Place: "PostgreSQL", Light: Working, Note: "on its way to us"}
	stream := Hop{Name: "Stream", Place: "JetStream", Light: Dark}
	ledger := Hop{Name: "Ledger", Place: "PostgreSQL", Light: Dark}
	wallet := Hop{Name: "Wallet", Place: "our copy", Light: Dark}
	event := t.webhook + ".moved"
	first, _, times := passing.Seen(event)
	if !t.receivedAt.IsZero() {
		outbox.Light, outbox.After, outbox.Note = Done, after(t.receivedAt), "stored before it was answered"
		stream.Light = Working
	}
	if times > 0 {
		stream.Light, stream.After, ledger.Light = Done, after(first), Working
	}
	if t.enteredAt.IsZero() && passing.lost(event) {
		stream.Light, stream.Note, ledger.Light = Waiting, "wiped; the outbox still owes it", Dark
	}
	if t.attempts > 0 {
		ledger.Light, ledger.Note = Waiting, count(t.attempts, "attempt")
	}
	if !t.enteredAt.IsZero() {
		stream.Light, ledger.Light, ledger.After, wallet.Light = Done, Done, after(t.enteredAt), Working
	}
	if !t.enteredAt.IsZero() && t.readAt.After(t.receivedAt) {
		wallet.Light, wallet.After = Done, after(t.readAt)
		j.Over, j.Good = true, true
	}
	j.Hops = []Hop{paid, outbox, stream, ledger, wallet}
	j.Happened, j.Now, j.Next = tellPurchase(j.Hops, b)
	return j
}

func tellPurchase(hops []Hop, b bought) (happened, now, next string) {
	happened = "The store took the money and RevenueCat credited " + b.brings.String() + "."
	at := slices.IndexFunc(hops, func(h Hop) bool { return h.Light != Done })
	switch at {
	case 1:
		return happened, "RevenueCat's webhook is on its way to us.", "It is stored byte for byte before it is answered, so that it cannot be lost between us."
	case 2, 3:
		return happened + " Its webhook is stored.", "The message travels to the consumer that keeps the ledger.", "One ledger line, however often the webhook is sent."
	case 4:
		return happened + " The ledger has it.", "Our copy of your balance is read again from RevenueCat.", "You can spend the gems already: RevenueCat's balance is the one that counts."
	}
	return happened + " Its webhook was stored, and the ledger has it.", "Done: the gems are in your wallet.", "Nothing. The webhook sent again changes nothing."
}
