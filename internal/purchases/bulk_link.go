package purchases

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// link says that two ids are one customer: the first is an alias of the second.
type link = [2]string

// linkSet remembers links that are committed; they are never taken back. It keeps 16
// bytes of a SHA-256 each, which no two links share, and not the ids: a customer has many
// purchases, and each row of an export names all its ids.
type linkSet map[[16]byte]struct{}

// linkedMax bounds the links that are remembered, to about 6 MB.
const linkedMax = 200_000

func hashLink(l link) [16]byte {
	room := make([]byte, 0, 160)
	sum := sha256.Sum256(append(append(append(room, l[0]...), 0), l[1]...))
	return [16]byte(sum[:16])
}

func (s *linkSet) has(l link) bool {
	_, ok := (*s)[hashLink(l)]
	return ok
}

func (s *linkSet) add(list []link) {
	if *s == nil || len(*s)+len(list) > linkedMax {
		*s = linkSet{}
	}
	for _, l := range list[:min(len(list), linkedMax)] {
		(*s)[hashLink(l)] = struct{}{}
	}
}

// link writes the links that are new, and returns the groups of ids that tell them.
func (b *Bulk) link(ctx context.Context, tx *sqlx.Tx, plan *Plan) ([][]string, error) {
	told := map[link]bool{}
	var doubtful [][]string
	for _, group := range plan.groups {
		before := len(told)
		for _, l := range links(group) {
			if !b.linked.has(l) {
				told[l] = true
			}
		}
		if len(told) > before {
			doubtful = append(doubtful, group)
		}
	}
	if len(told) == 0 {
		return nil, nil
	}
	ids, of := make([]string, 0, len(told)), make([]string, 0, len(told))
	for l := range told {
		plan.told = append(plan.told, l)
		ids, of = append(ids, l[0]), append(of, l[1])
	}
	var found []struct {
		ID string `db:"app_user_id"`
		Of string `db:"alias_of"`
	}
	err := tx.SelectContext(ctx, &found, `INSERT INTO customer_aliases (app_user_id, alias_of, source, linked_at)
		SELECT id, of, $3, $4 FROM unnest($1::text[], $2::text[]) AS r(id, of) ORDER BY 1, 2 ON CONFLICT DO NOTHING RETURNING app_user_id, alias_of`,
		postgres.Array(ids), postgres.Array(of), b.config.Source, b.config.Now())
	if err != nil {
		return nil, fmt.Errorf("link ids: %w", err)
	}
	plan.Linked = len(found)
	news := make(map[link]bool, len(found))
	for _, l := range found {
		news[link{l.ID, l.Of}] = true
		plan.links = append(plan.links, link{l.ID, l.Of})
	}
	return slices.DeleteFunc(doubtful, func(group []string) bool {
		isNews := false
		for _, l := range links(group) {
			isNews = isNews || news[l]
			delete(news, l)
		}
		return !isNews
	}), nil
}

// LinkedEvent has the customer of ids folded again, after a source linked them: the
// same link is the same event, in whatever order it names the ids, and another link of
// one of them is another event.
func LinkedEvent(lane events.Lane, source string, appUserIDs []string, at time.Time) events.Event {
	ids := slices.Compact(slices.Sorted(slices.Values(appUserIDs)))
	return events.NewStoreCustomerChanged(lane, events.CustomerAliased, source+":"+economy.HashID(ids...), ids[0], at)
}
