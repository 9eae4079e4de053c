package simulator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// anonymousPrefix begins the ids that the provider's SDK makes up.
const anonymousPrefix = "$RCAnonymousID:"

// anonymous reports whether nobody ever logged in under one of the ids.
func anonymous(ids []string) bool {
	return !slices.ContainsFunc(ids, func(id string) bool { return !strings.HasPrefix(id, anonymousPrefix) })
}

// Link makes two ids one customer, as a login does: the id seen first stands for it
// from then on. No event tells of it (the provider sends SUBSCRIBER_ALIAS to old
// projects only); the events that follow list all ids. Two customers who logged in
// never become one, and are refused.
func (s *Simulator) Link(one, other string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch a, b := s.books.ids(one), s.books.ids(other); {
	case one == "" || other == "":
		return errors.New("an id is empty")
	case a[0] == b[0]:
		return nil
	case !anonymous(a) && !anonymous(b):
		return errors.New("neither is anonymous: a login never makes them one customer")
	}
	h := s.begin()
	h.entry.Link = &link{One: one, Other: other}
	_, err := h.commit("", "")
	return err
}

// Transfer moves everything that a customer bought with money to another, who is
// created if there is none, as a restore on another account does. Currency stays. A
// TRANSFER follows for every store and environment that something was moved of; none
// when the old owner is anonymous.
func (s *Simulator) Transfer(from, to string) (Bought, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	giver := s.books.customer(from)
	switch {
	case giver == nil:
		return Bought{}, fmt.Errorf("no customer %q", from)
	case to == "":
		return Bought{}, errors.New("the new owner's id is empty")
	case s.books.shelf.first(from) == s.books.shelf.first(to):
		return Bought{}, errors.New("they are one customer")
	}
	h := s.begin()
	sales, subscriptions := s.books.bought(from)
	type side struct{ store, environment string }
	var sides []side
	for _, v := range sales {
		moved := *v
		moved.Customer = to
		h.entry.Sales = append(h.entry.Sales, moved)
		sides = append(sides, side{v.Store, v.Environment})
	}
	for _, v := range subscriptions {
		moved := *v
		moved.Customer = to
		h.entry.Subscriptions = append(h.entry.Subscriptions, moved)
		sides = append(sides, side{v.Store, v.Environment})
	}
	if len(sides) == 0 {
		return Bought{}, errors.New("there is nothing to transfer")
	}
	slices.SortFunc(sides, func(a, b side) int { return strings.Compare(a.store+"/"+a.environment, b.store+"/"+b.environment) })
	for _, moved := range slices.Compact(sides) {
		if !anonymous(giver.ids) {
			h.tellTransfer(moved.store, moved.environment, giver.ids, s.books.ids(to))
		}
	}
	return h.commit("", "")
}

// ids returns all ids of a customer, who may not exist yet.
func (b *books) ids(id string) []string {
	if c := b.customer(id); c != nil {
		return c.ids
	}
	return []string{id}
}
