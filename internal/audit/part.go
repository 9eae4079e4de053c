package audit

import (
	"context"
	"fmt"
	"strings"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
)

// spendsQuery groups the spends of a part by what they ask of the ledger, and names
// those whose call at the provider does not account for their state. Each call is
// looked up: OFFSET 0 keeps the planner from reading all calls for every part.
const spendsQuery = `SELECT s.kind, s.state, s.cost, s.catalog_version, s.item, s.quantity, count(*) AS spends,
	coalesce(string_agg(s.id::text, ',') FILTER (WHERE ` + notApplied + `), '') AS suspects
	FROM spends s LEFT JOIN LATERAL (SELECT a.state, a.purpose, a.app_user_id FROM adjustments a WHERE a.id = s.adjustment_id OFFSET 0) a ON true
	WHERE {s.id} GROUP BY s.kind, s.state, s.cost, s.catalog_version, s.item, s.quantity`

// notApplied: the spend's state says that its balance was moved, and no call that
// was applied did.
const notApplied = `s.state NOT IN ('requested', 'declined') AND (a.state = 'applied' AND a.app_user_id = s.app_user_id
		AND a.purpose = CASE s.kind WHEN 'grant' THEN 'grant' ELSE 'charge' END) IS NOT TRUE`

// linesQuery groups the lines of a part's spends, and says whether some of them are
// not what their spends ask for. A spend that an operator took back has two lines more
// than its state tells, fulfil and reclaim, or reclaim and keep where that was given up:
// these are grouped apart, and their spends named, to be looked at one by one.
const linesQuery = `SELECT l.kind, l.currency, taken_back, count(*) AS lines, sum(l.amount)::bigint AS units, bool_or(suspect AND NOT taken_back) AS suspect,
	coalesce(string_agg(l.spend_id::text, ',') FILTER (WHERE taken_back), '') AS apart
	FROM (SELECT l.*, (s.app_user_id = l.app_user_id AND (s.cost ->> l.currency)::bigint = l.amount AND CASE l.kind
			WHEN 'charge' THEN l.debit = 'wallet' AND l.credit = 'in_flight' AND s.kind = 'spend' AND s.state IN ('fulfilled', 'charged', 'refunding', 'refunded')
			WHEN 'fulfil' THEN l.debit = 'in_flight' AND l.credit = 'sink' AND s.kind = 'spend' AND s.state = 'fulfilled'
			WHEN 'refund' THEN l.debit = 'in_flight' AND l.credit = 'wallet' AND s.kind = 'spend' AND s.state = 'refunded'
			WHEN 'grant' THEN l.debit = 'issuance' AND l.credit = 'wallet' AND s.kind = 'grant' AND s.state = 'fulfilled'
			ELSE false END) IS NOT TRUE AS suspect,
			(l.kind IN ('fulfil', 'reclaim') AND s.state IN ('refunding', 'refunded') OR l.kind IN ('reclaim', 'keep') AND s.state = 'fulfilled') IS TRUE AS taken_back
		FROM ledger_entries l LEFT JOIN spends s ON s.id = l.spend_id AND {s.id}
		WHERE {l.spend_id}) l
	GROUP BY l.kind, l.currency, taken_back`

// itemsQuery groups the items in our inventory of a part's spends. What was revoked
// is held by nobody.
const itemsQuery = `SELECT g.catalog_version, g.item, count(*) AS spends,
	bool_or(suspect) AS suspect
	FROM (SELECT g.spend_id, g.item, coalesce(s.catalog_version, 0) AS catalog_version,
			(s.app_user_id = g.app_user_id AND s.item = g.item AND s.quantity = g.quantity AND s.kind = 'spend' AND s.state = 'fulfilled') IS NOT TRUE AS suspect
		FROM inventory_grants g LEFT JOIN spends s ON s.id = g.spend_id AND {s.id}
		WHERE {g.spend_id} AND g.revoked_at IS NULL) g
	GROUP BY g.catalog_version, g.item`

// linesOf are the kinds of lines that a spend's state asks for, in one currency.
func linesOf(kind, state string) []string {
	switch {
	case kind == "grant" && state == string(economy.Fulfilled):
		return []string{"grant"}
	case kind == "grant":
		return nil
	}
	switch economy.State(state) {
	case economy.Charged, economy.Refunding:
		return []string{"charge"}
	case economy.Fulfilled:
		return []string{"charge", "fulfil"}
	case economy.Refunded:
		return []string{"charge", "refund"}
	case economy.Requested, economy.Declined:
	}
	return nil
}

type lineOf struct{ kind, currency string }

type itemOf struct {
	version int64
	item    string
}

// tally is what a part's spends ask for, less what is there.
type tally struct {
	lines    map[lineOf]int64
	units    map[lineOf]int64
	items    map[itemOf]int64
	wrong    bool     // some line or item is not one that its spend asks for, or some spend has another price
	suspects []string // spends without a call that was applied
	apart    []string // spends that were taken back
}

