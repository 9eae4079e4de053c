package simulator

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// Product is something that a store sells for money.
type Product struct {
	ID         string          // the provider's; "": made of the store and the identifier
	Store      string          // app_store, play_store, ...
	Identifier string          // the store's; Google's with its base plan, product:plan
	Name       string          // shown to people; "": the identifier
	Price      float64         // of one, in USD, as the provider has it: money is not counted with it
	Lasts      time.Duration   // a subscription's period; 0: it is bought once
	Credits    economy.Amounts // currency that comes with every one, or every paid period
}

func (p Product) problems(currencies map[economy.Currency]string) (err error) {
	if p.Store == "" || p.Store != strings.ToLower(p.Store) || p.Identifier == "" || p.Lasts < 0 {
		err = fmt.Errorf("product %s of %s: give a store in lower case, an identifier, and no negative period", p.Identifier, p.Store)
	}
	for _, currency := range p.Credits.Currencies() {
		if currencies[currency] == "" || p.Credits[currency] < 1 {
			err = errors.Join(err, fmt.Errorf("product %s: credits of %d %s: use a currency of the project and more than 0", p.Identifier, p.Credits[currency], currency))
		}
	}
	return err
}

// AddProducts makes more products for sale, or replaces those of the same store and
// identifier. They live in memory: give them again at the next start.
func (s *Simulator) AddProducts(products ...Product) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range products {
		if err := p.problems(s.currencies); err != nil {
			return err
		}
	}
	for _, p := range products {
		if p.ID == "" {
			p.ID = productID(p.Store, p.Identifier)
		}
		if p.Name == "" {
			p.Name = p.Identifier
		}
		s.products[p.ID] = p
	}
	return nil
}

// productID makes an id as the provider's look, the same for the same product.
func productID(store, identifier string) string {
	return "prod" + fingerprint(store, []byte(identifier))[:10]
}

// productOf finds a product of a store. The caller holds mu.
func (s *Simulator) productOf(store, identifier string) (Product, error) {
	for _, p := range s.products {
		if p.Store == store && p.Identifier == identifier {
			return p, nil
		}
	}
	return Product{}, fmt.Errorf("%s sells no product %q", store, identifier)
}

// productBody is the provider's Product.
type productBody struct {
	Object          string            `json:"object"`
	ID              string            `json:"id"`
	StoreIdentifier string            `json:"store_identifier"`
	Type            string            `json:"type"`
	Subscription    *subscriptionTime `json:"subscription"`
	OneTime         *oneTime          `json:"one_time"`
	CreatedAt       int64             `json:"created_at"`
	AppID           string            `json:"app_id"`
	DisplayName     string            `json:"display_name"`
}

type subscriptionTime struct {
	Duration      string  `json:"duration"`
	GraceDuration *string `json:"grace_period_duration"`
	TrialDuration *string `json:"trial_duration"`
}

type oneTime struct {
	IsConsumable *bool `json:"is_consumable"`
}

func (s *Simulator) productBody(p Product) productBody {
	body := productBody{
		Object: "product", ID: p.ID, StoreIdentifier: p.Identifier, Type: "one_time", OneTime: &oneTime{}, AppID: appID(p.Store),
		CreatedAt: s.startedAt.UnixMilli(), DisplayName: p.Name,
	}
	if p.Lasts > 0 {
		body.Type, body.OneTime = "subscription", nil
		body.Subscription = &subscriptionTime{Duration: fmt.Sprintf("PT%dS", int(p.Lasts.Seconds()))}
	}
	return body
}

// appID is the id of a store's app in the project.
func appID(store string) string { return "app" + fingerprint(store, nil)[:8] }

func (s *Simulator) listProducts(r *http.Request, luck roll) reply {
	limit, stop := pageSize(r.URL.Query())
	if stop != nil {
		return *stop
	}
	pause(r.Context(), luck.delay)
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for id := range s.products {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return pageAfter(ids, func(id string) string { return id }, func(id string) any { return s.productBody(s.products[id]) },
		"/v2/projects/"+s.project+"/products", r.URL.Query(), limit)
}

func (s *Simulator) showProduct(r *http.Request, luck roll) reply {
	pause(r.Context(), luck.delay)
	s.mu.Lock()
	defer s.mu.Unlock()
	p, known := s.products[r.PathValue("product")]
	if !known {
		return missing("product")
	}
	return reply{status: http.StatusOK, body: s.productBody(p)}
}
