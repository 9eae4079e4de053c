package backfill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/purchases"
)

// Preview tells what a command about a customer list or an archive of webhooks would do,
// and does nothing: it only reads, and remembers what it saw in a table of its own
// session. What webhooks bring meanwhile it sees in part.
type Preview struct {
	DB     *sqlx.DB
	Judge  Judge // of a feed of events
	Now    func() time.Time
	Each   func(Previewed) error // optional: called with every link and wish of a list, and every new event
	Report func(Progress)        // optional
}

// Previewed is one thing that would be done.
type Previewed struct {
	What   string // link, read; event, event_apart (of an environment that is not taken)
	Player string // empty: nobody
	Of     string // the other id of a link; the provider's id of an event
	Why    string // of read: WhyLinked and its like; of an event its type
	File   string
	Line   int64
}

// Summary is the answer of a preview.
type Summary struct {
	Counts   Counts              `json:"rows"`
	By       map[string]int64    `json:"by,omitempty"` // how many by type of event, or by why a customer would be read
	Refusals []*exports.RowError `json:"-"`            // the first refusalsMax
	// Unreadable are the files that could not be read, or not to their end.
	Unreadable []*exports.FileError `json:"-"`
}

// previewing is one preview. seen holds what it told of before, in a temporary table.
type previewing struct {
	*Preview
	Summary

	command Command
	seen    *sqlx.Conn
	run     Run
	since   time.Time
}

// Run reads the files and says what taking them would come to. A file that cannot be
// read does not end it, see Summary.Unreadable.
func (p *Preview) Run(ctx context.Context, command Command, files []exports.File) (Summary, error) {
	conn, err := p.DB.Connx(ctx)
	if err != nil {
		return Summary{}, fmt.Errorf("connect: %w", err)
	}
	defer postgres.Discard(conn) // and with it the table
	if _, err := conn.ExecContext(ctx, "CREATE TEMP TABLE previewed (key text PRIMARY KEY)"); err != nil {
		return Summary{}, fmt.Errorf("preview: %w", err)
	}
	v := &previewing{Preview: p, Summary: Summary{By: map[string]int64{}}, command: command, seen: conn, since: time.Now()}
	for _, file := range files {
		v.run.BytesAll += file.Size
	}
	for _, file := range files {
		err := v.file(ctx, file)
		if unreadable, ok := errors.AsType[*exports.FileError](err); ok {
			v.Unreadable = append(v.Unreadable, unreadable)
			continue
		}
		if err != nil {
			return v.Summary, err
		}
	}
	return v.Summary, nil
}

func (v *previewing) file(ctx context.Context, file exports.File) error {
	switch v.command.Feed {
	case exports.Events:
		r, err := openArchive(ctx, file, 0, v.command.Filter, v.Judge, v.Now)
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		return previewFile(ctx, v, file, r, v.events)
	case exports.Customers:
		r, err := openCustomerList(ctx, file, 0, v.command.Filter)
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		return previewFile(ctx, v, file, r, v.customers)
	case exports.Transactions, exports.Currency:
	}
	return fmt.Errorf("the feed %q has no preview", v.command.Feed)
}

func previewFile[T any](ctx context.Context, v *previewing, file exports.File, r source[T], tell func(context.Context, exports.File, *batch[T]) error) error {
	before := v.Counts.Bytes
	for {
		b := gather(r, 0)
		if err := ctx.Err(); err != nil {
			return err
		}
		v.Counts.Skipped += b.skipped
		v.Counts.Refused += b.refused
		if room := refusalsMax - len(v.Refusals); room > 0 {
			v.Refusals = append(v.Refusals, b.refusals[:min(room, len(b.refusals))]...)
		}
		if len(b.said) > 0 {
			if err := tell(ctx, file, b); err != nil {
				return fmt.Errorf("%s: row %d or before it: %w", file.URL, b.last, err)
			}
		}
		v.Counts.Bytes = before + b.bytes
		if v.Report != nil {
			v.run.Counts = v.Counts
			v.Report(Progress{Run: v.run, Session: v.Counts.Rows(), Since: v.since})
		}
		if b.err != nil || b.end {
			return b.err
		}
	}
}

