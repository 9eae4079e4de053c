package purchases

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-gems/sluice/economy"
)

// History reads the history of a player's customer. One history is one snapshot.
//
// Errors: *outbox.DataError for an id that cannot be anybody's.
func (s *Store) History(ctx context.Context, appUserID string) (History, error) {
	found, _, err := s.gathered.Get(ctx, &question{ids: []string{appUserID}})
	if err != nil {
		return History{}, fmt.Errorf("read history: %w", err)
	}
	return found.history(appUserID, nil, "")
}

// history puts the parts together as the history of one id's customer. links are
// those that are about to be written down, and so is what is known of a transaction.
func (f snapshot) history(appUserID string, links [][2]string, transactionID string) (History, error) {
	h := History{CatalogVersion: f.catalogVersion, Transfers: f.transfersOf(), family: family{parent: map[string]string{}}}
	for _, link := range slices.Concat(f.links, links) {
		h.family.link(link[0], link[1])
	}
	h.Customer = h.family.customer(appUserID)
	f.folded(&h)
	purchases := map[economy.PurchaseKey]bool{}
	transactions := map[string]bool{transactionID: transactionID != ""}
	for _, row := range f.purchases {
		p, err := row.recorded()
		if err != nil {
			return h, fmt.Errorf("read history: %w", err)
		}
		if !purchases[p.Key] { // its owner and its buyer are both connected
			purchases[p.Key], transactions[p.Key.TransactionID] = true, true
			h.Purchases = append(h.Purchases, p)
		}
	}
	claims := map[string]bool{}
	for _, row := range f.claims {
		if !claims[row.ID] && (transactions[row.TransactionID] || h.Customer.Has(row.AppUserID)) {
			claims[row.ID] = true
			h.Claims = append(h.Claims, row.claim())
		}
	}
	slices.SortFunc(h.Claims, func(a, b economy.Claim) int {
		return cmp.Or(a.ClaimedAt.Compare(b.ClaimedAt), strings.Compare(a.ID, b.ID))
	})
	return h, nil
}

// transfersOf puts the rows of each transfer together.
func (f snapshot) transfersOf() []economy.Transfer {
	byID := map[string]*economy.Transfer{}
	for _, row := range f.transfers {
		t := byID[row.ID]
		if t == nil {
			t = &economy.Transfer{ID: row.ID, At: row.At.UTC(), Store: economy.Store(row.Store), Environment: economy.Environment(row.Environment)}
			byID[row.ID] = t
		}
		if row.Side == "from" {
			t.From = append(t.From, row.AppUserID)
		} else {
			t.To = append(t.To, row.AppUserID)
		}
	}
	list := make([]economy.Transfer, 0, len(byID))
	for _, t := range byID {
		slices.Sort(t.From)
		slices.Sort(t.To)
		list = append(list, *t)
	}
	slices.SortFunc(list, economy.CompareTransfers)
	return list
}

// folded takes what the customer's last fold wrote, and finds the aliases that may
// still be folded by themselves by somebody who does not know of the link yet.
func (f snapshot) folded(h *History) {
	rows := map[string]customerPart{}
	for _, row := range f.customers {
		rows[row.ID] = row
	}
	h.Version = rows[h.Customer.ID].Version
	for _, id := range h.Customer.AppUserIDs {
		if row := rows[id]; id != h.Customer.ID && !row.Absorbed {
			h.absorb = append(h.absorb, absorbed{id, row.Version})
		}
	}
	for _, row := range f.accesses {
		if row.CustomerID == h.Customer.ID {
			h.Accesses = append(h.Accesses, row.access())
		}
	}
	for _, l := range f.lines {
		if !h.Customer.Has(l.CustomerID) {
			continue
		}
		key := economy.PurchaseKey{Store: economy.Store(l.Store), Environment: economy.Environment(l.Environment), TransactionID: l.TransactionID}
		h.Lines = append(h.Lines, economy.GrantLine{
			PurchaseGrant: economy.PurchaseGrant{Purchase: key, Kind: economy.GrantedKind(l.Kind), Name: l.Name, Quantity: l.Quantity, CatalogVersion: l.CatalogVersion},
			Number:        l.Number,
		})
	}
	slices.SortStableFunc(h.Lines, func(a, b economy.GrantLine) int { return cmp.Compare(a.Number, b.Number) })
}
