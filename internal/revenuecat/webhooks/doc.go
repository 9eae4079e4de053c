// Package webhooks reads the events that RevenueCat's webhooks carry and says what
// they mean in our words: facts about purchases, which ids are one customer,
// transfers, movements of currency. It knows none of our tables.
//
// Reading is tolerant where we only keep: unknown types, unknown and missing
// members pass. It is strict where we act: an event that should change something
// and lacks what it takes is an error, not a guess.
//
// Source of fields and meanings: RevenueCat docs, Webhooks: event types and fields.
package webhooks
