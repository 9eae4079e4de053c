package audit

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
)

// A fingerprint of a table is the sum of a hash of its rows: whoever and whichever
// spend they are of. What must be there in two tables has the same sum in both,
// whatever the order in which it lies; so each table is read once, as it lies on the
// disk, and nothing is joined or sorted. Amounts and what else rows must agree in
// stand beside the sums, as they are.
//
// The sums of calls are of hash times amount: for each call, what it moved less what
// its spends cost is 0, unless the hashes of the calls that are wrong cancel out by
// chance.
//
// The hashes have 64 bits and are seeded anew by each audit, so nobody can make up
// rows that cancel out: what is wrong goes unnoticed once in 2^64 audits.
const (
	printSpends = `SELECT s.kind, s.state, s.cost, s.catalog_version, s.item, s.quantity, count(*) AS n, count(s.adjustment_id) AS bound,
			sum(uuid_hash_extended(s.id, hashtextextended(s.app_user_id, {seed})))::text AS print,
			coalesce(sum(uuid_hash_extended(s.adjustment_id, hashtextextended(s.app_user_id, {seed}))), 0)::text AS calls
		FROM spends s WHERE {range} GROUP BY s.kind, s.state, s.cost, s.catalog_version, s.item, s.quantity`

	printLines = `SELECT l.kind, l.currency, l.debit, l.credit, l.amount, count(*) AS n,
			sum(uuid_hash_extended(l.spend_id, hashtextextended(l.app_user_id, {seed})))::text AS print,
			coalesce(string_agg(l.spend_id::text, ',') FILTER (WHERE l.kind IN ('reclaim', 'keep')), '') AS reclaimed
		FROM ledger_entries l WHERE {range} GROUP BY l.kind, l.currency, l.debit, l.credit, l.amount`

	// A charge is told by its own id, which its spends name; a refund by its spend's. What
	// was sent begins with the changes, in a form of its own (revenuecat.Body).
	printCalls = `SELECT a.purpose, a.deltas, ` + sent + ` AS sent, count(*) FILTER (WHERE a.state = 'applied') AS n,
			coalesce(sum(uuid_hash_extended(coalesce(a.spend_id, a.id), hashtextextended(a.app_user_id, {seed}))) FILTER (WHERE a.state = 'applied'), 0)::text AS print,
			coalesce(string_agg(a.id::text, ',') FILTER (WHERE a.state <> 'applied'), '') AS open
		FROM adjustments a WHERE {range} AND a.state IN ('applied', 'open', 'unknown') GROUP BY a.purpose, a.deltas, ` + sent

	printItems = `SELECT g.item, g.quantity, count(*) AS n, sum(uuid_hash_extended(g.spend_id, hashtextextended(g.app_user_id, {seed})))::text AS print
		FROM inventory_grants g WHERE {range} AND g.revoked_at IS NULL GROUP BY g.item, g.quantity`
)

// sent is the part of a call's body that changes balances, up to its last amount.
const sent = `split_part(a.body, '}', 1)`

// printed names what two tables must have the same of.
type printed struct {
	what   string // such as "line charge"
	of     string // currency, or item
	amount int64  // of each row; 0 where the sum is of hash times amount
}

// difference is what one side has less what the other has.
type difference struct {
	rows int64
	sum  big.Int
}

// prints compares the tables of one snapshot.
type prints struct {
	seed   int64
	differ map[printed]*difference
	wrong  bool     // a spend or a line is wrong in itself
	calls  bool     // so is a call, or a spend has none
	apart  []string // spends that were taken back: they are looked at one by one
	open   []string // calls without an outcome
	sums   Sums
	b      *snapshot
}

func newPrints(b *snapshot) *prints {
	var raw [8]byte
	_, _ = rand.Read(raw[:]) // never fails (package crypto/rand)
	return &prints{seed: int64(binary.BigEndian.Uint64(raw[:])>>1) | 1, differ: map[printed]*difference{}, b: b}
}

