package bench

import (
	"bytes"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
)

// sighting is a message about a spend, and when we saw it. A message is published
// after the commit it tells of, so its time is one at which the fact was durable;
// the times in the rows are taken before their commits.
type sighting struct {
	spend uuid.UUID
	at    int64 // Unix nanoseconds
}

// watcher looks on as spends go by: every spend's end, by its notice, and for the
// players of one partition of sixteen, when their events are published. To watch all
// events would cost the service noticeably.
type watcher struct {
	mu        sync.Mutex
	published []sighting
	charged   []sighting
	ended     []sighting
	stops     []func()
}

// startWatching watches the partition of one of the players.
func startWatching(s *Site, player string) (*watcher, error) {
	w := &watcher{}
	if s.Conn == nil {
		return w, nil
	}
	partition := events.Partition(player)
	for _, watch := range []struct {
		subject string
		into    *[]sighting
		find    func([]byte) (uuid.UUID, bool)
	}{
		{events.SubjectOf(events.Live, events.SpendRequestedV1, partition), &w.published, spendOfEvent},
		{events.SubjectOf(events.Live, events.SpendChargedV1, partition), &w.charged, spendOfEvent},
		{events.NoticeSubject, &w.ended, spendOfNotice},
	} {
		stop, err := s.Conn.Watch(watch.subject, func(data []byte) {
			at := time.Now().UnixNano()
			for line := range bytes.Lines(data) { // an event is one
				if id, ok := watch.find(line); ok {
					w.mu.Lock()
					*watch.into = append(*watch.into, sighting{id, at})
					w.mu.Unlock()
				}
			}
		})
		if err != nil {
			w.stop()
			return nil, err
		}
		w.stops = append(w.stops, stop)
	}
	return w, nil
}

func (w *watcher) stop() {
	for _, stop := range w.stops {
		stop()
	}
}

// seen returns when each spend was first seen in a list.
func (w *watcher) seen(list *[]sighting) map[uuid.UUID]int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := make(map[uuid.UUID]int64, len(*list))
	for _, s := range *list {
		if _, known := first[s.spend]; !known {
			first[s.spend] = s.at
		}
	}
	return first
}

// Both read what they need of the JSON by hand: a decoder would cost as much as the
// service spends on the message.

func spendOfEvent(data []byte) (uuid.UUID, bool) { return uuidAfter(data, `"spend_id":"`) }

// spendOfNotice returns the spend of a notice that says it ended.
func spendOfNotice(data []byte) (uuid.UUID, bool) {
	_, after, ok := bytes.Cut(data, []byte(`"State":"`))
	state, _, whole := bytes.Cut(after, []byte(`"`))
	if !ok || !whole || !economy.State(state).Final() {
		return uuid.UUID{}, false
	}
	return uuidAfter(data, `"ID":"`)
}

func uuidAfter(data []byte, name string) (uuid.UUID, bool) {
	_, after, ok := bytes.Cut(data, []byte(name))
	if !ok || len(after) < 36 {
		return uuid.UUID{}, false
	}
	id, err := uuid.ParseBytes(after[:36])
	return id, err == nil
}
