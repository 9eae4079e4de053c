package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// storeControls are the calls that play the stores, their customers and the
// provider's dashboard.
func (s *Simulator) storeControls() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /control/products":    s.controlProducts,
		"POST /control/products":   s.controlProducts,
		"POST /control/buy":        control(s.controlBuy),
		"POST /control/renew":      control(func(b transactionBody) (any, error) { return s.Renew(b.Transaction, b.Product) }),
		"POST /control/cancel":     control(func(b transactionBody) (any, error) { return s.Cancel(b.Transaction) }),
		"POST /control/uncancel":   control(func(b transactionBody) (any, error) { return s.Uncancel(b.Transaction) }),
		"POST /control/expire":     control(func(b transactionBody) (any, error) { return s.Expire(b.Transaction) }),
		"POST /control/refund":     control(func(b transactionBody) (any, error) { return s.Refund(b.Transaction) }),
		"POST /control/unrefund":   control(func(b transactionBody) (any, error) { return s.ReverseRefund(b.Transaction) }),
		"POST /control/billing":    control(s.controlBilling),
		"POST /control/transfer":   control(func(b transferBody) (any, error) { return s.Transfer(b.From, b.To) }),
		"POST /control/link":       control(func(b linkBody) (any, error) { return b, s.Link(b.Customer, b.Alias) }),
		"GET /control/purchases":   s.controlPurchases,
		"GET /control/webhooks":    s.controlWebhooks,
		"PUT /control/webhooks":    s.controlWebhooks,
		"PATCH /control/webhooks":  s.controlWebhooks,
		"GET /control/events":      s.controlEvents,
		"POST /control/events":     s.controlSend,
		"GET /control/events/{id}": s.controlEvent, "POST /control/events/{id}": s.controlEvent,
	}
}

// span is a duration such as "90s" or "720h".
type span time.Duration

// UnmarshalJSON implements json.Unmarshaler.
func (d *span) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return errors.New(`a time is a text such as "720h"`)
	}
	parsed, err := time.ParseDuration(text)
	*d = span(parsed)
	return err
}

type buyBody struct {
	Customer    string `json:"customer"`
	Product     string `json:"product"`
	Store       string `json:"store"`
	Sandbox     bool   `json:"sandbox"`
	Quantity    int64  `json:"quantity"`
	Trial       bool   `json:"trial"`
	Family      bool   `json:"family"`
	Lasts       span   `json:"lasts"`
	Transaction string `json:"transaction"`
}

type transactionBody struct {
	Transaction string `json:"transaction"`
	Product     string `json:"product"`
}

type billingBody struct {
	Transaction string `json:"transaction"`
	Grace       span   `json:"grace"`
}

type transferBody struct {
	From string `json:"from"`
	To   string `json:"to"`
}

type linkBody struct {
	Customer string `json:"customer"`
	Alias    string `json:"alias"`
}

// control decodes a body, acts on it, and shows what came of it.
func control[T any](act func(body T) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body T
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyMax))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&body); err != nil && !errors.Is(err, io.EOF) {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		out, err := act(body)
		if err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		show(w, out)
	}
}

func (s *Simulator) controlBuy(b buyBody) (any, error) {
	return s.Buy(Buy{
		Customer: b.Customer, Product: b.Product, Store: b.Store, Sandbox: b.Sandbox, Quantity: b.Quantity, Trial: b.Trial,
		Family: b.Family, Lasts: time.Duration(b.Lasts), Transaction: b.Transaction,
	})
}

func (s *Simulator) controlBilling(b billingBody) (any, error) {
	return s.FailBilling(b.Transaction, time.Duration(b.Grace))
}

type productView struct {
	ID         string          `json:"id,omitempty"`
	Store      string          `json:"store"`
	Identifier string          `json:"identifier"`
	Name       string          `json:"name,omitempty"`
	Price      float64         `json:"price"`
	Lasts      string          `json:"lasts,omitempty"` // of a subscription
	Credits    economy.Amounts `json:"credits,omitempty"`
}

