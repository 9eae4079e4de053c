package operations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/outbox"
)

// Refund takes a fulfilled spend back: its item is revoked first (our own inventory
// does in the same commit, the game's server is asked by the consumer compensate),
// then its cost is credited. A cost above the limit of one person (Config.Alone)
// makes a request for a second one instead; asking again returns that request.
//
// Errors: ErrNotFound; *RefusedError when it is not fulfilled, a grant, or a refund of it
// was given up before.
func (d *Desk) Refund(ctx context.Context, who Who, reason, spendID string) (Refunding, error) {
	s, err := d.toldOfSpend(ctx, who, reason, spendID)
	if err == nil {
		err = d.refundable(ctx, s)
	}
	if err != nil {
		return Refunding{}, err
	}
	if !d.alone(s.Cost) {
		request, err := d.ask(ctx, who, reason, s)
		return Refunding{Spend: s, Request: request}, err
	}
	after, err := d.reclaim(ctx, who, reason, s, "")
	return Refunding{Spend: after}, err
}

func (d *Desk) refundable(ctx context.Context, s economy.Spend) error {
	switch {
	case s.Kind != economy.KindSpend:
		return refused("%s: a grant gave the balance itself, there is nothing to refund", s)
	case s.State != economy.Fulfilled:
		return refused("%s: only a fulfilled spend can be refunded by hand; sluice spend show tells what happens to the others", s)
	}
	return d.once(ctx, s)
}

// alone reports whether one person may refund a cost.
func (d *Desk) alone(cost economy.Amounts) bool {
	for currency, amount := range cost {
		if most, limited := d.Alone[currency]; limited && amount > most {
			return false
		}
	}
	return true
}

// ask asks for a second person, or returns the request that does already.
func (d *Desk) ask(ctx context.Context, who Who, reason string, s economy.Spend) (*RefundRequest, error) {
	request := RefundRequest{
		ID: d.NewID(), SpendID: s.ID, Player: s.AppUserID, Cost: s.Cost, AskedAt: d.Now(), AskedBy: who.Name, AskedLogin: who.login(), Reason: reason, State: Asked,
	}
	act := d.act(who, reason, DeedAskRefund, s.ID, s.AppUserID, spendSide(s), what{"request": request.ID})
	switch result, err := d.Committer.Commit(ctx, outbox.Effects{Guard: asking{request}, Rows: []outbox.Row{act}, Owner: s.AppUserID}); {
	case err != nil:
		return nil, fmt.Errorf("ask for a refund of %s: %w", s, err)
	case result == outbox.Applied:
		return &request, nil
	}
	before, err := d.RefundAsked(ctx, s.ID)
	if err == nil && before == nil {
		err = refused("the request for %s was decided just now: look again", s)
	}
	return before, err
}

// reclaim takes the spend back, and its item where it lies in our own inventory.
func (d *Desk) reclaim(ctx context.Context, who Who, reason string, s economy.Spend, requestID string) (economy.Spend, error) {
	catalog, err := d.Catalogs.Catalog(ctx, s.CatalogVersion)
	if err != nil {
		return economy.Spend{}, fmt.Errorf("%s: %w", s, err)
	}
	now, ours := d.Now(), catalog.Items[s.Item].HandOver.Port == economy.HandOverInventory
	change := economy.Reclaim(s, ours, now)
	effects := outbox.Effects{
		Guard: reclaiming{change, requestID, who, reason, now}, Rows: books.With(change, now),
		Events: []events.Event{events.NewSpendRefunding(s.ID, s.AppUserID, now)},
	}
	if ours {
		effects.Rows = append(effects.Rows, takenRow{s.ID, now})
	}
	after := spendSide(change.Spend)
	if requestID != "" {
		after["request"] = requestID
	}
	return change.Spend, d.commitSpend(ctx, effects, d.act(who, reason, DeedRefund, s.ID, s.AppUserID, spendSide(s), after), s)
}

// RefundAgain has a refund tried again that needs an operator: one that the provider
// refused for good, under a new key, or one whose item the game did not take back.
// Errors: ErrNotFound; *RefusedError when it does not need an operator.
func (d *Desk) RefundAgain(ctx context.Context, who Who, reason, spendID string) (economy.Spend, error) {
	s, err := d.toldOfSpend(ctx, who, reason, spendID)
	switch {
	case err != nil:
		return economy.Spend{}, err
	case s.State != economy.Refunding || s.NeedsOperator == "":
		return s, refused("%s: its refund needs no operator", s)
	}
	after := s
	after.NeedsOperator = ""
	return after, d.commitSpend(ctx, outbox.Effects{
		Guard: again{s.ID}, Events: []events.Event{events.NewSpendRefunding(s.ID, s.AppUserID, d.Now())},
	}, d.act(who, reason, DeedRefundAgain, s.ID, s.AppUserID, spendSide(s), spendSide(after)), s)
}

