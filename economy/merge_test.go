package economy_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

var saleKey = economy.PurchaseKey{Store: economy.AppStore, Environment: economy.Production, TransactionID: "t1"}

func hour(n int) time.Time { return time.Date(2026, 3, 1, n, 0, 0, 0, time.UTC) }

// anyFact returns a random fact about saleKey. Few values and few times make
// contradictions and equal stamps likely.
func anyFact(r *rand.Rand) economy.PurchaseFact {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	moment := func() *time.Time {
		switch r.IntN(3) {
		case 0:
			return nil
		case 1:
			return new(time.Time{})
		}
		return new(hour(r.IntN(4)))
	}
	f := economy.PurchaseFact{
		Key: saleKey, Source: economy.Source(pick("webhook", "webhook", "export", "resync", "claim")), Kind: economy.FactKind(r.IntN(7)),
		At: hour(r.IntN(3)), By: pick("a", "b"),
		AppUserID: pick("", "ann", "bob"), Buyer: pick("", "", "cid"), Product: pick("", "p", "q"), Original: pick("", "t0"),
		Quantity: int64(r.IntN(3)), Ownership: economy.Ownership(pick("", "purchased", "family_shared")), Period: economy.Period(pick("", "normal", "trial")),
		ExpiresAt: moment(), GraceUntil: moment(), EndedAt: moment(),
	}
	if r.IntN(2) == 0 {
		f.PurchasedAt = hour(r.IntN(2))
	}
	if at := moment(); at != nil {
		f.Refund = &economy.Refund{At: *at, Reversed: at.IsZero()}
		f.Intent = &economy.Intent{Code: pick("renew", "paused"), Resumes: *at}
		f.Paid = &economy.Price{Currency: "EUR", Micros: int64(r.IntN(2))}
	}
	return f
}

func TestKnowledgeIsTheSameInWhateverOrderItCame(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		facts := make([]economy.PurchaseFact, 2+r.IntN(6))
		for i := range facts {
			facts[i] = anyFact(r)
		}
		learn := func(facts []economy.PurchaseFact) (p economy.Purchase) {
			for _, f := range facts {
				p = economy.Merge(p, f)
			}
			return p
		}
		want := learn(facts)
		if again := learn(slices.Concat(facts, facts)); again != want {
			t.Fatalf("seed %d: told twice, it is\n%+v\nwant\n%+v", seed, again, want)
		}
		cut := r.IntN(len(facts))
		if cut > 0 {
			if got := economy.Join(learn(facts[cut:]), learn(facts[:cut])); got != want {
				t.Fatalf("seed %d: in two parts, it is\n%+v\nwant\n%+v", seed, got, want)
			}
		}
		r.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
		if got := learn(facts); got != want {
			t.Fatalf("seed %d: shuffled, it is\n%+v\nwant\n%+v", seed, got, want)
		}
	}
}

func TestWhoseWordCounts(t *testing.T) {
	t.Parallel()
	refund := func(source economy.Source, kind economy.FactKind, at int, refunded bool) economy.PurchaseFact {
		f := economy.PurchaseFact{Key: saleKey, Source: source, Kind: kind, At: hour(at), By: "x", Product: "p", PurchasedAt: hour(0), Refund: &economy.Refund{}}
		if refunded {
			f.Refund.At = hour(at)
		}
		return f
	}
	for _, test := range []struct {
		name     string
		one, two economy.PurchaseFact
		refunded bool
	}{
		{"the newer word", refund("webhook", economy.FactRefunded, 1, true), refund("webhook", economy.FactReversed, 2, false), false},
		{"an older snapshot yields to what was told live", refund("webhook", economy.FactRefunded, 2, true), refund("export", economy.FactSnapshot, 1, false), true},
		{"a newer snapshot does not", refund("webhook", economy.FactRefunded, 1, true), refund("export", economy.FactSnapshot, 2, false), false},
		{"live, of the same moment", refund("webhook", economy.FactRefunded, 1, true), refund("resync", economy.FactSnapshot, 1, false), true},
		{"the later kind, of the same moment", refund("webhook", economy.FactBought, 1, false), refund("webhook", economy.FactRefunded, 1, true), true},
		{"a claim never, however new", refund("webhook", economy.FactRefunded, 1, true), refund("claim", economy.FactReversed, 9, false), true},
	} {
		p := economy.Merge(economy.Merge(economy.Purchase{}, test.one), test.two)
		if p.Refunded() != test.refunded {
			t.Errorf("%s: refunded %v", test.name, p.Refunded())
		}
	}
	alone := economy.Merge(economy.Purchase{}, refund("claim", economy.FactBought, 1, false))
	if alone.Confirmed() {
		t.Error("a claim alone confirms a purchase")
	}
}

