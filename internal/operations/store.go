package operations

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/revenuecat/webhooks"
	"github.com/sluice-gems/sluice/outbox"
)

// WebhookFilter chooses webhooks that were kept and taken. One that names nothing
// is refused.
type WebhookFilter struct {
	From, Until time.Time // by when they were received; Until is exclusive
	Type        string    // as the provider names it; empty: all
	ID          string    // of one: ours, or the provider's event id
}

// query begins a statement over webhook_events with the filter's conditions.
func (f WebhookFilter) query(begin string) (query, error) {
	if f.From.IsZero() && f.Until.IsZero() && f.Type == "" && f.ID == "" {
		return query{}, badInput("choose webhooks by time, type or id")
	}
	q := query{sql: begin + " WHERE verdict = 'accepted' AND body IS NOT NULL"}
	// Ids begin with the time at which they were made, just before or after the other: a
	// range of them keeps what is older, or newer, from being read.
	if !f.From.IsZero() {
		q.and("received_at >= ? AND id >= ?::uuid", f.From, idAt(f.From.Add(-idMargin)))
	}
	if !f.Until.IsZero() {
		q.and("received_at < ? AND id < ?::uuid", f.Until, idAt(f.Until.Add(idMargin)))
	}
	q.andText("type = ?", f.Type)
	if isUUID(f.ID) {
		q.and("id IN (?::uuid, (SELECT webhook_id FROM webhook_keys WHERE event_key = ?))", f.ID, f.ID)
	} else {
		q.andText("id = (SELECT webhook_id FROM webhook_keys WHERE event_key = ?)", f.ID)
	}
	return q, nil
}

// idMargin is by how much a webhook's id and the time of its receipt may differ: they
// are made by one process within moments.
const idMargin = time.Minute

// idAt is the smallest UUIDv7 of a moment.
func idAt(at time.Time) string {
	hex := fmt.Sprintf("%012x", max(0, at.UnixMilli()))
	return hex[:8] + "-" + hex[8:12] + "-0000-0000-000000000000"
}

// side is what an act shows of the choice.
func (f WebhookFilter) side() what {
	side := what{}
	for name, value := range map[string]string{"type": f.Type, "id": f.ID} {
		if value != "" {
			side[name] = value
		}
	}
	for name, at := range map[string]time.Time{"from": f.From, "until": f.Until} {
		if !at.IsZero() {
			side[name] = at.UTC()
		}
	}
	return side
}

// CountWebhooks counts what a filter chooses, for a preview. Those whose body is
// cleared cannot be replayed, and are not counted.
func (d *Desk) CountWebhooks(ctx context.Context, f WebhookFilter) (int, error) {
	q, err := f.query("SELECT count(*) FROM webhook_events")
	if err != nil {
		return 0, err
	}
	var n int
	if err := d.DB.GetContext(ctx, &n, q.text(), q.args...); err != nil {
		return 0, fmt.Errorf("count webhooks: %w", err)
	}
	return n, nil
}

// replayPage is how many webhooks are read at once. A body may have a megabyte.
const replayPage = 100

// keptWebhook is a webhook as it was kept.
type keptWebhook struct {
	ID         string    `db:"id"`
	ReceivedAt time.Time `db:"received_at"`
	Body       []byte    `db:"body"`
}

// event returns what the webhook tells its consumer; false: it tells nobody anything.
func (k keptWebhook) event() (events.Event, bool) {
	said, err := webhooks.Parse(k.Body)
	if err != nil || said.AppUserID == "" {
		return events.Event{}, false
	}
	switch said.Route() {
	case webhooks.RoutePurchases:
		return events.NewStoreWebhookReceived(k.ID, said.AppUserID, k.ReceivedAt), true
	case webhooks.RouteCurrency:
		return events.NewStoreCurrencyMoved(k.ID, said.AppUserID, k.ReceivedAt), true
	case webhooks.RouteNobody:
	}
	return events.Event{}, false
}

// ReplayWebhooks has the kept webhooks acted on again, as if each had just arrived:
// their events are owed again. It is harmless: what they say is known by then. An act
// is written per page of some hundred; after an error the same call again goes on.
// Done counts those whose event is owed, Refused those that tell nobody anything.
func (d *Desk) ReplayWebhooks(ctx context.Context, who Who, reason string, f WebhookFilter) (Many, error) {
	if err := told(who, reason); err != nil {
		return Many{}, err
	}
	var many Many
	after := "00000000-0000-0000-0000-000000000000"
	for {
		q, err := f.query("SELECT id, received_at, body FROM webhook_events")
		if err != nil {
			return many, err
		}
		q.and("id > ?::uuid", after)
		var page []keptWebhook
		if err := d.DB.SelectContext(ctx, &page, q.text()+q.add(" ORDER BY id LIMIT ?", replayPage), q.args...); err != nil {
			return many, fmt.Errorf("read webhooks: %w", err)
		}
		if len(page) == 0 {
			return many, nil
		}
		done, err := d.replay(ctx, who, reason, f, page)
		if err != nil {
			return many, err
		}
		many.Done, many.Refused = many.Done+done, many.Refused+len(page)-done
		after = page[len(page)-1].ID
	}
}

