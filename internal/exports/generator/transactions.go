package generator

import (
	"io"
	"math/rand/v2"
	"strconv"
	"time"
)

// transaction is one row: a version of a transaction.
type transaction struct {
	original, last           string
	country, platform        string
	product, display, length string
	store                    string
	start, end, grace        time.Time
	effective                time.Time
	renewable, trial, intro  bool
	sandbox, conversion      bool
	family                   bool
	gross, net               int64 // millionths, in currency
	currency                 string
	rate                     int64 // dollars for a unit of currency, in thousandths
	id, first                string
	refunded, unsubscribed   time.Time
	billing, updated, seen   time.Time
	renewal                  int64
	attributes               string
	entitlements             string
}

// Write writes a transactions export: subscriptions with their renewals, purchases,
// trials, refunds and refunds taken back, family sharing, sandbox, gifts, and several
// versions of one transaction, newer and older, in no order.
func Write(w io.Writer, opts Options) (Summary, error) {
	opts, err := opts.withDefaults(',')
	if err != nil {
		return Summary{}, err
	}
	columns, err := choose(transactionColumns(opts.Version), opts.Columns)
	if err != nil {
		return Summary{}, err
	}
	out, err := newEncoder(w, opts, columns)
	if err != nil {
		return Summary{}, err
	}
	g := &stories{opts: opts, out: out, random: rand.New(rand.NewPCG(opts.Seed, 6))}
	for g.err == nil && g.Rows < opts.Rows {
		g.story(g.told % opts.Players)
		g.told++
	}
	g.Players = min(g.told, opts.Players)
	g.flush()
	if g.err != nil {
		return Summary{}, g.err
	}
	return g.Summary, out.close()
}

// stories makes rows and hands them over.
type stories struct {
	Summary

	opts   Options
	out    encoder[transaction]
	random *rand.Rand
	told   int64
	held   []transaction // rows that come later than they were made
	err    error
}

// heldMax is how many rows wait for their turn: how far versions lie apart.
const heldMax = 1000

func (g *stories) chance(percent int) bool { return g.random.IntN(100) < percent }

// emit writes a row, or now and then one that was made before.
func (g *stories) emit(t transaction) {
	if g.err != nil || g.Rows >= g.opts.Rows {
		return
	}
	g.Rows++
	if len(g.held) < heldMax {
		g.held = append(g.held, t)
		return
	}
	if g.chance(30) {
		at := g.random.IntN(len(g.held))
		g.err = g.out.write(&g.held[at])
		g.held[at] = t
		return
	}
	g.err = g.out.write(&t)
}

func (g *stories) flush() {
	g.random.Shuffle(len(g.held), func(i, j int) { g.held[i], g.held[j] = g.held[j], g.held[i] })
	for i := range g.held {
		if g.err == nil {
			g.err = g.out.write(&g.held[i])
		}
	}
}

// versions writes the newest version of a transaction and, now and then, an older one:
// what was known before the refund, or before it was taken back.
func (g *stories) versions(t transaction) {
	left := g.opts.Rows - g.Rows
	if left <= 0 {
		return
	}
	older := t
	older.updated = t.start.Add(time.Duration(g.random.IntN(60)) * time.Second)
	t.updated = latest(older.updated.Add(time.Second), t.refunded, t.unsubscribed, t.billing)
	reversed := t.refunded.IsZero() && !t.trial && t.gross > 0 && g.random.IntN(1000) < 3
	switch {
	case reversed && left > 1:
		older.refunded, older.net, older.effective = older.updated, 0, older.updated
		g.Reversed++
		g.emit(older)
	case g.chance(20) && left > 1:
		older.refunded, older.unsubscribed, older.billing, older.grace = time.Time{}, time.Time{}, time.Time{}, time.Time{}
		older.net, older.effective = older.gross, older.end
		g.emit(older)
	}
	g.emit(t)
	g.count(t)
}

func (g *stories) count(t transaction) {
	g.Transactions++
	for _, c := range []struct {
		counter *int64
		is      bool
	}{
		{&g.Refunded, !t.refunded.IsZero()},
		{&g.Sandbox, t.sandbox},
		{&g.Trials, t.trial},
		{&g.FamilyShared, t.family},
		{&g.Invalidated, !t.end.IsZero() && t.end.Before(t.start)},
	} {
		if c.is {
			*c.counter++
		}
	}
}

func latest(first time.Time, others ...time.Time) time.Time {
	for _, t := range others {
		if t.After(first) {
			first = t
		}
	}
	return first
}

// story makes what one player bought once, or by one subscription.
func (g *stories) story(player int64) {
	t := g.beginning(player)
	if g.chance(55) {
		g.subscription(t)
		return
	}
	t.product = g.opts.OneTime[g.random.IntN(len(g.opts.OneTime))]
	t.display = "Gems; many, of \"them\""
	t.renewal = 1
	t.id = g.id(t.store, 0)
	t.first = t.id
	if g.chance(3) {
		g.refund(&t)
	}
	g.versions(t)
}

