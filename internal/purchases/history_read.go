package purchases

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// historyQuery reads a whole history in one round trip and one snapshot: it follows
// links and transfers, both ways, until nobody new appears, and takes everything
// that belongs to those ids. The planner takes an array for few rows and a recursion
// for a thousand, which it would compile (JIT, 0.1 s); OFFSET 0 keeps each part a
// look-up by index.
const historyQuery = `
WITH RECURSIVE connected(id) AS (
	SELECT $1::text
	UNION
	SELECT other.id FROM connected c CROSS JOIN LATERAL (
		SELECT alias_of AS id FROM customer_aliases WHERE app_user_id = c.id
		UNION ALL SELECT app_user_id FROM customer_aliases WHERE alias_of = c.id
		UNION ALL SELECT b.app_user_id FROM customer_transfers a JOIN customer_transfers b ON b.transfer_id = a.transfer_id WHERE a.app_user_id = c.id
		OFFSET 0) AS other
), ids AS MATERIALIZED (SELECT id FROM unnest(ARRAY(SELECT id FROM connected LIMIT $2)) AS found(id)),
bought AS MATERIALIZED (
	SELECT p.* FROM ids CROSS JOIN LATERAL (
		SELECT ` + purchaseColumns + ` FROM purchases WHERE app_user_id = ids.id
		UNION ALL SELECT ` + purchaseColumns + ` FROM purchases WHERE buyer = ids.id AND buyer <> app_user_id
		OFFSET 0) AS p
)
SELECT json_build_object(
	'ids', (SELECT count(*) FROM ids),
	'catalog_version', (SELECT version FROM catalog_versions ORDER BY loaded_at DESC, version DESC LIMIT 1),
	'links', (SELECT json_agg(json_build_array(x.app_user_id, x.alias_of)) FROM ids CROSS JOIN LATERAL (
		SELECT app_user_id, alias_of FROM customer_aliases WHERE app_user_id = ids.id OFFSET 0) x),
	'transfers', (SELECT json_agg(x) FROM ids CROSS JOIN LATERAL (
		SELECT transfer_id, side, app_user_id, transferred_at, store, environment FROM customer_transfers WHERE app_user_id = ids.id OFFSET 0) x),
	'customers', (SELECT json_agg(x) FROM ids CROSS JOIN LATERAL (
		SELECT customer_id, version, absorbed FROM customers WHERE customer_id = ids.id OFFSET 0) x),
	'accesses', (SELECT json_agg(x) FROM ids CROSS JOIN LATERAL (
		SELECT ` + accessColumns + ` FROM accesses WHERE customer_id = ids.id OFFSET 0) x),
	'lines', (SELECT json_agg(x) FROM ids CROSS JOIN LATERAL (
		SELECT customer_id, kind, name, number, quantity, catalog_version, store, environment, transaction_id FROM purchase_grants WHERE customer_id = ids.id OFFSET 0) x),
	'purchases', (SELECT json_agg(b) FROM bought b),
	'claims', (SELECT json_agg(x) FROM (
		SELECT c.* FROM (SELECT DISTINCT transaction_id FROM bought) b CROSS JOIN LATERAL (
			SELECT ` + claimColumns + ` FROM claims c WHERE transaction_id = b.transaction_id AND ` + openClaim + ` OFFSET 0) c
		UNION
		SELECT c.* FROM ids CROSS JOIN LATERAL (
			SELECT ` + claimColumns + ` FROM claims c WHERE app_user_id = ids.id AND ` + openClaim + ` OFFSET 0) c) x))`

// snapshot is what historyQuery answers.
type snapshot struct {
	IDs            int         `json:"ids"`
	CatalogVersion int64       `json:"catalog_version"`
	Links          [][2]string `json:"links"`
	Transfers      []struct {
		ID          string    `json:"transfer_id"`
		Side        string    `json:"side"`
		AppUserID   string    `json:"app_user_id"`
		At          time.Time `json:"transferred_at"`
		Store       string    `json:"store"`
		Environment string    `json:"environment"`
	} `json:"transfers"`
	Customers []struct {
		ID       string `json:"customer_id"`
		Version  int64  `json:"version"`
		Absorbed bool   `json:"absorbed"`
	} `json:"customers"`
	Accesses []accessOf `json:"accesses"`
	Lines    []struct {
		CustomerID     string `json:"customer_id"`
		Kind           string `json:"kind"`
		Name           string `json:"name"`
		Number         int64  `json:"number"`
		Quantity       int64  `json:"quantity"`
		CatalogVersion int64  `json:"catalog_version"`
		Store          string `json:"store"`
		Environment    string `json:"environment"`
		TransactionID  string `json:"transaction_id"`
	} `json:"lines"`
	Purchases []purchaseRow `json:"purchases"`
	Claims    []claimRow    `json:"claims"`
}

// History reads the history of a player's customer. One history is one snapshot.
func (s *Store) History(ctx context.Context, appUserID string) (History, error) {
	var raw []byte
	if err := s.history.row(ctx, s.db, []any{appUserID, idsMax + 1}, &raw); err != nil {
		return History{}, fmt.Errorf("read history: %w", err)
	}
	var found snapshot
	if err := json.Unmarshal(raw, &found); err != nil {
		return History{}, fmt.Errorf("read history: %w", err)
	}
	if found.IDs > idsMax {
		return History{}, fmt.Errorf("more than %d ids are connected with one customer: look at customer_aliases and customer_transfers", idsMax)
	}
	return found.history(appUserID)
}

func (f snapshot) history(appUserID string) (History, error) {
	h := History{CatalogVersion: f.CatalogVersion, Transfers: f.transfers(), family: family{parent: map[string]string{}}}
	for _, link := range f.Links {
		h.family.link(link[0], link[1])
	}
	h.Customer = h.family.customer(appUserID)
	f.folded(&h)
	purchases := map[economy.PurchaseKey]bool{}
	transactions := map[string]bool{}
	for _, row := range f.Purchases {
		p, err := row.recorded()
		if err != nil {
			return h, fmt.Errorf("read history: %w", err)
		}
		if !purchases[p.Key] { // its owner and its buyer are both connected
			purchases[p.Key], transactions[p.Key.TransactionID] = true, true
			h.Purchases = append(h.Purchases, p)
		}
	}
	for _, row := range f.Claims {
		if transactions[row.TransactionID] || h.Customer.Has(row.AppUserID) {
			h.Claims = append(h.Claims, row.claim())
		}
	}
	slices.SortFunc(h.Claims, func(a, b economy.Claim) int {
		return cmp.Or(a.ClaimedAt.Compare(b.ClaimedAt), strings.Compare(a.ID, b.ID))
	})
	return h, nil
}

// transfers puts the rows of each transfer together.
func (f snapshot) transfers() []economy.Transfer {
	byID := map[string]*economy.Transfer{}
	for _, row := range f.Transfers {
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
	retired := map[string]bool{h.Customer.ID: true}
	for _, row := range f.Customers {
		if row.ID == h.Customer.ID {
			h.Version = row.Version
		}
		retired[row.ID] = retired[row.ID] || row.Absorbed
	}
	for _, id := range h.Customer.AppUserIDs {
		if !retired[id] {
			h.absorb = append(h.absorb, id)
		}
	}
	for _, row := range f.Accesses {
		if row.CustomerID == h.Customer.ID {
			h.Accesses = append(h.Accesses, row.access())
		}
	}
	for _, l := range f.Lines {
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
