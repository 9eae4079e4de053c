package purchases

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// idsMax bounds the ids of one history. The provider knows customers of a few; a
// thousand is a mistake of somebody's, and is not folded.
const idsMax = 1000

// family is which ids are one customer, among those that were read.
type family struct{ parent map[string]string }

// root follows the links up; an id that was not read stands for itself.
func (f family) root(id string) string {
	for {
		up, ok := f.parent[id]
		if !ok || up == id {
			return id
		}
		id = up
	}
}

func (f family) link(a, b string) {
	for _, id := range []string{a, b} {
		if _, known := f.parent[id]; !known {
			f.parent[id] = id
		}
	}
	f.parent[f.root(a)] = f.root(b)
}

// customer returns the customer of an id.
func (f family) customer(appUserID string) economy.Customer {
	ids := []string{appUserID}
	for id := range f.parent {
		if f.root(id) == f.root(appUserID) {
			ids = append(ids, id)
		}
	}
	return economy.NewCustomer(ids)
}

// readFamily reads everything that is linked with ids.
func readFamily(ctx context.Context, db sqlx.QueryerContext, ids []string) (family, error) {
	f := family{parent: map[string]string{}}
	for _, id := range ids {
		f.link(id, id)
	}
	var links []struct {
		ID string `db:"app_user_id"`
		Of string `db:"alias_of"`
	}
	err := sqlx.SelectContext(ctx, db, &links, `
		WITH RECURSIVE linked(id) AS (
			SELECT unnest($1::text[])
			UNION
			SELECT other.id FROM linked CROSS JOIN LATERAL (
				SELECT alias_of FROM customer_aliases WHERE app_user_id = linked.id
				UNION ALL SELECT app_user_id FROM customer_aliases WHERE alias_of = linked.id) AS other(id)
		), found AS (SELECT id FROM linked LIMIT $2)
		SELECT a.app_user_id, a.alias_of FROM found JOIN customer_aliases a ON a.app_user_id = found.id LIMIT $2`,
		postgres.Array(ids), idsMax+1)
	if err != nil {
		return f, fmt.Errorf("read aliases: %w", err)
	}
	for _, l := range links {
		f.link(l.ID, l.Of)
	}
	if len(links) > idsMax || len(f.parent) > idsMax {
		return f, fmt.Errorf("more than %d ids are linked with one customer: look at customer_aliases", idsMax)
	}
	return f, nil
}

// Customer returns the customer a player is: all ids that are the same one.
func (s *Store) Customer(ctx context.Context, appUserID string) (economy.Customer, error) {
	family, err := readFamily(ctx, s.db, []string{appUserID})
	if err != nil {
		return economy.Customer{}, err
	}
	return family.customer(appUserID), nil
}