// replay owes the events of a page again, in one commit.
func (d *Desk) replay(ctx context.Context, who Who, reason string, f WebhookFilter, page []keptWebhook) (int, error) {
	guard := replaying{}
	var list []events.Event
	for _, kept := range page {
		if event, tells := kept.event(); tells {
			guard.ids = append(guard.ids, kept.ID)
			list = append(list, event)
		}
	}
	if len(list) == 0 {
		return 0, nil
	}
	act := d.act(who, reason, DeedReplayWebhooks, "webhooks", "", f.side(), what{
		"owed": len(list), "first": guard.ids[0], "last": guard.ids[len(guard.ids)-1],
	})
	guard.actID = act.ID
	switch result, err := d.Committer.Commit(ctx, outbox.Effects{Guard: guard, Rows: []outbox.Row{act}, Events: list}); {
	case err != nil:
		return 0, fmt.Errorf("replay webhooks: %w", err)
	case result != outbox.Applied:
		return 0, refused("bodies of these webhooks were cleared meanwhile: try again")
	}
	return len(list), nil
}

// replaying is the guard that owes the events of kept webhooks again: all of them still
// have their bodies, and keep them as long as the events are owed. Otherwise it is stale.
type replaying struct {
	ids   []string
	actID string
}

var replayingKind = &outbox.Kind{
	Name:    "webhooks_replayed",
	Columns: []outbox.Column{{Name: "ids", Type: "text"}, {Name: "act_id", Type: "uuid"}},
	Steps: []outbox.Step{
		{Name: "lock", SQL: `SELECT r.effect, w.id FROM {rows} r CROSS JOIN LATERAL unnest(r.ids::uuid[]) AS kept(id) JOIN webhook_events w ON w.id = kept.id
			WHERE w.body IS NOT NULL ORDER BY w.id FOR SHARE OF w`},
		{Name: "effects", SQL: `SELECT r.effect FROM {rows} r WHERE cardinality(r.ids::uuid[]) = (SELECT count(*) FROM {lock} l WHERE l.effect = r.effect)`},
	},
	Judge: judgeActs,
}

// Kind implements outbox.Row.
func (r replaying) Kind() *outbox.Kind { return replayingKind }

// AppendTo implements outbox.Row.
func (r replaying) AppendTo(c *outbox.Columns, _ string) {
	c.Text("{" + strings.Join(r.ids, ",") + "}")
	c.Text(r.actID)
}

// GuardKey implements outbox.GuardRow.
func (r replaying) GuardKey() string { return "replay:" + r.actID }

// Resync has a player's customer read from the provider again, by the consumer resync,
// and returns the wish.
func (d *Desk) Resync(ctx context.Context, who Who, reason, appUserID string) (events.Event, error) {
	if err := told(who, reason); err != nil {
		return events.Event{}, err
	}
	if appUserID == "" || strings.ContainsRune(appUserID, 0) {
		return events.Event{}, badInput("name a player by an App User ID")
	}
	at := d.Now()
	wish := events.NewCustomerResyncRequested(events.Store, events.ResyncOperator, d.NewID(), appUserID, at)
	act := d.act(who, reason, DeedResync, "customer:"+appUserID, appUserID, what{}, what{"event_id": wish.ID})
	_, err := d.Committer.Commit(ctx, outbox.Effects{
		Guard: purchases.Wished{AppUserID: appUserID, At: at, By: who.Name + ": " + reason}, Rows: []outbox.Row{act},
		Events: []events.Event{wish}, Owner: appUserID,
	})
	if err != nil {
		return events.Event{}, fmt.Errorf("ask for a reading: %w", err)
	}
	return wish, nil
}

// Note writes an act that consists of other commits, such as a wish for many readings,
// once they are made. A second call writes a second line.
func (d *Desk) Note(ctx context.Context, who Who, reason string, deed Deed, subject string, before, after map[string]any) error {
	if err := told(who, reason); err != nil {
		return err
	}
	act := d.act(who, reason, deed, subject, "", side(before), side(after))
	if _, err := d.Committer.Commit(ctx, outbox.Effects{Guard: noted{act}}); err != nil {
		return fmt.Errorf("write down %s of %s: %w", deed, subject, err)
	}
	return nil
}

// side is a side of an act that somebody else made; none is an empty one.
func side(values map[string]any) what {
	if values == nil {
		return what{}
	}
	return values
}

// noted is the guard of an act that is nothing but its line. It always applies.
type noted struct{ actRow }

var notedKind = &outbox.Kind{
	Name:    "operator_noted",
	Columns: actKind.Columns,
	Steps: []outbox.Step{
		{Name: "insert", SQL: actKind.Steps[0].SQL + ` ON CONFLICT DO NOTHING`},
		{Name: "effects", SQL: `SELECT effect FROM {rows}`},
	},
	Otherwise: outbox.Duplicate,
}

// Kind implements outbox.Row.
func (noted) Kind() *outbox.Kind { return notedKind }

// GuardKey implements outbox.GuardRow.
func (n noted) GuardKey() string { return "act:" + n.ID }
