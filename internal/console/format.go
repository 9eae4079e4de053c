package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/monitor"
)

// number writes a whole number with its thousands apart, exactly, of any size.
func number(n any) string {
	digits := fmt.Sprint(n)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "\u2212", digits[1:]
	}
	if strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
		return sign + digits
	}
	var out []byte
	for i := range len(digits) {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out = append(out, ',')
		}
		out = append(out, digits[i])
	}
	return sign + string(out)
}

// amountsOf writes amounts, such as "50 GEM, 1,000 GOLD".
func amountsOf(a economy.Amounts) string {
	parts := make([]string, 0, len(a))
	for _, currency := range a.Currencies() {
		parts = append(parts, number(int64(a[currency]))+" "+string(currency))
	}
	return strings.Join(parts, ", ")
}

// money writes a price that a store took, exactly: its micros have six digits.
func money(p economy.Price) string {
	if p.Currency == "" {
		return ""
	}
	whole, part := p.Micros/1_000_000, p.Micros%1_000_000
	sign := ""
	if p.Micros < 0 {
		sign, whole, part = "\u2212", -whole, -part
	}
	digits := strings.TrimRight(fmt.Sprintf("%06d", part), "0")
	for len(digits) < 2 {
		digits += "0"
	}
	return sign + number(whole) + "." + digits + " " + p.Currency
}

func plural(n any, one, many string) string {
	text := number(n)
	if text == "1" {
		return "1 " + one
	}
	return text + " " + many
}

// tone is the colour of a word of state. The word itself always stands beside it.
func tone(state any) string {
	switch fmt.Sprint(state) {
	case "fulfilled", "applied", "granted", "confirmed", "accepted", "ok", "closed", "running", "done", "resolved", "completed":
		return "good"
	case "requested", "charged", "refunding", "open", "pending", "half-open", "paused", "parked":
		return "working"
	case "refunded", "declined", "insufficient", "revoked", "rejected", "cancelled", "refused_environment":
		return "quiet"
	case "unknown", "refused", "undecodable", "failed", "dead", "stalled":
		return "bad"
	}
	return "quiet"
}

// took writes a duration as people read it.
func took(d time.Duration) string { return monitor.Took(d) }

// pretty indents JSON and leaves every number as it was written; what is no JSON
// stays as it is.
func pretty(raw any) string {
	var text []byte
	switch raw := raw.(type) {
	case []byte:
		text = raw
	case json.RawMessage:
		text = raw
	case string:
		text = []byte(raw)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		return string(text)
	}
	return out.String()
}
