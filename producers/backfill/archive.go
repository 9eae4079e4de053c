package backfill

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Archived is one webhook of an archive: JSON lines, each either a body as the provider
// sent it, or an Archived as Append writes it.
type Archived struct {
	ReceivedAt  time.Time         // when it first arrived; zero: the line does not tell
	EventID     string            // the provider's; this and what follows is for whoever reads the file: the body says it, too
	Type        string            //
	Environment string            //
	Verdict     string            // of whoever kept it: another one may judge otherwise
	Headers     map[string]string // that were kept
	Body        []byte            // byte for byte, but for what was redacted
}

// Append appends the line of a webhook, without its end. The body stands in it as the
// member body: byte for byte where it is JSON on one line, and without the space between
// its tokens where it is JSON on several, or with an end of line; it means the same. What
// is no JSON is body_base64.
func (a Archived) Append(line []byte) []byte {
	head, err := json.Marshal(struct {
		ReceivedAt  time.Time         `json:"received_at"`
		EventID     string            `json:"event_id,omitempty"`
		Type        string            `json:"type,omitempty"`
		Environment string            `json:"environment,omitempty"`
		Verdict     string            `json:"verdict,omitempty"`
		Headers     map[string]string `json:"headers,omitempty"`
	}{a.ReceivedAt.UTC(), a.EventID, a.Type, a.Environment, a.Verdict, a.Headers})
	if err != nil { // texts and times always encode
		panic(err)
	}
	line = append(line, head[:len(head)-1]...)
	switch {
	case !utf8.Valid(a.Body) || !json.Valid(a.Body):
		line = append(base64.StdEncoding.AppendEncode(append(line, `,"body_base64":"`...), a.Body), '"')
	case bytes.ContainsAny(a.Body, "\r\n") || len(bytes.TrimSpace(a.Body)) != len(a.Body):
		var one bytes.Buffer
		if err := json.Compact(&one, a.Body); err != nil { // it is valid
			panic(err)
		}
		line = append(append(line, `,"body":`...), one.Bytes()...)
	default:
		line = append(append(line, `,"body":`...), a.Body...)
	}
	return append(line, '}')
}

// ParseArchived reads a line of an archive. Errors say why it is none, and quote nothing
// of it.
func ParseArchived(line []byte) (Archived, error) {
	if bytes.IndexByte(line, 0) >= 0 {
		return Archived{}, errors.New("a NUL byte stands in it: the file is damaged")
	}
	var said struct {
		Event      json.RawMessage   `json:"event"`
		ReceivedAt time.Time         `json:"received_at"`
		Headers    map[string]string `json:"headers"`
		Body       json.RawMessage   `json:"body"`
		Base64     []byte            `json:"body_base64"`
	}
	err := json.Unmarshal(line, &said)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return Archived{}, fmt.Errorf("it is not JSON, from byte %d on", syntax.Offset)
	}
	switch {
	case len(said.Event) > 0:
		return Archived{Body: bytes.Clone(line)}, nil
	case err != nil:
		return Archived{}, errors.New("it is neither the body of a webhook nor a line of sluice backfill export")
	case len(said.Body) > 0 && said.Body[0] != '{':
		return Archived{}, errors.New("its member body is not the body of a webhook")
	case len(said.Body) > 0:
		return Archived{ReceivedAt: said.ReceivedAt, Headers: said.Headers, Body: bytes.Clone(said.Body)}, nil
	case len(said.Base64) > 0:
		return Archived{ReceivedAt: said.ReceivedAt, Headers: said.Headers, Body: said.Base64}, nil
	}
	return Archived{}, errors.New("it has neither the member event of a webhook's body nor the member body of sluice backfill export")
}
