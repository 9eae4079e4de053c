package outbox

import "encoding/json"

// Failed is the guard that writes down a failed attempt of a delivery that stays
// with the broker. Of one that is finished it is stale.
type Failed struct {
	Delivery Delivery
	Attempt  int
	Error    string
}

var failedKind = &Kind{
	Name:    "outbox_failed",
	Columns: append(deliveryColumns[:2:2], Column{"attempt", "integer"}, Column{"error", "text"}),
	Steps: []Step{
		{"lock", lockDeliveries},
		{"update", `UPDATE outbox o SET failures = with_failure(o.failures, r.attempt, r.error), last_error = r.error
			FROM {rows} r WHERE ` + ByKey + ` AND ` + isLocked + ` RETURNING r.effect`},
	},
	Otherwise: Stale,
}

// Kind implements Row.
func (f Failed) Kind() *Kind { return failedKind }

// AppendTo implements Row.
func (f Failed) AppendTo(c *Columns, effect string) {
	doneRow(f.Delivery).AppendTo(c, effect)
	c.Int(int64(f.Attempt))
	c.Text(f.Error)
}

// GuardKey implements GuardRow.
func (f Failed) GuardKey() string { return f.Delivery.key() }

// jsonObject encodes texts by name; none is {}.
func jsonObject(texts map[string]string) []byte {
	if len(texts) == 0 {
		return []byte("{}")
	}
	raw, err := json.Marshal(texts)
	if err != nil { // a map of strings always encodes
		panic(err)
	}
	return raw
}