func TestTheBuyerIsWhomTheOldestWordNames(t *testing.T) {
	t.Parallel()
	fact := func(source economy.Source, at int, user, buyer string) economy.PurchaseFact {
		return economy.PurchaseFact{Key: saleKey, Source: source, At: hour(at), By: "x", AppUserID: user, Buyer: buyer, PurchasedAt: hour(1)}
	}
	p := economy.Merge(economy.Merge(economy.Purchase{}, fact("webhook", 5, "bob", "")), fact("webhook", 2, "ann", ""))
	if p.Owner.Value != "bob" || p.Buyer.Value != "ann" {
		t.Errorf("owner %s, buyer %s", p.Owner.Value, p.Buyer.Value)
	}
	p = economy.Merge(p, fact("claim", 0, "thief", "thief"))
	p = economy.Merge(p, fact("resync", 9, "bob", "cid"))
	if p.Buyer.Value != "cid" {
		t.Errorf("buyer %s: the provider knows who bought it", p.Buyer.Value)
	}
}

func TestAFactThatCannotBeIsRefusedWithEveryReason(t *testing.T) {
	t.Parallel()
	good := economy.PurchaseFact{Key: saleKey, Source: "webhook", At: hour(1), By: "x"}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	bad := economy.PurchaseFact{Source: "gossip", Quantity: -1, PurchasedAt: time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)}
	err := bad.Validate()
	for _, part := range []string{"store is", "environment is", "transaction id", "source is", "its time is", "what told it", "quantity", "1970 and 3000"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %q", err, part)
		}
	}
}

func TestKeysOfPurchases(t *testing.T) {
	t.Parallel()
	if got := saleKey.ID(); got != (economy.PurchaseKey{"app_store", "production", "t1"}).ID() || len(got) != 36 || got[14] != '8' {
		t.Errorf("id %s", got)
	}
	other := saleKey
	other.Environment = economy.Sandbox
	if other.ID() == saleKey.ID() {
		t.Error("two environments, one id")
	}
	for _, test := range []struct {
		store   economy.Store
		renewal int64
		want    string
	}{{economy.StripeStore, 3, "x#3"}, {economy.StripeStore, 1, "x"}, {economy.StripeStore, 0, "x"}, {economy.AppStore, 3, "x"}} {
		if got := economy.TransactionID(test.store, "x", test.renewal); got != test.want {
			t.Errorf("%s, period %d: %s, want %s", test.store, test.renewal, got, test.want)
		}
	}
	if got := economy.NormalStore(" PLAY_STORE "); got != economy.PlayStore {
		t.Errorf("store %q", got)
	}
}

func TestPurchasesOfDifferentKeysAreNeverJoined(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("joined")
		}
	}()
	economy.Join(economy.Purchase{Key: saleKey}, economy.Purchase{})
}

func ExampleParseLasts() {
	for _, text := range []string{"period", "forever", "30d", "12h", "36h"} {
		lasts, err := economy.ParseLasts(text)
		fmt.Println(lasts, err)
	}
	// Output:
	// period <nil>
	// forever <nil>
	// 30d <nil>
	// 12h0m0s <nil>
	// 36h0m0s <nil>
}
