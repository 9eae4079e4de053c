package simulation

import (
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
	used        map[[2]string]int64       // item_counters: player, item
	balances    map[[2]string]keptBalance // player, currency
	outbox      []*outboxRow              // in order of insertion
	dead        []string                  // dead_letters
	catalog     economy.Catalog
	alone       bool // there is no provider to agree with
}

type spendRow struct {
	economy.Spend
	left    economy.State
	change  string
	wasHeld bool // once: it may have been passed
}

type adjustmentRow struct {
	adjustments.Adjustment
	state       string
	leasedUntil time.Time
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
		world: w, ledger: map[entryKey]economy.Entry{}, grants: map[string]int64{}, used: map[[2]string]int64{},
		balances: map[[2]string]keptBalance{}, catalog: catalog,
	}
}

// errAway says that the database does not answer.
var errAway = errors.New("connection refused")

func (d *database) read(what string) error {
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
	var turn adjustments.Turn
	if open := d.openOf(player); open != nil {
		adjustment := open.Adjustment
		adjustment.LeasedFor = open.leasedUntil.Sub(d.now()).Truncate(time.Millisecond)
		adjustment.OpenedAt, adjustment.LastError = time.Time{}, "" // not read
		turn.Open = &adjustment
	}
	for _, s := range d.spends {
		switch {
		case s.AppUserID != player:
		case turn.Open == nil && s.State == economy.Requested && s.AdjustmentID == "" && !s.Held && len(turn.Spends) < limit,
			turn.Open != nil && s.AdjustmentID == turn.Open.ID && s.State == economy.Requested,
			turn.Open != nil && s.ID == turn.Open.SpendID:
			turn.Spends = append(turn.Spends, s.Spend)
		}
	}
	return turn, nil
}

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

const stateOpen = "open"

// forget is a mutation: the row goes with the message, not with the effect.
func (d *database) forget(event events.Event) {
	d.outbox = slices.DeleteFunc(d.outbox, func(row *outboxRow) bool { return row.event == event.ID })
}
