package gemstore

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// appStore is the simulated store whose products are sold here.
const appStore = "app_store"

// product is what the simulated stores sell.
type product struct {
	Store      string          `json:"store"`
	Identifier string          `json:"identifier"`
	Name       string          `json:"name"`
	Price      float64         `json:"price"`
	Lasts      string          `json:"lasts"`
	Credits    economy.Amounts `json:"credits"`
}

// Pack is a product that brings currency, on the page.
type Pack struct {
	ID     string  `json:"id"`
	Name   string  `json:"name"`
	Price  string  `json:"price"`
	Brings []Money `json:"brings"`
}

// Ware is an item of the catalogue, on the page.
type Ware struct {
	ID    string  `json:"id"`
	Name  string  `json:"name"`
	Price []Money `json:"price"`
	Port  string  `json:"port"` // who hands it over
	Limit int64   `json:"limit,omitempty"`
}

// products returns the products that bring currency and are bought once.
func (s *Store) products(r *http.Request) ([]product, error) {
	var listed struct {
		Products []product `json:"products"`
	}
	if err := s.simulator.call(r.Context(), http.MethodGet, "/control/products", nil, &listed); err != nil {
		return nil, fmt.Errorf("what the stores sell: %w", err)
	}
	list := slices.DeleteFunc(listed.Products, func(p product) bool {
		return p.Store != appStore || len(p.Credits) == 0 || p.Lasts != ""
	})
	return list, nil
}

// showShop shows what can be bought for money, and what for gems.
func (s *Store) showShop(w http.ResponseWriter, r *http.Request) error {
	sold, err := s.products(r)
	if err != nil {
		return err
	}
	packs := []Pack{}
	for _, p := range sold {
		packs = append(packs, Pack{p.Identifier, p.Name, fmt.Sprintf("$%.2f", p.Price), moneyOf(p.Credits)})
	}
	catalog := s.catalog()
	wares := []Ware{}
	for _, item := range catalog.Items {
		if _, err := catalog.Quote(item.ID, item.QuantityMin, s.now()); err != nil || item.QuantityMin > 1 {
			continue
		}
		wares = append(wares, Ware{item.ID, item.Name, moneyOf(item.Price), item.HandOver.Port, item.PlayerLimit})
	}
	slices.SortFunc(wares, func(a, b Ware) int {
		return cmp.Or(cmp.Compare(len(a.Price), len(b.Price)), cmp.Compare(a.Price[0].Amount, b.Price[0].Amount), cmp.Compare(a.ID, b.ID))
	})
	return show(w, map[string]any{"packs": packs, "wares": wares, "quest": moneyOf(s.reward(sold)), "packs_sold_by": "a simulated app store: no money moves"})
}

// rewardAmount is what a quest brings of every currency that no pack does.
const rewardAmount = 200

// reward is what a quest brings: what items cost and no pack brings. Nothing: there
// are no quests.
func (s *Store) reward(sold []product) economy.Amounts {
	reward := economy.Amounts{}
	if s.serverKey == "" {
		return reward
	}
	for _, item := range s.catalog().Items {
		for currency := range item.Price {
			reward[currency] = rewardAmount
		}
	}
	for _, p := range sold {
		for currency := range p.Credits {
			delete(reward, currency)
		}
	}
	return reward
}

// body reads a request's JSON and its player.
type body struct {
	Player  string `json:"player"`
	Product string `json:"product"`
	Key     string `json:"key"`
	Switch  string `json:"switch"`
	On      bool   `json:"on"`
}

// bodyMax bounds a request.
const bodyMax = 4 << 10

func readBody(w http.ResponseWriter, r *http.Request) (b body, err error) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyMax))
	if err == nil {
		err = json.Unmarshal(raw, &b)
	}
	if err != nil {
		return b, badRequestf("the request cannot be read: %w", err)
	}
	return b, nil
}

func readPlayer(w http.ResponseWriter, r *http.Request) (body, error) {
	b, err := readBody(w, r)
	if err == nil && !playerName.MatchString(b.Player) {
		err = badRequestf("a player of the store is called %s and 4 to 24 small letters or digits", PlayerPrefix)
	}
	return b, err
}

// openSession gives a player of the store a session, as a game's login would.
func (s *Store) openSession(w http.ResponseWriter, r *http.Request) error {
	b, err := readPlayer(w, r)
	if err != nil {
		return err
	}
	token, err := s.sign(b.Player)
	if err != nil {
		return err
	}
	return show(w, map[string]string{"player": b.Player, "token": token})
}

// boughtKept is how many purchases of a player are kept in sight.
const boughtKept = 5

// buy has the simulated store sell a pack. RevenueCat's webhook follows by itself.
func (s *Store) buy(w http.ResponseWriter, r *http.Request) error {
	b, err := readPlayer(w, r)
	if err != nil {
		return err
	}
	sold, err := s.products(r)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(sold, func(p product) bool { return p.Identifier == b.Product })
	if at < 0 {
		return badRequestf("no pack is called %q", b.Product)
	}
	lost, err := s.on(r.Context(), webhookLost)
	if err != nil {
		return err
	}
	begun := s.now()
	var said struct {
		Transaction string   `json:"transaction"`
		Events      []string `json:"events"`
	}
	if err := s.simulator.call(r.Context(), http.MethodPost, "/control/buy",
		map[string]any{"customer": b.Player, "product": b.Product, "store": appStore}, &said); err != nil {
		return err
	}
	s.mu.Lock()
	made := bought{id: said.Transaction, title: sold[at].Name, brings: sold[at].Credits, at: begun, events: said.Events, lost: lost}
	list := append([]bought{made}, s.bought[b.Player]...)
	s.bought[b.Player] = list[:min(len(list), boughtKept)]
	s.mu.Unlock()
	return show(w, map[string]string{"transaction": said.Transaction})
}

// quest gives a player the reward of a quest, as the game's server does: a grant.
func (s *Store) quest(w http.ResponseWriter, r *http.Request) error {
	b, err := readPlayer(w, r)
	if err != nil {
		return err
	}
	sold, err := s.products(r)
	if err != nil {
		return err
	}
	reward := s.reward(sold)
	if len(reward) == 0 || b.Key == "" {
		return badRequestf("there are no quests, or the request has no key")
	}
	at, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if at == nil {
		return badRequestf("this server does not know its address")
	}
	var said map[string]any
	err = control{"http://" + at.String(), s.simulator.client}.call(r.Context(), http.MethodPost, "/grants", map[string]any{
		"app_user_id": b.Player, "adjustments": reward, "reason": "quest", "idempotency_key": b.Key,
	}, &said, "Authorization", "Bearer "+s.serverKey, "Prefer", "respond-async")
	if err != nil {
		return err
	}
	return show(w, said)
}

func (s *Store) turnSwitch(w http.ResponseWriter, r *http.Request) error {
	b, err := readBody(w, r)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(switches(s.rate), func(one Switch) bool { return one.ID == b.Switch }) {
		return badRequestf("there is no switch %q", b.Switch)
	}
	if err := s.flip(r.Context(), b.Switch, b.On); err != nil {
		return err
	}
	s.tally.forget()
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// recent returns what a player bought here, newest first.
func (s *Store) recent(player string) ([]bought, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.bought[player]), s.wiped
}