// controlProducts shows what is for sale, after adding what the call brings.
func (s *Simulator) controlProducts(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		var v productView
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyMax))
		decoder.DisallowUnknownFields()
		err := decoder.Decode(&v)
		p := Product{ID: v.ID, Store: v.Store, Identifier: v.Identifier, Name: v.Name, Price: v.Price, Credits: v.Credits}
		if err == nil && v.Lasts != "" {
			p.Lasts, err = time.ParseDuration(v.Lasts)
		}
		if err == nil {
			err = s.AddProducts(p)
		}
		if err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
	}
	views := []productView{}
	s.mu.Lock()
	for _, p := range s.products {
		v := productView{ID: p.ID, Store: p.Store, Identifier: p.Identifier, Name: p.Name, Price: p.Price, Credits: p.Credits}
		if p.Lasts > 0 {
			v.Lasts = p.Lasts.String()
		}
		views = append(views, v)
	}
	s.mu.Unlock()
	slices.SortFunc(views, func(a, b productView) int { return strings.Compare(a.Store+" "+a.Identifier, b.Store+" "+b.Identifier) })
	show(w, map[string]any{"products": views})
}

// controlPurchases shows what a customer has bought, with the stores' transactions.
func (s *Simulator) controlPurchases(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sales, subscriptions := s.books.bought(r.URL.Query().Get("customer"))
	if sales == nil {
		sales = []*sale{}
	}
	if subscriptions == nil {
		subscriptions = []*subscription{}
	}
	show(w, map[string]any{"aliases": s.books.ids(r.URL.Query().Get("customer")), "purchases": sales, "subscriptions": subscriptions})
}

// controlWebhooks shows how webhooks go, after changing their faults.
func (s *Simulator) controlWebhooks(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyMax))
		if err == nil {
			err = s.mergeWebhookFaults(raw, r.Method == http.MethodPatch)
		}
		if err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
	}
	show(w, map[string]any{"url": s.hooks.config.URL, "faults": s.WebhookFaults(), "stats": s.WebhookStats()})
}

func (s *Simulator) mergeWebhookFaults(raw []byte, keep bool) error {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	var faults WebhookFaults
	if keep {
		faults = s.hooks.faults
	}
	if err := json.Unmarshal(raw, &faults); err != nil {
		return err
	}
	if err := faults.Validate(); err != nil {
		return err
	}
	s.hooks.faults = faults
	return nil
}

// eventsShown is how many events a listing shows unless it is asked for another number.
const eventsShown = 100

func (s *Simulator) controlEvents(w http.ResponseWriter, r *http.Request) {
	limit := eventsShown
	if text := r.URL.Query().Get("limit"); text != "" {
		var err error
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 {
			refuse(w, http.StatusBadRequest, errors.New("limit must be 1 or more"))
			return
		}
	}
	events := s.Events()
	show(w, map[string]any{"events": events[max(0, len(events)-limit):]})
}

// controlSend posts the body as a webhook, and shows what was answered.
func (s *Simulator) controlSend(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyMax))
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	sent, err := s.Send(r.Context(), body)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	show(w, sent)
}

// controlEvent shows one event with its body; a POST sends it once more first.
func (s *Simulator) controlEvent(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if r.Method == http.MethodPost {
		status, err := s.Resend(r.Context(), id)
		if err != nil {
			refuse(w, http.StatusNotFound, err)
			return
		}
		s.log.InfoContext(r.Context(), "webhook sent once more", "event_id", id, "status", status)
	}
	for _, sent := range s.Events() {
		if sent.ID == id {
			show(w, struct {
				Sent
				Body json.RawMessage `json:"body"`
			}{sent, sent.Body})
			return
		}
	}
	refuse(w, http.StatusNotFound, fmt.Errorf("%w: %q", errNoEvent, id))
}