// ApproveRefund makes a refund that somebody else asked for. Errors: ErrNotFound;
// *RefusedError when whoever asked may be the same person, it was decided before, or
// the spend is not fulfilled any more.
func (d *Desk) ApproveRefund(ctx context.Context, who Who, reason, requestID string) (economy.Spend, error) {
	request, err := d.undecided(ctx, who, reason, requestID)
	if err != nil {
		return economy.Spend{}, err
	}
	if who.same(Who{Name: request.AskedBy, Login: request.AskedLogin}) {
		return economy.Spend{}, refused("%s asked for this refund: another person must approve it", request.AskedBy)
	}
	s, err := d.spend(ctx, request.SpendID)
	if err == nil {
		err = d.refundable(ctx, s)
	}
	if err != nil {
		return economy.Spend{}, err
	}
	return d.reclaim(ctx, who, reason, s, request.ID)
}

// RefuseRefund ends a request without a refund; whoever asked may do so, too. Errors:
// ErrNotFound; *RefusedError when it was decided before.
func (d *Desk) RefuseRefund(ctx context.Context, who Who, reason, requestID string) error {
	request, err := d.undecided(ctx, who, reason, requestID)
	if err != nil {
		return err
	}
	act := d.act(who, reason, DeedRefuseRefund, request.SpendID, request.Player, what{"request": request.ID, "asked_by": request.AskedBy, "asked_why": request.Reason},
		what{"request": request.ID, "state": Refused})
	guard := refusing{request.ID, request.SpendID, who, reason, act.At}
	switch result, err := d.Committer.Commit(ctx, outbox.Effects{Guard: guard, Rows: []outbox.Row{act}, Owner: request.Player}); {
	case err != nil:
		return fmt.Errorf("refuse refund request %s: %w", request.ID, err)
	case result != outbox.Applied:
		return refused("refund request %s was decided before", request.ID)
	}
	return nil
}

// undecided checks who decides and why, and reads the request, which must wait still.
func (d *Desk) undecided(ctx context.Context, who Who, reason, requestID string) (RefundRequest, error) {
	if err := told(who, reason); err != nil {
		return RefundRequest{}, err
	}
	request, err := d.RefundRequest(ctx, requestID)
	if err == nil && request.State != Asked {
		err = refused("refund request %s is %s by %s already", request.ID, request.State, request.DecidedBy)
	}
	return request, err
}

// RefundRequests returns the requests, oldest first; open says only those that wait.
func (d *Desk) RefundRequests(ctx context.Context, open bool) ([]RefundRequest, error) {
	if open {
		return d.requests(ctx, "q.state = 'asked'")
	}
	return d.requests(ctx, "true")
}

// RefundAsked returns the request that waits for a second person to refund a spend; nil:
// there is none.
func (d *Desk) RefundAsked(ctx context.Context, spendID string) (*RefundRequest, error) {
	list, err := d.requests(ctx, "q.spend_id = $1 AND q.state = 'asked'", spendID)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// RefundRequest returns one request, or ErrNotFound.
func (d *Desk) RefundRequest(ctx context.Context, id string) (RefundRequest, error) {
	if !isUUID(id) {
		return RefundRequest{}, fmt.Errorf("refund request %q: %w", id, ErrNotFound)
	}
	list, err := d.requests(ctx, "q.id = $1", id)
	switch {
	case err != nil:
		return RefundRequest{}, err
	case len(list) == 0:
		return RefundRequest{}, fmt.Errorf("refund request %s: %w", id, ErrNotFound)
	}
	return list[0], nil
}

func (d *Desk) requests(ctx context.Context, which string, args ...any) ([]RefundRequest, error) {
	var rows []struct {
		RefundRequest
		RawCost []byte `db:"cost"`
	}
	err := d.DB.SelectContext(ctx, &rows, `SELECT q.id, q.spend_id, s.app_user_id, s.cost, q.asked_at, q.asked_by, q.asked_login, q.reason, q.state,
			q.decided_at, q.decided_by, q.decided_why
		FROM refund_requests q JOIN spends s ON s.id = q.spend_id WHERE `+which+" ORDER BY q.id", args...)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("read refund requests: %w", err)
	}
	list := make([]RefundRequest, len(rows))
	for i, row := range rows {
		list[i] = row.RefundRequest
		if list[i].Cost, err = books.DecodeAmounts(row.RawCost); err != nil {
			return nil, fmt.Errorf("refund request %s: cost: %w", row.ID, err)
		}
	}
	return list, nil
}
