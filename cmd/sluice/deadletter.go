package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
	"unicode/utf8"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/operations"
)

// deadletterCommand groups what is done about dead letters.
type deadletterCommand struct {
	List    deadletterListCommand    `cmd:"" help:"List deliveries that were set aside."`
	Show    deadletterShowCommand    `cmd:"" help:"Show everything that is known of one."`
	Retry   deadletterRetryCommand   `cmd:"" help:"Deliver one again, or many."`
	Resolve deadletterResolveCommand `cmd:"" help:"Mark one as done with, or many."`
}

// letterFlags choose dead letters.
type letterFlags struct {
	Consumer string        `help:"Only those of this consumer."`
	Type     string        `help:"Only events of this type, such as spend.charged.v1."`
	Cause    string        `help:"Only those that died of this: panic, data, malformed or permanent."`
	Player   string        `help:"Only this player's."`
	Error    string        `help:"Only those whose error has this in it."`
	Older    time.Duration `help:"Only those dead for longer than this, such as 1h." placeholder:"DURATION"`
	Younger  time.Duration `help:"Only those dead for less than this." placeholder:"DURATION"`
}

func (f letterFlags) filter() operations.LetterFilter {
	return operations.LetterFilter{
		Consumer: f.Consumer, Type: f.Type, Reason: operations.DeathReason(f.Cause), Player: f.Player, Error: f.Error, Older: f.Older, Younger: f.Younger,
	}
}

// deadletterListCommand lists dead letters.
type deadletterListCommand struct {
	letterFlags
	Resolved bool `help:"Instead of the open ones, those that were retried or resolved."`
	Limit    int  `help:"The most to show." default:"100"`
	JSON     bool `help:"Print JSON." name:"json"`
}

// Run prints the table, and how many there are in all.
func (c deadletterListCommand) Run(ctx context.Context, io stdio) error {
	filter := c.filter()
	filter.Resolved, filter.Limit = c.Resolved, c.Limit
	return lookAtDesk(ctx, func(desk *operations.Desk) error {
		list, err := desk.Letters(ctx, filter)
		if err != nil {
			return err
		}
		counts, err := desk.CountLetters(ctx, filter)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(io, map[string]any{"dead_letters": lettersJSON(list), "counts": counts})
		}
		w := table(io, "EVENT\tCONSUMER\tTYPE\tCAUSE\tATTEMPTS\tDIED\tERROR")
		for _, l := range list {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", l.EventID, l.Consumer, l.Type, l.Reason, l.Attempts, stamp(l.DiedAt), short(l.Error))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if all := total(counts); all > len(list) {
			_, _ = fmt.Fprintf(io.Err, "sluice: these are %d of %d; --limit shows more\n", len(list), all)
		}
		return nil
	})
}

func total(counts []operations.LetterCount) int {
	sum := 0
	for _, c := range counts {
		sum += c.Letters
	}
	return sum
}

func lettersJSON(list []operations.Letter) []any {
	out := make([]any, len(list))
	for i, l := range list {
		out[i] = letterJSON(l)
	}
	return out
}

// letterJSON is a letter with its payload as it is: JSON, or base64 of what is none.
func letterJSON(l operations.Letter) any {
	type payloads struct {
		Payload        json.RawMessage `json:"payload,omitempty"`
		PayloadBase64  string          `json:"payload_base64,omitempty"`
		Original       json.RawMessage `json:"original,omitempty"`
		OriginalBase64 string          `json:"original_base64,omitempty"`
	}
	split := func(raw []byte) (json.RawMessage, string) {
		if json.Valid(raw) && utf8.Valid(raw) {
			return raw, ""
		}
		return nil, base64.StdEncoding.EncodeToString(raw)
	}
	var p payloads
	p.Payload, p.PayloadBase64 = split(l.Payload)
	if l.Original != nil {
		p.Original, p.OriginalBase64 = split(l.Original)
	}
	return struct {
		operations.Letter
		payloads
	}{l, p}
}

// deadletterShowCommand shows one.
type deadletterShowCommand struct {
	Event    string `arg:"" help:"The event's id."`
	Consumer string `help:"Whose delivery, when several consumers set the event aside."`
	Payload  bool   `help:"Print only the payload, to edit it." xor:"form"`
	JSON     bool   `help:"Print JSON." name:"json" xor:"form"`
}

