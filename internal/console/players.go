package console

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/operations"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/purchases"
)

// playerPage is what player.html shows.
type playerPage struct {
	ID        string
	Customer  economy.Customer
	Known     bool // anything is
	Balances  []books.Balance
	Read      *purchases.Reading // the newest whole reading of the provider; nil: there was none
	Items     []books.Held
	Accesses  []accessLine
	Purchases []purchases.Recorded
	Claims    []economy.Claim
	Spends    found
	Open      found
	Ledger    []ledgerLine
	Drifts    []comparison // what the last comparisons said, those that agree as well
	Acts      []actLine    // without notes
	Notes     []actLine
}

type accessLine struct {
	economy.Access
	Over bool
}

// ledgerLine is a line of the ledger that moves a player's wallet.
type ledgerLine struct {
	At       time.Time `db:"at"`
	Kind     string    `db:"kind"`
	Currency string    `db:"currency"`
	Change   int64     `db:"change"` // of the wallet
	Cause    string    `db:"cause"`  // the spend's id, or the provider's movement
	Spend    bool      `db:"spend"`
}

// deedNote is something that a person wrote down about a player, for whoever looks at
// the player next. The act's reason is the text.
const deedNote operations.Deed = "customer.note"

func noteSubject(appUserID string) string { return "customer:" + appUserID }

// actsShown is how many acts, and notes, the page has.
const actsShown = 10

// spendsShown is how many spends the page has, ledgerShown how many lines.
const spendsShown, ledgerShown = 10, pageSize

func (c *Console) player(q *request) error {
	id := q.param("id")
	if id == "" {
		return c.show(q, "players", "Players", nil)
	}
	page := playerPage{ID: id}
	ctx := q.Context()
	history, err := c.Purchases.History(ctx, id)
	if err != nil {
		return err
	}
	page.Customer, page.Claims = history.Customer, history.Claims
	page.Purchases = slices.Clone(history.Purchases)
	slices.SortFunc(page.Purchases, func(a, b purchases.Recorded) int { return b.PurchasedAt.Value.Compare(a.PurchasedAt.Value) })
	for _, access := range history.Accesses {
		over := access.State != economy.AccessGranted || !access.ExpiresAt.IsZero() && !access.ExpiresAt.After(c.now())
		page.Accesses = append(page.Accesses, accessLine{access, over})
	}
	slices.SortFunc(page.Accesses, func(a, b accessLine) int { return cmp.Compare(a.Module, b.Module) })
	if reading, err := c.Purchases.ReadingOf(ctx, history.Customer.AppUserIDs); err == nil {
		page.Read = &reading
	}
	if page.Balances, err = c.Books.Balances(ctx, id); err != nil {
		return err
	}
	if page.Items, err = c.itemsOf(ctx, id); err != nil {
		return err
	}
	if page.Spends, err = (search{Player: id}).find(ctx, c); err != nil {
		return err
	}
	newest := page.Spends.Spends
	page.Spends.Spends = newest[:min(len(newest), spendsShown)]
	if page.Open, err = (search{Player: id, State: stateOpen}).find(ctx, c); err != nil {
		return err
	}
	if page.Ledger, err = c.ledgerOf(ctx, id, newest); err != nil {
		return err
	}
	if page.Drifts, err = c.comparisonsOf(ctx, history.Customer.AppUserIDs); err != nil {
		return err
	}
	for into, filter := range map[*[]actLine]operations.ActFilter{
		&page.Acts: {Player: id, Limit: actsShown}, &page.Notes: {Deed: deedNote, Subject: noteSubject(id), Limit: actsShown},
	} {
		acts, err := c.Operations.Acts(ctx, filter)
		if err != nil {
			return err
		}
		for _, act := range acts {
			*into = append(*into, actLine{act, deedWords(act.Deed)})
		}
	}
	page.Known = len(page.Spends.Spends)+len(page.Purchases)+len(page.Balances)+len(page.Claims)+len(page.Ledger) > 0 || page.Read != nil
	return c.show(q, "player", "Player "+mask(id), page)
}

// itemsOf returns what spends and purchases brought, sorted.
func (c *Console) itemsOf(ctx context.Context, id string) ([]books.Held, error) {
	items, err := c.Books.Inventory(ctx, id)
	if err != nil {
		return nil, err
	}
	bought, err := c.Purchases.Items(ctx, id)
	if err != nil {
		return nil, err
	}
	for i := range items {
		items[i].Quantity += bought[items[i].Item]
		delete(bought, items[i].Item)
	}
	for item, quantity := range bought {
		items = append(items, books.Held{Item: item, Quantity: quantity})
	}
	slices.SortFunc(items, func(a, b books.Held) int { return cmp.Compare(a.Item, b.Item) })
	return items, nil
}

// ledgerOf returns the newest lines that moved a player's wallet: those of their newest
// spends, what the provider moved by itself, and corrections.
func (c *Console) ledgerOf(ctx context.Context, id string, spends []economy.Spend) ([]ledgerLine, error) {
	lines, ids := []ledgerLine{}, make([]string, len(spends))
	for i, s := range spends {
		ids[i] = s.ID
	}
	err := c.db.SelectContext(ctx, &lines, fmt.Sprintf(`
		SELECT entered_at AS at, kind, currency, CASE WHEN credit = 'wallet' THEN amount ELSE -amount END AS change, spend_id::text AS cause, true AS spend
			FROM unnest($2::uuid[]) AS newest(id) CROSS JOIN LATERAL (SELECT * FROM ledger_entries WHERE spend_id = newest.id OFFSET 0) AS e WHERE 'wallet' IN (debit, credit)
		UNION ALL (SELECT moved_at, kind, currency, CASE WHEN credit = 'wallet' THEN amount ELSE -amount END, movement_id, false
			FROM provider_movements WHERE app_user_id = $1 AND kind <> 'own_seen' ORDER BY moved_at DESC LIMIT %[1]d)
		UNION ALL (SELECT entered_at, kind, currency, CASE WHEN credit = 'wallet' THEN amount ELSE -amount END, run_id::text, false
			FROM ledger_corrections WHERE app_user_id = $1 ORDER BY entered_at DESC LIMIT %[1]d)
		ORDER BY at DESC LIMIT %[1]d`, ledgerShown), id, postgres.Array(ids))
	if err != nil {
		return nil, fmt.Errorf("read the newest ledger lines: %w", err)
	}
	return lines, nil
}

func (c *Console) playerRoutes(mux *http.ServeMux) {
	c.route(mux, "GET "+Path+"players", c.page(c.player))
	c.route(mux, "GET "+Path+"players/proof", c.page(c.proof))
	c.act(mux, "players/note", Support, func(q *request) error {
		id := q.PostForm.Get("id")
		if id == "" {
			return bad("Say which player the note is about.")
		}
		if err := c.Operations.Note(q.Context(), q.who(), q.reason(), deedNote, noteSubject(id), nil, nil); err != nil {
			return told(err)
		}
		return q.back("players?"+url.Values{"id": {id}}.Encode(), "noted")
	})
	c.act(mux, "players/resync", Support, func(q *request) error {
		id := q.PostForm.Get("id")
		if _, err := c.Operations.Resync(q.Context(), q.who(), q.reason(), id); err != nil {
			return told(err)
		}
		return q.back("players?"+url.Values{"id": {id}}.Encode(), "resync")
	})
}
