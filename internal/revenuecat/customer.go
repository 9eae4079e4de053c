package revenuecat

import (
	"context"
	"encoding/json"
	"net/url"
	"time"
)

// Customer is a customer as the provider knows it. Any of its ids finds it.
type Customer struct {
	ID          string
	FirstSeenAt time.Time
	LastSeenAt  time.Time // zero: never
}

// Customer reads a customer by any of its ids. IsMissing tells that there is none.
// Source: RevenueCat API v2, Get a customer.
func (r *Reader) Customer(ctx context.Context, appUserID string) (Customer, error) {
	if !validCustomer(appUserID) {
		return Customer{}, errNoAddress(OpCustomer)
	}
	a, err := r.get(ctx, OpCustomer, appUserID, customerPath(appUserID))
	if err != nil {
		return Customer{}, err
	}
	var wire struct {
		ID          label  `json:"id"`
		FirstSeenAt moment `json:"first_seen_at"`
		LastSeenAt  moment `json:"last_seen_at"`
	}
	if err := json.Unmarshal(a.body, &wire); err != nil || wire.ID == "" {
		return Customer{}, a.failure(OpCustomer, "the customer cannot be read")
	}
	return Customer{ID: string(wire.ID), FirstSeenAt: wire.FirstSeenAt.time(), LastSeenAt: wire.LastSeenAt.time()}, nil
}

// Aliases reads all ids of a customer, by any of them. IsMissing tells that there
// is no such customer.
// Source: RevenueCat API v2, Get a list of the customer's aliases.
func (r *Reader) Aliases(ctx context.Context, appUserID string) ([]string, error) {
	type alias struct {
		ID label `json:"id"`
	}
	list, err := readCustomerList(ctx, r, OpAliases, appUserID, "/aliases", func(a alias) string { return string(a.ID) })
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, a := range list {
		if a.ID != "" {
			ids = append(ids, string(a.ID))
		}
	}
	return ids, nil
}

// readCustomerList reads a list of a customer, of both environments.
func readCustomerList[T any](ctx context.Context, r *Reader, op Op, appUserID, below string, id func(T) string) ([]T, error) {
	if !validCustomer(appUserID) {
		return nil, errNoAddress(op)
	}
	return readList(ctx, r, op, appUserID, customerPath(appUserID)+below, url.Values{}, id)
}

// errNoAddress says that an id would address something else.
func errNoAddress(op Op) *Error {
	return &Error{Op: op, Code: CodeNoAddress, Detail: "not sent: the id cannot be part of an address"}
}

// CodeNoAddress is the Code of an Error about an id that no call can be made for.
// Trying again cannot help.
const CodeNoAddress = "id_not_addressable"
