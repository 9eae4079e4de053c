package backfill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/pacing"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/outbox"
)

// The engine's defaults.
const (
	// MemoryLimit is the soft limit of the heap for a process that runs a backfill
	// (debug.SetMemoryLimit): chunks are garbage in bulk, and the next ones take their place.
	MemoryLimit = 128 << 20
	// ChunkDefault is the rows of one commit: 0.15 to 0.3 s of work. Larger ones gain little,
	// and keep a webhook of one of their purchases waiting.
	ChunkDefault = 5000
	// chunkBeside is how many rows a commit has at most while players spend. One that meets
	// a commit waits for as long; beside commits of 2,000 rows p99 was 50 to 72 ms.
	chunkBeside = 125
	// WorkersDefault is how many commits are prepared at once. PostgreSQL works on each
	// with one CPU; more than its CPUs gain nothing and keep spends waiting.
	WorkersDefault = 2
	// BacklogDefault is how many deliveries the lane Bulk may be owed before a run waits:
	// the sweeper publishes 10,000 a second at most, so it never runs dry.
	BacklogDefault = 50_000
	// awayMax is for how long a database may be away before a run gives up. It may be resumed.
	awayMax = 5 * time.Minute
	// lookEvery is how often a run that waits looks whether it may go on.
	lookEvery = 500 * time.Millisecond
)

// Source is what is written beside what an export tells of customers.
const Source = "export"

// Engine runs backfills. What is not marked optional is required.
type Engine struct {
	DB            *sqlx.DB
	Subscriptions outbox.Subscriptions // who is owed which event
	Now           func() time.Time
	Log           *slog.Logger

	Judge      Judge          // of a feed of events: says what becomes of each
	Chunk      int            // optional: rows per commit; 0: ChunkDefault, fewer with more workers
	Workers    int            // optional: commits that are prepared at once; 0: WorkersDefault
	BacklogMax int            // optional: deliveries of the lane Bulk that may be owed; 0: any number
	Rate       int            // optional: rows per second; 0: as fast as it goes
	Share      float64        // optional: of the time that it works while players spend; 0: ShareDefault, 1: all of it
	ImpactMax  int64          // optional: pause before more players than this were changed; 0: any number
	Refused    Refusals       // optional: where rejected rows go
	Report     func(Progress) // optional: called after each commit, and while it waits; calls come one at a time, without Run.Files
}

// Refusals keeps the rows that were rejected. Its calls come one at a time.
type Refusals interface {
	// Begin is called once per file. Up to the row from all are done with. Of the rows up
	// to upTo some are: the others come again, and their refusals are kept once. Refusals
	// of later rows were kept by a run that was killed; all of those rows come again.
	Begin(file string, from, upTo int64) error
	// Keep makes refusals durable. The commit that counts them follows.
	Keep(list []*exports.RowError) error
}

// Progress is how far a run is.
type Progress struct {
	Run     Run   // with the counts of now
	Session int64 // rows of this process
	Since   time.Time
	Waiting string // why it waits; empty: it works
}

// Why a run ended before its files did. Its state says the same.
var (
	ErrPaused    = errors.New("the backfill is paused")
	ErrCancelled = errors.New("the backfill was cancelled")
	ErrImpact    = errors.New("the limit of impact is reached")
	errTaken     = errors.New("another process works on this backfill")
	errStopped   = errors.New("the run is not to go on")
)

// session is one process's work on a run.
type session struct {
	*Engine
	runs  Runs
	since time.Time
	pace  pace
	give  giveWay

	telling sync.Mutex // held by the one call of Report or Refused
	mu      sync.Mutex // guards what follows, never while anything is waited for
	run     Run
	players map[string]bool // that were changed
	rows    int64
}

// Run works on a run until its files are read, and returns what it came to. files are
// those that the command's URLs name now: those that are new are read as well, and one
// whose content is another is read again.
//
// A run that is paused meanwhile waits here; one that ctx ends is paused. Errors:
// ErrCancelled, ErrPaused, ErrImpact, what cannot be read (all other files are), or the
// database's.
func (e *Engine) Run(ctx context.Context, run Run, files []exports.File) (Run, error) {
	s := &session{Engine: e, runs: Runs{e.DB}, run: run, players: map[string]bool{}, since: time.Now()}
	s.pace.session = s
	s.give.players = pacing.Players{DB: e.DB, Log: e.Log}
	s.give.pacer = pacing.Pacer{Spending: s.give.players.Spending, Share: cmp.Or(e.Share, ShareDefault), RestMax: restMax}
	release, err := s.runs.take(ctx, run.ID)
	if err != nil {
		return run, err
	}
	defer release()
	watched, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { s.give.players.Watch(watched) })
	err = s.work(ctx, files)
	stop()
	watching.Wait()
	settled, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	switch {
	case err == nil:
		err = s.runs.settle(settled, run.ID, Done, "")
	case errors.Is(err, ErrImpact):
		err = errors.Join(err, s.runs.settle(settled, run.ID, Paused, err.Error()))
	case errors.Is(err, ErrCancelled), errors.Is(err, ErrPaused):
	case ctx.Err() != nil:
		err = errors.Join(ErrPaused, s.runs.settle(settled, run.ID, Paused, "its process was told to stop"))
	default:
		err = errors.Join(err, s.runs.settle(settled, run.ID, Failed, err.Error()))
	}
	if last, showErr := s.runs.Show(settled, run.ID); showErr == nil {
		last.Alive = false // once this returns
		s.run = last
	}
	s.report("")
	return s.run, err
}