// add counts rows with a fingerprint, times so much, on one side; rows below 0 are
// of the other side.
func (p *prints) add(key printed, rows, times int64, hashes string) error {
	sum, ok := new(big.Int).SetString(hashes, 10)
	if !ok {
		return fmt.Errorf("audit: a fingerprint is no number: %q", hashes)
	}
	d := p.differ[key]
	if d == nil {
		d = &difference{}
		p.differ[key] = d
	}
	d.rows += rows
	d.sum.Add(&d.sum, sum.Mul(sum, big.NewInt(times)))
	return nil
}

// same reports whether every table has what the others ask for: the lines and items,
// and the calls.
func (p *prints) same() (lines, calls bool) {
	lines, calls = !p.wrong, !p.calls
	for key, d := range p.differ {
		switch {
		case d.rows == 0 && d.sum.Sign() == 0:
		case strings.HasPrefix(key.what, "call "):
			calls = false
		default:
			lines = false
		}
	}
	return lines, calls
}

// job is one part of one table.
type job struct {
	table      string
	from, upTo int64  // blocks; upTo 0: to the end
	scope      *scope // if not nil, these spends instead of blocks
}

// in writes the job into a statement of its table.
func (j job) in(query string, seed int64) string {
	condition := fmt.Sprintf("ctid >= '(%d,0)'", j.from)
	if j.upTo != 0 {
		condition += fmt.Sprintf(" AND ctid < '(%d,0)'", j.upTo)
	}
	if j.scope != nil {
		condition = j.scope.on(map[string]string{"spends": "s.id", "ledger_entries": "l.spend_id", "inventory_grants": "g.spend_id"}[j.table])
	}
	return strings.NewReplacer("{range}", "("+condition+")", "{seed}", strconv.FormatInt(seed, 10)).Replace(query)
}

// read returns what a part of a table comes to, as what adds it to the prints.
func (j job) read(ctx context.Context, b *snapshot, seed int64) (add func(*prints) error, err error) {
	switch j.table {
	case "spends":
		return readPart(ctx, b, j.in(printSpends, seed), (*prints).spend)
	case "ledger_entries":
		return readPart(ctx, b, j.in(printLines, seed), (*prints).line)
	case "adjustments":
		return readPart(ctx, b, j.in(printCalls, seed), (*prints).call)
	default:
		return readPart(ctx, b, j.in(printItems, seed), (*prints).item)
	}
}

