package purchases

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/gather"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/outbox"
)

// question asks for a history: of everybody connected with these ids, and with whom
// a purchase is about, if one is named.
type question struct {
	key economy.PurchaseKey
	ids []string
}

// The parts of a history, by which each row of historiesQuery says what it is.
const (
	partCatalog   = 'v' // of everybody's
	partID        = 'i'
	partKnown     = 'k' // the purchase that was asked for, when nobody is named by it
	partPurchase  = 'p'
	partLink      = 'l'
	partTransfer  = 't'
	partCustomer  = 'c'
	partAccess    = 'a'
	partGrantLine = 'g'
	partClaim     = 'w' // a player's word
)

// historiesQuery reads the histories of many questions in one round trip and one
// snapshot. For each it follows links and transfers, both ways, until nobody new
// appears, and takes everything that belongs to those ids: rows of the question's
// number, what the row is, and the row. The planner takes an array for few rows and a
// recursion for a thousand, which it would compile (JIT, 0.1 s); OFFSET 0 keeps each
// part a look-up by index.
const historiesQuery = `
WITH RECURSIVE known AS MATERIALIZED (
	SELECT q.n, p.* FROM unnest($1::integer[], $2::text[], $3::text[], $4::text[]) AS q(n, transaction_id, store, environment) CROSS JOIN LATERAL (
		SELECT ` + purchaseColumns + ` FROM purchases WHERE transaction_id = q.transaction_id AND store = q.store AND environment = q.environment OFFSET 0) AS p
), connected(n, id) AS (
	(SELECT n, id FROM unnest($5::integer[], $6::text[]) AS s(n, id)
	UNION SELECT n, app_user_id FROM known WHERE app_user_id <> ''
	UNION SELECT n, buyer FROM known WHERE buyer <> '')
	UNION
	SELECT c.n, other.id FROM connected c CROSS JOIN LATERAL (
		SELECT alias_of AS id FROM customer_aliases WHERE app_user_id = c.id
		UNION ALL SELECT app_user_id FROM customer_aliases WHERE alias_of = c.id
		UNION ALL SELECT b.app_user_id FROM customer_transfers a JOIN customer_transfers b ON b.transfer_id = a.transfer_id WHERE a.app_user_id = c.id
		OFFSET 0) AS other
), few AS MATERIALIZED (SELECT array_agg(n) AS n, array_agg(id) AS id FROM (SELECT n, id FROM connected LIMIT $7) c),
ids AS MATERIALIZED (SELECT u.n, u.id FROM few CROSS JOIN LATERAL unnest(few.n, few.id) AS u(n, id)),
bought AS MATERIALIZED (
	SELECT ids.n, p.* FROM ids CROSS JOIN LATERAL (
		SELECT ` + purchaseColumns + ` FROM purchases WHERE app_user_id = ids.id
		UNION ALL SELECT ` + purchaseColumns + ` FROM purchases WHERE buyer = ids.id AND buyer <> app_user_id
		OFFSET 0) AS p
)
SELECT 0, 'v', to_json(v) FROM (SELECT version FROM catalog_versions ORDER BY loaded_at DESC, version DESC LIMIT 1) v
UNION ALL SELECT n, 'i', to_json(id) FROM ids
UNION ALL SELECT n, 'k', to_json(k) FROM known k WHERE app_user_id = '' AND buyer = ''
UNION ALL SELECT n, 'p', to_json(b) FROM bought b
UNION ALL SELECT n, 'l', json_build_array(x.app_user_id, x.alias_of) FROM ids CROSS JOIN LATERAL (
	SELECT app_user_id, alias_of FROM customer_aliases WHERE app_user_id = ids.id OFFSET 0) x
UNION ALL SELECT n, 't', to_json(x) FROM ids CROSS JOIN LATERAL (
	SELECT transfer_id, side, app_user_id, transferred_at, store, environment FROM customer_transfers WHERE app_user_id = ids.id OFFSET 0) x
UNION ALL SELECT n, 'c', to_json(x) FROM ids CROSS JOIN LATERAL (
	SELECT customer_id, version, absorbed FROM customers WHERE customer_id = ids.id OFFSET 0) x
UNION ALL SELECT n, 'a', to_json(x) FROM ids CROSS JOIN LATERAL (
	SELECT ` + accessColumns + ` FROM accesses WHERE customer_id = ids.id OFFSET 0) x
UNION ALL SELECT n, 'g', to_json(x) FROM ids CROSS JOIN LATERAL (
	SELECT customer_id, kind, name, number, quantity, catalog_version, store, environment, transaction_id FROM purchase_grants WHERE customer_id = ids.id OFFSET 0) x
UNION ALL SELECT n, 'w', to_json(x) FROM (SELECT DISTINCT n, transaction_id FROM bought UNION SELECT n, transaction_id FROM known) b CROSS JOIN LATERAL (
	SELECT ` + claimColumns + ` FROM claims c WHERE transaction_id = b.transaction_id AND ` + openClaim + ` OFFSET 0) x
UNION ALL SELECT n, 'w', to_json(x) FROM ids CROSS JOIN LATERAL (
	SELECT ` + claimColumns + ` FROM claims c WHERE app_user_id = ids.id AND ` + openClaim + ` OFFSET 0) x`

