package retention

// What holds a partition of raw events: the delivery of one that is owed, or set aside
// for an operator, who may send it again. Their ids are the webhook's with an end
// (events.NewStoreWebhookReceived, NewStoreCurrencyMoved).
const webhookIDs = `CASE WHEN event_id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\.(received|moved)$' THEN left(event_id, 36)::uuid END`

var webhookPins = []pin{
	{"deliveries owed", `SELECT count(*) FROM outbox WHERE ` + webhookIDs + ` >= $1::uuid AND ` + webhookIDs + ` < $2::uuid`},
	{"open dead letters", `SELECT count(*) FROM dead_letters WHERE resolved_at IS NULL AND ` + webhookIDs + ` >= $1::uuid AND ` + webhookIDs + ` < $2::uuid`},
}

// What holds a partition of statements: a claim that waits for its purchase, and a
// change of the purchase that is owed to somebody or set aside.
const saidAbout = ` AND EXISTS (SELECT FROM purchase_versions v WHERE v.said_at >= $1::timestamptz AND v.said_at < $2::timestamptz AND v.transaction_id = `

// The transactions that an event names: one (store.purchase.changed.v1), or many (v2).
const named = `ANY (o.payload->'data'->>'transaction_id' || ARRAY(SELECT json_object_keys(o.payload->'data'->'transactions'))))`

var versionPins = []pin{
	{"pending claims", `SELECT count(*) FROM claims c WHERE c.state = 'pending'` + saidAbout + `c.transaction_id)`},
	{"deliveries owed", `SELECT count(*) FROM outbox o WHERE o.event_id LIKE '%.changed'` + saidAbout + named},
	// A dead letter's payload may be anything: it is read as text, in which transactions
	// stand behind transaction_id, or before their versions.
	{"open dead letters", `SELECT count(*) FROM dead_letters d WHERE d.resolved_at IS NULL AND d.event_id LIKE '%.changed'` +
		saidAbout + `ANY (ARRAY(SELECT coalesce(m[1], m[2]) FROM regexp_matches(encode(d.payload, 'escape'), '"transaction_id":"([^"]*)"|"([^"]*)":[0-9]+[,}]', 'g') m)))`},
}