// work reads one file after the other. What ends one does not end the others.
func (s *session) work(ctx context.Context, files []exports.File) error {
	parts, err := s.enlist(ctx, files)
	if err != nil {
		return err
	}
	if s.run.Command.Feed == exports.Transactions {
		return s.transactions(ctx, files, parts)
	}
	return s.each(files, func(file exports.File) error {
		_, _, finished, err := s.begin(file, parts[file.URL])
		if err != nil || finished {
			return err
		}
		return s.inOrder(ctx, file, parts[file.URL][0])
	})
}

// each calls one for every file. What cannot be read does not end the others.
func (s *session) each(files []exports.File, one func(exports.File) error) error {
	var problems []error
	for _, file := range files {
		err := one(file)
		if unreadable, ok := errors.AsType[*exports.FileError](err); ok {
			problems = append(problems, unreadable)
			continue
		}
		if err != nil {
			return errors.Join(append(problems, err)...)
		}
	}
	return errors.Join(problems...)
}

// transactions reads one file after the other, while the rows before are committed: those
// of the file before, too.
func (s *session) transactions(ctx context.Context, files []exports.File, parts map[string][]*part) error {
	workers := 0
	for _, file := range files {
		workers = max(workers, len(parts[file.URL]))
	}
	l := newLanes(workers)
	group, ctx := errgroup.WithContext(ctx)
	for _, chunks := range l.to {
		group.Go(func() error { return s.workOn(ctx, chunks, l.release) })
	}
	var problems error // of files: what was read of them is committed
	group.Go(func() error {
		defer l.close()
		problems = s.each(files, func(file exports.File) error {
			err := s.deal(ctx, l, file, parts[file.URL])
			if ctx.Err() != nil {
				return nil //nolint:nilerr // a worker tells why
			}
			return err
		})
		return nil
	})
	err := group.Wait()
	return errors.Join(problems, err)
}

// deal deals the rows of one file.
func (s *session) deal(ctx context.Context, l *lanes, file exports.File, parts []*part) error {
	done, from, finished, err := s.begin(file, parts)
	if err != nil || finished || ctx.Err() != nil {
		return err
	}
	r, err := s.run.Command.open(ctx, file, from, s.Now())
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	for _, warning := range r.Warnings() {
		s.Log.WarnContext(ctx, "export", "file", file.URL, "warning", warning)
	}
	size := s.Chunk
	if size <= 0 { // as many in hand, however many parts there are
		size = max(1, ChunkDefault*WorkersDefault/max(WorkersDefault, len(parts)))
	}
	dealer := newDealer(l, r, size, s.give.players.Spending, parts, done)
	dealer.deal(ctx)
	return dealer.err
}

// begin tells how far the parts of a file are, and has the refusals of later rows dropped.
func (s *session) begin(file exports.File, parts []*part) (done []int64, from int64, finished bool, err error) {
	done = make([]int64, len(parts))
	from, upTo, finished := parts[0].RowDone, parts[0].RowDone, true
	for i, p := range parts {
		done[i], from, upTo, finished = p.RowDone, min(from, p.RowDone), max(upTo, p.RowDone), finished && p.Finished
	}
	if finished || s.Refused == nil {
		return done, from, finished, nil
	}
	s.telling.Lock()
	defer s.telling.Unlock()
	return done, from, false, s.Refused.Begin(file.URL, from, upTo)
}

// workOn commits chunks, and releases each.
func (s *session) workOn(ctx context.Context, chunks <-chan *chunk, release func(*chunk)) error {
	w := &worker{session: s}
	defer w.close()
	for c := range chunks {
		w.part = c.part
		if err := w.take(ctx, c); err != nil {
			return err
		}
		release(c)
	}
	return ctx.Err()
}

// keep makes refusals durable.
func (s *session) keep(list []*exports.RowError) error {
	if s.Refused == nil || len(list) == 0 {
		return nil
	}
	s.telling.Lock()
	defer s.telling.Unlock()
	if err := s.Refused.Keep(list); err != nil {
		return fmt.Errorf("keep rejected rows: %w", err)
	}
	return nil
}

// rest waits a little, and says why.
func (s *session) rest(ctx context.Context, why string) error {
	s.report(why)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(lookEvery):
		return nil
	}
}

// untilRunning waits while the run is paused.
func (s *session) untilRunning(ctx context.Context) error {
	var away time.Time
	for {
		run, err := s.runs.Show(ctx, s.run.ID)
		if postgres.Classify(err) == postgres.Unavailable && (away.IsZero() || time.Since(away) < awayMax) {
			if away.IsZero() {
				away = time.Now()
			}
			if err := s.rest(ctx, "the database is away"); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		away = time.Time{}
		switch run.State {
		case Running:
			s.report("")
			return nil
		case Paused:
			if err := s.rest(ctx, "paused by "+run.ChangedBy); err != nil {
				return fmt.Errorf("%w: %w", ErrPaused, err)
			}
		default:
			return fmt.Errorf("%w by %s", ErrCancelled, run.ChangedBy)
		}
	}
}

// report tells how far the run is, and why it waits.
func (s *session) report(why string) {
	if s.Report == nil {
		return
	}
	s.telling.Lock()
	defer s.telling.Unlock()
	s.mu.Lock()
	now := Progress{Run: s.run, Session: s.rows, Since: s.since, Waiting: why}
	now.Run.Files = nil
	s.mu.Unlock()
	s.Report(now)
}
