package spendapi

import (
	"strconv"
	"strings"
	"time"
)

const (
	// waitDefault is how long POST /spend waits for the outcome when the client says
	// nothing; waitMax is the most it may ask for (design.md, section 8).
	waitDefault = 10 * time.Second
	waitMax     = 30 * time.Second
)

// preference is what the client prefers (RFC 7240). With both, `wait` wins: the
// answer is asynchronous only when the outcome is not there in time, as RFC 7240,
// section 4.3, says.
type preference struct {
	wait    time.Duration // wait=N, capped at waitMax
	hasWait bool
	async   bool // respond-async
}

// patience returns how long a spend just accepted is waited for.
func (p preference) patience() time.Duration {
	switch {
	case p.hasWait:
		return p.wait
	case p.async:
		return 0
	}
	return waitDefault
}

// applied returns the value of Preference-Applied, "" for none.
func (p preference) applied() string {
	var list []string
	if p.async {
		list = append(list, "respond-async")
	}
	if p.hasWait {
		list = append(list, "wait="+strconv.Itoa(int(p.wait/time.Second)))
	}
	return strings.Join(list, ", ")
}

// parsePrefer reads the Prefer headers. What it does not know or cannot read is
// ignored, and of two preferences with one name the first counts, as RFC 7240,
// section 2, says.
func parsePrefer(values []string) preference {
	var p preference
	var sawWait bool
	for _, value := range values {
		for value != "" {
			var item string
			item, value = cutUnquoted(value, ',')
			item, _ = cutUnquoted(item, ';') // parameters of a preference: none is defined
			name, word, _ := strings.Cut(item, "=")
			switch strings.ToLower(strings.Trim(name, " \t")) {
			case "respond-async":
				p.async = true
			case "wait":
				if !sawWait {
					p.wait, p.hasWait = waitOf(word)
				}
				sawWait = true
			}
		}
	}
	return p
}

// waitOf reads the seconds of wait=N.
func waitOf(word string) (time.Duration, bool) {
	word = strings.Trim(word, " \t")
	if len(word) >= 2 && word[0] == '"' && word[len(word)-1] == '"' {
		word = word[1 : len(word)-1]
	}
	if word == "" || strings.Trim(word, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(word)
	if err != nil || n > int(waitMax/time.Second) { // digits that do not fit are a lot
		return waitMax, true
	}
	return time.Duration(n) * time.Second, true
}

// cutUnquoted cuts s at the first sep that is not inside double quotes.
func cutUnquoted(s string, sep byte) (before, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}