func (t tally) balanced() bool {
	for _, counts := range []map[lineOf]int64{t.lines, t.units} {
		for _, n := range counts {
			if n != 0 {
				return false
			}
		}
	}
	for _, n := range t.items {
		if n != 0 {
			return false
		}
	}
	return !t.wrong
}

// part audits the spends in scope, and adds what they come to.
func (b *snapshot) part(ctx context.Context, s scope, sums *Sums) ([]Finding, error) {
	t := tally{lines: map[lineOf]int64{}, units: map[lineOf]int64{}, items: map[itemOf]int64{}}
	for _, look := range []func(context.Context, scope, *tally, *Sums) error{b.spends, b.lines, b.items} {
		if err := look(ctx, s, &t, sums); err != nil {
			return nil, err
		}
	}
	if !t.balanced() { // also by one wrong line: it may stand in for one that is missing elsewhere
		return b.exact(ctx, s)
	}
	found, err := b.exactOfCalls(ctx, s)
	if err != nil {
		return nil, err
	}
	if len(t.suspects) > 0 {
		wrong, err := b.named(ctx, someOf(t.suspects), exactCalls)
		if err != nil {
			return nil, err
		}
		found = append(found, wrong...)
	}
	if len(t.apart) > 0 {
		wrong, err := b.named(ctx, someOf(t.apart), exactLines, exactReclaims)
		if err != nil {
			return nil, err
		}
		found = append(found, wrong...)
	}
	return found, nil
}

func (b *snapshot) spends(ctx context.Context, s scope, t *tally, sums *Sums) error {
	var groups []struct {
		Kind     string `db:"kind"`
		State    string `db:"state"`
		Cost     []byte `db:"cost"`
		Version  int64  `db:"catalog_version"`
		Item     string `db:"item"`
		Quantity int64  `db:"quantity"`
		Spends   int64  `db:"spends"`
		Suspects string `db:"suspects"`
	}
	if err := b.read(ctx, s, &groups, spendsQuery); err != nil {
		return fmt.Errorf("audit spends: %w", err)
	}
	for _, g := range groups {
		sums.Spends += g.Spends
		if g.Suspects != "" {
			t.suspects = append(t.suspects, strings.Split(g.Suspects, ",")...)
		}
		cost, err := books.DecodeAmounts(g.Cost)
		if err != nil {
			return fmt.Errorf("audit spends: cost: %w", err)
		}
		t.wrong = t.wrong || !b.prices.price(g.Kind, g.Version, g.Item, g.Quantity, cost)
		for currency, amount := range cost {
			for _, kind := range linesOf(g.Kind, g.State) {
				line := lineOf{kind, string(currency)}
				t.lines[line] += g.Spends
				t.units[line] += g.Spends * int64(amount)
			}
			if g.State == string(economy.Charged) || g.State == string(economy.Refunding) {
				sums.of(currency).InFlight += g.Spends * int64(amount)
			}
		}
		if g.Kind != "grant" && g.State == string(economy.Fulfilled) && b.ours[itemOf{g.Version, g.Item}] {
			t.items[itemOf{g.Version, g.Item}] += g.Spends
		}
	}
	return nil
}

func (b *snapshot) lines(ctx context.Context, s scope, t *tally, sums *Sums) error {
	var groups []struct {
		Kind      string `db:"kind"`
		Currency  string `db:"currency"`
		Lines     int64  `db:"lines"`
		Units     int64  `db:"units"`
		TakenBack bool   `db:"taken_back"`
		Suspect   bool   `db:"suspect"`
		Apart     string `db:"apart"`
	}
	if err := b.read(ctx, s, &groups, linesQuery); err != nil {
		return fmt.Errorf("audit lines: %w", err)
	}
	for _, g := range groups {
		if g.TakenBack {
			t.apart = append(t.apart, strings.Split(g.Apart, ",")...)
		} else {
			line := lineOf{g.Kind, g.Currency}
			t.lines[line] -= g.Lines
			t.units[line] -= g.Units
		}
		t.wrong = t.wrong || g.Suspect
		sums.Lines += g.Lines
		sums.of(economy.Currency(g.Currency)).add(g.Kind, g.Units)
	}
	return nil
}

func (b *snapshot) items(ctx context.Context, s scope, t *tally, _ *Sums) error {
	var groups []struct {
		Version int64  `db:"catalog_version"`
		Item    string `db:"item"`
		Spends  int64  `db:"spends"`
		Suspect bool   `db:"suspect"`
	}
	if err := b.read(ctx, s, &groups, itemsQuery); err != nil {
		return fmt.Errorf("audit items: %w", err)
	}
	for _, g := range groups {
		t.items[itemOf{g.Version, g.Item}] -= g.Spends
		t.wrong = t.wrong || g.Suspect
	}
	return nil
}
