package handover

import (
	"net/http"
	"strings"
	"time"
)

// The checks of what is signed, and when.

func tryUnsigned(t *tester) error {
	spend := t.newSpend()
	return t.refused(spend, http.Header{}, t.request(OpGrant, spend).body())
}

func tryOtherSecret(t *tester) error {
	spend := t.newSpend()
	r, header := t.request(OpGrant, spend), http.Header{}
	sign(header, []key{key("a secret that nobody else knows")}, r.id(), t.now(), r.body())
	return t.refused(spend, header, r.body())
}

func tryChanged(t *tester) error {
	spend := t.newSpend()
	r, header := t.request(OpGrant, spend), http.Header{}
	sign(header, t.client.keys, r.id(), t.now(), r.body())
	r.Quantity++
	return t.refused(spend, header, r.body())
}

func tryOtherID(t *tester) error {
	spend := t.newSpend()
	r, header := t.request(OpGrant, spend), http.Header{}
	sign(header, t.client.keys, anyThing, t.now(), r.body())
	header.Set(headerID, r.id())
	return t.refused(spend, header, r.body())
}

// aged sends a request whose timestamp is off by so much.
func (t *tester) aged(off time.Duration) error {
	spend := t.newSpend()
	r, header := t.request(OpGrant, spend), http.Header{}
	sign(header, t.client.keys, r.id(), t.now().Add(off), r.body())
	return t.refused(spend, header, r.body())
}

func tryRotation(t *tester) error {
	r, header := t.request(OpGrant, t.newSpend()), http.Header{}
	sign(header, t.client.keys, r.id(), t.now(), r.body())
	good := header.Get(headerSignature)
	other := key(anyThing).signature(r.id(), t.now(), r.body())
	header.Set(headerSignature, strings.Join([]string{"v9,bm9uZQ==", other, good}, " "))
	return wanted(OpGrant, classify(r, t.client.post(t.ctx, header, r.body())), Granted)
}
