package economy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// catalogJSON is the form in which a version of the catalogue is stored. Every
// member is always written, except times that are unset, so that a default
// changed later changes no version that was stored before.
type catalogJSON struct {
	Items    map[string]itemJSON    `json:"items"`
	Packages map[string]packageJSON `json:"packages,omitempty"` // as if there were none before
}

type itemJSON struct {
	Name           string       `json:"name"`
	Price          Amounts      `json:"price"`
	Quantity       quantityJSON `json:"quantity"`
	PlayerLimit    int64        `json:"player_limit"`
	AvailableFrom  time.Time    `json:"available_from,omitzero"`
	AvailableUntil time.Time    `json:"available_until,omitzero"`
	Paused         bool         `json:"paused"`
	HandOver       handOverJSON `json:"hand_over"`
}

type quantityJSON struct {
	Min int64 `json:"min"`
	Max int64 `json:"max"`
}

// The members of one port are left out for the others: the versions of before they
// existed keep their fingerprints.
type handOverJSON struct {
	Port     string `json:"port"`
	Reason   string `json:"reason,omitempty"`
	Endpoint string `json:"endpoint,omitempty"`
	Patience string `json:"patience,omitempty"` // as time.Duration writes it
}

func storedHandOver(h HandOver) handOverJSON {
	stored := handOverJSON{Port: h.Port, Reason: h.Reason, Endpoint: h.Endpoint}
	if h.Patience != 0 {
		stored.Patience = h.Patience.String()
	}
	return stored
}

func (h handOverJSON) handOver() (HandOver, error) {
	out := HandOver{Port: h.Port, Reason: h.Reason, Endpoint: h.Endpoint}
	if h.Patience == "" {
		return out, nil
	}
	var err error
	out.Patience, err = time.ParseDuration(h.Patience)
	return out, err
}

// CatalogJSON returns the stored form of a catalogue. It is canonical: equal
// catalogues give equal bytes, whatever the order of their items and the zone of
// their times. The version is not part of it; that is the row's. It fails only
// on a time beyond year 9999.
func CatalogJSON(c Catalog) ([]byte, error) {
	stored := catalogJSON{Items: make(map[string]itemJSON, len(c.Items))}
	for id, it := range c.Items {
		price := it.Price
		if price == nil {
			price = Amounts{}
		}
		stored.Items[id] = itemJSON{
			Name: it.Name, Price: price,
			Quantity:      quantityJSON{it.QuantityMin, it.QuantityMax},
			PlayerLimit:   it.PlayerLimit,
			AvailableFrom: it.AvailableFrom.UTC(), AvailableUntil: it.AvailableUntil.UTC(),
			Paused:   it.Paused,
			HandOver: storedHandOver(it.HandOver),
		}
	}
	stored.Packages = packagesJSON(c.Packages)
	raw, err := json.Marshal(stored)
	if err != nil {
		return nil, fmt.Errorf("encode catalogue: %w", err)
	}
	return raw, nil
}

// CatalogFromJSON reads a stored catalogue; its Version is 0 until the caller
// sets the row's. An unknown member is an error: an older program must not sell
// or hand over by a version of which it understands only a part. The rules of
// Validate are not applied, since a spend follows the version it names even when
// the rules have become stricter since.
func CatalogFromJSON(raw []byte) (Catalog, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	var stored catalogJSON
	if err := decoder.Decode(&stored); err != nil {
		return Catalog{}, fmt.Errorf("decode catalogue: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Catalog{}, errors.New("decode catalogue: more text follows it")
	}
	c := Catalog{Items: make(map[string]Item, len(stored.Items))}
	for id, it := range stored.Items {
		handOver, err := it.HandOver.handOver()
		if err != nil {
			return Catalog{}, fmt.Errorf("decode catalogue: item %q: %w", id, err)
		}
		c.Items[id] = Item{
			ID: id, Name: it.Name, Price: it.Price,
			QuantityMin: it.Quantity.Min, QuantityMax: it.Quantity.Max,
			PlayerLimit:   it.PlayerLimit,
			AvailableFrom: it.AvailableFrom.UTC(), AvailableUntil: it.AvailableUntil.UTC(),
			Paused:   it.Paused,
			HandOver: handOver,
		}
	}
	var err error
	if c.Packages, err = packagesFromJSON(stored.Packages); err != nil {
		return Catalog{}, fmt.Errorf("decode catalogue: %w", err)
	}
	return c, nil
}

// CatalogFingerprint returns the SHA-256 of the stored form in hex: the same for
// equal catalogues, so that loading the same file again makes no new version. It
// is computed from the catalogue and not from stored bytes, which PostgreSQL's
// jsonb reorders. It fails as CatalogJSON does.
func CatalogFingerprint(c Catalog) (string, error) {
	raw, err := CatalogJSON(c)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}
