package events

import "github.com/sluice-gems/sluice/economy"

// Notice tells requests that wait for a spend how it ended. Notices are best
// effort and carry no promise: whoever waits also reads the database.
type Notice struct {
	Spend economy.Spend `json:"spend"`
}

// NoticeSubject is where notices are published, on plain NATS: one or more in a
// message, as lines of JSON.
const NoticeSubject = "sluice.notice.spend"
