package simulator

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Webhooks says where the events of purchases go, and how. The zero value sends
// nothing; the events are kept all the same.
type Webhooks struct {
	URL           string       // of the receiver; "": nowhere
	Authorization string       // exact value of that header; "": none
	SigningSecret string       // of X-RevenueCat-Webhook-Signature; "": not signed
	Faster        float64      // by how much the provider's waits between attempts are shortened; 0: FasterDefault
	HTTP          *http.Client // nil: one of our own; its redirects and timeout are never used
}

// FasterDefault makes the waits 1, 2, 4, 8 and 16 seconds.
const FasterDefault = 300

// The provider's schedule (RevenueCat docs, Webhooks): an answer within a minute,
// and waits of 5, 10, 20, 40 and 80 minutes after the attempts that failed.
const (
	answerWithin = time.Minute
	firstWait    = 5 * time.Minute
	attemptsMax  = 6
)

func (w Webhooks) validate() error {
	if w.Faster < 0 {
		return fmt.Errorf("webhooks: faster is %v: use more than 0", w.Faster)
	}
	if w.URL == "" {
		return nil
	}
	if u, err := url.Parse(w.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errors.New("webhooks: the URL must begin with http:// or https:// and name a host")
	}
	return nil
}

// wait is how long the provider waits after a failed attempt, from 1.
func (w Webhooks) wait(attempt int) time.Duration {
	faster := w.Faster
	if faster == 0 {
		faster = FasterDefault
	}
	return time.Duration(float64(firstWait<<(attempt-1)) / faster)
}

// post makes one attempt. Only a 200 is a success, for the provider and here; status
// 0: there was no answer.
func (w Webhooks) post(ctx context.Context, client *http.Client, body []byte, now time.Time) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, strings.NewReader(string(body)))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "RevenueCat simulator")
	if w.Authorization != "" {
		req.Header.Set("Authorization", w.Authorization)
	}
	if w.SigningSecret != "" {
		req.Header.Set("X-RevenueCat-Webhook-Signature", sign(w.SigningSecret, body, now))
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, bodyMax)) // what it says does not matter
	return res.StatusCode, nil
}

// sign returns the value of the signature's header: made anew for every attempt.
func sign(secret string, body []byte, now time.Time) string {
	t := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// newWebhookClient returns given, or a client, that follows no redirect.
func newWebhookClient(given *http.Client) *http.Client {
	out := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: sendersMax}}
	if given != nil {
		out = *given
	}
	out.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	out.Timeout, out.Jar = 0, nil
	return &out
}
