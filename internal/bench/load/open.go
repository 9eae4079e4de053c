package load

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// open sends every request at its time, or as soon after it as a connection is
// free. The time is set before and not by how the service does: what a slow
// service keeps from being sent counts as waiting.
func (r *run) open(ctx context.Context, clients []*Client) error {
	type sending struct {
		intended, sent time.Time
		caller         uint32
		err            error
	}
	type line struct {
		*Client
		sent chan sending
	}
	idle := make(chan line, len(clients))
	var group sync.WaitGroup
	for _, c := range clients {
		c.patience(r.started.Add(r.plan.For + answerPatience))
		l := line{c, make(chan sending, 1)}
		idle <- l
		group.Go(func() {
			for s := range l.sent {
				r.finish(ctx, c, s.intended, s.sent, s.caller, s.err)
				idle <- l
			}
		})
	}
	defer func() {
		for range clients {
			close((<-idle).sent)
		}
		group.Wait()
	}()
	clock, err := newAlarm()
	if err != nil {
		return err
	}
	defer clock.close()
	stopClosing := context.AfterFunc(ctx, clock.close)
	defer stopClosing()
	arrivals := r.plan.arrivals()
	for at := arrivals(); at < r.plan.For && ctx.Err() == nil; at = arrivals() {
		intended := r.started.Add(at)
		if err := clock.wait(time.Until(intended)); err != nil && ctx.Err() == nil {
			return err
		}
		var l line
		select {
		case l = <-idle:
		case <-ctx.Done():
			return nil
		}
		key, caller := r.next()
		s := sending{intended: intended, sent: time.Now(), caller: caller}
		s.err = l.send(r.plan.Callers[caller], key)
		l.sent <- s
	}
	return nil
}

// arrivals returns when the next request is to be sent, counted from the start.
func (p Plan) arrivals() func() time.Duration {
	gap := float64(time.Second) / p.Rate
	if p.Poisson {
		dice := rand.New(rand.NewPCG(p.Seed, 0))
		at := 0.0
		return func() time.Duration {
			at += dice.ExpFloat64() * gap
			return time.Duration(at)
		}
	}
	n := 0
	return func() time.Duration {
		n++
		return time.Duration(float64(n-1) * gap)
	}
}