// first returns which of keys were not told of before.
func (v *previewing) first(ctx context.Context, keys []string) (map[string]bool, error) {
	var fresh []string
	if err := v.seen.SelectContext(ctx, &fresh, "INSERT INTO previewed SELECT unnest($1::text[]) ON CONFLICT DO NOTHING RETURNING key", postgres.Array(keys)); err != nil {
		return nil, fmt.Errorf("preview: %w", err)
	}
	return set(fresh), nil
}

func set(keys []string) map[string]bool {
	out := make(map[string]bool, len(keys))
	for _, key := range keys {
		out[key] = true
	}
	return out
}

func (v *previewing) tell(what Previewed) error {
	if v.Each == nil {
		return nil
	}
	return v.Each(what)
}

// events tells of the webhooks that nobody knows.
func (v *previewing) events(ctx context.Context, file exports.File, b *batch[webhook]) error {
	keys := make([]string, len(b.said))
	for i, w := range b.said {
		keys[i] = w.received.EventKey
	}
	fresh, err := v.first(ctx, keys)
	if err != nil {
		return err
	}
	var found []string
	if err := v.DB.SelectContext(ctx, &found, "SELECT event_key FROM webhook_keys WHERE event_key = ANY($1)", postgres.Array(keys)); err != nil {
		return fmt.Errorf("preview: %w", err)
	}
	known := set(found)
	for i, w := range b.said {
		key := w.received.EventKey
		if known[key] || !fresh[key] {
			v.Counts.Same++
			continue
		}
		delete(fresh, key) // it may stand in this very batch again
		v.Counts.New++
		v.By[w.received.Type]++
		told := Previewed{What: "event", Of: key, Why: w.received.Type, File: file.URL, Line: b.lines[i]}
		if w.received.Verdict != purchases.Accepted {
			told.What = "event_apart"
			v.Counts.Apart++
		}
		if len(w.tells) > 0 {
			told.Player = w.tells[0].AppUserID
		}
		if err := v.tell(told); err != nil {
			return err
		}
	}
	return nil
}

// customers tells of the links that are news, and who would be read.
func (v *previewing) customers(ctx context.Context, file exports.File, b *batch[exports.CustomerRow]) error {
	found, err := newsOf(ctx, v.DB, b.said, v.command.All)
	if err != nil {
		return err
	}
	var keys, players []string
	for i, n := range found {
		for _, link := range n.links {
			keys = append(keys, keyOf(link))
		}
		if n.why != "" {
			keys, players = append(keys, readKey(b.said[i].AppUserID)), append(players, b.said[i].AppUserID)
		}
	}
	fresh, err := v.first(ctx, keys)
	if err != nil {
		return err
	}
	waiting, err := purchases.WishedFor(ctx, v.DB, events.ResyncList, players, v.Now())
	if err != nil {
		return err
	}
	for i, n := range found {
		player, isNew := b.said[i].AppUserID, false
		told := Previewed{Player: player, File: file.URL, Line: b.lines[i]}
		for _, link := range n.links {
			if fresh[keyOf(link)] {
				isNew = true
				v.Counts.Links++
				told.What, told.Player, told.Of = "link", link.ID, link.Of
				if err := v.tell(told); err != nil {
					return err
				}
			}
		}
		if n.why != "" && fresh[readKey(player)] && !waiting[player] {
			isNew = true
			v.Counts.Wishes++
			v.By[n.why]++
			told.What, told.Player, told.Of, told.Why = "read", player, "", n.why
			if err := v.tell(told); err != nil {
				return err
			}
		}
		if isNew {
			v.Counts.New++
		} else {
			v.Counts.Same++
		}
	}
	return nil
}

func keyOf(link purchases.Link) string { return "link " + link.ID + "\x01" + link.Of }

func readKey(player string) string { return "read " + player }
