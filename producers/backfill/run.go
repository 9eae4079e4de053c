package backfill

import (
	"encoding/json"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/exports"
)

// State is what is to become of a run.
type State string

// The states of a run. Done and Cancelled are final.
const (
	Running   State = "running"
	Paused    State = "paused"
	Cancelled State = "cancelled"
	Done      State = "done"
	Failed    State = "failed" // what cannot be read, or a database that was away for too long; it may be resumed
)

// Filter leaves rows out. The zero Filter takes all.
type Filter struct {
	Since    time.Time `json:"since,omitzero"`     // rows of then or later: by updated_at, by last_seen_at of a customer list, by the event's own time
	Until    time.Time `json:"until,omitzero"`     // and before then
	Products []string  `json:"products,omitempty"` // of events: types
	Players  []string  `json:"players,omitempty"`  // App User IDs, any that a row names
}

// Command is what a run does. The same command is the same run until that is finished.
type Command struct {
	Feed   exports.Feed `json:"-"`
	URLs   []string     `json:"urls"`
	Filter Filter       `json:"filter"`
	All    bool         `json:"all,omitempty"` // of a customer list: everybody is to be read, not only those of whom it tells something new
	// UsedUpBefore: consumables of purchases made before then, of which nobody told so far,
	// are not handed over, now or later. Of transactions; zero: all are.
	UsedUpBefore time.Time `json:"used_up_before,omitzero"`
}

// fingerprint tells commands apart.
func (c Command) fingerprint() string { return economy.HashID(string(c.Feed), string(c.stored())) }

func (c Command) stored() []byte {
	raw, err := json.Marshal(c)
	if err != nil { // texts and times always encode
		panic(err)
	}
	return raw
}

// Counts are what became of rows.
type Counts struct {
	New     int64 `json:"new" db:"row_new"`               // told of something nobody knew
	Changed int64 `json:"changed" db:"row_changed"`       // changed what was known
	Same    int64 `json:"unchanged" db:"row_same"`        // told nothing new
	Skipped int64 `json:"filtered" db:"row_skipped"`      // left out by the filter
	Refused int64 `json:"rejected" db:"row_refused"`      // could not be read
	Links   int64 `json:"links" db:"links"`               // ids that turned out to be one customer
	Wishes  int64 `json:"wishes,omitempty" db:"wishes"`   // customers that are to be read from the provider again
	Apart   int64 `json:"apart,omitempty" db:"row_apart"` // of New: events of an environment that is not taken
	Bytes   int64 `json:"bytes_read" db:"bytes_read"`     // of the files as they are stored
}

// Rows is how many rows were read.
func (c Counts) Rows() int64 { return c.New + c.Changed + c.Same + c.Skipped + c.Refused }

func (c *Counts) add(o Counts) {
	c.New += o.New
	c.Changed += o.Changed
	c.Same += o.Same
	c.Skipped += o.Skipped
	c.Refused += o.Refused
	c.Links += o.Links
	c.Wishes += o.Wishes
	c.Apart += o.Apart
	c.Bytes += o.Bytes
}

// Run is a backfill as its row tells.
type Run struct {
	ID         string    `json:"id"`
	Command    Command   `json:"command"`
	State      State     `json:"state"`
	Alive      bool      `json:"alive"`            // a process works on it, or waits for it to be resumed
	Reason     string    `json:"reason,omitempty"` // why it waits, failed or was cancelled
	StartedBy  string    `json:"started_by"`
	ChangedBy  string    `json:"changed_by,omitempty"`
	StartedAt  time.Time `json:"started_at"`
	TouchedAt  time.Time `json:"touched_at"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
	Players    int64     `json:"players_changed,omitempty"` // counted while a limit of impact is set
	Counts     Counts    `json:"rows"`
	Files      []File    `json:"files,omitempty"`
	FilesDone  int       `json:"files_done"`
	FilesAll   int       `json:"files_all"`
	BytesAll   int64     `json:"bytes"`
}

// File is one file of a run.
type File struct {
	URL      string `json:"url" db:"url"`
	RowDone  int64  `json:"row_done" db:"row_done"` // all rows up to this one are done with
	Size     int64  `json:"bytes" db:"bytes"`
	Finished bool   `json:"finished" db:"finished"`
	Counts   `json:"rows"`
}
