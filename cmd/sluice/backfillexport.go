package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/klauspost/compress/gzip"

	"github.com/sluice-gems/sluice/internal/operations"
	"github.com/sluice-gems/sluice/outbox"
	"github.com/sluice-gems/sluice/producers/backfill"
)

// backfillExportCommand writes an archive of the webhooks we keep.
type backfillExportCommand struct {
	File        string    `arg:"" optional:"" help:"Where to; one that ends in .gz is packed. Unset: standard output." type:"path"`
	Since       time.Time `help:"Only webhooks that arrived then or later, such as 2026-03-01T12:00:00Z."`
	Until       time.Time `help:"Only webhooks that arrived before then."`
	Type        []string  `help:"Only events of this type, such as RENEWAL; may be repeated."`
	Player      []string  `help:"Only events that name this App User ID; may be repeated." sep:"none"`
	Undecodable bool      `help:"Also what was kept for inspection and is no event: sluice backfill events rejects it."`
	Reason      string    `help:"Why. Kept in the audit." default:"asked for on the command line"`
	JSON        bool      `help:"Print the closing line as JSON." name:"json"`
	by
}

// Help says what is in it.
func (backfillExportCommand) Help() string {
	return `Writes one line of JSON per webhook, in the order of arrival: when it arrived, what it is, and its body: byte for byte, or on one line if it was on several.
sluice backfill events takes such a file. What SLUICE_WEBHOOK_REDACT hid stays hidden. Bodies that went by age
(SLUICE_WEBHOOK_BODY_DAYS) cannot be written, and are counted.

It holds data of players: the file is readable by you alone, and who wrote it is in the audit (sluice acts).`
}

// Run writes the archive. The file gets its name once it is whole.
func (c backfillExportCommand) Run(ctx context.Context, io stdio) error {
	if err := between(c.Since, c.Until); err != nil {
		return err
	}
	cfg, db, err := openBackfills(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	to, finish, err := c.target(io)
	if err != nil {
		return exitError{err, exitBadUsage}
	}
	if err := c.note(ctx, db); err != nil {
		return errors.Join(err, finish(false))
	}
	told := time.Now()
	export := backfill.Export{DB: db, Since: c.Since, Until: c.Until, Types: c.Type, Players: c.Player, Undecodable: c.Undecodable, Report: func(n backfill.Exported) {
		if time.Since(told) >= progressLine {
			told = time.Now()
			_, _ = fmt.Fprintf(io.Err, "%s, up to %s\n", plural(n.Events, "webhook", "webhooks"), n.Last.Format(time.RFC3339))
		}
	}}
	wrote, err := export.Write(ctx, to)
	if err := errors.Join(err, finish(err == nil)); err != nil {
		return fmt.Errorf("after %s: %w", plural(wrote.Events, "webhook", "webhooks"), databaseError(cfg, err))
	}
	if c.JSON {
		return printJSON(stdio{Out: c.closing(io), Err: io.Err}, map[string]any{"export": wrote, "file": c.File})
	}
	return c.close(c.closing(io), wrote)
}

// toFile reports whether a file is written, and not standard output.
func (c backfillExportCommand) toFile() bool { return c.File != "" && c.File != "-" }

// closing is where the closing line goes: never among the lines of the archive.
func (c backfillExportCommand) closing(io stdio) io.Writer {
	if !c.toFile() {
		return io.Err
	}
	return io.Out
}

func (c backfillExportCommand) close(out io.Writer, wrote backfill.Exported) error {
	line := plural(wrote.Events, "webhook was", "webhooks were") + " written"
	if wrote.Events > 0 {
		line += fmt.Sprintf(", which arrived from %s to %s", wrote.First.Format(time.RFC3339), wrote.Last.Format(time.RFC3339))
	}
	if wrote.Cleared > 0 {
		line += fmt.Sprintf("; %s left out, whose bodies went by age (SLUICE_WEBHOOK_BODY_DAYS)", plural(wrote.Cleared, "was", "were"))
		if len(c.Player) > 0 {
			line += ": whose they were is not known"
		}
	}
	if wrote.Undecodable > 0 {
		line += fmt.Sprintf("; %s left out that are no events (--undecodable adds them)", plural(wrote.Undecodable, "was", "were"))
	}
	_, err := fmt.Fprintln(out, line+".")
	return err
}

// note writes into the audit that data of players leaves the database.
func (c backfillExportCommand) note(ctx context.Context, db *sqlx.DB) error {
	committer := outbox.NewCommitter(outbox.CommitterConfig{DB: db, Committers: 1})
	defer committer.Close()
	desk := operations.New(operations.Config{DB: db, Committer: committer, Now: clock, NewID: outbox.NewID})
	chosen := map[string]any{}
	for name, at := range map[string]time.Time{"since": c.Since, "until": c.Until} {
		if !at.IsZero() {
			chosen[name] = at.UTC()
		}
	}
	for name, list := range map[string][]string{"types": c.Type, "players": c.Player} {
		if len(list) > 0 {
			chosen[name] = list
		}
	}
	return usage(desk.Note(ctx, c.who(), c.Reason, operations.DeedExportWebhooks, "webhooks", nil, chosen))
}

// target opens what is written to. finish ends it: a file that is not whole is removed.
func (c backfillExportCommand) target(io stdio) (to io.Writer, finish func(whole bool) error, err error) {
	buffered := bufio.NewWriterSize(io.Out, 256<<10)
	if !c.toFile() {
		return buffered, func(bool) error { return buffered.Flush() }, nil
	}
	if _, err := os.Lstat(c.File); err == nil {
		return nil, nil, fmt.Errorf("%s is there already: name another file, or remove it", c.File)
	}
	part := c.File + ".part"
	file, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // it holds data of players
	if errors.Is(err, os.ErrExist) {
		err = fmt.Errorf("%s is there already: another export writes it, or one was killed; then remove it", part)
	}
	if err != nil {
		return nil, nil, err
	}
	buffered.Reset(file)
	to = buffered
	var packed *gzip.Writer
	if strings.HasSuffix(c.File, ".gz") {
		packed = gzip.NewWriter(buffered)
		to = packed
	}
	return to, func(whole bool) error {
		var err error
		if packed != nil {
			err = packed.Close()
		}
		err = errors.Join(err, buffered.Flush(), file.Sync(), file.Close())
		if !whole || err != nil {
			return errors.Join(err, os.Remove(part))
		}
		return os.Rename(part, c.File)
	}, nil
}
