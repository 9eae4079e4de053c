package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Plan is a load.
type Plan struct {
	Target  Target
	Callers []Caller // take turns
	// Clients are the connections. In a closed loop each sends when it has its answer;
	// in an open loop they are how many requests may be under way.
	Clients int
	Rate    float64 // arrivals a second of an open loop; 0: a closed loop
	Poisson bool    // arrivals at random times, as of many players who know nothing of each other
	Seed    uint64  // of these times
	For     time.Duration
	Records string // path of the file of records
}

// Summary is what a load did.
type Summary struct {
	Started  int64 // Unix nanoseconds
	Ended    int64 // Started + For: what was intended before
	Sent     int64
	Accepted int64
	Broken   int64  // requests without an answer
	Error    string // of the first of them
}

// shedWait is how long a client of a closed loop rests after it was told to try
// again later: less than the API asks for, so that it stays under pressure.
const shedWait = 50 * time.Millisecond

// brokenMax ends a load that gets no answers: an API that is gone.
const brokenMax = 1000

// Run carries out a plan. progress, when not nil, is told about once a second how
// far it is. It ends at the plan's end, once all answers are there, at the latest
// 40 s later; or with ctx, whose error it returns then. A request without an answer
// is a record, not an error; 1,000 of them are.
func Run(ctx context.Context, p Plan, progress func(Summary)) (Summary, error) {
	if err := p.validate(); err != nil {
		return Summary{}, err
	}
	records, err := newRecorder(p.Records)
	if err != nil {
		return Summary{}, err
	}
	r := &run{plan: p, records: records}
	clients, err := r.connect(ctx)
	defer closeAll(clients)
	if err != nil {
		return Summary{}, errors.Join(err, records.close())
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.giveUp = cancel
	stopCutting := context.AfterFunc(ctx, func() {
		for _, c := range clients {
			c.interrupt()
		}
	})
	defer stopCutting()
	r.started = time.Now()
	telling := r.tell(ctx, progress)
	if p.Rate > 0 {
		err = r.open(ctx, clients)
	} else {
		r.closed(ctx, clients)
	}
	if ctx.Err() != nil {
		err = errors.Join(err, context.Cause(ctx))
	}
	cancel(nil)
	<-telling
	return r.summary(), errors.Join(err, records.close())
}

func (p Plan) validate() error {
	switch {
	case p.Clients < 1 || len(p.Callers) == 0 || p.For <= 0:
		return errors.New("a load needs clients, callers and a duration")
	case p.Rate < 0 || p.Rate > 1e6:
		return fmt.Errorf("a rate of %v a second: use up to a million", p.Rate)
	}
	return nil
}

// run is a load under way.
type run struct {
	plan     Plan
	records  *recorder
	started  time.Time
	giveUp   context.CancelCauseFunc
	keys     atomic.Int64
	accepted atomic.Int64
	broken   atomic.Int64
	sent     atomic.Int64
	first    atomic.Pointer[string]
}

func (r *run) connect(ctx context.Context) ([]*Client, error) {
	clients := make([]*Client, 0, r.plan.Clients)
	for range r.plan.Clients {
		c, err := Dial(ctx, r.plan.Target)
		if err != nil {
			return clients, fmt.Errorf("connect to the API: %w", err)
		}
		clients = append(clients, c)
	}
	return clients, nil
}

func closeAll(clients []*Client) {
	for _, c := range clients {
		c.Close()
	}
}

// closed lets every client send as soon as it has its answer.
func (r *run) closed(ctx context.Context, clients []*Client) {
	end := r.started.Add(r.plan.For)
	var group sync.WaitGroup
	for _, c := range clients {
		group.Go(func() {
			c.patience(end.Add(answerPatience))
			for ctx.Err() == nil {
				now := time.Now()
				if now.After(end) {
					return
				}
				key, caller := r.next()
				err := c.send(r.plan.Callers[caller], key)
				answer := r.finish(ctx, c, now, now, caller, err)
				if answer.Status == http.StatusTooManyRequests || answer.Status == http.StatusServiceUnavailable {
					rest(ctx, shedWait)
				}
			}
		})
	}
	group.Wait()
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// next returns the key of the next request and whose turn it is.
func (r *run) next() (key int64, caller uint32) {
	key = r.keys.Add(1)
	return key, uint32(key % int64(len(r.plan.Callers)))
}

// finish reads the answer of a request, unless sending it failed, and records it.
func (r *run) finish(ctx context.Context, c *Client, intended, sent time.Time, caller uint32, err error) Answer {
	r.sent.Add(1)
	var answer Answer
	if err == nil {
		answer, err = c.answer()
	}
	r.records.add(Record{
		Intended: intended.UnixNano(), Sent: sent.UnixNano(), Answered: time.Now().UnixNano(), Caller: caller, Answer: answer,
	})
	if answer.Accepted() {
		r.accepted.Add(1)
	}
	if err != nil {
		r.mend(ctx, c, err)
	}
	return answer
}

// mend replaces a broken connection.
func (r *run) mend(ctx context.Context, c *Client, cause error) {
	text := cause.Error()
	r.first.CompareAndSwap(nil, &text)
	if r.broken.Add(1) >= brokenMax {
		r.giveUp(fmt.Errorf("%d requests without an answer; the first: %s", brokenMax, *r.first.Load()))
	}
	c.Close()
	for ctx.Err() == nil && c.dial(ctx) != nil {
		rest(ctx, shedWait)
	}
	c.patience(r.started.Add(r.plan.For + answerPatience))
}

func (r *run) summary() Summary {
	s := Summary{
		Started: r.started.UnixNano(), Ended: r.started.Add(r.plan.For).UnixNano(),
		Sent: r.sent.Load(), Accepted: r.accepted.Load(), Broken: r.broken.Load(),
	}
	if first := r.first.Load(); first != nil {
		s.Error = *first
	}
	return s
}

// tell tells progress until ctx ends, and then closes what it returned.
func (r *run) tell(ctx context.Context, progress func(Summary)) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if progress != nil {
					progress(r.summary())
				}
			}
		}
	}()
	return done
}
