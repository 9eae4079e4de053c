package revenuecat

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// missingFor is how long a product that the provider does not know is not asked for
// again: of a deleted one, purchases are read for years.
const missingFor = 10 * time.Minute

// productsMax is the longest product id (RevenueCat API v2, product_id).
const productsMax = 255

// Products knows which store's product a product of the provider is. That never
// changes, so each is asked for once: all of them together at the first miss, and
// one by one what is newer. The provider allows 60 such calls a minute, apart from
// those about customers. It is safe for use by many goroutines; they wait for one
// of them to ask.
type Products struct {
	reader *Reader
	turn   chan struct{} // held by whoever asks

	mu      sync.Mutex // guards all below
	listed  bool
	known   map[string]string    // provider's id to the store's
	missing map[string]time.Time // provider's id to when it was not known
}

// NewProducts returns products read by r, none of them yet.
func NewProducts(r *Reader) *Products {
	return &Products{reader: r, turn: make(chan struct{}, 1), known: map[string]string{}, missing: map[string]time.Time{}}
}

// StoreIdentifier returns the store's id of a product of the provider. IsMissing
// tells that the provider does not know it, or not any more.
// Source: RevenueCat API v2, Get a list of products; Get a product.
func (p *Products) StoreIdentifier(ctx context.Context, productID string) (string, error) {
	if id, known, _ := p.look(productID); known {
		return id, nil
	}
	if !validCustomer(productID) || len(productID) > productsMax {
		return "", errNoAddress(OpProduct)
	}
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return "", &Error{Op: OpProduct, Detail: "not sent: the caller's time was over", Err: ctx.Err()}
	}
	defer func() { <-p.turn }()
	id, known, listed := p.look(productID)
	if !known && !listed {
		if err := p.list(ctx); err != nil {
			return "", err
		}
		id, known, _ = p.look(productID)
	}
	if known {
		return id, nil
	}
	if p.isMissing(productID) {
		return "", &Error{Op: OpProduct, Status: http.StatusNotFound, Code: "resource_missing", Detail: "not asked again: the provider did not know it"}
	}
	return p.one(ctx, productID)
}

func (p *Products) isMissing(productID string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	since, missing := p.missing[productID]
	return missing && p.reader.client.now().Sub(since) < missingFor
}

func (p *Products) look(productID string) (id string, known, listed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id, known = p.known[productID]
	return id, known, p.listed
}

// productWire is a product as far as we ask.
type productWire struct {
	ID      label `json:"id"`
	StoreID label `json:"store_identifier"`
}

func (w productWire) id() string { return string(w.ID) }

func (p *Products) list(ctx context.Context) error {
	list, err := readList(ctx, p.reader, OpProducts, "", "/products", nil, productWire.id)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listed = true
	for _, w := range list {
		p.keep(w)
	}
	return nil
}

func (p *Products) one(ctx context.Context, productID string) (string, error) {
	a, err := p.reader.get(ctx, OpProduct, "", "/products/"+escapeSegment(productID))
	if err != nil {
		if IsMissing(err) {
			p.mu.Lock()
			p.missing[productID] = p.reader.client.now()
			p.mu.Unlock()
		}
		return "", err
	}
	var w productWire
	if json.Unmarshal(a.body, &w) != nil || string(w.ID) != productID || w.StoreID == "" {
		return "", a.failure(OpProduct, "the product cannot be read")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keep(w)
	return string(w.StoreID), nil
}

// keep notes a product. The caller holds mu.
func (p *Products) keep(w productWire) {
	if w.ID != "" && w.StoreID != "" {
		p.known[string(w.ID)] = string(w.StoreID)
	}
}
