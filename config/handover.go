package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// HandOver is how items reach the game's own servers.
type HandOver struct {
	URLs        []NamedURL    // the endpoints; a catalogue's item names one of them
	Secrets     []NamedSecret // what signs requests, one or more per endpoint, so that a secret can be rotated
	Patience    time.Duration // how long after the charge an endpoint may fail before the cost goes back
	Timeout     time.Duration // of one request, connecting included
	Concurrency int           // requests under way per endpoint and process
	Confirm     []string      // endpoints whose yes is believed only after a check
}

// NamedURL is the address of an endpoint.
type NamedURL struct {
	Name string
	URL  URL
}

// NamedSecret is a secret of an endpoint.
type NamedSecret struct {
	Name   string
	Secret Secret
}

// Endpoint is all that is set of one endpoint.
type Endpoint struct {
	Name    string
	URL     URL
	Secrets []Secret
	Confirm bool
}

// Endpoints returns the endpoints in the order of their URLs.
func (h HandOver) Endpoints() []Endpoint {
	list := make([]Endpoint, len(h.URLs))
	for i, at := range h.URLs {
		list[i] = Endpoint{Name: at.Name, URL: at.URL, Confirm: slices.Contains(h.Confirm, at.Name)}
		for _, secret := range h.Secrets {
			if secret.Name == at.Name {
				list[i].Secrets = append(list[i].Secrets, secret.Secret)
			}
		}
	}
	return list
}

// The form of a secret is that of Standard Webhooks.
const (
	signingPrefix = "whsec_"
	signingMin    = 24 // bytes
	signingMax    = 64
	timeoutMax    = 10 * time.Second // of a hand-over: a worker that stops waits for those of a delivery, three at most
)

// setNamedURLs reads `url` and `name=url`. A URL begins with its scheme, so what
// stands before the first = of another entry is a name.
func setNamedURLs(f *[]NamedURL, values []string) error {
	var list []NamedURL
	var problems []error
	for i, value := range values {
		name, address := economy.EndpointDefault, value
		if before, after, found := strings.Cut(value, "="); found && !strings.Contains(before, "://") {
			name, address = before, after
		}
		if !economy.ValidEndpoint(name) {
			problems = append(problems, fmt.Errorf("entry %d: %q is no name of an endpoint: use up to 32 lower-case letters, digits, _ and -", i+1, name))
			continue
		}
		list = append(list, NamedURL{name, NewURL(address)})
	}
	*f = list
	return errors.Join(problems...)
}

// setNamedSecrets reads `whsec_...` and `name=whsec_...`. What is neither is not
// repeated: it may be a secret.
func setNamedSecrets(f *[]NamedSecret, values []string) error {
	var list []NamedSecret
	var problems []error
	for i, value := range values {
		name, secret := economy.EndpointDefault, value
		if !strings.HasPrefix(value, signingPrefix) {
			var found bool
			name, secret, found = strings.Cut(value, "=")
			if !found || !economy.ValidEndpoint(name) || !strings.HasPrefix(secret, signingPrefix) {
				problems = append(problems, fmt.Errorf("entry %d begins with %s neither by itself nor after the name of an endpoint and =: write name=%s and base64",
					i+1, signingPrefix, signingPrefix))
				continue
			}
		}
		list = append(list, NamedSecret{name, NewSecret(secret)})
	}
	*f = list
	return errors.Join(problems...)
}

// handOver checks the endpoints and that each has a secret of its own.
func (k *checker) handOver() {
	const urls, signers, confirm = "SLUICE_HANDOVER_URL", "SLUICE_HANDOVER_SECRETS", "SLUICE_HANDOVER_CONFIRM"
	h := k.config.HandOver
	signed, known := map[string]bool{}, map[string]bool{}
	for i, secret := range h.Secrets {
		signed[secret.Name] = true
		k.signingSecret(signers, i+1, secret.Secret.Reveal())
		for at, other := range h.Secrets[:i] {
			if other.Secret.Reveal() == secret.Secret.Reveal() {
				k.add(signers, "entry %d is the same secret as entry %d: an endpoint's secret is its own, keep one", i+1, at+1)
			}
		}
	}
	for i, endpoint := range h.URLs {
		if known[endpoint.Name] {
			k.add(urls, "entry %d: endpoint %q appears twice: keep one", i+1, endpoint.Name)
		}
		known[endpoint.Name] = true
		k.endpointURL(urls, endpoint)
		if !signed[endpoint.Name] && !slices.Contains(k.config.unread, signers) {
			k.add(signers, "has none of endpoint %q, whose requests must be signed: write %s=%s...", endpoint.Name, endpoint.Name, signingPrefix)
		}
	}
	if !slices.Contains(k.config.unread, urls) {
		for i, secret := range h.Secrets {
			if !known[secret.Name] {
				k.add(signers, "entry %d is of endpoint %q, which has no address: name it in %s", i+1, secret.Name, urls)
			}
		}
		for _, name := range h.Confirm {
			if !known[name] {
				k.add(confirm, "endpoint %q has no address: name it in %s", name, urls)
			}
		}
	}
	k.handOverNumbers(h)
}

func (k *checker) handOverNumbers(h HandOver) {
	if h.Patience <= 0 {
		k.add("SLUICE_HANDOVER_PATIENCE", "%s is not more than 0: write one such as 900s", showDuration(h.Patience))
	}
	if h.Timeout <= 0 || h.Timeout > timeoutMax {
		k.add("SLUICE_HANDOVER_TIMEOUT", "%s is not more than 0 and up to %s, for which a worker that stops can wait: write one such as 5s", showDuration(h.Timeout), timeoutMax)
	}
	if h.Concurrency < 1 {
		k.add("SLUICE_HANDOVER_CONCURRENCY", "%d is below 1: write one such as 16", h.Concurrency)
	}
}

func (k *checker) endpointURL(name string, endpoint NamedURL) {
	parsed, err := url.Parse(endpoint.URL.Reveal())
	if err != nil || parsed.Scheme != "https" && parsed.Scheme != "http" || parsed.Hostname() == "" || parsed.User != nil || parsed.Fragment != "" {
		k.add(name, "endpoint %q: write an address with https:// or http:// and a host, without a user, such as %s", endpoint.Name, variable(name).Example)
	}
}

// signingSecret checks what Standard Webhooks asks of a secret.
func (k *checker) signingSecret(name string, entry int, secret string) {
	encoded, ok := strings.CutPrefix(secret, signingPrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) < signingMin || len(key) > signingMax {
		k.add(name, "entry %d is not %s and the base64 of %d to %d bytes: write %s", entry, signingPrefix, signingMin, signingMax, variable(name).Example)
	}
}
