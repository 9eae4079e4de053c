package simulation

import (
	"math/rand/v2"
	"runtime"
	"slices"
)

// scheduler runs goroutines one at a time. Each of them stands still before
// anything that others could see, until the schedule lets it go on.
type scheduler struct {
	random  *rand.Rand
	tasks   []*task // standing still, in the order they were started
	current *task
	back    chan struct{} // the running task gives control back
}

// task is one goroutine of the simulated system.
type task struct {
	name   string
	owner  *process // dies with it; nil: outlives all
	at     string   // what it does next
	resume chan struct{}
	killed bool
	done   bool
}

func newScheduler(random *rand.Rand) scheduler {
	return scheduler{random: random, back: make(chan struct{})}
}

// spawn starts a task. It stands still before its first step.
func (s *scheduler) spawn(name string, owner *process, run func()) {
	t := &task{name: name, owner: owner, at: "start", resume: make(chan struct{})}
	s.tasks = append(s.tasks, t)
	go func() {
		defer func() {
			t.done = true
			s.back <- struct{}{}
		}()
		<-t.resume
		if !t.killed {
			run()
		}
	}()
}

// pause is called by the running task before what it does next. It does not
// return when the task's process died meanwhile: the goroutine ends as a crash
// ends it, and no recover holds that up.
func (s *scheduler) pause(next string) {
	t := s.current
	if t.killed {
		runtime.Goexit()
	}
	t.at = next
	s.back <- struct{}{}
	<-t.resume
	if t.killed {
		runtime.Goexit()
	}
}

// step lets a task go on until it stands still again.
func (s *scheduler) step(t *task) {
	s.current = t
	t.resume <- struct{}{}
	<-s.back
	s.current = nil
	if t.done {
		s.tasks = slices.DeleteFunc(s.tasks, func(other *task) bool { return other == t })
	}
}

// kill ends the tasks of a process where they stand; nil ends all.
func (s *scheduler) kill(owner *process) {
	for _, t := range slices.Clone(s.tasks) {
		if owner == nil || t.owner == owner {
			t.killed = true
			s.step(t)
		}
	}
}

func (s *scheduler) anyTask() *task { return s.tasks[s.random.IntN(len(s.tasks))] }