// snapshot is what is read of one history.
type snapshot struct {
	ids            int
	catalogVersion int64
	known          []purchaseRow
	purchases      []purchaseRow
	links          [][2]string
	transfers      []transferPart
	customers      []customerPart
	accesses       []accessOf
	lines          []linePart
	claims         []claimRow
}

type transferPart struct {
	ID          string    `json:"transfer_id"`
	Side        string    `json:"side"`
	AppUserID   string    `json:"app_user_id"`
	At          time.Time `json:"transferred_at"`
	Store       string    `json:"store"`
	Environment string    `json:"environment"`
}

type customerPart struct {
	ID       string `json:"customer_id"`
	Version  int64  `json:"version"`
	Absorbed bool   `json:"absorbed"`
}

type linePart struct {
	CustomerID     string `json:"customer_id"`
	Kind           string `json:"kind"`
	Name           string `json:"name"`
	Number         int64  `json:"number"`
	Quantity       int64  `json:"quantity"`
	CatalogVersion int64  `json:"catalog_version"`
	Store          string `json:"store"`
	Environment    string `json:"environment"`
	TransactionID  string `json:"transaction_id"`
}

// add takes a row.
func (f *snapshot) add(part byte, row []byte) error {
	switch part {
	case partID:
		f.ids++
		return nil
	case partKnown:
		return addPart(&f.known, row)
	case partPurchase:
		return addPart(&f.purchases, row)
	case partLink:
		return addPart(&f.links, row)
	case partTransfer:
		return addPart(&f.transfers, row)
	case partCustomer:
		return addPart(&f.customers, row)
	case partAccess:
		return addPart(&f.accesses, row)
	case partGrantLine:
		return addPart(&f.lines, row)
	case partClaim:
		return addPart(&f.claims, row)
	}
	return fmt.Errorf("part %q is not one of ours", part)
}

func addPart[T any](list *[]T, row []byte) error {
	var item T
	if err := json.Unmarshal(row, &item); err != nil {
		return err
	}
	*list = append(*list, item)
	return nil
}

// snapshots answers questions that were gathered. One that cannot be asked, or that
// connects more ids than a customer has, fails alone.
func (s *Store) snapshots(ctx context.Context, questions []*question) (map[*question]gather.Answer[snapshot], error) {
	answers, err := s.ask(ctx, questions)
	whole := err == nil && (len(questions) == 1 || total(answers) <= idsMax)
	if !whole && len(questions) > 1 && (err == nil || postgres.Classify(err) == postgres.Data) {
		answers = make(map[*question]gather.Answer[snapshot], len(questions))
		for _, q := range questions {
			one, err := s.ask(ctx, []*question{q})
			answer := one[q]
			if answer.Err = err; err != nil && postgres.Classify(err) != postgres.Data {
				return nil, err
			}
			answers[q] = answer
		}
		err = nil
	}
	if len(questions) == 1 && postgres.Classify(err) == postgres.Data {
		answers, err = map[*question]gather.Answer[snapshot]{questions[0]: {Err: err}}, nil
	}
	for q, answer := range answers {
		switch {
		case answer.Err != nil:
			answer.Err = &outbox.DataError{Err: answer.Err} // ids that no column can hold
		case answer.Value.ids > idsMax:
			answer.Err = fmt.Errorf("more than %d ids are connected with one customer: look at customer_aliases and customer_transfers", idsMax)
		}
		answers[q] = answer
	}
	return answers, err
}

func total(answers map[*question]gather.Answer[snapshot]) int {
	ids := 0
	for _, answer := range answers {
		ids += answer.Value.ids
	}
	return ids
}

// ask runs historiesQuery.
func (s *Store) ask(ctx context.Context, questions []*question) (map[*question]gather.Answer[snapshot], error) {
	var asked, seeded []int64
	var transactions, stores, environments, ids []string
	for n, q := range questions {
		if q.key != (economy.PurchaseKey{}) {
			asked, transactions = append(asked, int64(n)), append(transactions, q.key.TransactionID)
			stores, environments = append(stores, string(q.key.Store)), append(environments, string(q.key.Environment))
		}
		for _, id := range q.ids {
			seeded, ids = append(seeded, int64(n)), append(ids, id)
		}
	}
	rows, err := s.histories.Queryx(ctx, postgres.Array(asked), postgres.Array(transactions), postgres.Array(stores), postgres.Array(environments),
		postgres.Array(seeded), postgres.Array(ids), idsMax+1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	found := make([]snapshot, len(questions))
	for rows.Next() {
		var n int
		var part string
		var row []byte
		if err := rows.Scan(&n, &part, &row); err != nil {
			return nil, err
		}
		if part[0] == partCatalog {
			var catalog struct{ Version int64 }
			if err := json.Unmarshal(row, &catalog); err != nil {
				return nil, err
			}
			for i := range found {
				found[i].catalogVersion = catalog.Version
			}
			continue
		}
		if err := found[n].add(part[0], row); err != nil {
			return nil, err
		}
	}
	answers := make(map[*question]gather.Answer[snapshot], len(questions))
	for n, q := range questions {
		answers[q] = gather.Answer[snapshot]{Value: found[n]}
	}
	return answers, rows.Err()
}
