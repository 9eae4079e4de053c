package console

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
)

// conditions is a WHERE in the making.
type conditions struct {
	text []string
	args []any
}

func (c *conditions) add(format string, arg any) {
	c.args = append(c.args, arg)
	c.text = append(c.text, fmt.Sprintf(format, len(c.args)))
}

func (c *conditions) where() string {
	if len(c.text) == 0 {
		return "true"
	}
	return strings.Join(c.text, " AND ")
}

// find returns one page of a search, newest first.
func (s search) find(ctx context.Context, c *Console) (found, error) {
	if s.ID != "" {
		spend, err := c.Books.Spend(ctx, s.ID)
		return one(spend, err)
	}
	if s.Player != "" && s.Key != "" && s == (search{Player: s.Player, Key: s.Key}) { // asked for more, it is one of the player's
		spend, err := c.Books.SpendByKey(ctx, s.Player, s.Key)
		return one(spend, err)
	}
	all := "id <= 'ffffffff-ffff-ffff-ffff-ffffffffffff'"
	var of conditions // the range of ids
	of.text = append(of.text, all)
	if s.Before != "" {
		of.add("id < $%d::uuid", s.Before)
	}
	if !s.From.IsZero() {
		of.add("id >= $%d::uuid", firstID(s.From))
	}
	if !s.To.IsZero() {
		of.add("id < $%d::uuid", firstID(s.To))
	}
	switch {
	case s.Player != "":
		return s.ofPlayer(ctx, c, of)
	case s.unfinished():
		return s.listed(ctx, c, of, "finished_at IS NULL")
	case s.State == stateAttention:
		return s.listed(ctx, c, of, isAttention)
	}
	return s.scan(ctx, c, of)
}

// unfinished reports whether nothing is asked for but what is under way.
func (s search) unfinished() bool {
	return s.State == stateOpen || validState(s.State) && !economy.State(s.State).Final()
}

const isAttention = "(unknown_since IS NOT NULL OR needs_operator <> '' OR held)"

func one(spend economy.Spend, err error) (found, error) {
	switch {
	case errors.Is(err, books.ErrNotFound):
		return found{}, nil
	case err != nil:
		return found{}, err
	}
	return found{Spends: []economy.Spend{spend}}, nil
}

// filter adds what is asked of a row beside its place.
func (s search) filter(c *conditions) {
	switch {
	case s.State == stateOpen:
		c.text = append(c.text, "finished_at IS NULL")
	case s.State == stateAttention:
		c.text = append(c.text, isAttention)
	case s.State != "":
		c.add("state = $%d", s.State)
	}
	if s.Item != "" {
		c.add("item = $%d", s.Item)
	}
	if s.Key != "" {
		c.add("idempotency_key = $%d", s.Key)
	}
}

// ofPlayer looks among all spends of one player. OFFSET 0 keeps the planner from
// walking through everybody's spends in the order of ids until a page is full.
func (s search) ofPlayer(ctx context.Context, c *Console, of conditions) (found, error) {
	s.filter(&of)
	of.args = append(of.args, s.Player)
	open := "" // few: a partial index has those
	if s.unfinished() {
		open = "AND finished_at IS NULL"
	}
	spends, err := c.selectSpends(ctx, fmt.Sprintf(`SELECT %s FROM (SELECT %[1]s FROM spends WHERE app_user_id = $%d %s OFFSET 0) AS mine
		WHERE %s ORDER BY id DESC LIMIT %d`, books.SpendColumns, len(of.args), open, of.where(), pageSize+1), of.args...)
	return paged(spends), err
}

// listed looks among the rows of a partial index, or, when those are too many,
// among the newest spends.
func (s search) listed(ctx context.Context, c *Console, of conditions, index string) (found, error) {
	var n int
	if err := c.db.GetContext(ctx, &n, fmt.Sprintf(`SELECT count(*) FROM (SELECT FROM spends WHERE %s LIMIT %d) AS few`, index, listedMax+1)); err != nil {
		return found{}, fmt.Errorf("count spends: %w", err)
	}
	if n > listedMax {
		return s.scan(ctx, c, of)
	}
	s.filter(&of)
	spends, err := c.selectSpends(ctx, fmt.Sprintf(`SELECT %s FROM (SELECT %[1]s FROM spends WHERE %s OFFSET 0) AS few
		WHERE %s ORDER BY id DESC LIMIT %d`, books.SpendColumns, index, of.where(), pageSize+1), of.args...)
	return paged(spends), err
}

// scan looks among the newest scanMax spends of a range.
func (s search) scan(ctx context.Context, c *Console, of conditions) (found, error) {
	inner, limit := of.where(), scanMax
	filters := conditions{args: of.args}
	s.filter(&filters)
	if len(filters.text) == 0 {
		limit = pageSize + 1
	}
	spends, err := c.selectSpends(ctx, fmt.Sprintf(`SELECT %s FROM (SELECT %[1]s FROM spends WHERE %s ORDER BY id DESC LIMIT %d) AS newest
		WHERE %s ORDER BY id DESC LIMIT %d`, books.SpendColumns, inner, limit, filters.where(), pageSize+1), filters.args...)
	page := paged(spends)
	if err != nil || page.Next != "" || len(filters.text) == 0 {
		return page, err
	}
	// The page is not full. Were there more spends to look at?
	var last []string
	if err := c.db.SelectContext(ctx, &last, fmt.Sprintf(`SELECT id FROM spends WHERE %s ORDER BY id DESC OFFSET %d LIMIT 1`, inner, scanMax-1), of.args...); err != nil {
		return found{}, fmt.Errorf("find the end of a search: %w", err)
	}
	if len(last) == 1 {
		page.Next, page.Looked = last[0], timeOf(last[0])
	}
	return page, nil
}

func (c *Console) selectSpends(ctx context.Context, query string, args ...any) ([]economy.Spend, error) {
	var rows []books.SpendRow
	if err := c.db.SelectContext(ctx, &rows, query, args...); err != nil {
		return nil, fmt.Errorf("search spends: %w", err)
	}
	spends := make([]economy.Spend, len(rows))
	for i, row := range rows {
		var err error
		if spends[i], err = row.Spend(); err != nil {
			return nil, err
		}
	}
	return spends, nil
}

// paged cuts the spend that only says that there is another page.
func paged(spends []economy.Spend) found {
	if len(spends) <= pageSize {
		return found{Spends: spends}
	}
	return found{Spends: spends[:pageSize], Next: spends[pageSize-1].ID}
}
