package gemstore

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
)

const (
	// journeysShown is how many journeys of a player are in sight.
	journeysShown = 8
	// lookWorking is how often what is on its way is read; lookIdle, when nothing is.
	// A message on the stream and a notice have it read at once.
	lookWorking = 200 * time.Millisecond
	lookIdle    = time.Second
	// settle is how long after a message the database is read: what it is about is
	// committed before it is published.
	settle = 10 * time.Millisecond
	// writePatience bounds a write to a browser that stopped reading.
	writePatience = 10 * time.Second
)

// Mine is what a player sees of their own.
type Mine struct {
	Journeys []Journey    `json:"journeys"`
	Wallet   []Held       `json:"wallet"`
	Bag      []books.Held `json:"bag"`
}

// Held is our copy of a balance at the provider.
type Held struct {
	Currency economy.Currency `json:"currency"`
	Balance  economy.Amount   `json:"balance,string"`
	AsOf     time.Time        `json:"as_of"`
}

// live streams what a player sees, and the site, by server-sent events: each when
// it changes.
func (s *Store) live(w http.ResponseWriter, r *http.Request) error {
	player := r.URL.Query().Get("player")
	if !playerName.MatchString(player) {
		return badRequestf("there is no such player of the store")
	}
	wake, stop, err := s.watch(player)
	if err != nil {
		return err
	}
	defer stop()
	w.Header().Set("Content-Type", "text/event-stream")
	out := &sender{w: w, rc: http.NewResponseController(w), sent: map[string]string{}}
	_ = out.rc.SetReadDeadline(time.Time{}) // the server's is for a request's body
	look := time.NewTimer(0)
	defer look.Stop()
	finished := map[string]Journey{}
	for {
		select {
		case <-r.Context().Done():
			return nil
		case <-s.done:
			return nil
		case <-wake:
			look.Reset(settle)
			continue
		case <-look.C:
		}
		mine, err := s.mine(r.Context(), player, finished)
		if err == nil {
			out.send("mine", mine)
			out.send("site", s.site(r.Context()))
		} else {
			out.send("trouble", map[string]string{"error": because(err.Error())})
		}
		if out.broken {
			return nil
		}
		if slices.ContainsFunc(mine.Journeys, func(j Journey) bool { return !j.Over }) {
			look.Reset(lookWorking)
		} else {
			look.Reset(lookIdle)
		}
	}
}

// mine reads what a player sees. finished keeps journeys that are over.
func (s *Store) mine(ctx context.Context, player string, finished map[string]Journey) (Mine, error) {
	sold, wiped := s.recent(player)
	passing := Passing{Seen: s.passed.seen, Wiped: wiped}
	var ids []string
	if err := s.db.SelectContext(ctx, &ids, "SELECT id FROM spends WHERE app_user_id = $1 ORDER BY seq DESC LIMIT $2", player, journeysShown); err != nil {
		return Mine{}, fmt.Errorf("read spends: %w", err)
	}
	for _, one := range sold {
		ids = append([]string{one.id}, ids...)
	}
	maps.DeleteFunc(finished, func(id string, _ Journey) bool { return !slices.Contains(ids, id) })
	out := Mine{Journeys: []Journey{}, Wallet: []Held{}}
	catalog, waiting := s.catalog(), false
	for _, id := range slices.Backward(ids) { // the oldest first: the others are behind it
		j, known := finished[id]
		if !known {
			var err error
			if at := slices.IndexFunc(sold, func(b bought) bool { return b.id == id }); at >= 0 {
				var written told
				written, err = readTold(ctx, s.db, player, sold[at])
				j = purchaseJourney(sold[at], written, passing)
			} else {
				var story books.Story
				story, err = s.books.Story(ctx, id)
				passing.Behind = waiting
				waiting = waiting || story.Spend.State == economy.Requested
				j = SpendJourney(story, catalog.Items[story.Spend.Item], passing, s.now())
			}
			if err != nil {
				return Mine{}, err
			}
			if j.Over {
				finished[id] = j
			}
		}
		out.Journeys = append(out.Journeys, j)
	}
	slices.SortStableFunc(out.Journeys, func(a, b Journey) int { return cmp.Or(b.Began.Compare(a.Began), cmp.Compare(b.ID, a.ID)) })
	out.Journeys = out.Journeys[:min(len(out.Journeys), journeysShown)]
	kept, err := s.books.Balances(ctx, player)
	if err != nil {
		return Mine{}, err
	}
	for _, b := range kept {
		out.Wallet = append(out.Wallet, Held{b.Currency, b.Balance, b.AsOf})
	}
	if out.Bag, err = s.bag(ctx, player); err != nil {
		return Mine{}, err
	}
	return out, nil
}

// bag is what a player has: what fulfilled spends brought, at whomever's server it
// is, and what came with packs.
func (s *Store) bag(ctx context.Context, player string) ([]books.Held, error) {
	list := []books.Held{}
	err := s.db.SelectContext(ctx, &list, `SELECT item, sum(quantity)::bigint AS quantity FROM (
		SELECT item, quantity FROM spends WHERE app_user_id = $1 AND kind = 'spend' AND state = 'fulfilled'
		UNION ALL SELECT name, quantity FROM purchase_grants WHERE customer_id = $1 AND kind = 'item') held
		GROUP BY item HAVING sum(quantity) > 0 ORDER BY item`, player)
	if err != nil {
		return nil, fmt.Errorf("read bag: %w", err)
	}
	return list, nil
}

// sender writes events that differ from the last one of their name.
type sender struct {
	w      http.ResponseWriter
	rc     *http.ResponseController
	sent   map[string]string
	broken bool // nobody reads any more
}

func (o *sender) send(name string, value any) {
	raw, err := json.Marshal(value)
	if err != nil { // plain structs always encode
		panic(err)
	}
	if o.broken || o.sent[name] == string(raw) {
		return
	}
	o.sent[name] = string(raw)
	_ = o.rc.SetWriteDeadline(time.Now().Add(writePatience))
	_, err = fmt.Fprintf(o.w, "event: %s\ndata: %s\n\n", name, raw)
	if err == nil {
		err = o.rc.Flush()
	}
	o.broken = err != nil
}
