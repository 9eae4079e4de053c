package rcwebhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-gems/sluice/outbox"
	"github.com/sluice-gems/sluice/producers"
)

const (
	// Path is where RevenueCat sends to.
	Path = "/webhooks/revenuecat"
	// InHandMax bounds the requests in hand, and so what bodies take of memory. The
	// next one is 503 and comes again in five minutes.
	InHandMax = 1024
	// InCommitMax bounds the webhooks that wait in the committer's queue, half a batch
	// of it: a spend that arrives in a burst of them still is in the next commit.
	InCommitMax = outbox.BatchMaxDefault / 2
	// patience bounds one request. The committer answers within its own patience of
	// 5 s when PostgreSQL is gone; RevenueCat waits 60 s.
	patience = 15 * time.Second
)

// Committer commits effects; outbox.Committer does.
type Committer interface {
	Commit(ctx context.Context, effects outbox.Effects) (outbox.Result, error)
}

// Config configures an Intake. What is not marked optional is required.
type Config struct {
	Committer    Committer
	Proof        Proof
	Environments Environments
	Redact       []string  // optional: subscriber attributes whose values are not stored; "*": none of them is
	Last         time.Time // optional: when the last webhook came, before this process

	Now     func() time.Time      // optional: time.Now
	NewID   func() string         // optional: a new UUIDv7
	Log     *slog.Logger          // optional: nothing is logged
	Metrics prometheus.Registerer // optional: registered nowhere
}

// Intake takes webhooks over HTTP. It is safe for concurrent use.
type Intake struct {
	committer Committer
	proof     Proof
	policy    Policy
	now       func() time.Time
	newID     func() string
	log       *slog.Logger
	metrics   *metrics
	hand      chan struct{}
	commits   chan struct{}
}

// New checks the configuration, all of it at once.
func New(c Config) (*Intake, error) {
	var problems []error
	if c.Committer == nil {
		problems = append(problems, errors.New("Committer is missing"))
	}
	if c.Proof.Authorization == nil && c.Proof.Secrets == nil {
		problems = append(problems, errors.New("Proof has neither Authorization nor Secrets: anybody could send"))
	}
	if c.Proof.Secrets != nil && c.Proof.Tolerance <= 0 {
		problems = append(problems, errors.New("Proof.Tolerance must be more than 0"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("rcwebhook: %w", err)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.NewID == nil {
		c.NewID = outbox.NewID
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Intake{
		committer: c.Committer, proof: c.Proof, policy: Policy{c.Environments, c.Redact},
		now: c.Now, newID: c.NewID, log: c.Log, metrics: newMetrics(c.Metrics, c.Last, c.Now),
		hand: make(chan struct{}, InHandMax), commits: make(chan struct{}, InCommitMax),
	}, nil
}

// Routes registers the endpoint on mux.
func (in *Intake) Routes(mux *http.ServeMux) {
	mux.Handle("POST "+Path, in)
	mux.HandleFunc(Path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", http.MethodPost)
		p := methodNotAllowed()
		producers.LineOf(w).Tell(p.Slug, nil)
		p.Answer(w)
	})
}

// ServeHTTP takes one webhook: 200 once it is committed, or was before.
func (in *Intake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	taken := in.take(w, r.WithContext(ctx))
	verdict := taken.verdict()
	in.metrics.told(taken.event.Type, verdict, time.Since(started))
	producers.LineOf(w).Tell(verdict, taken.cause, taken.line()...)
	if taken.problem != nil {
		taken.problem.Answer(w)
		return
	}
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}