// Run prints it.
func (c deadletterShowCommand) Run(ctx context.Context, io stdio) error {
	return lookWith(ctx, func(cfg config.Config, desk *operations.Desk) error {
		l, err := findLetter(ctx, desk, c.Event, c.Consumer)
		switch {
		case err != nil:
			return err
		case c.Payload:
			_, err := io.Out.Write(l.Payload)
			return err
		case c.JSON:
			return printJSON(io, letterJSON(l))
		}
		return printLetter(io, l, cfg.TraceLink(l.TraceID))
	})
}

// findLetter finds a letter by its event, and by its consumer where there are several.
func findLetter(ctx context.Context, desk *operations.Desk, event, consumer string) (operations.Letter, error) {
	list, err := desk.LettersOf(ctx, event)
	if err != nil {
		return operations.Letter{}, err
	}
	var found []operations.Letter
	var names []string
	for _, l := range list {
		names = append(names, l.Consumer)
		if consumer == "" || l.Consumer == consumer {
			found = append(found, l)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return operations.Letter{}, exitError{fmt.Errorf("several consumers set %s aside: name one of %v with --consumer", event, names), exitBadUsage}
	case len(names) > 0:
		return operations.Letter{}, fmt.Errorf("%s did not set %s aside; %v did", consumer, event, names)
	}
	return operations.Letter{}, fmt.Errorf("no dead letter has the event %q", event)
}

func printLetter(io stdio, l operations.Letter, trace string) error {
	w := table(io, "event\t"+l.EventID)
	for _, line := range [][2]string{
		{"consumer", l.Consumer}, {"type", l.Type}, {"lane", l.Lane}, {"subject", l.Subject}, {"player", l.Player}, {"trace", trace},
		{"owed since", stamp(l.OwedSince)}, {"died", stamp(l.DiedAt)}, {"cause", string(l.Reason)}, {"attempts", fmt.Sprint(l.Attempts)}, {"error", l.Error},
		{"retries", fmt.Sprint(l.Retries)}, {"resolved", stamp(l.ResolvedAt)}, {"resolution", l.Resolution},
	} {
		if line[1] != "" {
			_, _ = fmt.Fprintf(w, "%s\t%s\n", line[0], line[1])
		}
	}
	for name, value := range l.Headers {
		_, _ = fmt.Fprintf(w, "header %s\t%s\n", name, value)
	}
	for _, f := range l.Failures {
		_, _ = fmt.Fprintf(w, "attempt %d\t%s  %s\n", f.Attempt, stamp(f.At), short(f.Error))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if l.Stack != "" {
		_, _ = fmt.Fprintf(io.Out, "\n%s\n", l.Stack)
	}
	_, _ = fmt.Fprintf(io.Out, "\n%s\n", text(l.Payload))
	if l.Original != nil {
		_, _ = fmt.Fprintf(io.Out, "\nas it arrived, before it was edited:\n%s\n", text(l.Original))
	}
	return nil
}

// text prints bytes as text, or in base64 where they are none.
func text(raw []byte) string {
	if utf8.Valid(raw) {
		return string(raw)
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// manyLetters choose one letter by its event, or many by a filter.
type manyLetters struct {
	Event string `arg:"" optional:"" help:"The event's id; without it the flags choose many."`
	letterFlags
	All  bool `help:"All that are open, where no other flag chooses."`
	Yes  bool `help:"Do it to many. Without it only the preview is shown." short:"y"`
	JSON bool `help:"Print JSON." name:"json"`
}

// check refuses a choice of nothing in particular.
func (c manyLetters) check() error {
	chosen := c.filter() != (operations.LetterFilter{})
	switch {
	case c.Event == "" && !chosen && !c.All:
		return exitError{errors.New("name an event's id, choose by flags such as --consumer, or say --all"), exitBadUsage}
	case c.All && (chosen || c.Event != ""):
		return exitError{errors.New("--all and a choice exclude each other"), exitBadUsage}
	}
	return nil
}

// preview shows what would be done to how many.
func (c manyLetters) preview(ctx context.Context, io stdio, desk *operations.Desk, what string) error {
	counts, err := desk.CountLetters(ctx, c.filter())
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io, map[string]any{"preview": counts, "letters": total(counts)})
	}
	w := table(io, "LETTERS\tCONSUMER\tTYPE\tCAUSE\tOLDEST")
	for _, n := range counts {
		_, _ = fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", n.Letters, n.Consumer, n.Type, n.Reason, stamp(n.Oldest))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.Out, "%d would be %s. Nothing was done: the same command with --yes does it.\n", total(counts), what)
	return err
}

func (c manyLetters) print(io stdio, what string, many operations.Many) error {
	if c.JSON {
		return printJSON(io, many)
	}
	_, err := fmt.Fprintf(io.Out, "%d %s", many.Done, what)
	if err == nil && many.Refused > 0 {
		_, err = fmt.Fprintf(io.Out, ", %s, or somebody else was faster", plural(many.Refused, "was not: it is no event", "were not: they are no events"))
	}
	_, _ = fmt.Fprintln(io.Out, ".")
	return err
}

// deadletterRetryCommand delivers again.
type deadletterRetryCommand struct {
	manyLetters
	Edit string `help:"With one event: a file with another payload for it, - for standard input; sluice deadletter show EVENT --payload prints the one it has." placeholder:"FILE"`
	act
}

// Help says what a retry does.
func (deadletterRetryCommand) Help() string {
	return `A retried event is owed to its consumer again, which gets it within about two seconds; if
it dies once more, the letter is open once more. Retrying twice is harmless.

  sluice deadletter retry --consumer access --reason 'release 7 reads it'          shows how many
  sluice deadletter retry --consumer access --reason 'release 7 reads it' --yes    does it

--edit is for mistakes of our own: the id, the type and the lane of the event stay, and
what arrived is kept beside what you wrote.`
}

// Run retries one, or shows or retries many.
func (c deadletterRetryCommand) Run(ctx context.Context, io stdio) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.Edit != "" && c.Event == "" {
		return exitError{errors.New("--edit is for one event: name its id"), exitBadUsage}
	}
	if c.Event == "" && !c.Yes {
		return lookAtDesk(ctx, func(desk *operations.Desk) error { return c.preview(ctx, io, desk, "retried") })
	}
	return atDesk(ctx, io, func(_ *process, desk *operations.Desk) error {
		if c.Event == "" {
			many, err := desk.RetryLetters(ctx, c.who(), c.Reason, c.filter())
			return errors.Join(c.print(io, "were retried", many), err)
		}
		l, err := findLetter(ctx, desk, c.Event, c.Consumer)
		if err != nil {
			return err
		}
		if err := c.one(ctx, desk, l.LetterKey); err != nil {
			return err
		}
		return c.print(io, "is retried", operations.Many{Done: 1})
	})
}

func (c deadletterRetryCommand) one(ctx context.Context, desk *operations.Desk, key operations.LetterKey) error {
	if c.Edit == "" {
		return desk.RetryLetter(ctx, c.who(), c.Reason, key)
	}
	read := func() ([]byte, error) { return os.ReadFile(c.Edit) }
	if c.Edit == "-" {
		read = func() ([]byte, error) { return io.ReadAll(os.Stdin) }
	}
	payload, err := read()
	if err != nil {
		return err
	}
	return desk.EditLetter(ctx, c.who(), c.Reason, key, payload)
}

// deadletterResolveCommand marks as done with.
type deadletterResolveCommand struct {
	manyLetters
	act
}

// Help says what resolving means.
func (deadletterResolveCommand) Help() string {
	return `Nobody is owed a resolved event any more: its effect is given up, or was brought about by
other means. The reason is the note that stays with it.`
}

// Run resolves one, or shows or resolves many.
func (c deadletterResolveCommand) Run(ctx context.Context, io stdio) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.Event == "" && !c.Yes {
		return lookAtDesk(ctx, func(desk *operations.Desk) error { return c.preview(ctx, io, desk, "resolved") })
	}
	return atDesk(ctx, io, func(_ *process, desk *operations.Desk) error {
		if c.Event == "" {
			many, err := desk.ResolveLetters(ctx, c.who(), c.Reason, c.filter())
			return errors.Join(c.print(io, "were resolved", many), err)
		}
		l, err := findLetter(ctx, desk, c.Event, c.Consumer)
		if err != nil {
			return err
		}
		if err := desk.ResolveLetter(ctx, c.who(), c.Reason, l.LetterKey); err != nil {
			return err
		}
		return c.print(io, "is resolved", operations.Many{Done: 1})
	})
}
