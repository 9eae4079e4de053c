package rcwebhook

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/revenuecat/webhooks"
	"github.com/sluice-gems/sluice/outbox"
)

// FuzzWebhook sends any body and any headers through the whole handler, the real
// time of day apart; only the commit is left out. Whatever comes, it answers, keeps
// nothing that is not authentic, and keeps what PostgreSQL can hold.
func FuzzWebhook(f *testing.F) {
	for _, body := range samples(f) {
		f.Add(body, authorization, "", true) // no signature that is right, for an unsigned one to be made of
	}
	f.Add([]byte("\x00"), "", "t=1,v1=", false)
	f.Add([]byte(`{"event":{"id":"\u0000","type":"\ud800"}}`), authorization, "t=1772366400,v1=zz,v1", true)
	f.Fuzz(func(t *testing.T, body []byte, authorized, signature string, signed bool) {
		var kept []outbox.Effects
		in, err := New(Config{
			Committer: commitFunc(func(_ context.Context, e outbox.Effects) (outbox.Result, error) {
				kept = append(kept, e)
				return outbox.Applied, nil
			}),
			Proof: Proof{
				Authorization: func() string { return authorization }, Secrets: func() []string { return []string{secret} }, Tolerance: time.Minute,
			},
			Environments: Environments{Production: true}, Redact: []string{"$email"}, Now: func() time.Time { return start },
		})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, Path, bytes.NewReader(body))
		if signed {
			signature = sign(body, start, secret)
		}
		r.Header["Authorization"], r.Header[signatureHeader] = []string{authorized}, []string{signature}
		w := httptest.NewRecorder()
		in.ServeHTTP(w, r)
		authentic := authorized == authorization && signed && len(body) <= BodyMax
		switch w.Code {
		case http.StatusOK, http.StatusBadRequest:
			if len(kept) != 1 || !authentic {
				t.Fatalf("%d: kept %d times, authentic %v", w.Code, len(kept), authentic)
			}
		case http.StatusUnauthorized, http.StatusRequestEntityTooLarge:
			if len(kept) != 0 || authentic {
				t.Fatalf("%d: kept %d times, authentic %v", w.Code, len(kept), authentic)
			}
			return
		default:
			t.Fatalf("answers %d", w.Code)
		}
		requireStorable(t, kept[0], body, w.Code)
	})
}

// requireStorable checks what would be committed for an authentic body.
func requireStorable(t *testing.T, effects outbox.Effects, body []byte, code int) {
	t.Helper()
	row := effects.Guard.(purchases.Received)
	for _, text := range []string{row.EventKey, row.Type, row.Environment, row.Error} {
		if !utf8.ValidString(text) || bytes.ContainsRune([]byte(text), 0) {
			t.Fatalf("%q cannot be stored", text)
		}
	}
	if (row.Verdict == purchases.Undecodable) != (code == http.StatusBadRequest) || len(effects.Events) > 1 || code != http.StatusOK && len(effects.Events) > 0 {
		t.Fatalf("%d with verdict %s and %d events", code, row.Verdict, len(effects.Events))
	}
	if code != http.StatusOK {
		return
	}
	before, err := webhooks.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	after, err := webhooks.Parse(row.Body)
	if err != nil || after.ID != before.ID || after.Type != before.Type || after.AppUserID != before.AppUserID {
		t.Fatalf("the kept body says %+v, %v; want %+v", after, err, before)
	}
}
