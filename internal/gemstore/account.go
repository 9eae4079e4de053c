package gemstore

import (
	"cmp"
	"slices"

	"github.com/sluice-gems/sluice/economy"
)

// account is everything that is known of one player and currency: at the provider,
// and in one snapshot of our database.
type account struct {
	balance  economy.Amount // at the provider
	adjusted economy.Amount // the sum of our calls that the provider applied

	told      economy.Amount // what the provider moved by itself, as far as webhooks told
	corrected economy.Amount // what operators posted after a comparison (sluice reconcile --repair)
	charged   economy.Amount // ledger lines
	fulfilled economy.Amount // less what was reclaimed
	refunded  economy.Amount
	granted   economy.Amount
	inFlight  economy.Amount // the cost of spends that are charged or refunding
	asked     []asked        // calls whose outcome we do not know yet
}

// asked is a call whose outcome is open: the provider has applied it, or not.
type asked struct {
	delta economy.Amount
	grant bool
}

// Sums are the books of all players of the store in one currency:
// In = Wallets + Items + Flight, when they balance.
type Sums struct {
	Currency economy.Currency `json:"currency"`
	In       economy.Amount   `json:"in,string"`      // bought or given
	Wallets  economy.Amount   `json:"wallets,string"` // held at the provider
	Items    economy.Amount   `json:"items,string"`   // turned into items
	Flight   economy.Amount   `json:"flight,string"`  // taken, and neither handed over nor given back yet
	Off      economy.Amount   `json:"off,string"`     // what is missing or too much; 0: the books balance
}

// sumUp adds up the accounts of one currency. Off is the sum of what is wrong with
// each, without its sign: a loss here and a gift there are two mistakes.
func sumUp(currency economy.Currency, accounts []account) Sums {
	out := Sums{Currency: currency}
	for _, a := range accounts {
		charges, grants, gap := a.applied()
		bought := a.balance - a.adjusted
		// A correction stands for what our calls did otherwise than we wrote down, or for
		// what we were not told of.
		mended := min(max(0, a.corrected), max(0, gap)) + max(min(0, a.corrected), min(0, gap))
		gap -= mended
		told := a.told + a.corrected - mended
		out.In += bought + a.granted + grants + mended
		out.Wallets += a.balance
		out.Items += a.fulfilled
		out.Flight += a.charged - a.fulfilled - a.refunded - charges
		out.Off += abs(gap)
		out.Off += abs(a.charged - a.fulfilled - a.refunded - a.inFlight) // the ledger and the spends' states
		out.Off += max(0, told-bought)                                    // a purchase in our ledger that nobody made
	}
	return out
}

// applied finds which of the calls with an open outcome the provider has applied: it
// returns the sums of the charges and refunds among them, and of the grants. gap is
// what no choice explains: somebody was charged or refunded who should not be, or not.
func (a account) applied() (charges, grants, gap economy.Amount) {
	known := a.granted - a.charged + a.refunded
	gap = a.adjusted - known
	list := a.asked[:min(len(a.asked), askedMax)]
	for choice := range 1 << len(list) {
		var c, g economy.Amount
		for i, one := range list {
			switch {
			case choice&(1<<i) == 0:
			case one.grant:
				g += one.delta
			default:
				c += one.delta
			}
		}
		if left := a.adjusted - known - c - g; abs(left) < abs(gap) {
			charges, grants, gap = c, g, left
		}
	}
	return charges, grants, gap
}

// askedMax bounds the choices that are tried. A player has one call under way, and
// few more whose outcome stayed unknown.
const askedMax = 12

func abs(a economy.Amount) economy.Amount { return max(a, -a) }

// sumAll returns the sums of every currency, sorted.
func sumAll(accounts map[economy.Currency][]account) []Sums {
	list := make([]Sums, 0, len(accounts))
	for currency, of := range accounts {
		list = append(list, sumUp(currency, of))
	}
	slices.SortFunc(list, func(a, b Sums) int { return cmp.Compare(a.Currency, b.Currency) })
	return list
}