func readPart[T any](ctx context.Context, b *snapshot, query string, add func(*prints, T) error) (func(*prints) error, error) {
	var groups []T
	if err := b.tx.SelectContext(ctx, &groups, query); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return func(p *prints) error {
		for _, group := range groups {
			if err := add(p, group); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// spendsGroup is spends that ask for the same.
type spendsGroup struct {
	Kind     string `db:"kind"`
	State    string `db:"state"`
	Cost     []byte `db:"cost"`
	Version  int64  `db:"catalog_version"`
	Item     string `db:"item"`
	Quantity int64  `db:"quantity"`
	N        int64  `db:"n"`
	Bound    int64  `db:"bound"`
	Print    string `db:"print"`
	Calls    string `db:"calls"`
}

func (p *prints) spend(g spendsGroup) error {
	p.sums.Spends += g.N
	cost, err := books.DecodeAmounts(g.Cost)
	if err != nil {
		return fmt.Errorf("audit spends: cost: %w", err)
	}
	state := economy.State(g.State)
	moved := state != economy.Requested && state != economy.Declined
	p.calls = p.calls || moved && g.Bound != g.N
	p.wrong = p.wrong || !p.b.prices.price(g.Kind, g.Version, g.Item, g.Quantity, cost)
	for currency, amount := range cost {
		of, units := string(currency), int64(amount)
		for _, kind := range linesOf(g.Kind, g.State) {
			if err := p.add(printed{"line " + kind, of, units}, g.N, 1, g.Print); err != nil {
				return err
			}
		}
		if moved {
			if err := p.add(printed{"call " + purposeOf(g.Kind), of, 0}, 0, units, g.Calls); err != nil {
				return err
			}
		}
		if state == economy.Refunded {
			if err := p.add(printed{"call refund", of, units}, g.N, 1, g.Print); err != nil {
				return err
			}
		}
		if state == economy.Charged || state == economy.Refunding {
			p.sums.of(currency).InFlight += g.N * units
		}
	}
	if g.Kind != "grant" && state == economy.Fulfilled && p.b.ours[itemOf{g.Version, g.Item}] {
		return p.add(printed{"item", g.Item, g.Quantity}, g.N, 1, g.Print)
	}
	return nil
}

// purposeOf is what the call is for that moves the balance for a kind of spend.
func purposeOf(kind string) string {
	if kind == "grant" {
		return kind
	}
	return "charge"
}

// linesGroup is lines of the same amount.
type linesGroup struct {
	Kind      string `db:"kind"`
	Currency  string `db:"currency"`
	Debit     string `db:"debit"`
	Credit    string `db:"credit"`
	Amount    int64  `db:"amount"`
	N         int64  `db:"n"`
	Print     string `db:"print"`
	Reclaimed string `db:"reclaimed"`
}

// accounts are from which account to which a kind of line goes.
var accounts = map[string][2]string{
	"charge": {"wallet", "in_flight"}, "fulfil": {"in_flight", "sink"}, "refund": {"in_flight", "wallet"},
	"reclaim": {"sink", "in_flight"}, "keep": {"in_flight", "sink"}, "grant": {"issuance", "wallet"},
}

func (p *prints) line(g linesGroup) error {
	p.sums.Lines += g.N
	p.sums.of(economy.Currency(g.Currency)).add(g.Kind, g.N*g.Amount)
	p.wrong = p.wrong || accounts[g.Kind] != [2]string{g.Debit, g.Credit}
	if g.Reclaimed != "" {
		p.apart = append(p.apart, strings.Split(g.Reclaimed, ",")...)
	}
	switch economy.EntryKind(g.Kind) { //nolint:exhaustive // the others stand for themselves
	case economy.EntryReclaim: // takes a hand-over back
		return p.add(printed{"line fulfil", g.Currency, g.Amount}, g.N, 1, g.Print)
	case economy.EntryKeep: // and this gives up on that
		g.Kind = string(economy.EntryFulfil)
	}
	return p.add(printed{"line " + g.Kind, g.Currency, g.Amount}, -g.N, -1, g.Print)
}

// callsGroup is calls that were applied and moved the same.
type callsGroup struct {
	Purpose string `db:"purpose"`
	Deltas  []byte `db:"deltas"`
	Sent    string `db:"sent"`
	N       int64  `db:"n"`
	Print   string `db:"print"`
	Open    string `db:"open"` // ids of those without an outcome
}

func (p *prints) call(g callsGroup) error {
	if g.Open != "" {
		p.open = append(p.open, strings.Split(g.Open, ",")...)
	}
	if g.N == 0 {
		return nil
	}
	deltas, err := books.DecodeAmounts(g.Deltas)
	if err != nil {
		return fmt.Errorf("audit calls: %w", err)
	}
	p.calls = p.calls || !sentSame(g.Sent, deltas)
	for currency, delta := range deltas {
		key, rows, times := printed{"call " + g.Purpose, string(currency), 0}, int64(0), -int64(delta)
		switch g.Purpose {
		case "charge":
			times = -times // a charge of 10 is -10
		case "refund":
			key.amount, rows, times = int64(delta), -g.N, -1
		}
		if err := p.add(key, rows, times, g.Print); err != nil {
			return err
		}
	}
	return nil
}

// sentSame reports whether what was sent, a body up to its last amount, changes
// balances by the deltas.
func sentSame(sent string, deltas economy.Amounts) bool {
	changes, ok := strings.CutPrefix(sent, `{"adjustments":`)
	if !ok {
		return false
	}
	amounts, err := books.DecodeAmounts([]byte(changes + "}"))
	return err == nil && amounts.Equal(deltas) && deltas.Equal(amounts)
}

// itemsGroup is items in our inventory.
type itemsGroup struct {
	Item     string `db:"item"`
	Quantity int64  `db:"quantity"`
	N        int64  `db:"n"`
	Print    string `db:"print"`
}

func (p *prints) item(g itemsGroup) error {
	return p.add(printed{"item", g.Item, g.Quantity}, -g.N, -1, g.Print)
}
