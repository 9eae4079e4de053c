package backfill

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/outbox"
)

const (
	// ListSource is what is written beside what a customer list tells.
	ListSource = "list"
	// listedEvery keeps lists that name one customer again and again from having it read
	// each time.
	listedEvery = 10 * time.Minute
	// listedIDsMax is how many ids one customer may have: more are never folded.
	listedIDsMax = 1000
	// boughtSlack is how much later than a purchase we know a list may date it: one time is
	// the store's, the other the provider's.
	boughtSlack = time.Minute
)

// Why a listed customer is to be read from the provider.
const (
	WhyLinked  = "a new link"
	WhyBought  = "bought or renewed after what we know"
	WhyProduct = "bought a product that we know no purchase of"
	WhyAll     = "everybody is to be read"
)

// customerList reads a customer list.
type customerList struct {
	*exports.CustomerReader
	filter Filter
	url    string
	row    exports.CustomerRow
}

func openCustomerList(ctx context.Context, file exports.File, from int64, filter Filter) (*customerList, error) {
	r, err := exports.OpenCustomers(ctx, file, exports.Options{FromRow: from})
	if err != nil {
		return nil, err
	}
	return &customerList{CustomerReader: r, filter: filter, url: file.URL}, nil
}

func (l *customerList) Line() int64 { return l.row.Line }

func (*customerList) size() int { return 0 }

func (l *customerList) next() (said exports.CustomerRow, skip bool, err error) {
	row, err := l.Next()
	if err != nil {
		return row, false, err
	}
	l.row = row
	if len(row.Aliases) > listedIDsMax {
		return row, false, &exports.RowError{
			File: l.url, Row: row.Row, Line: row.Line, Reason: "it names more than " + strconv.Itoa(listedIDsMax) + " ids of one customer",
			Remedy: "look at the customer in RevenueCat: an id is shared by many players",
		}
	}
	return row, l.filter.leavesOut(row.LastSeenAt, "", row.AppUserID, row.Aliases), nil
}

// news is what a row of a list says that we do not know.
type news struct {
	links []purchases.Link
	why   string // the customer is to be read; empty: it need not be
}

// newsOf holds rows against what is known. A link or a wish is told of the first row
// that brings it.
func newsOf(ctx context.Context, db sqlx.QueryerContext, rows []exports.CustomerRow, all bool) ([]news, error) {
	found, groups := make([]news, len(rows)), make([][]string, len(rows))
	var links []purchases.Link
	for i, row := range rows {
		groups[i] = ids(row)
		links = append(links, purchases.LinksOf(row.Aliases)...)
	}
	unknown := map[purchases.Link]bool{}
	var err error
	if len(links) > 0 {
		if unknown, err = purchases.UnknownLinks(ctx, db, links); err != nil {
			return nil, err
		}
	}
	known, err := purchases.ReadListed(ctx, db, groups)
	if err != nil {
		return nil, err
	}
	wished := map[string]bool{}
	for i, row := range rows {
		for _, link := range purchases.LinksOf(row.Aliases) {
			if unknown[link] {
				found[i].links = append(found[i].links, link)
				delete(unknown, link)
			}
		}
		why := lacks(row, known[i])
		if len(found[i].links) > 0 {
			why = WhyLinked
		}
		if all && why == "" {
			why = WhyAll
		}
		if why != "" && !wished[row.AppUserID] {
			found[i].why, wished[row.AppUserID] = why, true
		}
	}
	return found, nil
}

// ids are all that a row names.
func ids(row exports.CustomerRow) []string {
	if len(row.Aliases) > 0 {
		return row.Aliases
	}
	return []string{row.AppUserID}
}

// lacks says why a reading would tell something of a listed customer: purchases that we
// do not know, and that no whole reading since has brought. That the customer was seen
// says nothing of what was bought.
func lacks(row exports.CustomerRow, known purchases.Listed) string {
	bought := slices.MaxFunc([]time.Time{row.FirstPurchaseAt, row.LastPurchaseAt, row.LastRenewalAt}, time.Time.Compare)
	if bought.IsZero() && len(row.Products) == 0 {
		return ""
	}
	latest := bought
	if latest.IsZero() { // the list has no times of purchases
		latest = row.LastSeenAt
	}
	switch {
	case known.ReadAt.After(latest.Add(economy.ResyncLag)):
		return ""
	case bought.After(known.BoughtAt.Add(boughtSlack)):
		return WhyBought
	case slices.ContainsFunc(row.Products, func(product string) bool { return !known.Products[product] }):
		return WhyProduct
	}
	return ""
}

// takeListed writes the links of listed customers that are news, and the wishes to read
// those of whom the list tells something new.
func (s *session) takeListed(ctx context.Context, tx *sqlx.Tx, rows []exports.CustomerRow) (tally, error) {
	found, err := newsOf(ctx, tx, rows, s.run.Command.All)
	if err != nil {
		return tally{}, err
	}
	now := s.Now()
	var list []outbox.Effects
	var of []int // the rows of list
	for i, n := range found {
		for _, link := range n.links {
			list, of = append(list, outbox.Effects{
				Guard:  purchases.Linked{Link: link, Source: ListSource, At: now},
				Events: []events.Event{purchases.LinkedEvent(events.Bulk, ListSource, rows[i].Aliases, now)},
			}), append(of, i)
		}
		if n.why != "" {
			wish := purchases.ResyncRequest{ID: outbox.NewID(), AppUserID: rows[i].AppUserID, Reason: events.ResyncList, RequestedAt: now, NextAt: now.Add(listedEvery)}
			list, of = append(list, outbox.Effects{
				Guard: purchases.ResyncAsked{ResyncRequest: wish}, Events: []events.Event{wish.Event(events.Bulk)},
			}), append(of, i)
		}
	}
	results, err := outbox.Within(ctx, tx, s.Subscriptions, list)
	if err != nil {
		return tally{}, err
	}
	var n tally
	fresh := map[int]bool{}
	for i, result := range results {
		if result != outbox.Applied {
			continue // somebody else has told it meanwhile, or the customer is wished for already
		}
		fresh[of[i]] = true
		n.owed += len(list[i].Events)
		if _, link := list[i].Guard.(purchases.Linked); link {
			n.links++
		} else {
			n.wishes++
		}
	}
	n.fresh, n.known = len(fresh), len(rows)-len(fresh)
	return n, nil
}
