package console

import (
	"strings"
	"time"

	"github.com/sluice-gems/sluice/internal/operations"
)

// replayMax is the most webhooks that one form replays: a request ends some time. The
// command line has no limit.
const replayMax = 20_000

// replayPage previews a replay, or tells what it did.
type replayPage struct {
	From, Until, Type string
	Webhooks          int
	TooMany           bool
	Done              *operations.Many
}

// replayMany shows how many webhooks a time and a type choose, then, when the form
// says so, replays them.
func (c *Console) replayMany(q *request) error {
	page := replayPage{From: q.PostForm.Get("from"), Until: q.PostForm.Get("until"), Type: strings.TrimSpace(q.PostForm.Get("type"))}
	filter := operations.WebhookFilter{Type: page.Type}
	for text, into := range map[string]*time.Time{page.From: &filter.From, page.Until: &filter.Until} {
		at, err := parseUTC(text)
		if err != nil {
			return bad("Say from when until when the webhooks were received, in UTC.")
		}
		*into = at
	}
	if !filter.From.Before(filter.Until) {
		return bad("The end of the time is not after its beginning.")
	}
	var err error
	if page.Webhooks, err = c.Operations.CountWebhooks(q.Context(), filter); err != nil {
		return told(err)
	}
	page.TooMany = page.Webhooks > replayMax
	if q.PostForm.Get("sure") == "yes" && !page.TooMany {
		many, err := c.Operations.ReplayWebhooks(q.Context(), q.who(), q.reason(), filter)
		if err != nil {
			return told(err)
		}
		page.Done = &many
	}
	return c.show(q, "replay", "Replay webhooks", page)
}
