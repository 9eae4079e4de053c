package gemstore

import (
	"fmt"

	"github.com/sluice-gems/sluice/events"
)

// looking is a player whose messages are watched, for all pages that show them: a
// message is seen once, however many look on.
type looking struct {
	wakes map[chan struct{}]struct{}
	stops []func()
}

// watch notes the player's messages on the stream, until stop. wake has something
// whenever one passes, or a spend of anybody ends.
func (s *Store) watch(player string) (wake chan struct{}, stop func(), err error) {
	wake = make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	look := s.looks[player]
	if look == nil {
		look = &looking{wakes: map[chan struct{}]struct{}{}}
		if err := s.subscribe(look, player); err != nil {
			look.end()
			return nil, nil, err
		}
		s.looks[player] = look
	}
	look.wakes[wake] = struct{}{}
	return wake, func() { s.leave(player, wake) }, nil
}

// subscribe watches the two depths at which subjects name a partition, and notices.
func (s *Store) subscribe(look *looking, player string) error {
	partition := fmt.Sprintf("%02d", events.Partition(player))
	passing := func(data []byte) {
		if event, err := events.Decode(data); err == nil && event.AppUserID == player {
			s.passed.note(event.ID, s.now())
			s.nudge(look)
		}
	}
	for subject, do := range map[string]func([]byte){
		"sluice.*.*.*.*." + partition: passing, "sluice.*.*.*.*.*." + partition: passing,
		events.NoticeSubject: func([]byte) { s.nudge(look) },
	} {
		end, err := s.stream.Watch(subject, do)
		if err != nil {
			return err
		}
		look.stops = append(look.stops, end)
	}
	return nil
}

// nudge wakes all who look.
func (s *Store) nudge(look *looking) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for wake := range look.wakes {
		select {
		case wake <- struct{}{}:
		default: // it is awake
		}
	}
}

// leave ends one look; with the last one nobody watches any more.
func (s *Store) leave(player string, wake chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	look := s.looks[player]
	delete(look.wakes, wake)
	if len(look.wakes) == 0 {
		look.end()
		delete(s.looks, player)
	}
}

func (l *looking) end() {
	for _, stop := range l.stops {
		stop()
	}
}