func (g *stories) beginning(player int64) transaction {
	t := transaction{original: Player(player), last: Player(player), country: "DE", platform: "iOS", store: "app_store", currency: "EUR", rate: 1080}
	if player%3 == 0 {
		t.original = "$RCAnonymousID:" + hexadecimal(uint64(player), g.opts.Seed)
	}
	t.start = g.opts.Until.Add(-time.Duration(g.random.IntN(700*24*60*60)+60) * time.Second)
	t.seen = t.start.Add(-time.Duration(g.random.IntN(1000)) * time.Minute)
	t.gross = int64(1+g.random.IntN(20))*1_000_000 - 10_000
	switch n := g.random.IntN(100); {
	case n < 35:
		t.store, t.platform, t.country, t.currency, t.rate = "play_store", "android", "US", "USD", 1000
	case n < 45:
		t.store, t.platform, t.country, t.currency, t.rate = "stripe", "web", "GB", "GBP", 1270
	case n < 50:
		t.store, t.gross = "promotional", 0
	case n < 55:
		t.family, t.gross = true, 0
	}
	t.net = t.gross
	t.sandbox = g.chance(5)
	if g.chance(50) {
		t.attributes = `{"$email": {"value": "` + t.last + `@example.com", "updated_at_ms": 1672549200}, "$ip": {"value": "203.0.113.7", "updated_at_ms": 1672549200}}`
	}
	return t
}

const month = 30 * 24 * time.Hour

// subscription makes the periods of one, a trial perhaps first.
func (g *stories) subscription(t transaction) {
	t.renewable = true
	t.product = g.opts.Subscriptions[g.random.IntN(len(g.opts.Subscriptions))]
	t.length = "P1M"
	t.entitlements = "vip" + listSeparator + "full_access"
	trial := t.gross > 0 && g.chance(25)
	periods := 1 + g.random.IntN(8)
	base := g.id(t.store, 0)
	for n := 1; n <= periods && t.start.Before(g.opts.Until); n++ {
		p := t
		p.renewal, p.first = int64(n), base
		p.id = g.period(base, t.store, n)
		p.end = t.start.Add(month)
		p.trial, p.conversion = trial && n == 1, trial && n == 2
		p.intro = !trial && n == 1 && g.chance(10)
		if p.trial {
			p.gross, p.net, p.end = 0, 0, t.start.Add(7*24*time.Hour)
		}
		p.effective = p.end
		last := n == periods
		switch {
		case p.store == "play_store" && !p.trial && g.chance(2):
			p.end = p.start.Add(-time.Minute)
			p.effective = p.end
		case p.gross > 0 && g.chance(3):
			g.refund(&p)
		case last && g.chance(10):
			if g.happened(p.end) {
				p.billing = p.end
				p.grace = p.end.Add(16 * 24 * time.Hour)
				p.effective = p.grace
			}
		case last && g.happened(p.start.Add(time.Hour)):
			p.unsubscribed = p.start.Add(time.Hour)
		}
		g.versions(p)
		t.start = t.start.Add(p.end.Sub(p.start).Abs())
	}
}

// refund pays all or a part of it back; of a part the store says so by the price only.
func (g *stories) refund(t *transaction) {
	if t.gross == 0 {
		return
	}
	if t.store == "app_store" && g.chance(10) {
		t.net = t.gross / 2
		return
	}
	if at := t.start.Add(time.Duration(1+g.random.IntN(100)) * time.Hour); g.happened(at) {
		t.refunded, t.net, t.effective = at, 0, at
	}
}

func (g *stories) happened(at time.Time) bool { return !at.After(g.opts.Until) }

// id makes a transaction's id in the way of its store, different for every story.
func (g *stories) id(store string, n int64) string {
	unique := int64(g.opts.Seed%1000)*1_000_000_000_000 + g.told*100 + n
	switch store {
	case "play_store":
		return "GPA.3300-" + strconv.FormatInt(unique, 10)
	case "stripe":
		return "si_" + strconv.FormatInt(unique, 36)
	case "promotional":
		return "rc_promo_" + strconv.FormatInt(unique, 10)
	}
	return strconv.FormatInt(200_000_000_000_000_000+unique, 10)
}

// period is the id of a subscription's nth transaction: Google counts on, Stripe
// repeats the first one's.
func (g *stories) period(base, store string, n int) string {
	switch {
	case n == 1 || store == "stripe":
		return base
	case store == "play_store":
		return base + ".." + strconv.Itoa(n-2)
	}
	return g.id(store, int64(n))
}

func hexadecimal(a, b uint64) string {
	const zeros = "00000000000000000000000000000000"
	s := strconv.FormatUint(a+1, 16) + strconv.FormatUint(b|1<<60, 16)
	return zeros[len(s):] + s
}
