package simulation

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/books"
)

// database models PostgreSQL with the tables of the migrations.
type database struct {
	*world
	spends      []*spendRow // in order of acceptance
	adjustments []*adjustmentRow
	ledger      map[entryKey]economy.Entry
	lines       []economy.Entry
	grants      map[string]int64          // by spend
	taken       map[string]bool           // of them, those revoked
	used        map[[2]string]int64       // item_counters: player, item
	balances    map[[2]string]keptBalance // player, currency
	outbox      []*outboxRow              // in order of insertion
	dead        []string                  // dead_letters
	catalog     economy.Catalog
	alone       bool // there is no provider to agree with
}

type spendRow struct {
	economy.Spend
	left   economy.State
	asked  bool // the game was asked to take back what an operator refunds
	change string
	passed bool // it may have been: an operator held it, or its outcome was unknown for long
}

type adjustmentRow struct {
	adjustments.Adjustment
	state       string
	leasedUntil time.Time
	settledAt   time.Time
	answered    time.Time
	change      string
	spends      []*spendRow
}

type entryKey struct {
	spend, kind, currency string
}

type keptBalance struct {
	amount economy.Amount
	asOf   time.Time
}

type outboxRow struct {
	event, consumer string
	payload         []byte
	due, published  time.Time
	republished     int
	attempts        int64
}

func newDatabase(w *world) *database {
	return &database{
		world: w, ledger: map[entryKey]economy.Entry{}, grants: map[string]int64{}, taken: map[string]bool{}, used: map[[2]string]int64{},
		balances: map[[2]string]keptBalance{}, catalog: catalog,
	}
}

// errAway says that the database does not answer.
var errAway = errors.New("connection refused")

func (d *database) read(what string) error {
	if d.alone {
		return nil
	}
	d.pause("read " + what)
	if d.chance(d.faults.ReadFails) {
		d.say("read %s: no answer", what)
		return errAway
	}
	return nil
}

// Turn implements adjustments.Turns as turnQuery in adjustments/read.go does.
func (d *database) Turn(_ context.Context, player string, limit int) (adjustments.Turn, error) {
	if err := d.read("turn of " + player); err != nil {
		return adjustments.Turn{}, err
	}
	return d.turn(player, limit), nil
}

// Waiting implements adjustments.Turns as waitingQuery in adjustments/read.go does. The
// places are those of the list.
func (d *database) Waiting(_ context.Context, player string, from int64, limit int) (adjustments.Turn, error) {
	if err := d.read("what waits of " + player); err != nil {
		return adjustments.Turn{}, err
	}
	return d.waiting(adjustments.Turn{}, player, from, limit), nil
}

func (d *database) turn(player string, limit int) adjustments.Turn {
	turn := d.about(d.openOf(player))
	for key, kept := range d.balances {
		if key[0] == player {
			turn.Known = turn.Known.Plus(economy.Amounts{economy.Currency(key[1]): kept.amount})
		}
	}
	if turn.Open != nil {
		return turn
	}
	return d.waiting(turn, player, 0, limit)
}

func (d *database) waiting(turn adjustments.Turn, player string, from int64, limit int) adjustments.Turn {
	for i, s := range d.spends {
		waits := s.waits() || (d.wrong.bindBound && s.State == economy.Requested && d.asideOf(s.Spend) != nil)
		if place := int64(i + 1); s.AppUserID == player && waits && !s.Held && place >= from && len(turn.Waiting) < limit {
			turn.Place = cmp.Or(turn.Place, place)
			turn.Waiting = append(turn.Waiting, s.Spend)
		}
	}
	return turn
}

// about returns the turn of an adjustment, or an empty one without it.
func (d *database) about(a *adjustmentRow) adjustments.Turn {
	if a == nil {
		return adjustments.Turn{}
	}
	open := a.Adjustment
	open.LeasedFor = a.leasedUntil.Sub(d.now()).Truncate(time.Millisecond)
	turn := adjustments.Turn{Open: &open}
	for _, s := range d.spends {
		if s.ID == a.SpendID || (s.AdjustmentID == a.ID && s.State == economy.Requested) {
			turn.Spends = append(turn.Spends, s.Spend)
		}
	}
	return turn
}

// Aside implements adjustments.Turns as asideQuery does.
func (d *database) Aside(_ context.Context, spend economy.Spend) (adjustments.Turn, error) {
	if err := d.read("what stepped aside of " + spend.ID); err != nil {
		return adjustments.Turn{}, err
	}
	return d.about(d.asideOf(spend)), nil
}

func (d *database) asideOf(spend economy.Spend) *adjustmentRow {
	for _, a := range d.adjustments {
		if a.state == stateUnknown && (a.ID == spend.AdjustmentID || a.SpendID == spend.ID) {
			return a
		}
	}
	return nil
}

// Base implements adjustments.Bases as baseQuery does.
func (d *database) Base(_ context.Context, open *adjustments.Adjustment) (economy.Amounts, bool, error) {
	if err := d.read("base of " + open.ID); err != nil {
		return nil, false, err
	}
	base := economy.Amounts{}
	if a := d.adjustment(open.ID); a.state != stateOpen {
		return nil, false, nil
	}
	for key, kept := range d.balances {
		if key[0] == open.AppUserID && !kept.asOf.After(open.OpenedAt) && !d.movedSince(open, kept.asOf) {
			base[economy.Currency(key[1])] = kept.amount
		}
	}
	for currency := range open.Deltas {
		if _, known := base[currency]; !known {
			return nil, false, nil
		}
	}
	return base, true, nil
}

// movedSince reports whether another adjustment may have moved the balance after
// a moment.
func (d *database) movedSince(open *adjustments.Adjustment, asOf time.Time) bool {
	for _, x := range d.adjustments {
		if x.AppUserID != open.AppUserID || x.ID == open.ID {
			continue
		}
		if x.unresolved() || (x.state == string(economy.Applied) && x.settledAt.After(asOf) && !x.answered.Equal(asOf)) {
			return true
		}
	}
	return false
}

// keepReading does what books.KeepReading does.
func (d *database) keepReading(player string, balances economy.Amounts, asOf time.Time) {
	for _, a := range d.adjustments {
		if a.AppUserID == player && (a.state == stateOpen || (a.state == stateUnknown && a.leasedUntil.After(d.now())) || a.settledAt.After(asOf)) {
			return
		}
	}
	for currency, amount := range balances {
		key := [2]string{player, string(currency)}
		if kept, known := d.balances[key]; !known || kept.asOf.Before(asOf) {
			d.balances[key] = keptBalance{amount, asOf}
		}
	}
}

// waits reports whether a spend is to be charged and bound to nothing.
func (s *spendRow) waits() bool { return s.State == economy.Requested && s.AdjustmentID == "" }

// unresolved reports whether the outcome is open, in its turn or aside.
func (a *adjustmentRow) unresolved() bool { return a.state == stateOpen || a.state == stateUnknown }

// Spend implements the consumers' Spends as books.Books does.
func (d *database) Spend(_ context.Context, id string) (economy.Spend, error) {
	if err := d.read("spend " + id); err != nil {
		return economy.Spend{}, err
	}
	if s := d.spend(id); s != nil {
		return s.Spend, nil
	}
	return economy.Spend{}, books.ErrNotFound
}

// RefundGivenUp implements operations.Spends as books.Books does.
func (d *database) RefundGivenUp(_ context.Context, id string) (bool, error) {
	for _, entry := range d.lines {
		if entry.SpendID == id && entry.Kind == economy.EntryKeep {
			return true, nil
		}
	}
	return false, nil
}

// Catalog implements fulfil.Catalogs.
func (d *database) Catalog(_ context.Context, version int64) (economy.Catalog, error) {
	if err := d.read("catalogue"); err != nil {
		return economy.Catalog{}, err
	}
	if version != d.catalog.Version {
		return economy.Catalog{}, books.ErrNotFound
	}
	return d.catalog, nil
}

func (d *database) spend(id string) *spendRow {
	for _, s := range d.spends {
		if s.ID == id {
			return s
		}
	}
	return nil
}

func (d *database) adjustment(id string) *adjustmentRow {
	for _, a := range d.adjustments {
		if a.ID == id {
			return a
		}
	}
	return nil
}

func (d *database) byKey(key string) *adjustmentRow {
	for _, a := range d.adjustments {
		if a.IdempotencyKey == key {
			return a
		}
	}
	return nil
}

func (d *database) openOf(player string) *adjustmentRow {
	for _, a := range d.adjustments {
		if a.AppUserID == player && a.state == stateOpen {
			return a
		}
	}
	return nil
}

func (d *database) owed(event, consumer string) *outboxRow {
	for _, row := range d.outbox {
		if row.event == event && row.consumer == consumer {
			return row
		}
	}
	return nil
}

const (
	stateOpen    = "open"
	stateUnknown = "unknown"
)

// forget is a mutation: the row goes with the message, not with the effect.
func (d *database) forget(event events.Event) {
	d.outbox = slices.DeleteFunc(d.outbox, func(row *outboxRow) bool { return row.event == event.ID })
}
